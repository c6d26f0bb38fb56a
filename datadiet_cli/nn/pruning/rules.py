"""What operations do to dimensions: which they line up, which they need as they are.

A rule takes the walk through a graph and a node, and gives the shape of the result, or a list of them. Rules are found
by the name of the operation. Where there is none, everything that goes in is held, and says so.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import fx

from datadiet_cli.nn.pruning.axes import Dim, Factor, Ints, Shape, Ties, axis, fixed, is_one, numbers, plain

Rule = Callable[["Walk", fx.Node], Any]
RULES: dict[str, Rule] = {}
"""By name of an operation, without its overload."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operations."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


class Turn(Exception):  # noqa: N818 - no error: the walk starts anew
    """A dimension was split the wrong way round; the walk must start anew with the other way."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


class Unfit(Exception):  # noqa: N818 - no error: the call is treated as one without a rule
    """A rule does not fit the form of a call."""


class Walk:
    """What is known of a graph while it is walked through once.

    Attributes:
        ties: of positions.
        turned: places of splits whose second factor holds the units, and not the first one.
        shapes: of what each node gives: a `Shape`, a list of them, or None for what is no tensor.
        names: of nodes that stand for tensors.
        learnt: names of those that are parameters.
        makers: dimensions of tensors that compute positions, by name of the tensor and dimension, in order.
        roles: what each tensor is to the first operation that takes it, such as ``conv2d.weight``.
        coded: numbers of positions that code of a class may count, such as those of heads, each with a reason.
        pairs: numbers of positions of which two must stay: with one, a layer would be taken for one of another kind.
    """

    def __init__(self, turned: set[str]) -> None:
        self.ties = Ties()
        self.turned = turned
        self.shapes: dict[fx.Node, Any] = {}
        self.names: dict[fx.Node, str] = {}
        self.learnt: set[str] = set()
        self.makers: dict[tuple[str, int], None] = {}
        self.roles: dict[str, str] = {}
        self.coded: list[tuple[Ints, str]] = []
        self.pairs: list[Ints] = []
        self._second: set[str] = set()

    def visit(self, node: fx.Node) -> None:
        """Apply the rule of a call."""
        target = node.target
        for name, value in named(node).items():
            for source in listed(value):
                if isinstance(source, fx.Node) and source in self.names:
                    self.roles.setdefault(self.names[source], f"{kind(node)}.{name}")
        made = None
        if getattr(target, "__name__", "") == "getitem":
            made = self._item(node)
        elif isinstance(target, torch._ops.OpOverload):
            known = RULES.get(kind(node))
            if known is None and torch.Tag.pointwise in target.tags:
                known = RULES["pointwise"]
            made = self._applied(known, node)
        self.shapes[node] = self.unknown(node) if made is None else made

    def _applied(self, known: Rule | None, node: fx.Node) -> Any:
        try:
            return None if known is None else known(self, node)
        except Unfit:
            return None

    def unknown(self, node: fx.Node) -> Any:
        """Hold all that goes into a call."""
        for source in node.all_input_nodes:
            self.hold(self._all(source), f"{kind(node)} takes its outputs, and has no rule here")
        return shapes_of(node.meta.get("val"))

    def _all(self, node: fx.Node) -> Iterable[Dim]:
        shape = self.shapes.get(node)
        if isinstance(shape, list):
            return [dim for part in shape if part is not None for dim in part]
        return shape or ()

    def _item(self, node: fx.Node) -> Any:
        source, index = node.args
        shapes = self.shapes.get(source) if isinstance(source, fx.Node) else None
        return shapes[index] if isinstance(shapes, list) and isinstance(index, int) else None

    def of(self, node: Any) -> Shape:
        """The shape of a tensor that goes into a call."""
        found = self.shapes.get(node) if isinstance(node, fx.Node) else None
        if not isinstance(found, tuple):
            raise Unfit
        return found

    def given(self, node: fx.Node, name: str) -> Shape | None:
        """The shape of an argument that may be missing."""
        value = named(node)[name]
        return self.of(value) if isinstance(value, fx.Node) else None

    def makes(self, node: Any, dim: int) -> None:
        """Remember that a dimension of a tensor computes positions, if it is a weight, or a part of one."""
        if isinstance(node, fx.Node):
            node, dim = _origin(node, dim % max(len(self.of(node)), 1))
            if self.names.get(node) in self.learnt:
                self.makers.setdefault((self.names[node], dim))

    def hold(self, dims: Iterable[Dim], reason: str) -> None:
        """Let dimensions stay as they are."""
        self.ties.hold(numbers(dims), reason)

    def held(self, dim: Dim, reason: str) -> Dim:
        """The dimension as one that stays."""
        self.hold([dim], reason)
        return tuple(Factor(factor.size) for factor in dim)

    def flat(self, dim: Dim, reason: str) -> Ints | None:
        """Numbers of a dimension position by position; None if it stays as it is."""
        if len(dim) == 1 and dim[0].ids is not None:
            return dim[0].ids
        self.hold([dim], reason)
        return None

    def meet(self, a: Dim, b: Dim, reason: str) -> Dim:
        """Two dimensions of one size that are lined up, as one."""
        if not _alike(a, b):
            self.hold([a, b], reason)
            return tuple(Factor(factor.size) for factor in a)
        return tuple(self._meet(x, y, reason) for x, y in zip(a, b, strict=True))

    def _meet(self, a: Factor, b: Factor, reason: str) -> Factor:
        if a.ids is not None and b.ids is not None:
            self.ties.tie(a.ids, b.ids)
            return a if a.origin is not None else a._replace(origin=b.origin)
        for part in (a, b):
            if part.ids is not None:
                self.ties.hold(part.ids, reason)
        return a if a.ids is None else b

    def broadcast(self, shapes: Sequence[Shape], reason: str) -> Shape:
        """Shapes that are lined up from the right, where a size of one is stretched."""
        rank = max(len(shape) for shape in shapes)
        made: list[Dim] = []
        for i in range(-rank, 0):
            here = [shape[i] for shape in shapes if len(shape) >= -i]
            wide = [dim for dim in here if not is_one(dim)]
            if wide:
                self.hold([dim for dim in here if is_one(dim)], "there is one of it")
            met = (wide or here)[0]
            for dim in (wide or here)[1:]:
                met = self.meet(met, dim, reason)
            made.append(met)
        return tuple(made)

    def indexed(self, dim: Dim, reason: str) -> Dim:
        """A dimension of which certain positions are taken: it stays, unless it can be split the other way round."""
        for factor in dim:
            self.turn(factor)
        return self.held(dim, reason)

    def turn(self, factor: Factor) -> None:
        """Start anew with a split the other way round, if this is the first factor of one."""
        if factor.ids is not None and factor.origin is not None and factor.origin not in self._second:
            raise Turn(factor.origin)

    def split(self, place: str, factor: Factor, first: int) -> tuple[Factor, Factor]:
        """A factor as two of them, row-major: blocks of positions that go whole, unless they are turned.

        Turned, or where that needs nothing more to be tied, the same position of every block goes with the others.
        """
        second = factor.size // first
        if factor.ids is None or self.ties.stays(factor.ids):
            return Factor(first, None, place), Factor(second, None, place)
        grid = factor.ids.reshape(first, second)
        self.coded.append((factor.ids, "the code of the network may have a fixed number of blocks or heads"))
        tied = self.ties.labels()[grid]
        across = bool((tied == tied[:1]).all()) and not (tied == tied[:, :1]).all()
        if place in self.turned or across:
            self._second.add(place)
            self.ties.tie(grid[:1], grid)
            return Factor(first, None, place), Factor(second, grid[0], place)
        self.ties.tie(grid[:, :1], grid)
        return Factor(first, grid[:, 0], place), Factor(second, None, place)

    def swapped(self, factors: Sequence[Factor]) -> None:
        """Turn a split whose factors are put together the other way round, as in a shuffle of channels."""
        seen: set[str] = set()
        for factor in factors:
            if factor.origin is None or factor.origin in self._second:
                continue
            if factor.ids is not None and factor.origin in seen:
                raise Turn(factor.origin)
            seen.add(factor.origin)


_PARTS = (
    "split split_with_sizes chunk tensor_split unsafe_split unsafe_chunk unsafe_split_with_sizes slice narrow getitem "
    "contiguous alias detach _to_copy to"
).split()
_TURNED = "t numpy_T mT transpose swapaxes swapdims permute".split()


def _origin(node: fx.Node, dim: int) -> tuple[fx.Node, int]:
    """Where a tensor comes from that was taken apart or turned on the way, and its dimension there."""
    while node.op == "call_function" and kind(node) in _PARTS + _TURNED:
        if kind(node) in _TURNED:
            dim = _turned(node)[dim]
        source = node.args[0]
        assert isinstance(source, fx.Node)  # noqa: S101 - of these operations
        node = source
    return node, dim


def _turned(node: fx.Node) -> list[int]:
    """Which dimensions of what is turned are those of the result."""
    order = list(range(len(node.meta["val"].shape)))
    given: Any = node.args[1:]
    if kind(node) == "permute":
        return [order[dim] for dim in given[0]]
    if order[1:]:
        one, two = given or (-1, -2)
        order[one], order[two] = order[two], order[one]
    return order


def _alike(a: Dim, b: Dim) -> bool:
    """Whether factors of two dimensions are of the same sizes, or so that it does not matter."""
    return len(a) == len(b) and all(x.size == y.size for x, y in zip(a, b, strict=True))


def kind(node: fx.Node) -> str:
    """The name of an operation, without overload and without the mark of those that work in place."""
    target = node.target
    name = target._opname if isinstance(target, torch._ops.OpOverload) else getattr(target, "__name__", str(target))
    return name.rstrip("_")


class _Arguments(dict[str, Any]):
    def __missing__(self, name: str) -> Any:
        raise Unfit


def named(node: fx.Node) -> dict[str, Any]:
    """Arguments of a call by their names in the schema, defaults among them."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return dict(node.kwargs)
    found = _Arguments()
    for i, argument in enumerate(node.target._schema.arguments):
        value = node.args[i] if i < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        found[argument.name] = value
    return found


def shapes_of(value: Any) -> Any:
    """The shape of something that stays as it is: of a tensor, a list of them for several, None for no tensor."""
    if isinstance(value, torch.Tensor):
        return tuple(fixed(plain(size)) for size in value.shape)
    if isinstance(value, list | tuple):
        return [shapes_of(part) for part in value]
    return None


def filled(walk: Walk, shape: Shape) -> Shape:
    """A shape of values that are all the same, so that any positions may go."""
    return tuple(
        axis(walk.ties.new(dim[0].size)) if len(dim) == 1 and isinstance(dim[0].size, int) else dim for dim in shape
    )


def listed(value: Any) -> list[Any]:
    """An argument that is a list or a single value, as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]
