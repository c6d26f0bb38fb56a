"""What of a network must stay though it looks as if it could go, and that all layers of it are told of."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from datadiet_cli.nn.pruning.base import Structure, cut, slices_of
from datadiet_cli.nn.pruning.rewriting import rewritten
from datadiet_cli.nn.pruning.tracing import structure_of
from datadiet_cli.nn.resize import resize_to
from tests.nn.pruning.test_structure import answer_of
from tests.nn.pruning.zoo import program_of


class Written(nn.Module):
    """Layers, and a forward that is given as a function of them."""

    def __init__(self, forward: Callable[["Written", Tensor], Tensor], **layers: nn.Module | nn.Parameter) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def _told(network: nn.Module, shape: Sequence[int], *, whole_heads: bool = False) -> Structure:
    return structure_of(program_of(network.eval(), torch.zeros(2, *shape)), whole_heads=whole_heads)


def _fewest(structure: Structure) -> dict[str, np.ndarray]:
    """The last units of each group, as few as may be left."""
    return {group.name: np.arange(group.units) >= group.units - group.least for group in structure.groups}


_GROUPED: dict[str, tuple[nn.Module, int]] = {
    "forward": (nn.Sequential(nn.Conv2d(3, 12, 1), nn.Conv2d(12, 8, 3, groups=4), nn.Conv2d(8, 5, 1)), 2),
    "transposed": (
        nn.Sequential(nn.Conv2d(3, 12, 1), nn.ConvTranspose2d(12, 8, 3, groups=4), nn.Conv2d(8, 5, 1)), 2
    ),
    "two for each": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 5, 1)), 2),
    "two for each, transposed": (
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 8, 3, groups=4), nn.Conv2d(8, 5, 1)), 2
    ),
    "depthwise": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 5, 1)), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", _GROUPED)
def test_a_convolution_in_groups_opens_from_its_class_however_often_it_is_cut(name: str) -> None:
    dense, least = _GROUPED[name]
    network, x = dense, torch.randn(2, 3, 4, 4)
    structure = _told(network, (3, 4, 4))
    group = structure.group("0")
    assert group.least == least
    if least > 1:
        with pytest.raises(ValueError, match="0 would be left with 1 of its units, and needs 2"):
            slices_of(structure, {"0": np.arange(group.units) < 1})
    for _ in range(2):
        structure = _told(network, (3, 4, 4))
        kept = _fewest(structure)
        program = program_of(network, x)
        state = cut(network.state_dict(), slices_of(structure, kept))
        network = resize_to(nn.Sequential(*_rebuilt(dense)), state).eval()
        torch.testing.assert_close(network(x), answer_of(rewritten(program, structure, kept), x))
    # Where as many stay as must stay, the layer is no group of units any more.
    assert [group.name for group in _told(network, (3, 4, 4)).groups] == []
    why = "each group of a convolution needs two channels" if least > 1 else "there is one unit of it"
    assert _told(network, (3, 4, 4)).whole["0"] == why


def _rebuilt(network: nn.Module) -> list[nn.Module]:
    """Its layers as its class builds them: they know the widths of the dense network alone."""
    return [type(part)(part.in_channels, part.out_channels, part.kernel_size, groups=part.groups)
            for part in network.children()]  # fmt: skip


def test_channels_that_come_of_two_layers_count_together_for_a_convolution_in_groups() -> None:
    def forward(net: Written, x: Tensor) -> Tensor:
        found: Tensor = net.head(net.c(torch.cat([net.a(x), net.b(x), net.d(x), net.e(x)], 1)))
        return found

    parts = {name: nn.Conv2d(3, 4, 1) for name in "abde"}
    network = Written(forward, **parts, c=nn.Conv2d(16, 4, 1, groups=2), head=nn.Conv2d(4, 2, 1))
    structure, x = _told(network, (3, 2, 2)), torch.randn(2, 3, 2, 2)
    assert {group.name: (group.units, group.least) for group in structure.groups} == {
        "a": (4, 1), "b": (4, 1), "c": (2, 1)
    }  # fmt: skip
    small = rewritten(program_of(network, x), structure, kept := _fewest(structure))
    resize_to(network, cut(network.state_dict(), slices_of(structure, kept)))
    torch.testing.assert_close(network(x), answer_of(small, x))


def _pad(net: Written, x: Tensor) -> Tensor:
    y = net.a(x)
    found: Tensor = net.head(torch.relu(net.b(y) + fn.pad(y[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))).mean((2, 3)))
    return found


def _between(net: Written, x: Tensor) -> Tensor:
    found: Tensor = net.head(net.norm(net.a(x)).flatten(2).mean(2))
    return found


def _blocks(net: Written, x: Tensor) -> Tensor:
    found: Tensor = net.head(net.a(x).unflatten(1, (2, 4))[:, 0])
    return found


_CODED: dict[str, tuple[nn.Module, tuple[int, ...], str]] = {
    "padding": (
        Written(_pad, a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(4, 8, 3, 2, 1), head=nn.Linear(8, 3)), (3, 6, 6), "padded"
    ),
    "blocks": (Written(_blocks, a=nn.Linear(5, 8), head=nn.Linear(4, 3)), (5,), "fixed number of blocks"),
    "layer norm": (
        nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8, elementwise_affine=False), nn.Linear(8, 3)), (5,), "no weights"
    ),
    "rms norm": (
        nn.Sequential(nn.Linear(5, 8), nn.RMSNorm(8, elementwise_affine=False), nn.Linear(8, 3)), (5,), "no weights"
    ),
    "instance norm": (
        Written(_between, a=nn.Conv2d(3, 8, 1), norm=nn.InstanceNorm2d(8), head=nn.Linear(8, 3)),
        (3, 4, 4), "no weights",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _CODED)
def test_widths_that_a_class_has_in_its_code_stay_and_go_from_a_program(name: str) -> None:
    network, shape, why = _CODED[name]
    structure = _told(network, shape)
    assert structure.groups == ()
    assert why in next(iter(structure.whole.values()))
    structure, x = _told(network, shape, whole_heads=True), torch.randn(3, *shape)
    assert structure.groups
    small = rewritten(program_of(network, x), structure, _fewest(structure))
    assert answer_of(small, x).shape == (3, 3)


def test_an_instance_norm_with_statistics_follows_them() -> None:
    norm = nn.InstanceNorm2d(8, track_running_stats=True)
    network = Written(_between, a=nn.Conv2d(3, 8, 1), norm=norm, head=nn.Linear(8, 3)).eval()
    structure, x = _told(network, (3, 4, 4)), torch.randn(3, 3, 4, 4)
    small = rewritten(program_of(network, x), structure, kept := {"a": np.arange(8) < 3})
    resize_to(network, cut(network.state_dict(), slices_of(structure, kept)))
    torch.testing.assert_close(network(x), answer_of(small, x))


class Crossed(nn.Module):
    """`nn.MultiheadAttention` with keys and values of other layers than queries."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(5, 8), nn.Linear(5, 8), nn.Linear(5, 6)
        self.l = nn.MultiheadAttention(8, 4, batch_first=True, **options)  # type: ignore[arg-type]
        self.apart, self.head = "kdim" in options, nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.c(x) if self.apart else self.b(x)
        found: Tensor = self.head(self.l(self.a(x), z, z)[0].amax(1))
        return found


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("apart", [True, False])
def test_an_attention_of_a_class_keeps_its_width_whatever_its_keys_are_of(apart: bool, bias: bool) -> None:
    network = Crossed(**({"kdim": 6, "vdim": 6} if apart else {}), bias=bias).eval()
    structure = _told(network, (4, 5))
    assert [group.name for group in structure.groups] == (["c"] if apart else [])
    assert "one width" in structure.whole["a"]
    assert "one width" in structure.whole["l"]
    x, kept = torch.randn(3, 4, 5), _fewest(structure)
    small = rewritten(program_of(network, x), structure, kept)
    resize_to(network, cut(network.state_dict(), slices_of(structure, kept)))
    torch.testing.assert_close(network(x), answer_of(small, x))


