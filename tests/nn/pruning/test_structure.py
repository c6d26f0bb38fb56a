"""What of a network can go, and that what is left is the network without it."""

import copy
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.export import ExportedProgram

from datadiet_cli.nn.exporting import quiet
from datadiet_cli.nn.pruning.base import Bools, Structure, cut, slices_of
from datadiet_cli.nn.pruning.rewriting import rewritten
from datadiet_cli.nn.pruning.tracing import structure_of
from datadiet_cli.nn.rehydrate import rehydrate
from tests.nn.pruning.zoo import CLASSES, ZOO, given_to, network_of, program_of


@cache
def _told(name: str) -> tuple[ExportedProgram, Structure]:
    program = program_of(network_of(name), given_to(name), free=ZOO[name].free)
    return program, structure_of(program)


def answer_of(program: ExportedProgram, x: Tensor) -> Tensor:
    with quiet():
        found: Tensor = program.module()(x)
    return found


def _drawn(structure: Structure, seed: int) -> dict[str, Bools]:
    """Some units of each group."""
    draw = np.random.default_rng(seed)
    kept = {}
    for group in structure.groups:
        kept[group.name] = draw.random(group.units) < draw.choice([0.2, 0.5, 0.8])
        kept[group.name][draw.choice(group.units, group.least, replace=False)] = True
    return kept


def _zeroed(state: dict[str, Tensor], structure: Structure, kept: dict[str, Bools]) -> dict[str, Tensor]:
    """All weights of the units that go as zeros, in all their places."""
    made = {name: value.detach().clone() for name, value in state.items()}
    for name, mask in kept.items():
        for member in structure.group(name).members:
            if "running" not in member.tensor:
                gone = torch.from_numpy(member.positions[~mask[member.owners]])
                made[member.tensor].index_fill_(member.dim, gone, 0.0)
    return made


