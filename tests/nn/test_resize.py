"""Layers brought to the widths of stored weights: by us, and by the file that is written beside a model."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from datadiet_cli.nn import standalone
from datadiet_cli.nn.resize import resize_to


def _block(a: int, b: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, a, 3, bias=False), nn.BatchNorm2d(a), nn.PReLU(a), nn.Conv2d(a, b, 1), nn.GroupNorm(2, b)
    )


def _depthwise(a: int, b: int) -> nn.Module:
    """One channel for each, two for each, and in groups of a fixed number."""
    return nn.Sequential(
        nn.Conv1d(3, a, 1),
        nn.Conv1d(a, a, 3, groups=a),
        nn.Conv1d(a, 2 * a, 3, groups=a),
        nn.Conv1d(2 * a, 2 * b, 1, groups=2),
    )


def _up(a: int, b: int) -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(3, a, 2, stride=2),
        nn.ConvTranspose2d(a, 2 * a, 2, groups=a),
        nn.ConvTranspose2d(2 * a, 2 * b, 1, groups=2, bias=False),
    )


def _dense(a: int, b: int) -> nn.Module:
    parts = [nn.Linear(3, a), nn.LayerNorm(a), nn.RMSNorm(a), nn.Linear(a, b, bias=False)]
    return nn.Sequential(*parts, nn.BatchNorm1d(b, affine=False), nn.LayerNorm(b, bias=False))


class _Recurrent(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.first = nn.LSTM(3, a, 2, batch_first=True, bidirectional=True)
        self.second = nn.GRU(2 * a, b, batch_first=True, bias=False)
        self.third = nn.RNN(b, a, batch_first=True, nonlinearity="relu")
        self.fourth = nn.LSTM(a, a, proj_size=b - 1, batch_first=True)
        self.cells = nn.ModuleList([nn.LSTMCell(b - 1, a), nn.GRUCell(a, b, bias=False), nn.RNNCell(b, a)])

    def forward(self, x: Tensor) -> Tensor:
        for part in (self.first, self.second, self.third, self.fourth):
            x = part(x)[0]
        lstm, gru, rnn = self.cells
        found: Tensor = rnn(gru(lstm(x[:, -1])[0]))
        return found


class _Attention(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.enter = nn.Linear(3, a)
        self.attention = nn.MultiheadAttention(a, 2, batch_first=True)
        self.other = nn.MultiheadAttention(a, 2, kdim=b, vdim=3, add_bias_kv=True, batch_first=True)
        self.keys = nn.Linear(3, b)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.enter(x)
        inner = inner + self.attention(inner, inner, inner)[0]
        found: Tensor = self.other(inner, self.keys(x), x)[0]
        return found


class _Words(nn.Module):
    """A weight that two layers share."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.words = nn.Embedding(11, a, padding_idx=0)
        self.out = nn.Linear(a, 11)
        self.out.weight = self.words.weight
        self.bag = nn.EmbeddingBag(11, b)
        self.both = nn.Bilinear(a, b, b)
        self.gain = nn.Parameter(torch.rand(b))
        self.register_buffer("shift", torch.rand(b))

    def forward(self, ids: Tensor) -> Tensor:
        mean = self.words(ids).mean(1)
        return torch.cat([self.out(mean), self.both(mean, self.bag(ids)) * self.gain + self.shift], 1)