@pytest.mark.parametrize("bias", [True, False])
def test_heads_of_an_attention_across_go_from_a_program(bias: bool) -> None:
    network, x = Crossed(bias=bias).eval(), torch.randn(3, 4, 5)
    program = program_of(network, x)
    structure = structure_of(program)
    assert {group.name: (group.kind, group.units) for group in structure.groups} == {
        "b": ("channels", 8), "l": ("heads", 4), "l.out_proj": ("channels", 8)
    }  # fmt: skip
    # One matrix takes both: so they lose the same.
    assert {"a.weight", "b.weight", "l.in_proj_weight"} <= set(structure.group("b").tensors)
    heads = structure.group("l")
    owners = next(member.owners.tolist() for member in heads.members if member.tensor == "l.in_proj_weight")
    assert owners == [unit for _ in range(3) for unit in range(4) for _ in range(2)]
    small = rewritten(program, structure, kept := {"l": np.array([True, False, True, False])})
    for member in heads.members:
        gone = torch.from_numpy(member.positions[~kept["l"][member.owners]])
        with torch.no_grad():
            network.get_parameter(member.tensor).index_fill_(member.dim, gone, 0.0)
    torch.testing.assert_close(answer_of(small, x), network(x))


def test_a_weight_that_is_turned_and_parted_before_it_is_used_can_lose_units() -> None:
    def forward(net: Written, x: Tensor) -> Tensor:
        first, second = net.w.chunk(2)
        found: Tensor = net.head(torch.relu(x @ first.T) + torch.relu(x @ second[:, :5].transpose(0, 1)))
        return found

    network = Written(forward, w=nn.Parameter(torch.randn(12, 5)), head=nn.Linear(6, 3)).eval()
    structure, x = _told(network, (5,), whole_heads=True), torch.randn(3, 5)
    assert {group.name: group.units for group in structure.groups} == {"w": 6}
    kept = {"w": np.arange(6) % 2 == 0}
    answer = answer_of(rewritten(program_of(network, x), structure, kept), x)
    with torch.no_grad():
        network.w[torch.from_numpy(np.tile(~kept["w"], 2))] = 0.0
    torch.testing.assert_close(answer, network(x))


