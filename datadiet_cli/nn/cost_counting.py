"""Which operations a model makes of a sample, and with which of its weights."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Inputs = Sequence[Any]
"""Tensors of n samples each; for what takes them (ONNX Runtime), arrays."""

_ATEN = torch.ops.aten
# Where the factors of a product are among its arguments; of a convolution only the weight can be one of the model.
_FACTORS = {
    _ATEN.mm: (0, 1),
    _ATEN.bmm: (0, 1),
    _ATEN.addmm: (1, 2),
    _ATEN.baddbmm: (1, 2),
    _ATEN._scaled_mm: (0, 1),
}
_CONVOLUTIONS = {_ATEN.convolution, _ATEN._convolution, _ATEN.cudnn_convolution, _ATEN.convolution_overrideable}
# A matrix times a vector, which torch has no formula for: where the matrix is.
_OF_VECTORS = {_ATEN.mv: 0, _ATEN.addmv: 1}
_RECURRENT = {_ATEN.mkldnn_rnn_layer, _ATEN._cudnn_rnn}


@dataclass
class Sum:
    """Operations with the weights of a module, or with none."""

    macs: int = 0
    effective: int = 0


def count(model: nn.Module, inputs: Inputs) -> Mapping[str | None, Sum]:
    """Operations of one sample, by the module whose weights they are made with; None where there is no weight.

    Args:
        model: takes `inputs` as its arguments; it computes in eval mode and is left as it was.
        inputs: tensors of n samples each, on the model's device; the first is sent through the model.

    Raises:
        ValueError: there are no samples, or the model has branches (`torch.cond`), which cannot be counted.
    """
    part = batch_of(inputs, 1)
    counter = _Counter(_Owners.of(model))
    # Fused attention and encoder layers are single operations, for which torch has no formula on every device.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with evaluating(model), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            model(*part)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return counter.found


def batch_of(inputs: Inputs, size: int) -> list[Any]:
    """So many samples, the first ones, again from the first after the last.

    Raises:
        ValueError: there are none.
    """
    if not inputs or not len(inputs[0]):
        raise ValueError("there are no samples to send through the model")
    return [
        one[torch.arange(size, device=one.device) % len(one)]
        if isinstance(one, torch.Tensor)
        else one[np.arange(size) % len(one)]
        for one in inputs
    ]


@contextmanager
def evaluating(model: object) -> Iterator[None]:
    """Eval mode, and each module's own mode again afterwards; nothing of what is no module."""
    modes = [(module, module.training) for module in model.modules()] if isinstance(model, nn.Module) else []
    if isinstance(model, nn.Module):
        model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@dataclass(frozen=True)
class _Owners:
    """Whose memory an address is in: views, transposed or cut, are so known to be of the same weight."""

    starts: list[int]
    ends: list[int]
    names: list[str]

    @classmethod
    def of(cls, model: nn.Module) -> "_Owners":
        # A program that was exported may have its weights as buffers.
        own = [*model.named_parameters(), *model.named_buffers()]
        places = sorted(
            (tensor.data_ptr(), tensor.data_ptr() + _extent(tensor), name.rpartition(".")[0])
            for name, tensor in own
            if tensor.numel()
        )
        return cls([start for start, _, _ in places], [end for _, end, _ in places], [name for _, _, name in places])

    def owner(self, tensor: torch.Tensor) -> str | None:
        address = tensor.data_ptr()
        place = bisect_right(self.starts, address) - 1
        return self.names[place] if place >= 0 and address < self.ends[place] else None


def _extent(tensor: torch.Tensor) -> int:
    """Bytes from the first element to the end of the last."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size()


class _Product(NamedTuple):
    """Operations of one call, and the weight that they are made with."""

    macs: int
    weight: torch.Tensor | None


class _Counter(TorchDispatchMode):
    """Counts the operations that go by."""

    supports_higher_order_operators = True

    def __init__(self, owners: _Owners) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: dict[str | None, Sum] = {}
        self._owners = owners
        self._shares: dict[tuple[Any, ...], tuple[int, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not isinstance(func, torch._ops.OpOverload):
            raise ValueError(f"the operations of {func} cannot be counted")
        op = func.overloadpacket
        if op not in flop_registry and op not in _RECURRENT and op not in _OF_VECTORS:
            with self:
                found = func.decompose(*args, **kwargs)
            if found is not NotImplemented:
                return found
        out = func(*args, **kwargs)
        for product in self._products(op, args, kwargs, out):
            self._add(product)
        return out

    def _products(self, op: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> Iterator[_Product]:
        if op in _RECURRENT:
            yield from _recurrent(op, args)
        elif op in _OF_VECTORS:
            matrix = args[_OF_VECTORS[op]]
            yield _Product(matrix.numel(), self._weight(matrix))
        elif op in flop_registry:
            factors = (1,) if op in _CONVOLUTIONS else _FACTORS.get(op, ())
            # A layer multiplies by its weight from the right.
            weights = (self._weight(args[i]) for i in reversed(factors))
            weight = next((one for one in weights if one is not None), None)
            yield _Product(int(flop_registry[op](*args, **kwargs, out_val=out)) // 2, weight)

    def _weight(self, tensor: torch.Tensor) -> torch.Tensor | None:
        return tensor if self._owners.owner(tensor) is not None else None

    def _add(self, product: _Product) -> None:
        count, weight = product
        total = self.found.setdefault(None if weight is None else self._owners.owner(weight), Sum())
        nonzero, size = (1, 1) if weight is None else self._share(weight)
        total.macs += count
        # Each element of a weight takes part in as many operations as any other.
        total.effective += count * nonzero // size

    def _share(self, weight: torch.Tensor) -> tuple[int, int]:
        """How many elements are not 0, and how many there are; recurrent layers ask for each step."""
        key = (weight.data_ptr(), weight.shape, weight.stride())
        if key not in self._shares:
            self._shares[key] = int(torch.count_nonzero(weight)), weight.numel()
        return self._shares[key]


def _recurrent(op: Any, args: tuple[Any, ...]) -> Iterator[_Product]:
    """A recurrent layer in one call: each step multiplies by each of its matrices."""
    steps = args[0].numel() // args[0].shape[-1]
    for weight in args[1:3] if op is _ATEN.mkldnn_rnn_layer else args[1]:
        if weight.dim() == 2:
            yield _Product(steps * weight.numel(), weight)
