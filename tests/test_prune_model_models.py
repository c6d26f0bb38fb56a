"""`datadiet prune-model` of every kind of model, and of networks of one's own."""

import itertools
import json
import os
import sys

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from datadiet_cli.nn.exporting import quiet
from tests.conftest import Cli, names, table, tree_digest
from tests.lessons import (
    CLASSES,
    KINDS,
    QUICK,
    by_steady_clock,
    learned,
    made,
    prices,
    to_prune,
    weights,
    without_program,
)


@pytest.fixture
def quick():
    """No program is written or timed, which takes longer than all else."""
    with without_program(), by_steady_clock():
        yield


def shapes(folder):
    return {name: tensor.shape for name, tensor in weights(folder).items()}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("things", "pictures", "letters")])
def test_every_kind_of_model(kind, tmp_path, datadiet: Cli):
    """Every group of channels became narrower, and what is told of the model is what it was."""
    out = tmp_path / "small"
    ran = datadiet(*to_prune(kind, "--scope", "layer", "--criterion", "activation")(out))
    assert ran.code == 0, ran.err
    told = learned(out)
    assert told["model"] == KINDS[kind][1]
    assert told["costs"]["pruned"]["parameters"] < 0.6 * told["costs"]["dense"]["parameters"]
    assert told["gone"] == pytest.approx(0.5, abs=0.03)
    before, after = shapes(made(kind).folder), shapes(out)
    assert before.keys() == after.keys()
    assert after["head.weight"][0] == before["head.weight"][0]
    assert after["head.weight"][1] < before["head.weight"][1]
    main, least = ("r2", 0.5) if kind == "prices" else ("accuracy", 0.8)
    assert told["stages"]["fine_tuned"][main] > least
    description = json.loads((out / "model.json").read_bytes())
    dense = json.loads((made(kind).folder / "model.json").read_bytes())
    assert [description[name] for name in ("model", "classes", "fields")] == [
        dense[name] for name in ("model", "classes", "fields")
    ]
    ran = datadiet("predict", out, made(kind).source, "-", "--id-column", "id")
    assert ran.code == 0 or kind == "sounds"


@pytest.mark.usefixtures("quick")
def test_residuals(tmp_path, datadiet: Cli):
    """What is added up loses the same channels."""
    given = made("pictures")
    dense, out = tmp_path / "dense", tmp_path / "small"
    flags = ["--model", "resnet8", "--image-size", "12", "--epochs", "1", "--record", "none", "--quiet"]
    assert datadiet("train", given.source, dense, *flags).code == 0
    call = ["prune-model", dense, out, "--data", given.source, "--epochs", "1", "--controls", "none"]
    assert datadiet(*call, "--criterion", "bn-scale", "--scope", "isomorphic").code == 0
    told = learned(out)["costs"]
    assert told["pruned"]["macs"] < 0.6 * told["dense"]["macs"]
    narrow = [shape for name, shape in shapes(out).items() if shape != shapes(dense)[name]]
    assert len(narrow) > 20


@pytest.mark.usefixtures("quick")
def test_a_model_of_vectors(tmp_path, datadiet: Cli):
    """What makes its vectors goes with it."""
    given, dense, out = made("pictures"), tmp_path / "dense", tmp_path / "small"
    flags = ["--model", "mlp", "--encoder", "classical", "--epochs", "2", "--record", "none"]
    assert datadiet("train", given.source, dense, *flags).code == 0
    ran = datadiet("prune-model", dense, out, "--data", given.source, "--epochs", "1", "--controls", "none")
    assert ran.code == 0, ran.err
    vectors = {name for name in names(dense) if name.startswith("vectors")}
    assert vectors
    assert all((out / name).read_bytes() == (dense / name).read_bytes() for name in vectors)
    assert datadiet("predict", out, given.source, "-").code == 0


