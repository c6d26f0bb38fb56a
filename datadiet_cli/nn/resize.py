"""Bring the layers of a network to the widths that stored weights have, so that a pruned model loads into its class."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]
_Network = TypeVar("_Network", bound=nn.Module)


class _Fit(NamedTuple):
    """What becomes of a layer.

    Attributes:
        attributes: what it shall say of its widths.
        shapes: what its tensors must have then.
    """

    attributes: dict[str, Any]
    shapes: dict[str, Shape]


def resize_to(module: _Network, state: Mapping[str, Tensor]) -> _Network:
    """Give a network the widths of stored weights, and these weights.

    Layers of `torch.nn` learn their new widths too: linear and bilinear ones, convolutions (a depthwise one stays such,
    any other keeps its groups), norms, embeddings, recurrent ones and attention (which keeps its heads). Of other
    modules the parameters and stored buffers alone change. A weight that layers share stays shared; what is frozen
    stays so; types and devices stay those of the network. What a layer without weights knows of widths (a layer norm
    without affine parameters) cannot be told by them, and stays.

    Args:
        module: it is changed.
        state: all that its `state_dict` has, by name, each tensor of any width.

    Returns:
        The module.

    Raises:
        ValueError: names are missing or too many, or shapes cannot belong to a layer; it is named. The module is as it
            was then.
    """
    _same_names(module, state)
    plans: list[tuple[nn.Module, dict[str, Any]]] = []
    tensors: dict[int, tuple[str, Tensor, Shape]] = {}
    for name, old in module.state_dict(keep_vars=True).items():
        _note(tensors, name, old, tuple(state[name].shape))
    for path, layer in module.named_modules():
        there = _tensors_of(layer)
        prefix = f"{path}." if path else ""
        new = {name: tuple(state[prefix + name].shape) for name in there if prefix + name in state}
        if any(new[name] != tuple(there[name].shape) for name in new):
            plans.append((layer, _planned(layer, path, new)))
    _replace(module, {key: made for key, (_, old, shape) in tensors.items() if (made := _made(old, shape)) is not None})
    for layer, attributes in plans:
        for name, value in attributes.items():
            setattr(layer, name, value)
        if isinstance(layer, nn.RNNBase):
            layer._init_flat_weights()  # it holds its weights in a list, too
    module.load_state_dict(dict(state), strict=True)
    return module


def shapes_of(module: nn.Module) -> dict[str, Shape]:
    """Shape of each tensor of a network, by name."""
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def _same_names(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    there = module.state_dict()
    if lost := [name for name in there if name not in state]:
        raise ValueError(f"there is no tensor {lost[0]} for the network{_and_more(lost)}")
    if extra := sorted(state.keys() - there.keys()):
        raise ValueError(f"the network has no tensor {extra[0]}{_and_more(extra)}")
    for name, value in there.items():
        if not isinstance(value, Tensor) or nn.parameter.is_lazy(value):
            raise ValueError(f"{name} of the network has no shape yet; it must be called once before")


def _and_more(names: list[str]) -> str:
    return f", nor {len(names) - 1} more" if len(names) > 1 else ""


def _tensors_of(layer: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of its own, by name."""
    both = itertools.chain(layer._parameters.items(), layer._buffers.items())
    return {name: value for name, value in both if value is not None}


def _note(tensors: dict[int, tuple[str, Tensor, Shape]], name: str, old: Tensor, shape: Shape) -> None:
    """Remember the new shape of a tensor, which may have several names."""
    if len(shape) != old.dim():
        raise ValueError(f"{name} has {len(shape)} dimensions, {shape}, and {old.dim()} in the network")
    first, _, known = tensors.setdefault(id(old), (name, old, shape))
    if known != shape:
        raise ValueError(f"{first} and {name} are one tensor in the network, and have shapes {known} and {shape}")