@pytest.mark.parametrize("name", ZOO)
@given(seed=st.integers(0, 999))
@settings(max_examples=2, deadline=None)
def test_a_program_without_units_answers_as_one_whose_units_are_zero(name: str, seed: int) -> None:
    program, structure = _told(name)
    kept = _drawn(structure, seed)
    small = rewritten(program, structure, kept)
    x = given_to(name, 5 if ZOO[name].free else 2, seed)
    answer = answer_of(small, x)
    assert answer.shape == (len(x), CLASSES)
    assert answer.isfinite().all()
    slices = slices_of(structure, kept)
    assert all(torch.equal(small.state_dict[key], value) for key, value in cut(program.state_dict, slices).items())
    if ZOO[name].exact:
        network = network_of(name)
        network.load_state_dict(_zeroed(network.state_dict(), structure, kept))
        torch.testing.assert_close(answer, network(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ZOO)
def test_what_is_left_can_be_turned_into_layers_exported_and_cut_again(name: str) -> None:
    program, structure = _told(name)
    small = rewritten(program, structure, _drawn(structure, 1))
    again = structure_of(small)
    smaller = rewritten(small, again, _drawn(again, 2))
    x = given_to(name, 4 if ZOO[name].free else 2)
    assert answer_of(smaller, x).shape == (len(x), CLASSES)
    network = rehydrate(small)
    torch.testing.assert_close(network(x), answer_of(small, x), atol=1e-5, rtol=1e-4)
    if name in ("mlp", "packed"):
        exported = program_of(network, given_to(name), free=ZOO[name].free)
        torch.testing.assert_close(answer_of(exported, x), answer_of(small, x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ZOO)
def test_the_class_itself_holds_what_is_left(name: str) -> None:
    resize = pytest.importorskip("datadiet_cli.nn.resize")
    program = _told(name)[0]
    structure = structure_of(program, whole_heads=False)
    kept = _drawn(structure, 3)
    network = network_of(name)
    resize.resize_to(network, cut(network.state_dict(), slices_of(structure, kept)))
    x = given_to(name)
    torch.testing.assert_close(network(x), answer_of(rewritten(program, structure, kept), x), atol=1e-5, rtol=1e-4)


def _groups(name: str) -> dict[str, tuple[int, set[tuple[str, int]]]]:
    return {
        group.name: (group.units, {(member.tensor, member.dim) for member in group.members})
        for group in _told(name)[1].groups
    }


def _norm(name: str) -> set[tuple[str, int]]:
    return {(f"{name}.{part}", 0) for part in ("weight", "bias", "running_mean", "running_var")}


def _rows(*names: str) -> set[tuple[str, int]]:
    return {(f"{name}.{part}", 0) for name in names for part in ("weight", "bias")}


def _columns(*names: str) -> set[tuple[str, int]]:
    return {(f"{name}.weight", 1) for name in names}


def test_layers_that_are_added_lose_the_same_channels() -> None:
    assert _groups("residual") == {
        "stem": (8, {("stem.weight", 0)} | _norm("norm") | _rows("b") | _norm("norm_b") | _columns("a", "c", "short")),
        "a": (6, _rows("a") | _norm("norm_a") | _columns("b")),
        "c": (10, _rows("c", "short") | _columns("head")),
    }


def test_layers_side_by_side_lose_channels_on_their_own() -> None:
    assert _groups("dense") == {
        "a": (4, _rows("a") | _columns("b", "c") | _norm("norm")),
        "b": (5, _rows("b") | _columns("c") | _norm("norm")),
        "c": (6, _rows("c") | _columns("head")),
    }
    b = _told("dense")[1].group("b")
    assert {m.tensor: m.positions.tolist() for m in b.members}["norm.weight"] == [0, 1, 2, 3, 4]
    a = _told("dense")[1].group("a")
    assert {m.tensor: m.positions.tolist() for m in a.members}["norm.weight"] == [5, 6, 7, 8]


def test_depthwise_channels_go_with_those_before_and_after_them() -> None:
    assert _groups("mobile") == {
        "up": (8, _rows("up", "deep", "wide", "excite") | _norm("norm") | _columns("squeeze", "down")),
        "squeeze": (4, _rows("squeeze") | _columns("excite")),
        "down": (6, _rows("down") | _columns("head")),
    }
    owners = {m.tensor: m.owners.tolist() for m in _told("mobile")[1].group("up").members}
    assert owners["wide.weight"] == [unit for unit in range(8) for _ in range(2)]


def test_groups_of_a_convolution_lose_the_same_channels_also_over_a_shuffle() -> None:
    found = _groups("shuffle")
    assert {name: units for name, (units, _) in found.items()} == {"a": 4, "b": 2, "c": 4}
    owners = {m.tensor: m.owners.tolist() for m in _told("shuffle")[1].group("b").members}
    assert owners == {
        "b.weight": [0, 1, 0, 1, 0, 1, 0, 1],
        "b.bias": [0, 1, 0, 1, 0, 1, 0, 1],
        "c.weight": [0, 0, 1, 1],
    }
    assert {name: units for name, (units, _) in _groups("plain").items()} == {"a": 8, "b": 4, "c": 8}


def test_heads_go_whole_and_hidden_units_from_all_gates() -> None:
    assert {group.name: (group.kind, group.units) for group in _told("attention")[1].groups} == {
        "enter": ("channels", 12),
        "q": ("heads", 2),
        "up": ("channels", 20),
    }
    packed = {group.name: (group.kind, group.units) for group in _told("packed")[1].groups}
    assert packed == {"qkv": ("heads", 4), "o": ("channels", 12), "qk": ("heads", 8), "v": ("channels", 5)}
    heads = _told("packed")[1].group("qkv").members[0]
    assert heads.owners.tolist() == [unit for _ in range(3) for unit in range(4) for _ in range(4)]
    recurrent = {group.name: group.units for group in _told("recurrent")[1].groups}
    assert recurrent == {"words": 6, "lstm": 5, "gru": 4}
    gates = next(m for m in _told("recurrent")[1].group("lstm").members if m.tensor == "lstm.weight_ih_l1_reverse")
    assert gates.owners.tolist() == list(range(5)) * 4


def test_layers_that_stay_say_why() -> None:
    whole = _told("odd")[1].whole
    assert [group.name for group in _told("odd")[1].groups] == ["free"]
    assert whole["a"] == "softmax runs over its outputs"
    assert whole["b"] == "sort runs over its outputs"
    assert "has no rule" in whole["c"]
    assert "fixed width" in whole["e"]
    assert whole["head"] == "its outputs are the network's answer"


def test_no_position_lies_in_two_groups_and_members_are_of_their_tensors() -> None:
    for name in ZOO:
        _, structure = _told(name)
        seen: set[tuple[str, int, int]] = set()
        for group in structure.groups:
            assert group.units > 1
            assert any(member.makes for member in group.members)
            for member in group.members:
                assert set(member.owners.tolist()) == set(range(group.units))
                assert member.positions.max() < structure.sizes[member.tensor][member.dim]
                places = {(member.tensor, member.dim, at) for at in member.positions.tolist()}
                assert not places & seen
                seen |= places


@pytest.mark.parametrize("name", ["mlp", "residual"])
def test_the_same_goes_together_as_in_torch_pruning(name: str) -> None:
    pruning = pytest.importorskip("torch_pruning")
    network, structure = network_of(name), _told(name)[1]
    with torch.enable_grad():
        graph = pruning.DependencyGraph().build_dependency(copy.deepcopy(network), given_to(name))
    modules = dict(graph.model.named_modules())
    names = {module: key for key, module in modules.items()}
    for group in structure.groups:
        layer = modules[group.name]
        function = (
            pruning.prune_linear_out_channels if isinstance(layer, nn.Linear) else pruning.prune_conv_out_channels
        )
        theirs: set[tuple[str, int, int]] = set()
        for dependency, positions in graph.get_pruning_group(layer, function, idxs=[1]):
            target = dependency.target.module
            if target in names and isinstance(target, nn.Linear | nn.Conv2d):
                inputs = "in_channels" in dependency.handler.__name__
                deep = isinstance(target, nn.Conv2d) and target.groups > 1
                theirs |= {(f"{names[target]}.weight", int(inputs and not deep), int(at)) for at in positions}
        ours = {
            (member.tensor, member.dim, int(at))
            for member in group.members
            for at in member.positions[member.owners == 1]
            if isinstance(modules[member.tensor.rpartition(".")[0]], nn.Linear | nn.Conv2d)
            and member.tensor.endswith("weight")
        }
        assert ours == theirs
