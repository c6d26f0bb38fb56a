"""Rules of operations that only move values: views, permutations, parts, and what puts them side by side."""

from typing import Any

import numpy as np
from torch import fx

from datadiet_cli.nn.pruning.axes import Dim, Factor, Shape, axis, fixed, is_one, joined, over, plain, size_of
from datadiet_cli.nn.pruning.rules import Walk, filled, kind, listed, named, rule, shapes_of

_LOST = "its outputs are reshaped in a way that is not followed here"
_TAKEN = "certain ones of its outputs are taken"


@rule("view", "reshape", "_unsafe_view", "flatten", "unflatten", "_reshape_alias")
def _view(walk: Walk, node: fx.Node) -> Shape | None:
    """The same values, row-major, in other dimensions."""
    arguments = named(node)
    if "dtype" in arguments:
        return None
    x = walk.of(arguments["self"])
    targets = [plain(size) for size in node.meta["val"].shape]
    made = _regrouped(walk, node.name, [factor for dim in x for factor in dim], targets)
    if made is None:
        return tuple(fixed(size) for size in _hold(walk, x, targets))
    asked = arguments.get("size", arguments.get("shape"))
    if asked is not None:
        # One size can be left to be computed; others that depend on a free size must be what they were.
        free = [not isinstance(plain_size, int) and any(f.ids is not None for f in dim)
                for plain_size, dim in zip(targets, made, strict=True)]  # fmt: skip
        if sum(here or size == -1 for here, size in zip(free, asked, strict=True)) > 1:
            made = tuple(walk.held(dim, _LOST) if here else dim for here, dim in zip(free, made, strict=True))
    return made


def _hold(walk: Walk, x: Shape, targets: list[Any]) -> list[Any]:
    walk.hold(x, _LOST)
    return targets


def _regrouped(walk: Walk, place: str, factors: list[Factor], targets: list[Any]) -> Shape | None:
    """Share factors out among dimensions of certain sizes; None if they do not fit."""
    queue = list(factors)
    made: list[Dim] = []
    splits = 0
    for target in targets:
        need, taken = target, []
        while not (isinstance(need, int) and need == 1):
            if not queue:
                return None
            factor = queue.pop(0)
            rest = over(need, factor.size)
            if rest is None:
                if not isinstance(need, int) or not isinstance(factor.size, int) or factor.size % need:
                    return None
                factor, left = walk.split(f"{place}:{splits}", factor, need)
                splits += 1
                queue.insert(0, left)
                rest = 1
            taken.append(factor)
            need = rest
        walk.swapped(taken)
        made.append(joined(walk.ties, taken))
    if any(not isinstance(factor.size, int) or factor.size != 1 for factor in queue):
        return None
    walk.hold([tuple(queue)], "there is one of it")
    return tuple(made)


@rule("permute", "transpose", "t", "movedim", "numpy_T", "mT", "adjoint", "swapaxes", "swapdims", "moveaxis")
def _permute(walk: Walk, node: fx.Node) -> Shape | None:
    arguments = named(node)
    x = walk.of(arguments["self"])
    rank = len(x)
    order = list(range(rank))
    if "dims" in arguments:
        order = [dim % rank for dim in arguments["dims"]]
    elif "dim0" in arguments:
        a, b = arguments["dim0"] % max(rank, 1), arguments["dim1"] % max(rank, 1)
        if rank:
            order[a], order[b] = order[b], order[a]
    elif kind(node) in ("t", "numpy_T"):
        order = order[::-1]
    elif kind(node) in ("mT", "adjoint"):
        order[-2:] = order[:-3:-1]
    else:
        return None
    return tuple(x[i] for i in order)


