"""Which operation of an exported program is which layer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

_OPS = torch.ops.aten


@dataclass(frozen=True)
class Call:
    """An operation: its node, and its arguments with parameters, buffers and constants in the place of their nodes."""

    node: fx.Node
    args: tuple[Any, ...]

    def value(self, name: str) -> Any:
        """An argument by its name in the schema, or its default."""
        target = self.node.target
        assert isinstance(target, torch._ops.OpOverload)  # noqa: S101 - makers are found by it
        for i, argument in enumerate(target._schema.arguments):
            if argument.name == name:
                if i < len(self.args):
                    return self.args[i]
                return self.node.kwargs.get(name, argument.default_value)
        raise KeyError(name)

    def weight(self, name: str = "weight") -> nn.Parameter | None:
        """An argument that is a parameter; None if it is anything else."""
        found = self.value(name)
        return found if isinstance(found, nn.Parameter) else None


@dataclass(frozen=True)
class Made:
    """A layer.

    Attributes:
        module: it.
        argument: which argument of the operation goes through it.
        key: equal for calls of the same layer with the same weights.
    """

    module: nn.Module
    argument: int
    key: tuple[Any, ...]


def _computed(call: Call, argument: int = 0) -> bool:
    """Whether what goes through a layer is computed, or given from outside."""
    return isinstance(call.args[argument], fx.Node)


def _has_bias(call: Call) -> bool | None:
    """Whether there is a bias; None if it is no parameter."""
    bias = call.value("bias")
    return False if bias is None else True if isinstance(bias, nn.Parameter) else None


def _linear(call: Call) -> Made | None:
    weight, has_bias = call.weight(), _has_bias(call)
    if weight is None or has_bias is None or not _computed(call):
        return None
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=has_bias, device="meta")
    return _with(layer, weight, call, 0, ("linear",))


_CONVOLUTIONS: dict[tuple[bool, int], Callable[..., nn.Module]] = {
    (False, 1): nn.Conv1d,
    (False, 2): nn.Conv2d,
    (False, 3): nn.Conv3d,
    (True, 1): nn.ConvTranspose1d,
    (True, 2): nn.ConvTranspose2d,
    (True, 3): nn.ConvTranspose3d,
}


def _convolution(call: Call) -> Made | None:
    weight, has_bias = call.weight(), _has_bias(call)
    if weight is None or has_bias is None or not _computed(call):
        return None
    turned = "transpose" in str(call.node.target)
    size, groups = tuple(weight.shape[2:]), call.value("groups")

    def sides(name: str) -> Any:
        given = call.value(name)
        if isinstance(given, str):
            return given
        given = [given] if isinstance(given, int) else list(given)
        return tuple(given * len(size) if len(given) == 1 else given)

    names = ("stride", "padding", "dilation", *(("output_padding",) if turned else ()))
    how = {name: sides(name) for name in names}
    channels = (weight.shape[0], weight.shape[1] * groups)
    made = _CONVOLUTIONS[turned, len(size)]
    layer = made(*(channels if turned else channels[::-1]), size, groups=groups, bias=has_bias, device="meta", **how)
    return _with(layer, weight, call, 0, (turned, groups, *how.items()))


_BATCH_NORMS: dict[int, type[nn.modules.batchnorm._BatchNorm]] = {
    2: nn.BatchNorm1d,
    3: nn.BatchNorm1d,
    4: nn.BatchNorm2d,
    5: nn.BatchNorm3d,
}


def _batch_norm(call: Call) -> Made | None:
    mean, variance = call.value("running_mean"), call.value("running_var")
    shape = call.node.meta["val"].shape
    if not isinstance(mean, Tensor) or not isinstance(variance, Tensor) or len(shape) not in _BATCH_NORMS:
        return None
    weight, bias = call.value("weight"), call.value("bias")
    if (weight is None) != (bias is None) or not isinstance(weight, nn.Parameter | None):
        return None
    # Without a momentum, statistics are averages over all batches, and a program says 0.
    how = {"eps": call.value("eps"), "momentum": call.value("momentum") or None}
    layer = _BATCH_NORMS[len(shape)](mean.shape[0], affine=weight is not None, **how)
    layer.running_mean, layer.running_var = mean, variance
    return _with(layer, weight, call, 0, ("batch", *how.items()))


def _layer_norm(call: Call) -> Made | None:
    weight = call.weight()
    if weight is None or not _computed(call):
        return None
    how = {"eps": call.value("eps"), "bias": _has_bias(call) is not False}
    shape = tuple(call.value("normalized_shape"))
    return _with(nn.LayerNorm(shape, device="meta", **how), weight, call, 0, ("layer", shape, *how.items()))


def _group_norm(call: Call) -> Made | None:
    weight = call.weight()
    if weight is None or not _has_bias(call) or not _computed(call):
        return None
    groups, eps = call.value("num_groups"), call.value("eps")
    return _with(nn.GroupNorm(groups, weight.shape[0], eps, device="meta"), weight, call, 0, ("group", groups, eps))


def _embedding(call: Call) -> Made | None:
    weight = call.weight()
    if weight is None or not _computed(call, 1) or call.value("scale_grad_by_freq") or call.value("sparse"):
        return None
    padding = call.value("padding_idx")
    layer = nn.Embedding(weight.shape[0], weight.shape[1], None if padding < 0 else padding, device="meta")
    return _with(layer, weight, call, 1, ("embedding", padding))


_DROPOUTS: dict[str, Callable[[float], nn.Module]] = {
    "dropout": nn.Dropout,
    "alpha_dropout": nn.AlphaDropout,
    "feature_alpha_dropout": nn.FeatureAlphaDropout,
}


def _dropout(call: Call) -> Made | None:
    kind = str(call.node.target).split(".")[1].removesuffix("_")
    return Made(_DROPOUTS[kind](call.value("p")), 0, ()) if _computed(call) else None


_CHANNELS: dict[int, Callable[[float], nn.Module]] = {3: nn.Dropout1d, 4: nn.Dropout2d, 5: nn.Dropout3d}


def _feature_dropout(call: Call) -> Made | None:
    kind = _CHANNELS.get(len(call.node.meta["val"].shape))
    return Made(kind(call.value("p")), 0, ()) if kind is not None and _computed(call) else None


def _with(layer: nn.Module, weight: nn.Parameter | None, call: Call, argument: int, key: tuple[Any, ...]) -> Made:
    """Give a layer its weights."""
    if weight is not None:
        layer.weight = weight
        bias = call.value("bias") if argument == 0 else None
        if isinstance(bias, nn.Parameter):
            layer.bias = bias
    return Made(layer, argument, key)


MAKERS: dict[Any, Callable[[Call], Made | None]] = {
    _OPS.linear.default: _linear,
    _OPS.conv1d.default: _convolution,
    _OPS.conv2d.default: _convolution,
    _OPS.conv3d.default: _convolution,
    _OPS.conv1d.padding: _convolution,
    _OPS.conv2d.padding: _convolution,
    _OPS.conv3d.padding: _convolution,
    _OPS.conv_transpose1d.default: _convolution,
    _OPS.conv_transpose2d.input: _convolution,
    _OPS.conv_transpose3d.input: _convolution,
    _OPS.batch_norm.default: _batch_norm,
    _OPS.layer_norm.default: _layer_norm,
    _OPS.group_norm.default: _group_norm,
    _OPS.embedding.default: _embedding,
    _OPS.dropout.default: _dropout,
    _OPS.dropout_.default: _dropout,
    _OPS.alpha_dropout.default: _dropout,
    _OPS.alpha_dropout_.default: _dropout,
    _OPS.feature_alpha_dropout.default: _dropout,
    _OPS.feature_alpha_dropout_.default: _dropout,
    _OPS.feature_dropout.default: _feature_dropout,
    _OPS.feature_dropout_.default: _feature_dropout,
}
"""By operation: what makes the layer of a call; None if its weights are no plain parameters."""

MODAL = frozenset(
    "batch_norm instance_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "_batch_norm_with_update _batch_norm_no_update cudnn_batch_norm dropout dropout_ native_dropout alpha_dropout "
    "alpha_dropout_ feature_dropout feature_dropout_ feature_alpha_dropout feature_alpha_dropout_ rrelu rrelu_ "
    "rrelu_with_noise lstm gru rnn_tanh rnn_relu".split()
)
"""Operations that do one thing in training and another in evaluation."""
