"""Layers of several weights, arguments or results: they come back under their names, learn, and are exported anew."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn.attention import SDPBackend, sdpa_kernel

from datadiet_cli.nn.layers_wide import Attention, Packed
from datadiet_cli.nn.modelfile import quiet
from datadiet_cli.nn.rehydrate import rehydrate


class _Reading(nn.Module):
    """A recurrent network, of which the outputs, the last states, or both are looked at."""

    def __init__(self, kind: Callable[..., nn.RNNBase], looks: str, **how: Any) -> None:
        super().__init__()
        self.inner = nn.Module()
        self.inner.cells = kind(3, 5, **how)
        self.looks, self.time = looks, 1 if how.get("batch_first") else 0

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.time else x.transpose(0, 1)
        out, last = self.inner.cells(x)
        found = [out.mean(self.time)] if "out" in self.looks else []
        states = last if isinstance(last, tuple) else (last,)
        return torch.cat(
            [*found, *(state[-1] for name, state in zip("hc", states, strict=False) if name in self.looks)], 1
        )


class _Starting(nn.Module):
    """First states that are learnt, or made of other numbers than 0."""

    def __init__(self, learns: bool) -> None:
        super().__init__()
        self.cells = nn.GRU(3, 5, batch_first=True) if learns else nn.LSTM(3, 5, batch_first=True)
        self.first = nn.Parameter(torch.rand(1, 1, 5)) if learns else None

    def forward(self, x: Tensor) -> Tensor:
        made = torch.ones(1, x.shape[0], 5)
        given = (made, made * 2) if self.first is None else self.first.expand(-1, x.shape[0], -1)
        found: Tensor = self.cells(x, given)[0][:, -1]
        return found


class _Twice(nn.Module):
    """The same cells twice, and cells that are called by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.cells, self.cell = nn.GRU(3, 3, batch_first=True), nn.LSTMCell(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cells(self.cells(x)[0])[0]
        h = c = torch.zeros(x.shape[0], 4)
        for i in range(2):
            h, c = self.cell(x[:, i], (h, c))
        return h


class _Attending(nn.Module):
    """Attention of a sequence to itself, or to another one of another width."""

    def __init__(self, other: int | None = None, weights: bool = False, **how: Any) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(8, 2, batch_first=True, kdim=other, vdim=other, **how)
        self.other = None if other is None else nn.Linear(8, other)
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        there = x if self.other is None else self.other(x)
        found: Tensor = self.self_attn(x, there, there, need_weights=self.weights)[0].mean(1)
        return found


class _Transforming(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Transformer(8, 2, 1, 1, 16, dropout=0.3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.both(x, x).mean(1)
        return found


class _Bilinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Bilinear(3, 3, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.both(x, x * 2)
        return found


class _Own(nn.Module):
    """Weights of one module, each of a name of its own, and one of the network itself."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Module()
        self.part.up, self.part.down = nn.Parameter(torch.rand(4, 3)), nn.Parameter(torch.rand(4, 4))
        self.part.norm = nn.LayerNorm(4)
        self.last = nn.Parameter(torch.rand(2, 4))

    def forward(self, x: Tensor) -> Tensor:
        linear = nn.functional.linear
        return linear(self.part.norm(linear(linear(x, self.part.up), self.part.down)), self.last)


_SEQUENCES, _WIDE, _MAPS = torch.rand(4, 6, 3), torch.rand(3, 5, 8), torch.rand(3, 4, 6, 6)
_IDS = torch.randint(0, 10, (3, 4))
_DEEP = {"num_layers": 2, "bidirectional": True, "dropout": 0.4, "batch_first": True}
NETWORKS: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "lstm of many layers": (lambda: _Reading(nn.LSTM, "out h c", **_DEEP), _SEQUENCES),
    "lstm's states": (lambda: _Reading(nn.LSTM, "c", bias=False), _SEQUENCES),
    "gru of many layers": (lambda: _Reading(nn.GRU, "out h", **_DEEP), _SEQUENCES),
    "rnn of relu": (lambda: _Reading(nn.RNN, "out h", nonlinearity="relu"), _SEQUENCES),
    "states that are learnt": (lambda: _Starting(True), _SEQUENCES),
    "states that are given": (lambda: _Starting(False), _SEQUENCES),
    "cells twice": (_Twice, _SEQUENCES),
    "attention": (_Attending, _WIDE),
    "attention with weights": (
        lambda: _Attending(weights=True, bias=False, dropout=0.3, add_bias_kv=True, add_zero_attn=True),
        _WIDE,
    ),
    "attention to narrower ones": (lambda: _Attending(other=6), _WIDE),
    "transformer": (_Transforming, _WIDE),
    "bag": (lambda: nn.Sequential(nn.EmbeddingBag(10, 4)), _IDS),
    "bag of the largest": (lambda: nn.Sequential(nn.EmbeddingBag(10, 4, mode="max", padding_idx=0)), _IDS),
    "bilinear": (_Bilinear, torch.rand(4, 3)),
    "instance norms": (
        lambda: nn.Sequential(nn.InstanceNorm2d(4, affine=True), nn.InstanceNorm2d(4, track_running_stats=True)),
        _MAPS,
    ),
    "norms without memory": (
        lambda: nn.Sequential(nn.InstanceNorm2d(4), nn.BatchNorm2d(4, track_running_stats=False)),
        _MAPS,
    ),
    "activations": (lambda: nn.Sequential(nn.Conv2d(4, 4, 1), nn.PReLU(4), nn.RReLU(), nn.PReLU()), _MAPS),
    "root mean squares": (lambda: nn.Sequential(nn.RMSNorm(8), nn.RMSNorm(8, 1e-3, elementwise_affine=False)), _WIDE),
    "names of its own": (_Own, torch.rand(4, 3)),
}


_ONCE = ("gru of many layers", "cells twice", "states that are learnt", "transformer", "attention to narrower ones")
"""Not exported a second time, which says nothing new."""


def _program(network: nn.Module, x: Tensor, train: bool = False) -> ExportedProgram:
    with quiet():
        return torch.export.export(network.train(train), (x.clone(),), dynamic_shapes=({0: Dim.AUTO},))


def _quieted(network: nn.Module) -> nn.Module:
    """In training mode, but without what is random."""
    for part in network.train().modules():
        if isinstance(part, nn.Dropout | nn.RReLU | Attention):
            part.eval()
        if isinstance(part, nn.RNNBase):
            part.dropout = 0.0
        if isinstance(part, nn.MultiheadAttention):
            part.dropout = 0.0
    return network


def _learn(network: nn.Module, x: Tensor) -> None:
    optimiser = torch.optim.SGD(_quieted(network).parameters(), 0.1, momentum=0.9)
    for _ in range(2):
        optimiser.zero_grad()
        network(x).square().mean().backward()
        optimiser.step()
    network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_come_back_learn_and_are_exported_again(name: str) -> None:
    make, x = NETWORKS[name]
    network = make()
    again = rehydrate(_program(copy.deepcopy(network), x, train=name == "rnn of relu"))
    old, new = network.eval().state_dict(), again.state_dict()
    assert new.keys() == old.keys()
    assert all(torch.equal(new[key], old[key]) for key in old)
    torch.testing.assert_close(again(x), network(x))
    for net in (network, again):
        _learn(net, x)
    torch.testing.assert_close(again(x), network(x), rtol=1e-4, atol=1e-5)
    new = again.state_dict()
    for key, value in network.state_dict().items():
        torch.testing.assert_close(new[key], value, rtol=1e-4, atol=1e-5, msg=key)
    if name in _ONCE:
        return
    twice = rehydrate(_program(copy.deepcopy(again), x))
    assert twice.state_dict().keys() == old.keys()
    torch.testing.assert_close(twice(x[:2]), again(x[:2]))
    twice.load_state_dict(network.state_dict())


def test_recurrent_networks_come_back_as_they_were() -> None:
    network = _Reading(nn.GRU, "out", **_DEEP)
    again = rehydrate(_program(network, _SEQUENCES)).train()
    assert str(again.get_submodule("inner.cells")) == str(network.inner.cells)
    assert not any(node.op == "call_function" and "zeros" in str(node.target) for node in again.graph.nodes)
    with torch.random.fork_rng(devices=[]):
        assert not torch.equal(again(_SEQUENCES), again(_SEQUENCES))


def test_a_packed_projection_is_a_layer_that_takes_what_is_projected() -> None:
    network = _Attending()
    again = rehydrate(_program(network, _WIDE))
    packed = again.get_submodule("self_attn")
    assert isinstance(packed, Packed)
    assert isinstance(again.get_submodule("self_attn.out_proj"), nn.Linear)
    seen: list[Tensor] = []
    packed.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    again(_WIDE)
    torch.testing.assert_close(seen[0].transpose(0, 1), _WIDE)
    assert packed.names == ("in_proj_weight", "in_proj_bias")
    assert packed.in_proj_weight is dict(again.named_parameters())["self_attn.in_proj_weight"]


def test_an_attention_exported_in_training_drops_only_while_it_is_trained() -> None:
    network = _Attending(dropout=0.5)
    again = rehydrate(_program(network, _WIDE, train=True))
    assert [part.p for part in again.modules() if isinstance(part, Attention)] == [0.5]
    torch.testing.assert_close(again(_WIDE), network.eval()(_WIDE))
    with torch.random.fork_rng(devices=[]):
        again.train()
        assert not torch.equal(again(_WIDE), again(_WIDE))


class _Viewing(nn.Module):
    """Attention whose end is a view, which holds only for the strides that one of its kernels gives."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.enter(x).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4).unbind()
        found = nn.functional.scaled_dot_product_attention(query, key, value)
        return found.permute(0, 2, 1, 3).view(x.shape)


def test_a_view_after_attention_holds_for_each_kernel() -> None:
    network = _Viewing()
    again = rehydrate(_program(network, _WIDE))
    with sdpa_kernel(SDPBackend.MATH):
        found = again(_WIDE)
    torch.testing.assert_close(found, network(_WIDE))


def test_sizes_are_those_of_the_tensors() -> None:
    """Of a program whose weights were cut, and whose notes on sizes are the old ones."""
    network = nn.Sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6), nn.PReLU(6), nn.Conv2d(6, 2, 1))
    program = _program(network, _MAPS)
    for name, old in program.state_dict.items():
        if name == "3.weight" or (old.ndim and not name.startswith("3.")):
            cut = (old[:, :4] if name == "3.weight" else old[:4]).detach().clone()
            program.state_dict[name] = nn.Parameter(cut) if isinstance(old, nn.Parameter) else cut
    again = rehydrate(program)
    assert again.get_submodule("1").num_features == again.get_submodule("2").num_parameters == 4
    with torch.no_grad():
        network.eval()[3].weight[:, 4:] = 0
        torch.testing.assert_close(again(_MAPS), network(_MAPS))