@rule("squeeze")
def _squeeze(walk: Walk, node: fx.Node) -> Shape:
    arguments = named(node)
    x = walk.of(arguments["self"])
    given = arguments.get("dim")
    over_dims = range(len(x)) if given is None else [dim % max(len(x), 1) for dim in listed(given)]
    gone = [i for i in over_dims if i < len(x) and is_one(x[i])]
    walk.hold([x[i] for i in gone], "there is one of it")
    return tuple(dim for i, dim in enumerate(x) if i not in gone)


@rule("unsqueeze")
def _unsqueeze(walk: Walk, node: fx.Node) -> Shape:
    arguments = named(node)
    x = walk.of(arguments["self"])
    at = arguments["dim"] % (len(x) + 1)
    return (*x[:at], (), *x[at:])


@rule("expand", "expand_as", "broadcast_to")
def _expand(walk: Walk, node: fx.Node) -> Shape:
    """Sizes of one are stretched, to copies of which any may go."""
    x = walk.of(node.args[0])
    wide = filled(walk, shapes_of(node.meta["val"]))
    if kind(node) == "expand_as":
        wide = walk.of(node.args[1])
    made = list(wide)
    for i in range(1, len(x) + 1):
        if not is_one(x[-i]) or is_one(wide[-i]):
            made[-i] = x[-i] if kind(node) != "expand_as" else walk.meet(x[-i], wide[-i], _LOST)
        else:
            walk.hold([x[-i]], "there is one of it")
    return tuple(made)


@rule("repeat", "tile")
def _repeat(walk: Walk, node: fx.Node) -> Shape | None:
    arguments = named(node)
    x = walk.of(arguments["self"])
    times = listed(arguments.get("repeats", arguments.get("dims")))
    made = list(shapes_of(node.meta["val"]))
    shape = (((),) * (len(made) - len(x))) + x
    times = [1] * (len(made) - len(times)) + times
    for i, (dim, count) in enumerate(zip(shape, times, strict=True)):
        ids = dim[0].ids if len(dim) == 1 else None
        if isinstance(count, int) and count == 1:
            made[i] = dim
        elif ids is not None and isinstance(count, int):
            made[i] = axis(np.tile(ids, count))
        else:
            walk.hold([dim], _LOST)
    return tuple(made)


@rule("repeat_interleave")
def _repeat_interleave(walk: Walk, node: fx.Node) -> Shape | None:
    arguments = named(node)
    count, dim = arguments.get("repeats"), arguments.get("dim")
    if "self" not in arguments or not isinstance(count, int) or dim is None:
        return None
    x = list(walk.of(arguments["self"]))
    ids = walk.flat(x[dim], _LOST)
    x[dim] = axis(np.repeat(ids, count)) if ids is not None else shapes_of(node.meta["val"])[dim]
    return tuple(x)


@rule("cat", "concat", "concatenate")
def _cat(walk: Walk, node: fx.Node) -> Shape:
    """Side by side along one dimension; the others are lined up."""
    arguments = named(node)
    result = shapes_of(node.meta["val"])
    shapes = [shape for shape in map(walk.of, arguments["tensors"]) if len(shape) == len(result)]
    at = arguments["dim"] % len(result)
    made = []
    for i in range(len(result)):
        here = [shape[i] for shape in shapes]
        if i == at:
            made.append(_beside(walk, here, result[i]))
            continue
        met = here[0]
        for dim in here[1:]:
            met = walk.meet(met, dim, "cat puts it beside something of a fixed width")
        made.append(met)
    return tuple(made)


def _beside(walk: Walk, dims: list[Dim], result: Dim) -> Dim:
    parts = []
    if not any(factor.ids is not None for dim in dims for factor in dim):
        return result
    for dim in dims:
        if not isinstance(size_of(dim), int) or len(dim) > 1:
            walk.hold(dims, _LOST)
            return result
        ids = dim[0].ids if dim else None
        if ids is None:
            ids = walk.ties.new(size_of(dim))
            walk.ties.hold(ids, "its width is fixed")
        parts.append(ids)
    return axis(np.concatenate(parts))