def _encoder(a: int, b: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(a, 2, 2 * b, batch_first=True)
    return nn.Sequential(nn.Linear(3, a), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(a, 2))


_IMAGES, _WAVES, _ROWS, _STEPS = (4, 3, 8, 8), (4, 3, 9), (4, 3), (4, 5, 3)
NETWORKS: dict[str, tuple[Callable[[int, int], nn.Module], tuple[int, ...]]] = {
    "convolutions": (_block, _IMAGES),
    "depthwise": (_depthwise, _WAVES),
    "transposed": (_up, _IMAGES),
    "dense": (_dense, _ROWS),
    "recurrent": (_Recurrent, _STEPS),
    "attention": (_Attention, _STEPS),
    "transformer": (_encoder, _STEPS),
    "words": (_Words, (4, 5)),
}


def _given(shape: tuple[int, ...]) -> Tensor:
    draw = torch.Generator().manual_seed(3)
    if len(shape) == 2 and shape[1] == 5:
        return torch.randint(0, 11, shape, generator=draw)
    return torch.randn(shape, generator=draw)


def _stirred(network: nn.Module) -> nn.Module:
    """With statistics of batch norms and biases that are not those of a new one."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=draw) * 0.4 + 0.1)
    return network.eval()


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("who", ["resize_to", "load_model.py"])
def test_a_wide_network_becomes_a_narrow_one(name: str, who: str, tmp_path: Path) -> None:
    make, shape = NETWORKS[name]
    wide, narrow, x = make(8, 6), _stirred(make(6, 4)), _given(shape)
    if who == "resize_to":
        found = resize_to(wide, narrow.state_dict()).eval()
    else:
        state = {key: value.clone() for key, value in narrow.state_dict().items()}
        save_file(state, path := tmp_path / "model.safetensors")
        found = standalone.load(lambda: wide, path)
    assert found is wide
    assert str(found) == str(narrow)
    assert torch.equal(found(x), narrow(x))
    for key, value in narrow.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key
    assert len(list(found.parameters())) == len(list(narrow.parameters()))
    known = [
        "groups", "embed_dim", "kdim", "vdim", "head_dim", "hidden_size", "input_size", "proj_size", "num_features",
        "normalized_shape", "num_channels", "num_embeddings", "embedding_dim", "num_parameters", "in_features",
        "out_features", "in_channels", "out_channels", "in1_features", "in2_features",
    ]  # fmt: skip
    for (path, one), two in zip(found.named_modules(), narrow.modules(), strict=True):
        for key in known:
            assert getattr(one, key, None) == getattr(two, key, None), (path, key)
    # It learns: recurrent layers hold their weights in a list of their own, too.
    before = copy.deepcopy(found.state_dict())
    optimiser = torch.optim.SGD(found.train().parameters(), 0.1)
    found(x).square().sum().backward()
    optimiser.step()
    assert all(value.grad is not None for value in found.parameters())
    assert any(not torch.equal(value, before[key]) for key, value in found.state_dict().items())
    assert not torch.equal(found.eval()(x), narrow(x))


def test_what_is_frozen_and_of_another_type_stays_so() -> None:
    wide, narrow = _block(8, 6).double(), _block(6, 4)
    for name, value in wide.named_parameters():
        value.requires_grad_(name.endswith("bias"))
    resize_to(wide, narrow.state_dict())
    assert {value.dtype for value in wide.parameters()} == {torch.float64}
    assert all(value.requires_grad == name.endswith("bias") for name, value in wide.named_parameters())


def _with(network: nn.Module, **shapes: tuple[int, ...] | None) -> dict[str, Tensor]:
    """The weights of a network, some of them of another shape, or left out."""
    state = dict(network.state_dict())
    for name, shape in shapes.items():
        key = name.replace("__", ".")
        state.pop(key, None)
        if shape is not None:
            state[key] = torch.rand(shape)
    return state


@pytest.mark.parametrize(
    ("network", "shapes", "why"),
    [
        (_dense(8, 6), {"0__weight": None}, "there is no tensor 0.weight for the network"),
        (_dense(8, 6), {"x": (1,), "y": (1,)}, "the network has no tensor x, nor 1 more"),
        (_dense(8, 6), {"0__weight": (8, 3, 1)}, r"0.weight has 3 dimensions, \(8, 3, 1\), and 2 in the network"),
        (_dense(8, 6), {"0__weight": (5, 3)}, r"0 \(Linear\) cannot have bias of shape \(8,\); \(5,\) would fit"),
        (_dense(8, 6), {"1__bias": (5,)}, r"1 \(LayerNorm\) cannot have bias of shape \(5,\)"),
        (_block(8, 6), {"0__weight": (8, 3, 5, 5)}, r"0 \(Conv2d\) cannot have weight of shape \(8, 3, 5, 5\)"),
        (_block(8, 6), {"1__running_mean": (5,)}, r"1 \(BatchNorm2d\) cannot have running_mean"),
        (_block(8, 6), {"4__weight": (5,), "4__bias": (5,)}, r"4 \(GroupNorm\) has 2 groups, which 5 channels cannot"),
        (_depthwise(8, 6), {"1__weight": (8, 2, 3)}, r"1 \(Conv1d\) cannot have weight of shape \(8, 2, 3\)"),
        (_depthwise(8, 6), {"2__weight": (7, 1, 3)}, r"2 \(Conv1d\) gives 2 channels for each that it takes"),
        (_depthwise(8, 6), {"3__weight": (7, 4, 1)}, r"3 \(Conv1d\) has 2 groups, which 7 channels cannot"),
        (_up(8, 6), {"1__weight": (6, 3, 2, 2)}, r"1 \(ConvTranspose2d\) cannot have weight of shape"),
        (_Words(8, 6), {"words__weight": (9, 8)}, "words.weight and out.weight are one tensor in the network"),
        (nn.Embedding(9, 4, padding_idx=8), {"weight": (8, 4)}, r"the network \(Embedding\) pads with entry 8"),
        (nn.LSTM(3, 4), {"weight_ih_l0": (15, 3)}, r"\(LSTM\) has 4 gates, which 15 rows cannot be divided into"),
        (nn.LSTM(3, 4), {"weight_ih_l0": (12, 3)}, r"\(LSTM\) cannot have weight_hh_l0 of shape \(16, 4\)"),
        (nn.GRUCell(3, 4), {"weight_hh": (12, 3)}, r"\(GRUCell\) cannot have weight_ih of shape \(12, 3\)"),
        (nn.MultiheadAttention(8, 2), {"in_proj_weight": (21, 7)}, "has 2 heads, which a width of 7"),
        (nn.MultiheadAttention(8, 2), {"in_proj_weight": (18, 8)}, r"cannot have in_proj_weight of shape \(18, 8\)"),
        (nn.LazyLinear(3), {}, "weight of the network has no shape yet"),
        (
            nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)),
            {"parametrizations__weight__original0": (3, 1)},
            "computes a weight of another layer",
        ),
    ],
)
def test_shapes_that_cannot_belong_to_a_layer_are_refused(
    network: nn.Module, shapes: dict[str, tuple[int, ...] | None], why: str
) -> None:
    lazy = isinstance(network, nn.LazyLinear)
    told, before = str(network), {} if lazy else {key: value.shape for key, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=why):
        resize_to(network, _with(network, **shapes))
    assert str(network) == told
    assert lazy or {key: value.shape for key, value in network.state_dict().items()} == before