def _bilinear(net: Written, x: Tensor) -> Tensor:
    found: Tensor = net.head(net.b(net.a(x), net.a(x)))
    return found


def _cells(net: Written, x: Tensor) -> Tensor:
    found: Tensor = net.head(net.cell(net.a(x)))
    return found


def _projected(net: Written, x: Tensor) -> Tensor:
    found: Tensor = net.head(net.lstm(x)[0].mean(1))
    return found


_UNFOLLOWED: dict[str, tuple[nn.Module, tuple[int, ...], dict[str, str]]] = {
    "parametrised": (
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(5, 8)), nn.Linear(8, 3)),
        (5,), {"0": "has no rule here", "1": "answer"},
    ),
    "bilinear": (
        Written(_bilinear, a=nn.Linear(5, 8), b=nn.Bilinear(8, 8, 6), head=nn.Linear(6, 3)),
        (5,), {"a": "bilinear", "b": "bilinear", "head": "answer"},
    ),
    "cells": (
        Written(_cells, a=nn.Linear(5, 8), cell=nn.GRUCell(8, 6), head=nn.Linear(6, 3)),
        (5,), {"a": "gru_cell", "cell": "gru_cell", "head": "answer"},
    ),
    "projected": (
        Written(_projected, lstm=nn.LSTM(5, 8, proj_size=4), head=nn.Linear(4, 3)),
        (4, 5), {"lstm": "lstm takes", "head": "answer"},
    ),
    "unused": (
        Written(lambda net, x: net.head(x), other=nn.Linear(5, 8), head=nn.Linear(5, 3)),
        (5,), {"other": "it is not used", "head": "answer"},
    ),
    "columns": (
        Written(lambda net, x: net.head(torch.einsum("oi,ni->no", net.w, x)), w=nn.Parameter(torch.ones(8, 5)),
                head=nn.Linear(8, 3)),
        (5,), {"w": "is not followed here", "head": "answer"},
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", _UNFOLLOWED)
def test_every_layer_is_in_a_group_or_told_why_not(name: str) -> None:
    network, shape, reasons = _UNFOLLOWED[name]
    structure = structure_of(program_of(network.eval(), torch.zeros(2, *shape), free="projected" not in name))
    whole = dict(structure.whole)
    for layer, reason in reasons.items():
        assert reason in whole.pop(layer)
    assert not whole
