"""Groups of units from ties between positions: those that lie in the same dimensions of the same tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from datadiet_cli.nn.pruning.axes import Ints, Shape, size_of
from datadiet_cli.nn.pruning.base import Group, Member, Structure
from datadiet_cli.nn.pruning.rules import Walk

Places = dict[str, Shape]
"""Dimensions of tensors by name."""
_Key = tuple[tuple[int, int], ...]
"""Which dimensions a unit lies in, by number, and in how many positions of each."""


class Known(NamedTuple):
    """What is known of tensors by name.

    Attributes:
        roles: what each is to the first operation that takes it, such as ``linear.weight``.
        learnt: names of parameters.
    """

    roles: Mapping[str, str]
    learnt: Sequence[str]


def grouped(walk: Walk, places: Places, makers: Sequence[tuple[str, int]], known: Known) -> Structure:
    """Group what is tied, and say of all other layers why they stay.

    Args:
        walk: through a graph: ties between positions, with what is held, and of what two must stay.
        places: where the positions lie; tensors in the order of the network.
        makers: names and dimensions of weights that compute the positions, in the order of the network.
        known: what tensors are.
    """
    ties = walk.ties
    labels, held = ties.labels(), ties.held()
    lying = [(name, i, dim[0].ids) for name, dims in places.items() for i, dim in enumerate(dims) if dim]
    dims = [(name, i, labels[ids]) for name, i, ids in lying if ids is not None]
    free = _free(dims, makers, held, ties.count)
    units = _units(dims, free)
    least = _least(units, [labels[ids] for ids in walk.pairs])
    groups, staying = _groups(dims, units, least, makers, known.roles)
    whole = _whole(dims, groups, makers, {**held, **staying})
    whole.update(_unfollowed(dims, groups, known, {**held, **staying}, whole))
    sizes = {name: tuple(int(size_of(dim)) for dim in shape) for name, shape in places.items()}
    return Structure(tuple(groups), whole, sizes)


def _free(
    dims: Sequence[tuple[str, int, Ints]], makers: Sequence[tuple[str, int]], held: Mapping[int, str], count: int
) -> Ints:
    """Labels of what may go: made by a weight, and not held."""
    made = [found for name, i, found in dims if (name, i) in set(makers)]
    labels = np.unique(np.concatenate(made)) if made else np.zeros(0, dtype=np.int64)
    assert labels.max(initial=-1) < count  # noqa: S101 - labels are of positions
    return np.setdiff1d(labels, np.fromiter(held, dtype=np.int64, count=len(held)))


def _units(dims: Sequence[tuple[str, int, Ints]], free: Ints) -> dict[_Key, Ints]:
    """Labels by where they lie."""
    if not dims:
        return {}
    where = np.concatenate([np.full(len(found), at) for at, (_, _, found) in enumerate(dims)])
    found = np.concatenate([found for _, _, found in dims])
    keep = np.isin(found, free)
    if not keep.any():
        return {}
    pairs, counts = np.unique(np.stack([found[keep], where[keep]]), axis=1, return_counts=True)
    starts = np.flatnonzero(np.diff(pairs[0], prepend=-1))
    units: dict[_Key, list[int]] = {}
    for start, end in zip(starts, [*starts[1:], len(counts)], strict=True):
        key = tuple((int(at), int(n)) for at, n in zip(pairs[1, start:end], counts[start:end], strict=True))
        units.setdefault(key, []).append(int(pairs[0, start]))
    return {key: np.array(labels, dtype=np.int64) for key, labels in units.items()}


def _least(units: Mapping[_Key, Ints], pairs: Sequence[Ints]) -> dict[_Key, int]:
    """How many units of each kind must stay: two where there is nothing else of what two positions must stay of."""
    least = dict.fromkeys(units, 1)
    for pair in pairs:
        for key, labels in units.items():
            mine, counts = np.unique(pair[np.isin(pair, labels)], return_counts=True)
            if counts.sum() == len(pair) and len(mine) and counts.min() == 1:
                least[key] = 2
    return least


def _groups(
    dims: Sequence[tuple[str, int, Ints]],
    units: Mapping[_Key, Ints],
    least: Mapping[_Key, int],
    makers: Sequence[tuple[str, int]],
    roles: Mapping[str, str],
) -> tuple[list[Group], dict[int, str]]:
    """Groups in the order of the network, and labels of units of which none may go, each with the reason."""
    order = {maker: i for i, maker in enumerate(makers)}
    found = []
    staying: dict[int, str] = {}
    for key, labels in units.items():
        if len(labels) <= least[key]:
            why = "there is one unit of it" if len(labels) == 1 else "each group of a convolution needs two channels"
            staying.update(dict.fromkeys(labels.tolist(), why))
        making = sorted((order[name, i], at) for at, _ in key if (name := dims[at][0], i := dims[at][1]) in order)
        if not making:
            continue
        first = making[0][1]
        places = dims[first][2]
        # Units are numbered as the first layer has them.
        labels = labels[np.argsort([int(np.flatnonzero(places == label)[0]) for label in labels])]
        begins = int(np.flatnonzero(places == labels[0])[0])
        found.append((making[0][0], begins, _layer(dims[first][0]), key, labels))
    found.sort(key=lambda entry: entry[:2])
    names = [entry[2] for entry in found]
    groups = []
    for i, (_, _, name, key, labels) in enumerate(found):
        # Those of which none may go count, so that names stay when a network is cut again.
        number = f":{names[: i + 1].count(name)}" if names.count(name) > 1 else ""
        if len(labels) <= least[key]:
            continue
        group = _group(name + number, dims, key, labels, order, roles)
        groups.append(replace(group, least=least[key]))
    return groups, staying


def _group(
    name: str,
    dims: Sequence[tuple[str, int, Ints]],
    key: _Key,
    labels: Ints,
    order: Mapping[tuple[str, int], int],
    roles: Mapping[str, str],
) -> Group:
    members = []
    sorter = np.argsort(labels)
    for at, _ in key:
        tensor, dim, found = dims[at]
        positions = np.flatnonzero(np.isin(found, labels))
        owners = sorter[np.searchsorted(labels, found[positions], sorter=sorter)]
        members.append(Member(tensor, dim, positions, owners.astype(np.int64), (tensor, dim) in order))
    blocks = any(count > 1 for (_, count), member in zip(key, members, strict=True) if member.makes)
    kind: Literal["channels", "heads"] = "heads" if blocks else "channels"
    told = sorted(f"{roles.get(dims[at][0], 'none')}/{dims[at][1]}x{count}" for at, count in key)
    return Group(name, kind, len(labels), tuple(members), " ".join(told))


def _whole(
    dims: Sequence[tuple[str, int, Ints]],
    groups: Sequence[Group],
    makers: Sequence[tuple[str, int]],
    held: Mapping[int, str],
) -> dict[str, str]:
    """Layers that make nothing that may go, each with the reason."""
    making = {(member.tensor, member.dim) for group in groups for member in group.members if member.makes}
    there = {(name, i): labels for name, i, labels in dims}
    losing = {_layer(name) for name, _ in making}
    found: dict[str, str] = {}
    for name, dim in makers:
        layer = _layer(name)
        labels = there.get((name, dim))
        if layer in losing or layer in found or labels is None:
            continue
        found[layer] = _reason([labels], held, "it is not used")
    return found


def _unfollowed(
    dims: Sequence[tuple[str, int, Ints]],
    groups: Sequence[Group],
    known: Known,
    held: Mapping[int, str],
    told: Mapping[str, str],
) -> dict[str, str]:
    """Layers with weights of which it is not known what they make, and of which nothing goes, each with the reason."""
    losing = {_layer(name) for group in groups for name in group.tensors}
    matrices: dict[str, list[Ints]] = {}
    for name, _, labels in dims:
        if len(labels) > 1 and name in known.learnt:
            matrices.setdefault(name, []).append(labels)
    found: dict[str, str] = {}
    for name, parts in matrices.items():
        layer = _layer(name)
        if len(parts) > 1 and not {layer} & {*losing, *told, *found}:
            default = "how it is computed is not followed here" if name in known.roles else "it is not used"
            stays = all(label in held for labels in parts for label in labels.tolist())
            found[layer] = _reason(parts, held, default) if stays else default
    return found


def _reason(parts: Sequence[Ints], held: Mapping[int, str], default: str) -> str:
    """Why most of some positions stay."""
    reasons = [held[label] for labels in parts for label in labels.tolist() if label in held]
    return max(reasons, key=reasons.count, default=default)


def _layer(tensor: str) -> str:
    """The name of the module that a tensor belongs to: of the one that a parametrisation is of."""
    path, _, name = tensor.partition(".parametrizations.")
    return path if name else tensor.rpartition(".")[0] or tensor