@rule("stack")
def _stack(walk: Walk, node: fx.Node) -> Shape:
    arguments = named(node)
    met = walk.broadcast([walk.of(part) for part in arguments["tensors"]], "stack puts it beside something fixed")
    at = arguments["dim"] % (len(met) + 1)
    return (*met[:at], fixed(len(arguments["tensors"])), *met[at:])


@rule("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes")
def _split(walk: Walk, node: fx.Node) -> list[Shape]:
    """Parts of a dimension, one after the other."""
    x = walk.of(node.args[0])
    at = named(node)["dim"] % len(x)
    results = shapes_of(node.meta["val"])
    ids = _parted(walk, x[at])
    made, start = [], 0
    for result in results:
        size = size_of(result[at])
        part = axis(ids[start : start + size]) if ids is not None else result[at]
        start += size
        made.append((*x[:at], part, *x[at + 1 :]))
    return made


def _parted(walk: Walk, dim: Dim) -> Any:
    """Numbers of a dimension that is taken apart; None if it stays."""
    if len(dim) == 1 and dim[0].origin is not None:
        walk.turn(dim[0])
    ids = walk.flat(dim, "its outputs are taken apart")
    if ids is not None:
        walk.coded.append((ids, "the code of the network may say where its outputs are taken apart"))
    return ids


@rule("unbind")
def _unbind(walk: Walk, node: fx.Node) -> list[Shape]:
    arguments = named(node)
    x = walk.of(arguments["self"])
    at = arguments["dim"] % len(x)
    walk.indexed(x[at], _TAKEN)
    return [x[:at] + x[at + 1 :]] * len(node.meta["val"])


@rule("select")
def _select(walk: Walk, node: fx.Node) -> Shape:
    arguments = named(node)
    x = walk.of(arguments["self"])
    at = arguments["dim"] % len(x)
    walk.indexed(x[at], _TAKEN)
    return x[:at] + x[at + 1 :]


@rule("slice", "narrow")
def _slice(walk: Walk, node: fx.Node) -> Shape:
    """Some positions that follow each other."""
    x = walk.of(node.args[0])
    at = named(node)["dim"] % len(x)
    start, end, step = bounds(node, size_of(x[at]))
    if (start, end, step) == (0, None, 1):
        return x
    ids = _parted(walk, x[at]) if step == 1 and isinstance(start, int) and isinstance(end, int | None) else None
    if ids is None:
        walk.hold([x[at]], _TAKEN)
        return (*x[:at], shapes_of(node.meta["val"])[at], *x[at + 1 :])
    return (*x[:at], axis(ids[start:end]), *x[at + 1 :])


def bounds(node: fx.Node, size: Any) -> tuple[Any, Any, Any]:
    """Start, end and step of a part of a dimension; start from 0 on, end None for all the rest, where known."""
    arguments = named(node)
    if kind(node) == "narrow":
        start, length = arguments["start"], arguments["length"]
        known = isinstance(start, int) and isinstance(length, int)
        return start, start + length if known else length, 1
    start, end, step = arguments["start"] or 0, arguments["end"], arguments["step"]
    if isinstance(end, int) and (end >= 2**62 or (isinstance(size, int) and end >= size)):
        end = None
    if isinstance(start, int) and isinstance(size, int):
        start = max(start + size, 0) if start < 0 else min(start, size)
    if isinstance(end, int) and end < 0 and isinstance(size, int):
        end = max(end + size, 0)
    return start, end, step


@rule("index_select", "gather", "take_along_dim")
def _index_select(walk: Walk, node: fx.Node) -> Shape | None:
    """Positions that are not known before; the other dimensions pass."""
    arguments = named(node)
    if kind(node) != "index_select" or not walk.of(arguments["self"]):
        return None
    x = walk.of(arguments["self"])
    at = arguments["dim"] % len(x)
    walk.indexed(x[at], _TAKEN)
    return (*x[:at], shapes_of(node.meta["val"])[at], *x[at + 1 :])
