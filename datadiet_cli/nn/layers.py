"""Which operation of an exported program is which layer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from datadiet_cli.nn.layers_call import Call, Made, filled, has_bias
from datadiet_cli.nn.layers_wide import WIDE, packed

_OPS = torch.ops.aten


def _linear(call: Call) -> Made | None:
    weight, biased, given = call.weight(), has_bias(call), call.computed("input")
    if weight is None or biased is None or given is None:
        return None
    if call.name()[1] != "weight":
        return packed(call, weight, given)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=biased, device="meta")
    return Made(filled(layer, weight=weight, bias=call.weight("bias")), given, ("linear",))


_CONVOLUTIONS: dict[tuple[bool, int], Callable[..., nn.Module]] = {
    (False, 1): nn.Conv1d,
    (False, 2): nn.Conv2d,
    (False, 3): nn.Conv3d,
    (True, 1): nn.ConvTranspose1d,
    (True, 2): nn.ConvTranspose2d,
    (True, 3): nn.ConvTranspose3d,
}


def _convolution(call: Call) -> Made | None:
    weight, biased, given = call.weight(), has_bias(call), call.computed("input")
    if weight is None or biased is None or given is None:
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
    layer = made(*(channels if turned else channels[::-1]), size, groups=groups, bias=biased, device="meta", **how)
    return Made(filled(layer, weight=weight, bias=call.weight("bias")), given, (turned, groups, *how.items()))


_Norm = nn.modules.batchnorm._NormBase
_BATCH_NORMS: dict[int, type[_Norm]] = {
    2: nn.BatchNorm1d,
    3: nn.BatchNorm1d,
    4: nn.BatchNorm2d,
    5: nn.BatchNorm3d,
}
_INSTANCE_NORMS: dict[int, type[_Norm]] = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}


def _batch_norm(call: Call) -> Made | None:
    return _norm(call, _BATCH_NORMS)


def _instance_norm(call: Call) -> Made | None:
    return _norm(call, _INSTANCE_NORMS)


def _norm(call: Call, kinds: dict[int, type[_Norm]]) -> Made | None:
    """A norm over samples or places, with statistics of its own or without."""
    kind, given = kinds.get(call.node.meta["val"].ndim), call.computed("input")
    mean, variance = call.value("running_mean"), call.value("running_var")
    weight, bias = call.value("weight"), call.value("bias")
    width = next((tensor.shape[0] for tensor in (weight, mean) if isinstance(tensor, Tensor)), None)
    if kind is None or given is None or width is None:
        return None
    if (
        type(weight) is not type(bias)
        or not isinstance(weight, nn.Parameter | None)
        or type(mean) is not type(variance)
    ):
        return None
    # Without a momentum, statistics are averages over all batches, and a program says 0.
    how = {"eps": call.value("eps"), "momentum": call.value("momentum") or None}
    layer = kind(width, affine=weight is not None, track_running_stats=mean is not None, **how)
    filled(layer, running_mean=mean, running_var=variance, weight=weight, bias=bias)
    return Made(layer, given, (kind, mean is not None, *how.items()))


def _layer_norm(call: Call) -> Made | None:
    weight, biased, given = call.weight(), has_bias(call), call.computed("input")
    if weight is None or biased is None or given is None:
        return None
    layer = nn.LayerNorm(tuple(weight.shape), call.value("eps"), bias=biased, device="meta")
    return Made(filled(layer, weight=weight, bias=call.weight("bias")), given, ("layer", call.value("eps")))


def _rms_norm(call: Call) -> Made | None:
    weight, given = call.weight(), call.computed("input")
    if weight is None or given is None:
        return None
    layer = nn.RMSNorm(tuple(weight.shape), call.value("eps"), device="meta")
    return Made(filled(layer, weight=weight), given, ("rms", call.value("eps")))


def _group_norm(call: Call) -> Made | None:
    weight, given = call.weight(), call.computed("input")
    if weight is None or not has_bias(call) or given is None:
        return None
    groups, eps = call.value("num_groups"), call.value("eps")
    layer = nn.GroupNorm(groups, weight.shape[0], eps, device="meta")
    return Made(filled(layer, weight=weight, bias=call.weight("bias")), given, ("group", groups, eps))


def _embedding(call: Call) -> Made | None:
    weight, given = call.weight(), call.computed("indices")
    if weight is None or given is None or call.value("scale_grad_by_freq") or call.value("sparse"):
        return None
    padding = call.value("padding_idx")
    layer = nn.Embedding(weight.shape[0], weight.shape[1], None if padding < 0 else padding, device="meta")
    return Made(filled(layer, weight=weight), given, ("embedding", padding))


def _prelu(call: Call) -> Made | None:
    weight, given = call.weight(), call.computed("self")
    if weight is None or given is None:
        return None
    return Made(filled(nn.PReLU(weight.numel(), device="meta"), weight=weight), given, ("prelu",))


def _rrelu(call: Call) -> Made | None:
    given = call.computed("self")
    return None if given is None else Made(nn.RReLU(call.value("lower"), call.value("upper")), given)


_DROPOUTS: dict[str, Callable[[float], nn.Module]] = {
    "dropout": nn.Dropout,
    "alpha_dropout": nn.AlphaDropout,
    "feature_alpha_dropout": nn.FeatureAlphaDropout,
}


def _dropout(call: Call) -> Made | None:
    kind, given = str(call.node.target).split(".")[1].removesuffix("_"), call.computed(call.first)
    return None if given is None else Made(_DROPOUTS[kind](call.value("p")), given)


_CHANNELS: dict[int, Callable[[float], nn.Module]] = {3: nn.Dropout1d, 4: nn.Dropout2d, 5: nn.Dropout3d}


def _feature_dropout(call: Call) -> Made | None:
    kind, given = _CHANNELS.get(call.node.meta["val"].ndim), call.computed(call.first)
    return None if kind is None or given is None else Made(kind(call.value("p")), given)


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
    _OPS.instance_norm.default: _instance_norm,
    _OPS.layer_norm.default: _layer_norm,
    _OPS.group_norm.default: _group_norm,
    _OPS.rms_norm.default: _rms_norm,
    _OPS.embedding.default: _embedding,
    _OPS.prelu.default: _prelu,
    _OPS.rrelu.default: _rrelu,
    _OPS.rrelu_.default: _rrelu,
    _OPS.dropout.default: _dropout,
    _OPS.dropout_.default: _dropout,
    _OPS.alpha_dropout.default: _dropout,
    _OPS.alpha_dropout_.default: _dropout,
    _OPS.feature_alpha_dropout.default: _dropout,
    _OPS.feature_alpha_dropout_.default: _dropout,
    _OPS.feature_dropout.default: _feature_dropout,
    _OPS.feature_dropout_.default: _feature_dropout,
    **WIDE,
}
"""By operation: what makes the layer of a call; None if its weights are no plain parameters."""

MODAL = frozenset(
    "batch_norm instance_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "_batch_norm_with_update _batch_norm_no_update cudnn_batch_norm dropout dropout_ native_dropout alpha_dropout "
    "alpha_dropout_ feature_dropout feature_dropout_ feature_alpha_dropout feature_alpha_dropout_ rrelu rrelu_ "
    "rrelu_with_noise lstm gru rnn_tanh rnn_relu".split()
)
"""Operations that do one thing in training and another in evaluation."""

PLAIN = frozenset(
    "add add_ sub sub_ mul mul_ div div_ cat stack expand expand_as repeat reshape view unsqueeze squeeze slice select "
    "matmul mm bmm where clamp exp sigmoid tanh softplus to _to_copy clone alias detach contiguous "
    "split split_with_sizes chunk unbind unflatten index_select pow sqrt rsqrt abs neg mean sum linalg_vector_norm "
    "_weight_norm linear bilinear lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell".split()
)
"""Operations that do the same to a parameter in training as in evaluation."""

LOOSE: dict[Any, Any] = {_OPS.view.default: _OPS.reshape.default}
"""What stands for an operation that may hold only for the strides that one device or kernel gives: torch 2.11 writes
the end of an attention as a view, which fails with another kernel. Where a view holds, reshape gives that view."""
