"""The words that pruning speaks in: units of a network that can only go together, and what is left of tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Scores = dict[str, torch.Tensor]
"""By name of a tensor, as `Module.named_parameters` has it: how much each weight is worth, float32 of the tensor's
shape on the CPU; the larger the more."""
Masks = dict[str, torch.Tensor]
"""By name of a tensor: which weights stay, bool of the tensor's shape on the CPU."""
Slices = dict[str, dict[int, Ints]]
"""By name of a tensor (parameter or buffer) and dimension: the positions that stay, ascending."""


class Member(NamedTuple):
    """A dimension of a tensor that units of a group lie in.

    Attributes:
        tensor: its name, as `Module.state_dict` has it.
        dim: the dimension, from 0 on.
        positions: (k,) int64, different ones in it.
        owners: (k,) int64, the unit of the group that each belongs to.
        makes: whether these are weights that compute the units (rows of a linear layer), and not weights that take them
            (columns of the next one), or that scale, shift or describe them (of a batch norm).
    """

    tensor: str
    dim: int
    positions: Ints
    owners: Ints
    makes: bool


@dataclass(frozen=True, eq=False)
class Group:
    """Units that lie in the same dimensions of the same tensors: channels of coupled layers, or heads of an attention.

    A unit goes from all of its places at once, or stays in all.

    Attributes:
        name: of the first layer that makes the units, such as ``encoder.layers.0``; with a number after a colon where
            one layer makes units of several groups.
        kind: ``channels`` of one position in each dimension that makes them, ``heads`` or other blocks of several.
        units: how many there are, at least 1.
        members: where they lie.
        signature: the same for groups of the same form, which alone can be compared with each other: kinds of layers
            and dimensions that they lie in (Fang et al., "Isomorphic pruning for vision models", ECCV 2024).
        least: how many units must stay, fewer than `units`.
    """

    name: str
    kind: Literal["channels", "heads"]
    units: int
    members: tuple[Member, ...]
    signature: str
    least: int = 1

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors that its units lie in, each once, in order."""
        return tuple(dict.fromkeys(member.tensor for member in self.members))


@dataclass(frozen=True, eq=False)
class Structure:
    """What of a network can be taken out, so that the rest fits together.

    Attributes:
        groups: in the order of the network; no position of a dimension lies in two of them.
        whole: layers (names of modules with weights) whose outputs all stay, with the reason in words.
        sizes: shape of each tensor, by name.
    """

    groups: tuple[Group, ...]
    whole: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def group(self, name: str) -> Group:
        """The group of this name."""
        return next(group for group in self.groups if group.name == name)


Kept = Mapping[str, Bools]
"""By name of a group: (units,) bool, which stay. Groups that are not named stay whole."""


def slices_of(structure: Structure, kept: Kept) -> Slices:
    """What stays of each tensor when units go.

    Args:
        structure: of the network.
        kept: which units stay.

    Returns:
        Positions of each dimension that loses some.

    Raises:
        ValueError: nothing of a group stays, or less than must, or its mask is not of its length.
    """
    gone: dict[tuple[str, int], list[Ints]] = {}
    for name, mask in kept.items():
        group = structure.group(name)
        if mask.shape != (group.units,):
            raise ValueError(f"the mask of {name} has shape {mask.shape}, not ({group.units},)")
        if not mask.any():
            raise ValueError(f"{name} would be left without a unit")
        if mask.sum() < group.least:
            raise ValueError(f"{name} would be left with {mask.sum()} of its units, and needs {group.least}")
        for member in group.members:
            gone.setdefault((member.tensor, member.dim), []).append(member.positions[~mask[member.owners]])
    found: Slices = {}
    for (tensor, dim), parts in gone.items():
        lost = np.concatenate(parts)
        if len(lost):
            stays = np.setdiff1d(np.arange(structure.sizes[tensor][dim], dtype=np.int64), lost)
            found.setdefault(tensor, {})[dim] = stays
    return found


def cut(state: Mapping[str, torch.Tensor], slices: Slices) -> dict[str, torch.Tensor]:
    """Copies of tensors without what goes.

    Args:
        state: tensors by name; gradients of parameters, or scores of their weights, are cut alike.
        slices: what stays; names that `state` lacks are passed over.
    """
    made = {name: tensor.detach().clone() for name, tensor in state.items()}
    for name, dims in slices.items():
        if name in made:
            for dim, stays in dims.items():
                made[name] = made[name].index_select(dim, torch.from_numpy(stays).to(made[name].device))
            made[name] = made[name].contiguous()
    return made
