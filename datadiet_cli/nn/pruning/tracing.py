"""Find out what of an exported program can be taken out: a walk through its graph, and the groups that it leaves."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind

from datadiet_cli.nn.pruning import rules_layers, rules_plain, rules_shapes  # noqa: F401 - they register themselves
from datadiet_cli.nn.pruning.axes import Dim, Shape, axis, fixed
from datadiet_cli.nn.pruning.base import Structure
from datadiet_cli.nn.pruning.grouping import Known, Places, grouped
from datadiet_cli.nn.pruning.rules import Turn, Walk, shapes_of

_MOST_TURNS = 1000


def structure_of(
    program: ExportedProgram,
    *,
    prefix: str = "",
    head: Mapping[str, torch.Tensor] | None = None,
    protected: Collection[str] = (),
    whole_heads: bool = True,
) -> Structure:
    """Find the groups of units of a network that can only go together.

    The graph is walked through once: each position of each dimension of each weight is followed to the positions of
    other weights that it meets (Fang et al., "DepGraph: towards any structural pruning", CVPR 2023, section 3, by
    positions in the place of layers). Inputs, results and what no rule knows stay as they are.

    Args:
        program: as `torch.export.export` makes it, not decomposed. It is not changed.
        prefix: put before each name of a tensor, for a program that is a part of a larger model.
        head: tensors by full name of a linear layer (NAME.weight, and maybe NAME.bias) that takes the result, and is
            not in the program. Its columns go with the last dimension of the result. None: the result stays as it is.
        protected: full names of modules of which no output may go; those within them count.
        whole_heads: whether blocks, such as heads of an attention, may go, parts of a layer that go different ways,
            and widths of constants. A class whose code counts them cannot do with fewer, and may even go on without
            an error; a program can, as `rewriting.rewritten` rewrites it.

    Returns:
        Groups, and the layers that stay whole, each with the reason.

    Raises:
        ValueError: a protected module is not there, or the head does not take the result.
    """
    walk = walked(program)
    places, kinds = _places(program, walk, prefix)
    makers = [(name, dim) for own, dim in walk.makers for name in _names(places, prefix + own)]
    roles = {name: role for own, role in walk.roles.items() for name in _names(places, prefix + own)}
    _hold_ends(program, walk, head)
    if head:
        places.update(_headed(program, walk, head))
        roles.update({name: f"linear.{name.rpartition('.')[2]}" for name in head})
    for name in protected:
        _protect(walk, places, makers, name)
    if not whole_heads:
        for name in places:
            _hold_attention(walk, places, name)
        for ids, reason in walk.coded:
            walk.ties.hold(ids, reason)
        for name, dims in places.items():
            if kinds.get(name) == InputKind.CONSTANT_TENSOR or name.removeprefix(prefix) in _passing(program):
                walk.hold(dims, "a constant of the network has its width")
    learnt = [name for name in places if name.removeprefix(prefix) in program.graph_signature.parameters]
    return grouped(walk, places, makers, Known(roles, [*learnt, *(head or ())]))


def walked(program: ExportedProgram) -> Walk:
    """Walk through a graph, as often as it takes to split each dimension the right way round."""
    turned: set[str] = set()
    for _ in range(_MOST_TURNS):
        walk = Walk(turned)
        try:
            _through(program, walk)
        except Turn as turn:
            turned.add(turn.place)
            continue
        return walk
    raise ValueError("the network splits dimensions in too many ways")


def _through(program: ExportedProgram, walk: Walk) -> None:
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    seen: dict[tuple[Any, ...], Shape] = {}
    for spec in program.graph_signature.input_specs:
        node = nodes.get(getattr(spec.arg, "name", ""))
        if node is None:
            continue
        walk.shapes[node] = shapes_of(node.meta.get("val"))
        tensor = tensor_of(program, spec.target) if spec.kind != InputKind.USER_INPUT else None
        if tensor is not None and spec.target is not None and tensor.is_floating_point():
            walk.names[node] = spec.target
            if spec.kind == InputKind.PARAMETER:
                walk.learnt.add(spec.target)
            walk.shapes[node] = seen.setdefault(identity(tensor), tuple(axis(walk.ties.new(n)) for n in tensor.shape))
    for node in living(program):
        if node.op == "call_function":
            walk.visit(node)


def living(program: ExportedProgram) -> list[fx.Node]:
    """Nodes that a result depends on, or that do something else, in order."""
    found: set[fx.Node] = set()
    for node in reversed(program.graph.nodes):
        if node.op != "call_function" or node.is_impure() or any(user in found for user in node.users):
            found.add(node)
    return [node for node in program.graph.nodes if node in found]


def tensor_of(program: ExportedProgram, name: str | None) -> torch.Tensor | None:
    """A parameter, buffer or constant by name."""
    found = program.state_dict.get(name, program.constants.get(name)) if name is not None else None
    return found if isinstance(found, torch.Tensor) else None


def identity(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Equal for names of the same tensor."""
    return (tensor.data_ptr(), tuple(tensor.shape), tensor.stride()) if tensor.numel() else (id(tensor),)


