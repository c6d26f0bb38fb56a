"""Layers with several weights, arguments or results: attention, recurrent networks, bags of words."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from datadiet_cli.nn.layers_call import Call, Made, filled, has_bias

_OPS = torch.ops.aten


class Packed(nn.Module):
    """A linear layer whose weights have other names than ``weight`` and ``bias``, as in `nn.MultiheadAttention`.

    It stands where the module stood that had them; the other layers of that module lie below it.

    Args:
        weight: (out, in).
        bias: (out,), or None.
        names: of both.

    Attributes:
        names: of the parameters that are the weight and the bias.
    """

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, names: tuple[str, str]) -> None:
        super().__init__()
        self.names = names
        self.register_parameter(names[0], weight)
        self.register_parameter(names[1], bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        weight, bias = (self._parameters[name] for name in self.names)
        assert weight is not None  # noqa: S101 - for the type checker
        return nn.functional.linear(x, weight, bias)


def packed(call: Call, weight: nn.Parameter, given: tuple[Any, ...]) -> Made | None:
    """A linear layer under the names of its weights; None if its module has no name, or the bias is another's."""
    path, last = call.name()
    bias = call.weight("bias")
    where, name = (path, last.replace("weight", "") + "bias") if bias is None else call.name("bias")
    if not path or where != path or {name, last} & {"names", "forward"} or name == last:
        return None
    return Made(Packed(weight, bias, (last, name)), given, ("packed",), at=path)


class Attention(nn.Module):
    """Scaled dot-product attention that drops weights while it is trained.

    Only a program that was exported in training mode tells their share; one exported in evaluation mode says 0.

    Args:
        p: share that is dropped.
        how: other keywords of `torch.nn.functional.scaled_dot_product_attention`.
    """

    def __init__(self, p: float, **how: Any) -> None:
        super().__init__()
        self.p, self._how = p, how

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """(..., n, d), (..., m, d), (..., m, e) and, where there is one, (..., n, m) to (..., n, e)."""
        p = self.p if self.training else 0.0
        return nn.functional.scaled_dot_product_attention(query, key, value, mask, p, **self._how)

    def extra_repr(self) -> str:
        """As `nn.Dropout` has it."""
        return f"p={self.p}"


def _attention(call: Call) -> Made | None:
    p = call.value("dropout_p")
    masked = call.value("attn_mask") is not None
    given = call.computed("query", "key", "value", *(("attn_mask",) if masked else ()))
    if not p or given is None:
        return None
    how = {name: call.value(name) for name in ("is_causal", "scale", "enable_gqa")}
    return Made(Attention(p, **how), given)


_RECURRENT: dict[Any, tuple[Callable[..., nn.RNNBase], int, dict[str, str]]] = {
    _OPS.lstm.input: (nn.LSTM, 4, {}),
    _OPS.gru.input: (nn.GRU, 3, {}),
    _OPS.rnn_tanh.input: (nn.RNN, 1, {"nonlinearity": "tanh"}),
    _OPS.rnn_relu.input: (nn.RNN, 1, {"nonlinearity": "relu"}),
}
"""Which layer an operation is, how many gates it has, and what else tells it from others."""


def _recurrent(call: Call) -> Made | None:
    make, gates, how = _RECURRENT[call.node.target]
    params, nodes = call.value("params"), call.source("params")
    given = call.computed("input")
    layers, both, biased = call.value("num_layers"), call.value("bidirectional"), call.value("has_biases")
    if given is None or not params or not all(isinstance(weight, nn.Parameter) for weight in params):
        return None
    inputs, hidden = params[0].shape[1], params[1].shape[0] // gates
    if len(params) > layers * (1 + both) * (4 if biased else 2):
        name = f"{make.__name__} {call.names[nodes[0]].rpartition('.')[0]}"
        raise ValueError(
            f"the network has {name} with proj_size, which cannot be turned into a layer; take a linear layer after it"
        )
    dropout = call.value("dropout") if layers > 1 else 0.0  # where it drops nothing, and torch warns
    shape = {"num_layers": layers, "bias": biased, "bidirectional": both, "batch_first": call.value("batch_first")}
    if len(params) < layers * (1 + both) * (4 if biased else 2):
        return None
    layer = make(inputs, hidden, dropout=dropout, device="meta", **shape, **how)
    flat = [name for names in layer._all_weights for name in names]
    filled(layer, **dict(zip(flat, params, strict=True)))
    several = make is nn.LSTM
    results = {0: (0,), 1: (1, 0), 2: (1, 1)} if several else {0: (0,), 1: (1,)}
    key = (make, dropout, *shape.values(), *how.values())
    return Made(layer, (*given, *_states(call)), key, owner=nodes[0], results=results)


def _states(call: Call) -> tuple[Any, ...]:
    """The first states, unless they are zeros, which the layer makes itself."""
    given = call.source("hx")
    states = given if isinstance(given, list | tuple) else (given,)
    if all(state.target is _OPS.zeros.default for state in states):
        return ()
    return (tuple(states),) if isinstance(given, list | tuple) else (given,)


_MODES = ("sum", "mean", "max")


def _bag(call: Call) -> Made | None:
    weight = call.weight()
    each = call.value("per_sample_weights") is not None
    given = call.computed("indices", "offsets", *(("per_sample_weights",) if each else ()))
    used = {user.args[1] for user in call.node.users if user.users}
    if weight is None or given is None or call.value("sparse") or used - {0}:
        return None
    names = ("padding_idx", "scale_grad_by_freq", "include_last_offset")
    how = {name: call.value(name) for name in names} | {"mode": _MODES[call.value("mode")]}
    layer = nn.EmbeddingBag(weight.shape[0], weight.shape[1], device="meta", **how)
    return Made(filled(layer, weight=weight), given, ("bag", *how.values()), results={0: ()})


def _bilinear(call: Call) -> Made | None:
    weight, biased, given = call.weight(), has_bias(call), call.computed("input1", "input2")
    if weight is None or biased is None or given is None:
        return None
    layer = nn.Bilinear(weight.shape[1], weight.shape[2], weight.shape[0], bias=biased, device="meta")
    return Made(filled(layer, weight=weight, bias=call.weight("bias")), given, ("bilinear",))


WIDE: dict[Any, Callable[[Call], Made | None]] = {
    _OPS.scaled_dot_product_attention.default: _attention,
    _OPS.embedding_bag.padding_idx: _bag,
    _OPS.bilinear.default: _bilinear,
    **dict.fromkeys(_RECURRENT, _recurrent),
}
"""By operation: what makes the layer of a call; None if it cannot be one."""
