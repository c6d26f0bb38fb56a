"""What a layer tells of its weights when it is called: the inputs that they take, and the outputs that they make."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.rnn import PackedSequence

from datadiet_cli.nn.layers_wide import Packed

_TAKING = (nn.Linear, Packed, _ConvNd, nn.MultiheadAttention, nn.RNNBase)
_WORDS = (nn.Embedding, nn.EmbeddingBag)
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: nn.functional.conv_transpose1d,
    2: nn.functional.conv_transpose2d,
    3: nn.functional.conv_transpose3d,
}


class Told(NamedTuple):
    """Something about a weight, of one call of its layer.

    Attributes:
        weight: its name in the layer.
        total: of a shape that can be multiplied with the weight.
        number: how many were added up, of such a shape too; 1 where that does not matter.
    """

    weight: str
    total: Tensor
    number: Tensor


def takes(layer: nn.Module) -> bool:
    """Whether a layer multiplies its inputs with weights: linear, convolution, attention, recurrent."""
    return isinstance(layer, _TAKING)


def norms(layer: nn.Module) -> bool:
    """Whether a layer brings its inputs to a common scale, and then multiplies each with a weight of its own."""
    return isinstance(layer, _NORMS)


def tells(layer: nn.Module) -> bool:
    """Whether `inputs_of` or `outputs_of` have something to say of a layer."""
    return takes(layer) or norms(layer) or isinstance(layer, _WORDS)


def inputs_of(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Iterator[Told]:
    """Sums of squares of what the weights of a layer are multiplied with.

    Exact for linear layers, for convolutions (each place of the kernel by itself, with its stride, padding and groups),
    for embeddings (of the indicator of a token, whose square is how often it comes), and for the in-projections of
    attention. Of recurrent layers the first one's inputs are known, and the last one's hidden states, as which all of
    its outputs are taken. Bags of words, the out-projection inside `nn.MultiheadAttention` and other layers tell
    nothing.

    Args:
        layer: that was called.
        args: positional ones.
        kwargs: the others.
        output: what it gave.
    """
    if isinstance(layer, nn.Linear | Packed):
        yield _one(_linear(layer), _squares(_given(args, kwargs))[None])
    elif isinstance(layer, _ConvTransposeNd):
        yield _one("weight", _transposed(layer, _given(args, kwargs), output))
    elif isinstance(layer, _ConvNd):
        yield _one("weight", _convolved(layer, _given(args, kwargs)))
    elif isinstance(layer, nn.Embedding):
        yield _one("weight", torch.bincount(_given(args, kwargs).flatten(), minlength=layer.num_embeddings)[:, None])
    elif isinstance(layer, nn.RNNBase):
        yield from _recurrent_inputs(layer, _given(args, kwargs), output[0])
    elif isinstance(layer, nn.MultiheadAttention):
        yield from _attention_inputs(layer, _asked(args, kwargs))


def outputs_of(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Iterator[Told]:
    """Sums of the absolute outputs that the weights of a layer have a part in, and their counts.

    Outputs are those of the layer itself, before any norm and activation. Of recurrent layers they are the hidden
    states of the last layer, for all gates of a unit alike. Arguments as of `inputs_of`.
    """
    if isinstance(layer, nn.Linear | Packed):
        yield _mean(_linear(layer), output, -1, lambda found: found[:, None])
    elif isinstance(layer, _ConvNd):
        yield _mean("weight", output, -1 - len(layer.kernel_size), lambda found: _by_channel(layer, found))
    elif isinstance(layer, _WORDS):
        yield _mean("weight", output, -1, lambda found: found[None])
    elif norms(layer):
        yield from _norm_outputs(layer, output)
    elif isinstance(layer, nn.RNNBase):
        yield from _recurrent_outputs(layer, output[0])
    elif isinstance(layer, nn.MultiheadAttention):
        yield from _attention_outputs(layer, _asked(args, kwargs), output[0])


def _linear(layer: nn.Module) -> str:
    """The name of the weight of a linear layer."""
    return layer.names[0] if isinstance(layer, Packed) else "weight"


def _one(name: str, total: Tensor) -> Told:
    return Told(name, total, torch.ones((), device=total.device))


def _mean(name: str, output: Tensor, dim: int, shape: Callable[[Tensor], Tensor]) -> Told:
    found = output.movedim(dim, -1)
    total = found.reshape(-1, found.shape[-1]).abs().sum(0, dtype=torch.float64)
    return Told(name, shape(total), torch.tensor(output.numel() // found.shape[-1], device=output.device))


def _squares(x: Tensor) -> Tensor:
    """(..., d) to (d,) sums of squares."""
    return x.reshape(-1, x.shape[-1]).to(torch.float32).square().sum(0, dtype=torch.float64)


def _convolved(layer: _ConvNd, x: Tensor) -> Tensor:
    """What each place of the kernel meets is the gradient of a convolution of squares whose outputs all count 1."""
    weight = torch.zeros((layer.groups, *layer.weight.shape[1:]), device=x.device, requires_grad=True)
    squares = _with_batch(layer, x).to(torch.float32).square()
    with torch.enable_grad():
        forward: Callable[..., Tensor] = layer._conv_forward
        total = forward(squares, weight, None).sum()
    (found,) = torch.autograd.grad(total, weight)
    return found if layer.groups == 1 else found.repeat_interleave(layer.out_channels // layer.groups, 0)


def _transposed(layer: _ConvTransposeNd, x: Tensor, output: Tensor) -> Tensor:
    """As `_convolved`; inputs of transposed convolutions lie in the first dimension of their weight."""
    sides = len(layer.kernel_size)
    weight = torch.zeros((layer.in_channels, 1, *layer.kernel_size), device=x.device, requires_grad=True)
    squares = _with_batch(layer, x).to(torch.float32).square()
    padding = [int(size) for size in layer.padding]
    # A call may ask for an output of another size than the layer's own.
    more = [
        output.shape[i - sides]
        - (x.shape[i - sides] - 1) * layer.stride[i]
        + 2 * padding[i]
        - layer.dilation[i] * (layer.kernel_size[i] - 1)
        - 1
        for i in range(sides)
    ]
    with torch.enable_grad():
        apply = _TRANSPOSED[sides]
        total = apply(squares, weight, None, layer.stride, padding, more, layer.groups, layer.dilation).sum()
    return torch.autograd.grad(total, weight)[0]


def _with_batch(layer: _ConvNd, x: Tensor) -> Tensor:
    return x if x.dim() == len(layer.kernel_size) + 2 else x[None]


def _by_channel(layer: _ConvNd, found: Tensor) -> Tensor:
    """(channels,) as what the weight of a convolution can be multiplied with."""
    ones = (1,) * len(layer.kernel_size)
    if not isinstance(layer, _ConvTransposeNd):
        return found.reshape(-1, 1, *ones)
    by_group = found.reshape(layer.groups, -1, *ones)
    return by_group if layer.groups == 1 else by_group.repeat_interleave(layer.in_channels // layer.groups, 0)


def _norm_outputs(layer: nn.Module, output: Tensor) -> Iterator[Told]:
    weight = layer.weight
    if not isinstance(weight, nn.Parameter):
        return
    if isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        flat = output.flatten(-weight.dim())
        yield _mean("weight", flat, -1, lambda found: found.reshape(weight.shape))
    else:
        yield _mean("weight", output, 1, lambda found: found)


def _given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """What a layer of one input was called with."""
    given: Tensor = args[0] if args else kwargs["input"]
    return given


def _asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value of a call of attention."""
    given = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
    return given["query"], given["key"], given["value"]


