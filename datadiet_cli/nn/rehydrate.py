"""Turn an exported program into a network of real layers again, so that it can be trained, pruned and exported anew.

`torch.export` leaves a list of operations on bare tensors, whose mode (training or evaluation) is fixed. Here
operations that stem from a layer become that layer again, under the name that it had; all others stay as they are.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from datadiet_cli.nn import layers
from datadiet_cli.nn.layers_call import Call, Made
from datadiet_cli.nn.spec import Field

_OPS = torch.ops.aten
_DROPPED = frozenset({_OPS._assert_tensor_metadata.default})
"""They fix the device for good, and compute nothing."""
_MADE = frozenset({_OPS.zeros.default, _OPS.sym_size.int})


def rehydrate(program: ExportedProgram) -> fx.GraphModule:
    """Make a network of real layers out of an exported program.

    Linear layers, convolutions (transposed ones too), norms, embeddings, recurrent networks, activations that learn and
    dropout become the modules of `torch.nn`; a weight shared by two layers stays shared. Names of weights are the
    original ones wherever a layer has them as `torch.nn` names them; the packed in-projection of an attention becomes a
    `layers_wide.Packed` with the names that it had. Parameters that are only added, multiplied, projected by and the
    like stay parameters. What is not used is left out.

    All sizes are those of the tensors, so a program whose weights were cut is taken as well. Dropout within an
    attention is restored from a program that was exported in training mode; in evaluation mode torch writes a share of
    0, and nothing is there to be restored.

    Args:
        program: with tensors as positional arguments and a single tensor as result. It is not changed.

    Returns:
        The network in evaluation mode, with its own copies of all weights; ``meta["inputs"]`` is a list of the shape
        (None for a free size) and type of each argument.

    Raises:
        ValueError: something that learns cannot be turned, or behaves otherwise in training; it is named.
    """
    return _Builder(program).build()


def program_field(network: fx.GraphModule) -> Field:
    """What a network that `rehydrate` made takes, told by the shape of its argument.

    Returns:
        A field of kind ``image`` for (n, 3, size, size) uint8, or float32 from 0 to 1, as ``options["dtype"]`` tells;
        for (n, 1, size, size), pictures without colours, with ``channels`` of 1. Of kind ``vector`` for (n, d) float32.

    Raises:
        ValueError: it takes something else.
    """
    inputs: list[tuple[tuple[int | None, ...], torch.dtype]] = network.meta["inputs"]
    shape, kind = inputs[0] if len(inputs) == 1 else ((), torch.float32)
    name = str(kind).removeprefix("torch.")
    square = len(shape) == 4 and shape[1] in (1, 3) and shape[2] == shape[3] and shape[2] is not None
    if square and name in ("uint8", "float32"):
        grey = {"channels": 1} if shape[1] == 1 else {}
        return Field("image", "image", {"size": shape[2], "dtype": name, **grey})
    if len(shape) == 2 and shape[1] is not None and name == "float32":
        return Field("vector", "vector", {"dimensions": shape[1]})
    told = " and ".join(f"{_shown(of)} {str(dtype).removeprefix('torch.')}" for of, dtype in inputs)
    raise ValueError(
        f"the network takes {told or 'nothing'}; it must take (n, 3, size, size) or (n, 1, size, size) "
        "pictures, uint8 or float32, or (n, d) float32 vectors"
    )


def _shown(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('n' if size is None else str(size) for size in shape)})"


@dataclass
class _Builder:
    """Walks through a program once, and writes a graph of modules."""

    program: ExportedProgram
    root: nn.Module = field(default_factory=nn.Module)
    graph: fx.Graph = field(default_factory=fx.Graph)
    new: dict[fx.Node, fx.Node] = field(default_factory=dict)
    names: dict[fx.Node, str] = field(default_factory=dict)
    """Of the placeholders of parameters, buffers and constants."""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """Our copies, by name; one for names that stand for the same tensor."""
    made: dict[tuple[Any, ...], str] = field(default_factory=dict)
    """Names of layers, by what they are made of: a layer that is called twice stays one."""

    def build(self) -> fx.GraphModule:
        inputs = self._placeholders()
        for node in self.program.graph.nodes:
            if node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                self._output(node)
            elif node.op != "placeholder":
                raise ValueError(f"the network has control flow ({node.name}), which cannot be turned into layers")
        self._sweep()
        self.graph.lint()
        network = fx.GraphModule(self.root, self.graph)
        network.meta["inputs"] = inputs
        return network.eval()

    def _placeholders(self) -> list[tuple[tuple[int | None, ...], torch.dtype]]:
        nodes = {node.name: node for node in self.program.graph.nodes if node.op == "placeholder"}
        inputs: list[tuple[tuple[int | None, ...], torch.dtype]] = []
        copies: dict[int, Tensor] = {}
        for spec in self.program.graph_signature.input_specs:
            node = nodes.get(getattr(spec.arg, "name", ""))
            if spec.kind == InputKind.USER_INPUT:
                given = None if node is None else node.meta.get("val")
                if node is None or not isinstance(given, Tensor):
                    raise ValueError("the network takes an argument that is no tensor")
                self.new[node] = self.graph.placeholder(node.name)
                sizes = tuple(size if isinstance(size, int) else None for size in given.shape)
                inputs.append((sizes, given.dtype))
            elif node is None or spec.target is None:
                raise ValueError(f"the network has a part that is no tensor ({spec.target})")
            else:
                self.names[node] = spec.target
                self.tensors[spec.target] = self._copy(spec.target, spec.kind == InputKind.PARAMETER, copies)
        return inputs

    def _copy(self, name: str, learns: bool, copies: dict[int, Tensor]) -> Tensor:
        known = self.program.state_dict if name in self.program.state_dict else self.program.constants
        old = known[name]
        if not isinstance(old, Tensor):
            raise ValueError(f"the network has a part that is no tensor ({name})")
        if id(old) not in copies:
            copy = old.detach().clone()
            copies[id(old)] = nn.Parameter(copy) if learns else copy
        return copies[id(old)]

    def _call(self, node: fx.Node) -> None:
        if node in self.new or node.target in _DROPPED or self._counts(node):
            return
        maker = layers.MAKERS.get(node.target)
        if maker is not None and self._layer(node, maker):
            return
        for source in node.all_input_nodes:
            if source in self.names:
                self._lift(source, node)
        self._refuse_modes(node)
        target = node.target if node.kwargs else layers.LOOSE.get(node.target, node.target)
        assert callable(target)  # noqa: S101 - of a call_function
        self.new[node] = self.graph.call_function(target, *self._arguments(node))

    def _arguments(self, node: fx.Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return fx.map_arg(node.args, self.new.__getitem__), fx.map_arg(node.kwargs, self.new.__getitem__)

    def _counts(self, node: fx.Node) -> bool:
        """Whether an operation only counts the batches of a batch norm, which the layer does itself."""
        sources = node.all_input_nodes
        return len(sources) == 1 and self.names.get(sources[0], "").endswith("num_batches_tracked")

    def _layer(self, node: fx.Node, maker: Callable[[Call], Made | None]) -> bool:
        """Write an operation as a layer, if its weights are plain parameters."""
        tensors = [source for source in node.all_input_nodes if source in self.names]
        values = fx.map_arg(node.args, lambda source: self.tensors[self.names[source]] if source in tensors else source)
        try:
            made = maker(Call(node, values, self.names))
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError) as error:
            # Whoever wrote the file by hand may say anything of how a layer is set.
            raise ValueError(f"the network has {_name_of(node)} of another form than torch writes it") from error
        if made is None:
            return False
        given = _nodes(made.given)
        weights = [source for source in tensors if source not in given]
        # Each dropout is one of its own; anything with weights is known by them and by how it is set.
        key = (made.key, *(id(self.tensors[self.names[source]]) for source in weights)) if weights else (node,)
        if key not in self.made:
            if made.at is not None and self._taken(made.at):
                return False
            owner = made.owner or (weights[0] if weights else None)
            self.made[key] = self._put(made, None if owner is None else self.names[owner], node)
        for source in given:
            if source in self.names:
                self._lift(source, None)
        self._results(node, self.graph.call_module(self.made[key], fx.map_arg(made.given, self.new.__getitem__)), made)
        return True

    def _results(self, node: fx.Node, called: fx.Node, made: Made) -> None:
        """Say what stands for an operation's result, or for each of them."""
        if made.results is None:
            self.new[node] = called
            return
        for user in node.users:
            part = called
            for i in made.results.get(user.args[1], ()) if user.users else ():  # type: ignore[arg-type]
                part = self.graph.call_function(operator.getitem, (part, i))
            self.new[user] = part

    def _put(self, made: Made, weight: str | None, node: fx.Node) -> str:
        """Register a layer under the name it had."""
        path, _, last = (weight or node.name).rpartition(".")
        if weight is not None and made.owner is None and last not in ("weight", "running_mean"):
            path = f"{path}.{last.removesuffix('_weight')}".removeprefix(".")  # beside layers of their own
        path = made.at or self._said(node, weight) or path or (node.name if weight is None else "layer")
        while self._taken(path):
            path += "_again"
        counter = self.tensors.get(f"{path}.num_batches_tracked")
        if isinstance(made.module, nn.modules.batchnorm._NormBase) and counter is not None:
            made.module.num_batches_tracked = counter
        self._parent(path).add_module(path.rpartition(".")[2], made.module)
        return path

    def _said(self, node: fx.Node, weight: str | None) -> str | None:
        """The name that the program says the module had: of dropout, and of a weight that has two names."""
        stack = list(node.meta.get("nn_module_stack", {}).values())
        path, kind = (str(part) for part in stack[-1]) if stack else ("", "")
        if weight is None:
            return path if "torch.nn.modules.dropout." in kind and not self._taken(path) else None
        known = self.program.state_dict
        other = known.get(f"{path}.weight")
        if not isinstance(other, Tensor) or weight not in known or other.shape != known[weight].shape:
            return None
        return path if torch.equal(other, known[weight]) else None

    def _taken(self, path: str) -> bool:
        here: Any = self.root
        for step in path.split("."):
            if not hasattr(here, step):
                return False
            here = getattr(here, step)
        return True

    def _parent(self, path: str) -> nn.Module:
        here = self.root
        for step in path.split(".")[:-1]:
            if not hasattr(here, step):
                here.add_module(step, nn.Module())
            here = here.get_submodule(step)
        return here

    def _lift(self, source: fx.Node, user: fx.Node | None) -> None:
        """Register a tensor that an operation takes as it is, if it may; a layer always may."""
        name = self.names[source]
        tensor = self.tensors[name]
        plain = user is None or (isinstance(user.target, torch._ops.OpOverload) and user.target._opname in layers.PLAIN)
        if isinstance(tensor, nn.Parameter) and not plain:
            raise ValueError(
                f"the weight {name} is used by {_name_of(user)}, which cannot be turned into a layer; export the "
                "network with torch.export.export, save it without run_decompositions, and use layers of torch.nn"
            )
        if source in self.new:
            return
        path = name
        while self._taken(path):
            path += "_again"
        parent, last = self._parent(path), path.rpartition(".")[2]
        if isinstance(tensor, nn.Parameter):
            parent.register_parameter(last, tensor)
        else:
            parent.register_buffer(last, tensor)
        self.new[source] = self.graph.get_attr(path)

    def _refuse_modes(self, node: fx.Node) -> None:
        """Refuse what would go on as in evaluation when the network is trained."""
        if isinstance(node.target, torch._ops.OpOverload):
            stateless = node.target is _OPS.instance_norm.default and node.args[3] is None
            if node.target._opname in layers.MODAL and not stateless:
                raise ValueError(f"the network has {_name_of(node)}, which cannot be turned into a layer")
            tracked = [a for a in node.all_input_nodes if isinstance(self.tensors.get(self.names.get(a, "")), Tensor)]
            if tracked and node.target._schema.is_mutable and node.args and node.args[0] in tracked:
                raise ValueError(f"the network changes {self.names[tracked[0]]} when it runs, which cannot be turned")

    def _sweep(self) -> None:
        """Take out zeros that were made for a recurrent network alone, with their sizes."""
        for node in reversed(self.graph.nodes):
            if node.target in _MADE and not node.users:
                self.graph.erase_node(node)

    def _output(self, node: fx.Node) -> None:
        kept = set(self.program.graph_signature.user_outputs)
        given = node.args[0] if isinstance(node.args[0], tuple | list) else (node.args[0],)
        found = [value for value in given if isinstance(value, fx.Node) and value.name in kept]
        if len(kept) != 1 or len(found) != 1 or found[0] not in self.new:
            raise ValueError(f"the network gives {len(kept)} results; it must give one tensor")
        self.graph.output(self.new[found[0]])


def _nodes(given: Any) -> list[fx.Node]:
    """All nodes among what a layer is called with."""
    found: list[fx.Node] = []
    fx.map_arg(given, found.append)
    return found


def _name_of(node: fx.Node | None) -> str:
    return "" if node is None else str(node.target).removesuffix(".default")
