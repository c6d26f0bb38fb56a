"""Take units out of an exported program: cut its tensors, and rewrite the numbers in its graph that said a width."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.export import ExportedProgram

from datadiet_cli.nn.exporting import quiet
from datadiet_cli.nn.pruning.axes import Bools, Dim, Ints, numbers, size_of
from datadiet_cli.nn.pruning.base import Kept, Structure, cut, slices_of
from datadiet_cli.nn.pruning.rules import Walk, kind, named
from datadiet_cli.nn.pruning.rules_shapes import bounds
from datadiet_cli.nn.pruning.tracing import identity, walked

_OPS = torch.ops.aten


def rewritten(program: ExportedProgram, structure: Structure, kept: Kept, *, prefix: str = "") -> ExportedProgram:
    """Take units out of a program.

    Sizes of views, parts and constants, shapes of norms, and groups of depthwise convolutions follow the widths.

    Args:
        program: what `tracing.structure_of` was asked about. It is not changed.
        structure: what that told.
        kept: which units stay.
        prefix: as it was given there.

    Returns:
        A program of its own, with its own weights, that takes what the old one takes.

    Raises:
        ValueError: a mask does not fit, nothing of a group would stay, or the structure is not of this program.
    """
    slices = slices_of(structure, kept)
    state = {prefix + name: value for name, value in _tensors(program).items()}
    for name in slices:
        if name in state and structure.sizes[name] != tuple(state[name].shape):
            raise ValueError(f"{name} has shape {tuple(state[name].shape)}, not {structure.sizes[name]}")
    old = walked(program)
    sizes = _Sizes(old, _staying(program, old, {name.removeprefix(prefix): dims for name, dims in slices.items()}))
    new = {name.removeprefix(prefix): value for name, value in cut(state, slices).items()}
    with quiet():
        module = copy.deepcopy(program.graph_module)
    for before, after in zip(program.graph.nodes, module.graph.nodes, strict=True):
        after.name = before.name  # a copy does not take over names such as "input", which the signature has
        if after.op == "call_function" and before in old.shapes:
            _rewrite(sizes, before, after)
        after.meta["val"] = _refreshed(sizes, old.shapes.get(before), before.meta.get("val"))
    # What nothing depends on was not looked at; and what computed sizes may have become that.
    for node in reversed(module.graph.nodes):
        if node.op == "call_function" and not node.users and not node.is_impure():
            module.graph.erase_node(node)
    module.recompile()
    return ExportedProgram(
        root=module,
        graph=module.graph,
        graph_signature=copy.deepcopy(program.graph_signature),
        state_dict=_state(program, new),
        range_constraints=copy.deepcopy(program.range_constraints),
        module_call_graph=program.module_call_graph,
        example_inputs=program.example_inputs,
        constants={name: new.get(name, value) for name, value in program.constants.items()},
        verifiers=program.verifiers,
    )


def _tensors(program: ExportedProgram) -> dict[str, Tensor]:
    found = {**program.constants, **program.state_dict}
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


def _state(program: ExportedProgram, new: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The new tensors as the old ones are: parameters, and shared by several names."""
    made: dict[tuple[Any, ...], Tensor] = {}
    for name, old in program.state_dict.items():
        learns = isinstance(old, nn.Parameter)
        made.setdefault(
            identity(old), nn.Parameter(new[name], requires_grad=old.requires_grad) if learns else new[name]
        )
    return {name: made[identity(old)] for name, old in program.state_dict.items()}