def _passing(program: ExportedProgram) -> set[str]:
    """Names of tensors that are in the program, but not in its state."""
    return {name for name in program.constants if name not in program.state_dict}


def _places(program: ExportedProgram, walk: Walk, prefix: str) -> tuple[Places, dict[str, InputKind]]:
    """Dimensions of all tensors by full name: of those that share memory with one in the graph, too."""
    found: dict[str, Shape] = {}
    kinds: dict[str, InputKind] = {}
    known: dict[tuple[Any, ...], Shape] = {}
    for spec in program.graph_signature.input_specs:
        tensor = tensor_of(program, spec.target)
        node = next((node for node, name in walk.names.items() if name == spec.target), None)
        if tensor is not None and node is not None and spec.target is not None:
            found[spec.target] = known.setdefault(identity(tensor), walk.of(node))
            kinds[prefix + spec.target] = spec.kind
    for name, value in {**program.constants, **program.state_dict}.items():
        if isinstance(value, torch.Tensor) and name not in found:
            found[name] = known.get(identity(value)) or tuple(fixed(size) for size in value.shape)
    order = [*program.state_dict, *(name for name in found if name not in program.state_dict)]
    return {prefix + name: found[name] for name in order if name in found}, kinds


def _names(places: Places, name: str) -> list[str]:
    """Names of the tensor that has a name: several if layers share it."""
    return [other for other, shape in places.items() if shape is places[name] and shape] or [name]


def _hold_ends(program: ExportedProgram, walk: Walk, head: object) -> None:
    """Hold what the program gives, all but the width that a head takes."""
    output = next(node for node in program.graph.nodes if node.op == "output")
    results = set(program.graph_signature.user_outputs)
    mutated = {spec.arg.name for spec in program.graph_signature.output_specs if spec.kind != OutputKind.USER_OUTPUT}
    for node in output.all_input_nodes:
        shape = walk.shapes.get(node)
        if not isinstance(shape, tuple):
            continue
        if node.name in mutated:
            walk.hold(shape, "it is written to")
        elif node.name in results:
            walk.hold(shape[:-1] if head else shape, "its outputs are the network's answer")


def _headed(program: ExportedProgram, walk: Walk, head: Mapping[str, torch.Tensor]) -> Places:
    """Line the columns of a linear layer up with what the program gives."""
    output = next(node for node in program.graph.nodes if node.op == "output")
    shapes = [walk.shapes.get(node) for node in output.all_input_nodes]
    made: Places = {}
    for name, tensor in head.items():
        dims = [walk.ties.new(size) for size in tensor.shape]
        made[name] = tuple(axis(ids) for ids in dims)
        walk.ties.hold(dims[0], "its outputs are the network's answer")
        if tensor.dim() == 2:
            last: Dim = shapes[0][-1] if len(shapes) == 1 and isinstance(shapes[0], tuple) and shapes[0] else ()
            if sum(factor.size for factor in last) != tensor.shape[1]:
                raise ValueError(f"{name} takes {tensor.shape[1]} numbers, which is not what the network gives")
            walk.meet(last, made[name][1], "the head takes it")
    return made


def _protect(walk: Walk, places: Places, makers: list[tuple[str, int]], name: str) -> None:
    """Hold the outputs of a module and of those within it."""
    found = False
    for tensor, dims in places.items():
        if tensor == name or tensor.startswith(name + "."):
            found = True
            made = [dim for i, dim in enumerate(dims) if (tensor, i) in makers]
            walk.hold(made or (dims if len(dims) == 1 else ()), "it is protected")
    if not found:
        raise ValueError(f"there is no layer {name} with weights")


def _hold_attention(walk: Walk, places: Places, name: str) -> None:
    """Hold all of an `nn.MultiheadAttention`, which has one width inside and outside, if this is its first weight."""
    path, _, own = name.rpartition(".")
    path = f"{path}." if path else ""
    if own not in ("in_proj_weight", "q_proj_weight") or f"{path}out_proj.weight" not in places:
        return
    for tensor in _ATTENTION:
        dims = places.get(path + tensor, ())
        # Keys and values of other widths than that have them in these.
        dims = dims[:1] if tensor in ("k_proj_weight", "v_proj_weight") else dims
        walk.hold(dims, "torch.nn.MultiheadAttention has one width for all its weights")


_ATTENTION = (
    "in_proj_weight in_proj_bias q_proj_weight k_proj_weight v_proj_weight bias_k bias_v out_proj.weight".split()
)