def _attention_inputs(layer: nn.MultiheadAttention, asked: tuple[Tensor, Tensor, Tensor]) -> Iterator[Told]:
    found = [_squares(x)[None] for x in asked]
    if layer.in_proj_weight is not None:
        yield _one("in_proj_weight", torch.cat(found).repeat_interleave(layer.embed_dim, 0))
    else:
        for name, squares in zip("qkv", found, strict=True):
            yield _one(f"{name}_proj_weight", squares)


def _attention_outputs(
    layer: nn.MultiheadAttention, asked: tuple[Tensor, Tensor, Tensor], output: Tensor
) -> Iterator[Told]:
    """Attention gives no word of its in-projections, so they are computed anew."""
    bias = layer.in_proj_bias
    biases = (None,) * 3 if bias is None else bias.chunk(3)
    packed = layer.in_proj_weight
    if packed is not None:
        told = [
            _mean("", nn.functional.linear(*own), -1, lambda found: found[:, None])
            for own in zip(asked, packed.chunk(3), biases, strict=True)
        ]
        numbers = [one.number.expand_as(one.total) for one in told]
        yield Told("in_proj_weight", torch.cat([one.total for one in told]), torch.cat(numbers))
    else:
        for name, x, own in zip("qkv", asked, biases, strict=True):
            given = nn.functional.linear(x, layer.get_parameter(f"{name}_proj_weight"), own)
            yield _mean(f"{name}_proj_weight", given, -1, lambda found: found[:, None])
    yield _mean("out_proj.weight", output, -1, lambda found: found[:, None])


def _states(x: Tensor | PackedSequence) -> Tensor:
    return x.data if isinstance(x, PackedSequence) else x


def _directions(layer: nn.RNNBase, output: Tensor | PackedSequence) -> Iterator[tuple[str, Tensor]]:
    """Ends of names of the last layer's weights, with its outputs (..., h) in that direction."""
    parts = _states(output).chunk(2 if layer.bidirectional else 1, -1)
    for end, part in zip(("", "_reverse"), parts, strict=False):
        yield f"l{layer.num_layers - 1}{end}", part


def _recurrent_inputs(layer: nn.RNNBase, x: Tensor | PackedSequence, output: Tensor | PackedSequence) -> Iterator[Told]:
    for end in ("", "_reverse") if layer.bidirectional else ("",):
        yield _one(f"weight_ih_l0{end}", _squares(_states(x))[None])
    for end, part in _directions(layer, output):
        yield _one(f"weight_hh_{end}", _squares(part)[None])


def _recurrent_outputs(layer: nn.RNNBase, output: Tensor | PackedSequence) -> Iterator[Told]:
    for end, part in _directions(layer, output):
        if layer.proj_size:
            yield _mean(f"weight_hr_{end}", part, -1, lambda found: found[:, None])
            continue
        gates = layer.get_parameter(f"weight_hh_{end}").shape[0] // layer.hidden_size
        told = _mean("", part, -1, lambda found: found[:, None])
        for name in (f"weight_ih_{end}", f"weight_hh_{end}"):
            yield Told(name, told.total.repeat(gates, 1), told.number)
