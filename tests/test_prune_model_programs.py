"""`datadiet prune-model` on programs of every architecture: pruned, healed, and opened again by torch alone."""

import json

import pytest
import torch
from torch import nn
from torch.nn.functional import gelu, relu, scaled_dot_product_attention

from datadiet_cli.nn import modelfile
from tests.conftest import Cli, report, tree_digest
from tests.lessons import pictures

SIZE = 12


class Block(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.norm2 = nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x):
        within = self.norm2(self.conv2(relu(self.norm1(self.conv1(x)))))
        return relu(within + self.shortcut(x))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(3, 8), Block(8, 8), Block(8, 16))
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.blocks(x).mean((2, 3)))


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 16), nn.ReLU()
        )
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.net(x))


class Attention(nn.Module):
    """Pre-norm, with a projection each for query, key and value, and its number of heads written into the code."""

    def __init__(self, width=16, heads=4):
        super().__init__()
        self.heads, self.each = heads, width // heads
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down, self.head = nn.Linear(width, 32), nn.Linear(32, width), nn.Linear(width, 2)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        n, t, _ = x.shape
        y = self.norm1(x)
        q, k, v = (f(y).view(n, t, self.heads, self.each).transpose(1, 2) for f in (self.q, self.k, self.v))
        y = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, self.heads * self.each)
        x = x + self.o(y)
        x = x + self.down(gelu(self.up(self.norm2(x))))
        return self.head(x.mean(1))


class Depthwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.norm = nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16)
        self.depth = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=4)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(relu(self.grouped(relu(self.depth(relu(self.norm(self.enter(x))))))).mean((2, 3)))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class Colourless(nn.Module):
    channels = 1

    def __init__(self):
        super().__init__()
        self.conv, self.hidden, self.head = nn.Conv2d(1, 8, 3), nn.Linear(8 * 10 * 10, 16), nn.Linear(16, 2)

    def forward(self, x):
        return self.head(relu(self.hidden(relu(self.conv(x)).flatten(1))))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows, self.head = nn.LSTM(3 * SIZE, 8, 2, batch_first=True, bidirectional=True), nn.Linear(16, 2)

    def forward(self, x):
        rows, _ = self.rows(x.transpose(1, 2).flatten(2))
        return self.head(rows.mean(1))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("photos"))[0]


def exported(network, path):
    torch.manual_seed(0)
    network = network().eval()
    with modelfile.quiet():  # torch warns of its own code
        given = (torch.rand(4, getattr(network, "channels", 3), SIZE, SIZE),)
        torch.export.save(torch.export.export(network, given, dynamic_shapes=({0: torch.export.Dim("n")},)), path)
    return network


@pytest.mark.parametrize("network", [Residual, Perceptron, Attention, Depthwise, Encoder, Recurrent, Colourless])
def test_programs_are_pruned_and_opened_again(network, photos, tmp_path, datadiet: Cli, monkeypatch):
    """Half of all units go, heads too; names stay; what is left learns, and answers for any number of samples."""
    monkeypatch.setattr(modelfile, "_reopen", lambda *_: None)
    dense = exported(network, tmp_path / "net.pt2")
    before = tree_digest(photos)
    ran = datadiet(
        "prune-model", tmp_path / "net.pt2", tmp_path / "out", "--data", photos,
        "--criterion", "gradient", "--scope", "layer", "--epochs", "2", "--controls", "none",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert tree_digest(photos) == before
    metrics = report(tmp_path / "out")["steps"][-1]["metrics"]
    program = torch.export.load(tmp_path / "out" / "model.pt2")
    assert {name.removeprefix("encoder.body.") for name in program.state_dict} >= {
        name for name in dense.state_dict() if "num_batches" not in name
    }
    left = sum(tensor.numel() for name, tensor in program.named_parameters())
    assert left == metrics["costs"]["pruned"]["parameters"]
    assert left < 0.5 * sum(tensor.numel() for tensor in dense.parameters())
    again = program.module()
    shown = torch.randint(0, 256, (5, 3, SIZE, SIZE)).float() / 255
    with torch.no_grad():
        whole = again(*_given(shown, tmp_path / "out"))
        one = again(*_given(shown[:1], tmp_path / "out"))
    assert whole.shape == (5, 2)
    torch.testing.assert_close(whole[:1], one, rtol=1e-4, atol=1e-5)


def _given(shown, folder):
    """Pixels as the program in a folder takes them."""
    taken = json.loads((folder / "model.json").read_bytes())["inputs"][0]["dtype"]
    return ((shown * 255).to(torch.uint8) if taken == "uint8" else shown,)
