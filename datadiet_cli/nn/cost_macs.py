"""Multiply-accumulate operations of a model: of all, of each layer, and those that are left without its zeros."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from datadiet_cli.nn.cost_counting import Inputs, Sum, count


@dataclass(frozen=True)
class Layer:
    """A module that has weights of its own, and what it costs.

    Attributes:
        name: as `Module.named_modules` has it.
        kind: its class, that of `torch.nn` if it is derived from one.
        shape: of its largest parameter.
        parameters: of its own; those it shares with an earlier module count there.
        nonzero: those that are not 0.
        macs: multiply-accumulate operations of one sample with its weights.
        effective: those of them whose weight is not 0.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    nonzero: int
    macs: int
    effective: int

    def as_json(self) -> dict[str, Any]:
        """As the report has it."""
        return asdict(self)


def macs(model: nn.Module, inputs: Inputs) -> int:
    """Multiply-accumulate operations that a model makes of one sample.

    Those of matrix products, linear layers, convolutions, recurrent layers and attention are counted, as they are run;
    a zero counts as any number. The model computes in eval mode and is left as it was.

    Args:
        model: takes `inputs` as its arguments.
        inputs: tensors of n samples each, on the model's device; the first is sent through the model.

    Raises:
        ValueError: there are no samples, or the model has branches (`torch.cond`), which cannot be counted.
    """
    return sum(one.macs for one in count(model, inputs).values())


def macs_by_layer(model: nn.Module, inputs: Inputs) -> dict[str, int]:
    """Multiply-accumulate operations of one sample, by the module whose weights they are made with.

    The module is found by the weight itself, so it need not be called: so are the in-projection of
    `nn.MultiheadAttention` and weights that a model hands to functions.

    Args:
        model: as for `macs`.
        inputs: as for `macs`.

    Returns:
        By name as `Module.named_modules` has it, in its order; what is made with no weight (products of attention), or
        with one that was computed from others, is under the empty name. The values add up to `macs`.

    Raises:
        ValueError: as for `macs`.
    """
    found = count(model, inputs)
    order = [name for name, _ in model.named_modules() if name]
    by_name = {name: found[name].macs for name in order if name in found}
    rest = found.get(None, Sum()).macs + found.get("", Sum()).macs
    return by_name | ({"": rest} if rest else {})


def effective_macs(model: nn.Module, inputs: Inputs) -> int:
    """Multiply-accumulate operations of one sample whose weight is not 0, as if a program could leave out the others.

    Those with no weight are counted whole. Dense arithmetic makes all of `macs`.

    Args:
        model: as for `macs`.
        inputs: as for `macs`.

    Raises:
        ValueError: as for `macs`.
    """
    return sum(one.effective for one in count(model, inputs).values())


def layers(model: nn.Module, inputs: Inputs) -> list[Layer]:
    """What each layer costs.

    Args:
        model: as for `macs`.
        inputs: as for `macs`.

    Returns:
        A row for each module with parameters of its own, in the order of `Module.named_modules`. The sum of their
        operations is less than `macs` by those that are made with no weight.

    Raises:
        ValueError: as for `macs`.
    """
    found = count(model, inputs)
    rows = []
    seen: set[int] = set()
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if not own:
            continue
        new = [tensor for tensor in own if id(tensor) not in seen]
        seen.update(map(id, own))
        cost = found.get(name, Sum())
        rows.append(
            Layer(
                name,
                _kind(module),
                tuple(max(own, key=torch.Tensor.numel).shape),
                sum(tensor.numel() for tensor in new),
                sum(int(torch.count_nonzero(tensor.detach())) for tensor in new),
                cost.macs,
                cost.effective,
            )
        )
    return rows


def _kind(module: nn.Module) -> str:
    """Its class, or the one of `torch.nn` that it is made from."""
    for kind in type(module).__mro__[:-2]:
        if getattr(nn, kind.__name__, None) is kind:
            return str(kind.__name__)
    return type(module).__name__
