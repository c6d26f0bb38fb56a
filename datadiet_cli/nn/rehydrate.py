"""Turn an exported program into a network of real layers again, so that it can be trained, pruned and exported anew.

`torch.export` leaves a list of operations on bare tensors, whose mode (training or evaluation) is fixed. Here
operations that stem from a layer become that layer again, under the name that it had; all others stay as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from datadiet_cli.nn import layers
from datadiet_cli.nn.spec import Field

_OPS = torch.ops.aten
_DROPPED = frozenset({_OPS._assert_tensor_metadata.default})
"""They fix the device for good, and compute nothing."""
_PLAIN = frozenset(
    "add add_ sub sub_ mul mul_ div div_ cat stack expand expand_as repeat reshape view unsqueeze squeeze slice select "
    "matmul mm bmm where clamp exp sigmoid tanh softplus to _to_copy clone alias detach contiguous".split()
)
"""Operations that do the same to a parameter in training as in evaluation."""


def rehydrate(program: ExportedProgram) -> fx.GraphModule:
    """Make a network of real layers out of an exported program.

    Linear layers, convolutions (transposed ones too), batch, layer and group norms, embeddings and dropout become the
    modules of `torch.nn`; a weight shared by two layers stays shared. Names of weights are the original ones wherever a
    layer has them as ``NAME.weight`` and ``NAME.bias``. Parameters that are only added, multiplied and the like stay
    parameters. What is not used is left out.

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
        A field of kind ``image`` for (n, 3, size, size) uint8, or float32 from 0 to 1, as ``options["dtype"]`` tells.
        Of kind ``vector`` for (n, d) float32.

    Raises:
        ValueError: it takes something else.
    """
    inputs: list[tuple[tuple[int | None, ...], torch.dtype]] = network.meta["inputs"]
    shape, kind = inputs[0] if len(inputs) == 1 else ((), torch.float32)
    name = str(kind).removeprefix("torch.")
    square = len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3] and shape[2] is not None
    if square and name in ("uint8", "float32"):
        return Field("image", "image", {"size": shape[2], "dtype": name})
    if len(shape) == 2 and shape[1] is not None and name == "float32":
        return Field("vector", "vector", {"dimensions": shape[1]})
    told = " and ".join(f"{_shown(of)} {str(dtype).removeprefix('torch.')}" for of, dtype in inputs)
    raise ValueError(
        f"the network takes {told or 'nothing'}; it must take (n, 3, size, size) pictures, uint8 or float32, "
        "or (n, d) float32 vectors"
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
        if node.target in _DROPPED or self._counts(node):
            return
        maker = layers.MAKERS.get(node.target)
        if maker is not None and self._layer(node, maker):
            return
        for source in node.all_input_nodes:
            if source in self.names:
                self._lift(source, node)
        self._refuse_modes(node)
        assert callable(node.target)  # noqa: S101 - of a call_function
        self.new[node] = self.graph.call_function(node.target, *self._arguments(node))

    def _arguments(self, node: fx.Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def new(source: fx.Node) -> fx.Node:
            return self.new[source]

        return fx.map_arg(node.args, new), fx.map_arg(node.kwargs, new)

    def _counts(self, node: fx.Node) -> bool:
        """Whether an operation only counts the batches of a batch norm, which the layer does itself."""
        sources = node.all_input_nodes
        return len(sources) == 1 and self.names.get(sources[0], "").endswith("num_batches_tracked")

    def _layer(self, node: fx.Node, maker: Callable[..., layers.Made | None]) -> bool:
        """Write an operation as a layer, if its weights are plain parameters."""
        values = [self.tensors[self.names[a]] if isinstance(a, fx.Node) and a in self.names else a for a in node.args]
        made = maker(layers.Call(node, tuple(values)))
        if made is None:
            return False
        weight = next((self.names[a] for a in node.args if isinstance(a, fx.Node) and a in self.names), None)
        # Each dropout is one of its own; anything with weights is known by them and by how it is set.
        key = (made.key, *(id(v) for v in values if isinstance(v, Tensor))) if weight is not None else (node,)
        if key not in self.made:
            self.made[key] = self._put(made.module, weight, node)
        given = node.args[made.argument]
        assert isinstance(given, fx.Node)  # noqa: S101 - makers see to it
        self.new[node] = self.graph.call_module(self.made[key], (self.new[given],))
        return True

    def _put(self, module: nn.Module, weight: str | None, node: fx.Node) -> str:
        """Register a layer under the name it had."""
        path, _, last = (weight or node.name).rpartition(".")
        if weight is not None and last not in (
            "weight",
            "running_mean",
        ):  # as "in_proj_weight", beside layers of their own
            path = f"{path}.{last.removesuffix('_weight')}".removeprefix(".")
        path = self._said(node, weight) or path or (node.name if weight is None else "layer")
        while self._taken(path):
            path += "_again"
        counter = self.tensors.get(f"{path}.num_batches_tracked")
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and counter is not None:
            module.num_batches_tracked = counter
        self._parent(path).add_module(path.rpartition(".")[2], module)
        return path

    def _said(self, node: fx.Node, weight: str | None) -> str | None:
        """The name that the program says an operation's module had: of dropout, and of a weight that has two names."""
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

    def _lift(self, source: fx.Node, user: fx.Node) -> None:
        """Register a tensor that an operation takes as it is, if it may."""
        name = self.names[source]
        tensor = self.tensors[name]
        plain = isinstance(user.target, torch._ops.OpOverload) and user.target._opname in _PLAIN
        if isinstance(tensor, nn.Parameter) and not plain:
            raise ValueError(
                f"the weight {name} is used by {_name_of(user)}, which cannot be turned into a layer; export the "
                "network with torch.export.export, and save it without run_decompositions"
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
            if node.target._opname in layers.MODAL:
                raise ValueError(f"the network has {_name_of(node)}, which cannot be turned into a layer")
            tracked = [a for a in node.all_input_nodes if isinstance(self.tensors.get(self.names.get(a, "")), Tensor)]
            if tracked and node.target._schema.is_mutable and node.args and node.args[0] in tracked:
                raise ValueError(f"the network changes {self.names[tracked[0]]} when it runs, which cannot be turned")

    def _output(self, node: fx.Node) -> None:
        kept = set(self.program.graph_signature.user_outputs)
        given = node.args[0] if isinstance(node.args[0], tuple | list) else (node.args[0],)
        found = [value for value in given if isinstance(value, fx.Node) and value.name in kept]
        if len(kept) != 1 or len(found) != 1 or found[0] not in self.new:
            raise ValueError(f"the network gives {len(kept)} results; it must give one tensor")
        self.graph.output(self.new[found[0]])


def _name_of(node: fx.Node) -> str:
    return str(node.target).removesuffix(".default")