def _staying(program: ExportedProgram, walk: Walk, slices: Mapping[str, Mapping[int, Ints]]) -> Bools:
    """Of each number of a position, whether it stays: what is tied to one that goes goes too."""
    labels = walk.ties.labels()
    cut_ids = [
        np.setdiff1d(np.arange(len(ids)), slices[name].get(dim, np.arange(len(ids))))
        for name, dim, ids in _lying(walk)
        if name in slices
    ]
    gone = np.zeros(labels.max(initial=-1) + 1, dtype=bool)
    lying = [(name, dim, ids) for name, dim, ids in _lying(walk) if name in slices]
    for (_, _, ids), lost in zip(lying, cut_ids, strict=True):
        gone[labels[ids[lost]]] = True
    held = np.fromiter(walk.ties.held(), dtype=np.int64)
    stays: Bools = ~gone[labels]
    for name, dim, ids in _lying(walk):
        told = np.ones(len(ids), dtype=bool)
        if dim in slices.get(name, {}):
            told[:] = False
            told[slices[name][dim]] = True
        if not np.array_equal(stays[ids], told):
            raise ValueError(f"what stays of {name} does not go with what stays elsewhere: it is not of this program")
    if gone[held].any():
        raise ValueError("something goes that must stay: the structure is not of this program")
    return stays


def _lying(walk: Walk) -> list[tuple[str, int, Ints]]:
    found = []
    for node, name in walk.names.items():
        for dim, factors in enumerate(walk.of(node)):
            if factors and factors[0].ids is not None:
                found.append((name, dim, factors[0].ids))
    return found


class _Sizes:
    """What is left of dimensions."""

    def __init__(self, walk: Walk, stays: Bools) -> None:
        self.walk = walk
        self._stays = stays

    def touched(self, dim: Dim) -> bool:
        """Whether a dimension loses something."""
        return not self._stays[numbers([dim])].all()

    def kept(self, ids: Ints) -> int:
        """How many of some positions stay."""
        return int(self._stays[ids].sum())

    def left(self, dim: Dim) -> Any:
        """What is left of a dimension; -1 where that depends on a free size."""
        size = 1
        for factor in dim:
            if not isinstance(factor.size, int):
                return -1
            size *= factor.size if factor.ids is None else self.kept(factor.ids)
        return size

    def asked(self, dims: tuple[Dim, ...], sizes: list[Any]) -> list[Any]:
        """Sizes that a call asks for, where they change."""
        return [
            self.left(dim) if self.touched(dim) and size != -1 else size for dim, size in zip(dims, sizes, strict=True)
        ]


def _rewrite(sizes: _Sizes, before: fx.Node, after: fx.Node) -> None:
    """Let a call fit what is left. `before` is known to the walk, `after` is its copy."""
    known = _REWRITES.get(kind(before))
    if known is not None and isinstance(before.target, torch._ops.OpOverload):
        known(sizes, before, after)


def _set(node: fx.Node, **values: Any) -> None:
    """Change arguments of a call by name."""
    assert isinstance(node.target, torch._ops.OpOverload)  # noqa: S101 - of rewritten calls
    places = {argument.name: i for i, argument in enumerate(node.target._schema.arguments)}
    for name, value in values.items():
        if places[name] < len(node.args):
            node.update_arg(places[name], value)
        else:
            node.update_kwarg(name, value)


def _resize(sizes: _Sizes, before: fx.Node, after: fx.Node) -> None:
    """Calls with the size of their result."""
    arguments = named(after)
    for name in ("size", "shape"):
        if name in arguments:
            _set(after, **{name: sizes.asked(sizes.walk.of(before), list(arguments[name]))})


def _unflatten(sizes: _Sizes, before: fx.Node, after: fx.Node) -> None:
    arguments = named(before)
    at = arguments["dim"] % len(sizes.walk.of(arguments["self"]))
    dims = sizes.walk.of(before)[at : at + len(arguments["sizes"])]
    _set(after, sizes=sizes.asked(dims, list(named(after)["sizes"])))


def _normalise(sizes: _Sizes, before: fx.Node, after: fx.Node) -> None:
    arguments = named(before)
    x = sizes.walk.of(arguments["input"])
    shape = list(arguments["normalized_shape"])
    _set(after, normalized_shape=sizes.asked(x[len(x) - len(shape) :], shape))


