"""Operations of an exported program as those see them that make layers of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn


@dataclass(frozen=True)
class Call:
    """An operation: its node, and its arguments with parameters, buffers and constants in the place of their nodes.

    Attributes:
        node: it.
        args: its positional arguments.
        names: of the tensors that are parameters, buffers or constants, by their nodes.
    """

    node: fx.Node
    args: tuple[Any, ...]
    names: Mapping[fx.Node, str] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """An argument by its name in the schema, or its default."""
        return self._among(self.args, name)

    def source(self, name: str) -> Any:
        """The same, with the node of whatever is computed or a tensor of the program."""
        return self._among(self.node.args, name)

    def weight(self, name: str = "weight") -> nn.Parameter | None:
        """An argument that is a parameter; None if it is anything else."""
        found = self.value(name)
        return found if isinstance(found, nn.Parameter) else None

    def name(self, name: str = "weight") -> tuple[str, str]:
        """Of an argument that is a tensor of the program: the module that has it, and its name there."""
        path, _, last = self.names[self.source(name)].rpartition(".")
        return path, last

    @property
    def first(self) -> str:
        """Name of the first argument, which is another one where an operation works in place."""
        assert isinstance(self.node.target, torch._ops.OpOverload)  # noqa: S101 - makers are found by it
        return str(self.node.target._schema.arguments[0].name)

    def computed(self, *names: str) -> tuple[Any, ...] | None:
        """The nodes of arguments, if all are computed or given from outside."""
        nodes = tuple(self.source(name) for name in names)
        return nodes if all(isinstance(node, fx.Node) and node not in self.names for node in nodes) else None

    def _among(self, args: tuple[Any, ...], name: str) -> Any:
        target = self.node.target
        assert isinstance(target, torch._ops.OpOverload)  # noqa: S101 - makers are found by it
        for i, argument in enumerate(target._schema.arguments):
            if argument.name == name:
                return args[i] if i < len(args) else self.node.kwargs.get(name, argument.default_value)
        raise KeyError(name)


@dataclass(frozen=True)
class Made:
    """A layer.

    Attributes:
        module: it.
        given: what it is called with: nodes of the program, or tuples of them.
        key: equal for calls of the same layer with the same weights.
        owner: node of the tensor that the layer is named after; None for the first of its tensors.
        at: name that the layer must have; None for one that follows from its owner's.
        results: which part of the layer's result each result of the operation is: (1, 0) is the first of the second.
            None if both have one alone.
    """

    module: nn.Module
    given: tuple[Any, ...]
    key: tuple[Any, ...] = ()
    owner: fx.Node | None = None
    at: str | None = None
    results: Mapping[int, tuple[int, ...]] | None = None


def has_bias(call: Call) -> bool | None:
    """Whether there is a bias; None if it is no parameter."""
    bias = call.value("bias")
    return False if bias is None else True if isinstance(bias, nn.Parameter) else None


def filled(layer: nn.Module, **tensors: Tensor | None) -> nn.Module:
    """Give a layer its weights; those that are None stay as they are."""
    for name, tensor in tensors.items():
        if tensor is not None:
            setattr(layer, name, tensor)
    return layer