def _made(old: Tensor, shape: Shape) -> Tensor | None:
    """A tensor in the place of another one, its values to come; None if the old one has that shape."""
    if tuple(old.shape) == shape:
        return None
    new = torch.empty(shape, dtype=old.dtype, device=old.device)
    return nn.Parameter(new, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else new


def _replace(module: nn.Module, made: Mapping[int, Tensor]) -> None:
    """Put tensors in the places of others, known by their id."""
    for layer in module.modules():
        for name, old in _tensors_of(layer).items():
            if id(old) in made:
                setattr(layer, name, made[id(old)])  # so that recurrent layers notice


def _planned(layer: nn.Module, path: str, new: Mapping[str, Shape]) -> dict[str, Any]:
    """What a layer shall say of its widths.

    Raises:
        ValueError: its tensors cannot have these shapes.
    """
    named = f"{path or 'the network'} ({type(layer).__name__})"
    if ".parametrizations." in f".{path}.":
        raise ValueError(f"{named} computes a weight of another layer, which cannot be resized; remove the "
                         "parametrisation before the network is saved")  # fmt: skip
    fit = next((fit for kind, fit in _FITS.items() if isinstance(layer, kind)), None)
    if fit is None:
        return {}
    try:
        attributes, shapes = fit(layer, new)
    except KeyError as error:
        raise ValueError(f"{named} has no {error.args[0]}, so its width cannot be told") from None
    except ValueError as error:
        raise ValueError(f"{named} {error}") from None
    for name, shape in new.items():
        if name in shapes and shapes[name] != shape:
            raise ValueError(f"{named} cannot have {name} of shape {shape}; {shapes[name]} would fit the rest of it")
    return attributes


def _linear(layer: nn.Module, new: Mapping[str, Shape]) -> _Fit:
    outputs, inputs = new["weight"]
    return _Fit({"in_features": inputs, "out_features": outputs}, {"bias": (outputs,)})


def _bilinear(layer: nn.Module, new: Mapping[str, Shape]) -> _Fit:
    outputs, first, second = new["weight"]
    names = ("in1_features", "in2_features", "out_features")
    return _Fit(dict(zip(names, (first, second, outputs), strict=True)), {"bias": (outputs,)})


def _convolution(layer: Any, new: Mapping[str, Shape]) -> _Fit:
    """Weights are (outputs, inputs / groups, ...), or (inputs, outputs / groups, ...) if transposed."""
    one, two = new["weight"][:2]
    groups: int = layer.groups
    depthwise = groups > 1 and groups == layer.in_channels
    each = layer.out_channels // groups  # outputs of a group
    if depthwise and layer.transposed:
        groups = one
    elif depthwise:
        if one % each:
            raise ValueError(f"gives {each} channels for each that it takes, and cannot give {one}")
        groups = one // each
    elif one % groups:
        raise ValueError(f"has {groups} groups, which {one} channels cannot be divided into")
    inputs, outputs = (one, two * groups) if layer.transposed else (two * groups, one)
    if depthwise:
        two = each if layer.transposed else 1
    said = {"in_channels": inputs, "out_channels": outputs, "groups": groups}
    return _Fit(said, {"weight": (one, two, *layer.kernel_size), "bias": (outputs,)})


def _norm_over_batches(layer: nn.Module, new: Mapping[str, Shape]) -> _Fit:
    width = new["weight"] if "weight" in new else new["running_mean"]
    return _Fit({"num_features": width[0]}, dict.fromkeys(("bias", "running_mean", "running_var"), width))


def _layer_norm(layer: nn.Module, new: Mapping[str, Shape]) -> _Fit:
    return _Fit({"normalized_shape": new["weight"]}, {"bias": new["weight"]})


def _group_norm(layer: Any, new: Mapping[str, Shape]) -> _Fit:
    channels = new["weight"][0]
    if channels % layer.num_groups:
        raise ValueError(f"has {layer.num_groups} groups, which {channels} channels cannot be divided into")
    return _Fit({"num_channels": channels}, {"bias": (channels,)})


def _embedding(layer: Any, new: Mapping[str, Shape]) -> _Fit:
    entries, width = new["weight"]
    if layer.padding_idx is not None and layer.padding_idx >= entries:
        raise ValueError(f"pads with entry {layer.padding_idx}, and would have {entries}")
    return _Fit({"num_embeddings": entries, "embedding_dim": width}, {})


def _prelu(layer: nn.Module, new: Mapping[str, Shape]) -> _Fit:
    return _Fit({"num_parameters": new["weight"][0]}, {})


_GATES = {"LSTM": 4, "GRU": 3}
"""Other recurrent layers have one."""


def _recurrent(layer: Any, new: Mapping[str, Shape]) -> _Fit:
    gates = _GATES.get(layer.mode, 1)
    rows, inputs = new["weight_ih_l0"]
    if rows % gates:
        raise ValueError(f"has {gates} gates, which {rows} rows cannot be divided into")
    hidden = rows // gates
    given = new["weight_hr_l0"][0] if layer.proj_size else hidden
    both = given * (2 if layer.bidirectional else 1)
    shapes: dict[str, Shape] = {}
    for name in layer._flat_weights_names:
        kind, _, place = name.partition("_l")
        before = inputs if place.removesuffix("_reverse") == "0" else both
        shapes[name] = {
            "weight_ih": (rows, before),
            "weight_hh": (rows, given),
            "weight_hr": (given, hidden),
        }.get(kind, (rows,))
    said = {"input_size": inputs, "hidden_size": hidden, **({"proj_size": given} if layer.proj_size else {})}
    return _Fit(said, shapes)


def _cell(layer: nn.Module, new: Mapping[str, Shape]) -> _Fit:
    inputs = new["weight_ih"][1]
    hidden = new["weight_hh"][1]
    gates = 4 if isinstance(layer, nn.LSTMCell) else 3 if isinstance(layer, nn.GRUCell) else 1
    shapes = {
        "weight_ih": (gates * hidden, inputs),
        "weight_hh": (gates * hidden, hidden),
        "bias_ih": (gates * hidden,),
        "bias_hh": (gates * hidden,),
    }
    return _Fit({"input_size": inputs, "hidden_size": hidden}, shapes)


def _attention(layer: Any, new: Mapping[str, Shape]) -> _Fit:
    packed = "in_proj_weight" in new
    width = new["in_proj_weight" if packed else "q_proj_weight"][1]
    if width % layer.num_heads:
        raise ValueError(f"has {layer.num_heads} heads, which a width of {width} cannot be divided into")
    keys, values = (width, width) if packed else (new["k_proj_weight"][1], new["v_proj_weight"][1])
    shapes: dict[str, Shape] = {
        "in_proj_weight": (3 * width, width),
        "in_proj_bias": (3 * width,),
        "q_proj_weight": (width, width),
        "k_proj_weight": (width, keys),
        "v_proj_weight": (width, values),
        "bias_k": (1, 1, width),
        "bias_v": (1, 1, width),
    }
    said = {"embed_dim": width, "kdim": keys, "vdim": values, "head_dim": width // layer.num_heads}
    return _Fit(said, shapes)


_FITS: dict[type[nn.Module], Callable[[nn.Module, Mapping[str, Shape]], _Fit]] = {
    nn.Linear: _linear,
    nn.Bilinear: _bilinear,
    nn.modules.conv._ConvNd: _convolution,
    nn.modules.batchnorm._NormBase: _norm_over_batches,
    nn.LayerNorm: _layer_norm,
    nn.RMSNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
    nn.Embedding: _embedding,
    nn.EmbeddingBag: _embedding,
    nn.PReLU: _prelu,
    nn.RNNBase: _recurrent,
    nn.RNNCellBase: _cell,
    nn.MultiheadAttention: _attention,
}
"""By kind of layer: its widths, told by the shapes of its tensors."""