def _convolve(sizes: _Sizes, before: fx.Node, after: fx.Node) -> None:
    """Depthwise convolutions have a group for each channel."""
    arguments = named(before)
    x, weight = (sizes.walk.of(arguments[name]) for name in ("input", "weight"))
    dim = x[len(x) - len(weight) + 1]
    if 1 < arguments["groups"] == size_of(dim) and sizes.touched(dim):
        _set(after, groups=sizes.left(dim))


def _split(sizes: _Sizes, before: fx.Node, after: fx.Node) -> None:
    """Parts may have become unequal."""
    source = before.args[0]
    x = sizes.walk.of(source)
    at = named(before)["dim"] % len(x)
    if sizes.touched(x[at]):
        lengths = [sizes.left(part[at]) for part in sizes.walk.shapes[before]]
        after.target = _OPS.split_with_sizes.default
        after.args, after.kwargs = (after.args[0], lengths, at), {}


def _slice(sizes: _Sizes, before: fx.Node, after: fx.Node) -> None:
    x = sizes.walk.of(before.args[0])
    at = named(before)["dim"] % len(x)
    if not sizes.touched(x[at]):
        return
    start, end, _ = bounds(before, size_of(x[at]))
    ids = x[at][0].ids
    if start == 0 and end is None:
        return
    assert ids is not None  # noqa: S101 - it loses something
    first, last = sizes.kept(ids[:start]), sizes.kept(ids[:end])
    _set(after, start=first, **({"length": last - first} if kind(before) == "narrow" else {"end": last}))


def _pad(sizes: _Sizes, before: fx.Node, after: fx.Node) -> None:
    x, result = sizes.walk.of(before.args[0]), sizes.walk.of(before)
    pads = list(named(before)["pad"])
    for i in range(len(pads) // 2):
        at = len(x) - 1 - i
        if pads[2 * i] or pads[2 * i + 1]:
            ids = result[at][0].ids if len(result[at]) == 1 else None
            if ids is not None:
                pads[2 * i : 2 * i + 2] = sizes.kept(ids[: pads[2 * i]]), sizes.kept(ids[len(ids) - pads[2 * i + 1] :])
    _set(after, pad=pads)


_REWRITES: dict[str, Callable[[_Sizes, fx.Node, fx.Node], None]] = {
    **dict.fromkeys("view reshape _unsafe_view _reshape_alias expand broadcast_to".split(), _resize),
    **dict.fromkeys("zeros ones full empty new_zeros new_ones new_full new_empty".split(), _resize),
    "unflatten": _unflatten,
    **dict.fromkeys("layer_norm rms_norm native_layer_norm".split(), _normalise),
    "convolution": _convolve,
    **{f"conv{form}{n}d": _convolve for form in ("", "_transpose") for n in (1, 2, 3)},
    **dict.fromkeys("split split_with_sizes chunk tensor_split unsafe_split unsafe_chunk".split(), _split),
    "unsafe_split_with_sizes": _split,
    "slice": _slice,
    "narrow": _slice,
    "pad": _pad,
    "constant_pad_nd": _pad,
}
"""How calls are changed that say a width."""


def _refreshed(sizes: _Sizes, shape: Any, value: Any) -> Any:
    """What the graph says of a result, with what is left of its dimensions."""
    if isinstance(value, list | tuple) and isinstance(shape, list):
        return type(value)(_refreshed(sizes, *pair) for pair in zip(shape, value, strict=True))
    if not isinstance(value, FakeTensor) or shape is None or not any(sizes.touched(dim) for dim in shape):
        return value
    left = [
        _scaled(sizes, dim, size) if sizes.touched(dim) else size for dim, size in zip(shape, value.shape, strict=True)
    ]
    with value.fake_mode:
        return torch.empty(left, dtype=value.dtype, device=value.device)


def _scaled(sizes: _Sizes, dim: Dim, size: Any) -> Any:
    """What is left of a dimension that may have a free size."""
    for factor in dim:
        if factor.ids is not None:
            size = size // factor.size * sizes.kept(factor.ids)
    return size