@pytest.mark.usefixtures("quick")
def test_nothing_inside(tmp_path, datadiet: Cli):
    """A linear model has but its last layer, of which weights can go if that is asked for."""
    given, dense, out = made("things"), tmp_path / "dense", tmp_path / "small"
    flags = ["--model", "linear", "--epochs", "2", "--record", "none"]
    assert datadiet("train", given.source, dense, *given.flags, *flags).code == 0
    call = ["prune-model", dense, out, "--data", given.source, *given.flags, "--controls", "none"]
    for structure in ("channels", "weights", "n:m"):
        ran = datadiet(*call, "--structure", structure)
        assert ran.code == 2
        assert "no channel of it can go" in ran.complaint or "no layer to prune but the last one" in ran.complaint
        assert not out.exists()
    assert datadiet(*call, "--structure", "weights", "--prune-output", "--epochs", "1").code == 0
    assert (weights(out)["head.weight"] == 0).sum() == weights(out)["head.weight"].size // 2


class Watching(nn.Module):
    """Rows of a picture as a sequence, through attention and a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(36, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True)
        self.attend = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.recall = nn.LSTM(16, 12, batch_first=True)
        self.out = nn.Linear(12, len(CLASSES))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        rows = self.attend(self.enter(pictures.permute(0, 2, 1, 3).flatten(2)))
        found: torch.Tensor = self.out(self.recall(rows)[0][:, -1])
        return found


@pytest.fixture(scope="module")
def watching(tmp_path_factory):
    """A .pt2 file with attention and an LSTM, which was taught elsewhere."""
    path = tmp_path_factory.mktemp("watching") / "net.pt2"
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        network = Watching()
        sizes = ({0: torch.export.Dim.AUTO},)
        torch.export.save(torch.export.export(network, (torch.rand(2, 3, 12, 12),), dynamic_shapes=sizes), path)
    return path


def test_a_program(watching, tmp_path, datadiet: Cli):
    """Heads of attention go, and units of the LSTM; what comes out is a program, which can be pruned again."""
    given, out = made("pictures"), tmp_path / "small"
    kept = tree_digest(watching)
    call = ["prune-model", watching, out, "--data", given.source, "--controls", "none", "--scope", "layer"]
    with by_steady_clock():
        ran = datadiet(*call, "--epochs", "3")
        assert ran.code == 0, ran.err
        told, after = learned(out), shapes(out)
        assert told["model"] == "program"
        assert after["encoder.body.attend.layers.0.self_attn.in_proj_weight"] == (3 * 8, 8)
        assert after["encoder.body.attend.layers.0.linear1.weight"][0] == 12
        assert after["encoder.body.recall.weight_hh_l0"] == (4 * 6, 6)
        assert after["head.weight"] == (2, 6)
        program = torch.export.load(out / "model.pt2").module()
        assert program(torch.zeros(5, 3, 12, 12, dtype=torch.uint8)).shape == (5, 2)
        again = ["prune-model", out, tmp_path / "smaller", *call[3:], "--structure", "weights", "--epochs", "1"]
        with without_program():
            assert datadiet(*again).code == 0
    assert learned(tmp_path / "smaller")["costs"]["dense"]["macs"] == told["costs"]["pruned"]["macs"]
    assert tree_digest(watching) == kept


NETWORK = """
from torch import nn

def net(classes, width=8):
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.AvgPool2d(3),
                         nn.Conv2d(width, 2 * width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(2 * width, classes))

def fixed(classes):
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(432, 8), nn.Linear(8, classes)
        def forward(self, given):
            return self.last(self.first(given.flatten(1)).reshape(-1, 2, 4).relu().reshape(-1, 8))
    return Fixed()
