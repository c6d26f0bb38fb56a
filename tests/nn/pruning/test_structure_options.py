"""What of a network may go if asked for: parts of larger models, what is protected, what a class can hold."""

import io

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datadiet_cli.nn.exporting import quiet
from datadiet_cli.nn.pruning.base import slices_of
from datadiet_cli.nn.pruning.rewriting import rewritten
from datadiet_cli.nn.pruning.tracing import structure_of
from tests.nn.pruning.test_structure import answer_of
from tests.nn.pruning.zoo import given_to, network_of, program_of


def test_a_head_outside_of_the_program_loses_its_columns() -> None:
    body = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5))
    program = program_of(body, torch.zeros(2, 6))
    assert [group.name for group in structure_of(program).groups] == ["0"]
    head = {"head.weight": torch.zeros(3, 5), "head.bias": torch.zeros(3)}
    structure = structure_of(program, prefix="body.", head=head, protected=["body.0"])
    assert [group.name for group in structure.groups] == ["body.2"]
    assert structure.whole == {"body.0": "it is protected"}
    kept = {"body.2": np.array([True, False, True, False, True])}
    assert slices_of(structure, kept)["head.weight"][1].tolist() == [0, 2, 4]
    assert answer_of(rewritten(program, structure, kept, prefix="body."), torch.zeros(4, 6)).shape == (4, 3)
    with pytest.raises(ValueError, match="no layer other"):
        structure_of(program, protected=["other"])
    with pytest.raises(ValueError, match=r"head.weight takes 7 numbers"):
        structure_of(program, head={"head.weight": torch.zeros(3, 7)})


def test_code_written_for_a_number_of_heads_keeps_them() -> None:
    for name, groups in (
        ("transformer", {"encoder.layers.0.linear1", "encoder.layers.1.linear1"}),
        ("packed", {"o", "v"}),
    ):
        structure = structure_of(program_of(network_of(name), given_to(name)), whole_heads=False)
        assert groups <= {group.name for group in structure.groups}
        assert not any(group.kind == "heads" and "qkv" in group.name for group in structure.groups)
    assert "fixed number of blocks or heads" in structure.whole["qkv"]


def test_a_mask_or_a_structure_that_does_not_fit_is_refused() -> None:
    program = program_of(network_of("mlp"), given_to("mlp"))
    structure = structure_of(program)
    with pytest.raises(ValueError, match="without a unit"):
        rewritten(program, structure, {"0": np.zeros(8, dtype=bool)})
    with pytest.raises(ValueError, match="shape"):
        rewritten(program, structure, {"0": np.ones(3, dtype=bool)})
    kept = {"0": np.arange(8) > 2}
    with pytest.raises(ValueError, match="not"):
        rewritten(rewritten(program, structure, kept), structure, kept)


def test_shared_weights_stay_shared_and_a_file_holds_what_is_left() -> None:
    network = nn.Sequential(nn.Embedding(7, 6), nn.LayerNorm(6, bias=False), nn.Linear(6, 7, bias=False))
    network[2].weight = network[0].weight
    program = program_of(network, torch.zeros(2, 3, dtype=torch.int64))
    structure = structure_of(program)
    assert {m.tensor: m.makes for m in structure.groups[0].members} == {
        "0.weight": True,
        "2.weight": True,
        "1.weight": False,
    }
    small = rewritten(program, structure, {structure.groups[0].name: np.arange(6) % 2 == 0})
    assert small.state_dict["0.weight"] is small.state_dict["2.weight"]
    file = io.BytesIO()
    with quiet():
        torch.export.save(small, file)
        file.seek(0)
        again = torch.export.load(file)
    x = torch.arange(12).reshape(4, 3) % 7
    assert torch.equal(answer_of(again, x), answer_of(small, x))


def test_what_nothing_depends_on_holds_nothing() -> None:
    """`nn.MultiheadAttention` computes a mean over its heads that hardly anybody takes."""

    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter, self.attention, self.head = nn.Linear(5, 8), nn.MultiheadAttention(8, 4), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.enter(x)
            found: Tensor = self.head(self.attention(x, x, x)[0].amax(1))
            return found

    program = program_of(Unused().eval(), torch.zeros(2, 4, 5))
    structure = structure_of(program)
    assert structure.group("attention").units == 4
    small = rewritten(program, structure, {"attention": np.array([False, True, True, True])})
    assert answer_of(small, torch.zeros(3, 4, 5)).shape == (3, 3)


def test_groups_keep_their_names_when_a_network_is_cut_again() -> None:
    """Rounds count the units of a group by its name: that of another must not become it when that one is used up."""

    class Parted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.a, self.b = nn.Linear(4, 10), nn.Linear(2, 3), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            one, other = torch.relu(self.fc(x)).split([2, 8], 1)
            found: Tensor = self.a(one) + self.b(other)
            return found

    program = program_of(Parted(), torch.zeros(2, 4))
    first = {group.name: group.units for group in structure_of(program).groups}
    assert first == {"fc:1": 2, "fc:2": 8}
    kept = {"fc:1": np.array([True, False]), "fc:2": np.arange(8) < 5}
    again = structure_of(rewritten(program, structure_of(program), kept))
    assert {group.name: group.units for group in again.groups} == {"fc:2": 5}