"""
_number = itertools.count()


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The name of a module with networks of one's own, in the current folder."""
    name = f"to_prune_{os.getpid()}_{next(_number)}"
    (tmp_path / f"{name}.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    yield name
    sys.modules.pop(name, None)


def _pixels(paths):
    from PIL import Image

    return torch.stack([torch.from_numpy(np.asarray(Image.open(path)).copy()).permute(2, 0, 1) for path in paths])


@pytest.mark.usefixtures("quick")
def test_weights_with_a_factory(own, tmp_path, datadiet: Cli):
    """The network is the user's own, taught elsewhere on pixels from 0 to 1: it is as good here as it was there."""
    import importlib

    given, out = made("pictures"), tmp_path / "small"
    sys.path.insert(0, str(tmp_path))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = importlib.import_module(own).net(2, width=6)
    sys.path.remove(str(tmp_path))
    paths = sorted(given.source.rglob("*.png"))
    pixels, labels = _pixels(paths).float() / 255, torch.tensor([CLASSES.index(path.parent.name) for path in paths])
    teacher = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(20):
        teacher.zero_grad()
        nn.functional.cross_entropy(network(pixels), labels).backward()
        teacher.step()
    tested = torch.tensor(["/test/" in path.as_posix() for path in paths])
    with torch.no_grad():
        theirs = float((network.eval()(pixels[tested]).argmax(1) == labels[tested]).float().mean())
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    call = ["prune-model", "net.safetensors", out, "--data", given.source, "--image-size", "12", "--controls", "none"]
    wide = [*call, "--factory", f"{own}:net", "--factory-args", "width=6", "--epochs", "1"]
    ran = datadiet(*wide)
    assert ran.code == 0, ran.err
    told = learned(out)
    assert told["stages"]["dense"]["accuracy"] == theirs == 1
    assert told["model"] == "factory"
    assert shapes(out)["encoder.body.4.weight"][1] == shapes(out)["encoder.body.0.weight"][0] < 6

    again = ["prune-model", out, tmp_path / "smaller", "--data", given.source, "--epochs", "1", "--controls", "none"]
    refused = datadiet(*again)
    assert (refused.code, f"--factory {own}:net allows that" in refused.complaint) == (2, True)
    assert datadiet(*again, "--factory", f"{own}:net").code == 0
    assert learned(tmp_path / "smaller")["costs"]["dense"] == told["costs"]["pruned"]
    for arguments, words in (
        (call, "weights alone are no network; --factory package.module:callable builds it"),
        ([*call, "--factory", f"{own}:net", "--factory-args", "width"], "must be NAME=VALUE"),
        ([*call, "--factory", f"{own}:fixed"], "do not belong together"),
        ([*call, "--factory", "nowhere_at_all:net"], "No module named 'nowhere_at_all'"),
        ([*call, "--factory", own], "must be package.module:callable"),
    ):
        ran = datadiet(*arguments, "--force")
        assert ran.code == 2
        assert words in ran.complaint


@pytest.mark.usefixtures("quick")
def test_widths_that_are_written_into_a_network(own, tmp_path, datadiet: Cli):
    """It is refused with what to do; as a program it can be pruned as far as its graph allows."""
    given, dense = made("pictures"), tmp_path / "dense"
    flags = ["--image-size", "12", "--factory", f"{own}:fixed"]
    assert datadiet("train", given.source, dense, *flags, "--epochs", "1", "--record", "none").code == 0
    call = ["prune-model", dense, tmp_path / "small", "--data", given.source, *flags]
    ran = datadiet(*call, "--scope", "layer")
    assert ran.code == 2
    assert "can go" in ran.complaint or "widths written into it" in ran.complaint
    assert not (tmp_path / "small").exists()


@pytest.mark.usefixtures("quick")
def test_a_table_whose_prices_no_split_tests(tmp_path, datadiet: Cli):
    """Without a test split a part is held out, and the report says what that means."""
    source, _ = prices(tmp_path)
    rows = pl.read_csv(source, infer_schema=False).drop("part").fill_null("")
    plain = table(tmp_path / "plain.csv", rows.columns, rows.rows())
    flags = ["--label", "kind", "--id-column", "id"]
    assert datadiet("train", plain, tmp_path / "dense", *flags, *QUICK, "--record", "none").code == 0
    call = ["prune-model", tmp_path / "dense", tmp_path / "small", "--data", plain, *flags, "--controls", "none"]
    assert datadiet(*call, "--epochs", "1").code == 0
    told = learned(tmp_path / "small")
    assert (told["test_samples"], told["task"]) == (12, "numbers")
    assert any("there is no test split" in note and "larger than it is" in note for note in told["notes"])
