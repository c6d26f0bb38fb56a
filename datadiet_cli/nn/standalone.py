"""What is written beside a model as `load_model.py`, with another text in this place: it needs torch alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

HERE = Path(__file__).parent
PARTS = {"": ""}
WIDTHS: dict[Any, tuple[str, ...]] = {
    nn.Linear: ("out_features", "in_features"),
    nn.Bilinear: ("out_features", "in1_features", "in2_features"),
    nn.Embedding: ("num_embeddings", "embedding_dim"),
    nn.EmbeddingBag: ("num_embeddings", "embedding_dim"),
    nn.modules.batchnorm._NormBase: ("num_features",),
    nn.GroupNorm: ("num_channels",),
    nn.PReLU: ("num_parameters",),
}


def load_program(path: str | Path = HERE / "model.pt2") -> nn.Module:
    """The whole model, ready to be called; no class is needed."""
    return torch.export.load(path).module()


def load(factory: Callable[[], nn.Module], path: str | Path = HERE / "model.safetensors") -> nn.Module:
    """The network that factory() builds, each layer as wide as its weights in the file."""
    from safetensors.torch import load_file

    # PARTS: how names of tensors begin in the file, and in the network.
    file = load_file(path).items()
    state = {
        new + name[len(old) :]: value for name, value in file for old, new in PARTS.items() if name.startswith(old)
    }
    network = factory().eval()
    made: dict[torch.Tensor, torch.Tensor] = {}
    for prefix, layer in network.named_modules():
        for name, old in [*layer._parameters.items(), *layer._buffers.items()]:
            new = state.get(f"{prefix}.{name}".removeprefix("."))
            if old is not None and new is not None and old.shape != new.shape:
                new = torch.empty(new.shape, dtype=old.dtype, device=old.device)
                new = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
                setattr(layer, name, made.setdefault(old, new))  # a weight that is shared stays so
        widen(layer)
    network.load_state_dict(state)
    return network


def widen(layer: Any) -> None:
    """Let a layer know how wide its weights are."""
    own = {**layer._buffers, **layer._parameters}
    weight = own.get("running_mean") if own.get("weight") is None else own["weight"]
    for kind, names in WIDTHS.items():
        if isinstance(layer, kind) and weight is not None:
            for name, size in zip(names, weight.shape, strict=False):
                setattr(layer, name, size)
    if isinstance(layer, nn.modules.conv._ConvNd) and weight is not None:
        (one, two), each = weight.shape[:2], layer.out_channels // layer.groups
        if layer.groups == layer.in_channels > 1:  # depthwise
            layer.groups = one if layer.transposed else one // each
        both = (one, two * layer.groups)
        layer.in_channels, layer.out_channels = both if layer.transposed else both[::-1]
    elif isinstance(layer, nn.LayerNorm | nn.RMSNorm) and weight is not None:
        layer.normalized_shape = tuple(weight.shape)
    else:
        widen_more(layer, own)


def widen_more(layer: Any, own: dict[str, Any]) -> None:
    """The same of recurrent layers and attention."""
    if isinstance(layer, nn.RNNBase):
        layer.hidden_size = len(own["weight_hh_l0"]) // {"LSTM": 4, "GRU": 3}.get(layer.mode, 1)
        layer.input_size, layer.proj_size = own["weight_ih_l0"].shape[1], len(own.get("weight_hr_l0", ()))
        layer._init_flat_weights()
    elif isinstance(layer, nn.RNNCellBase):
        layer.input_size, layer.hidden_size = layer.weight_ih.shape[1], layer.weight_hh.shape[1]
    elif isinstance(layer, nn.MultiheadAttention):
        first = layer.q_proj_weight if layer.in_proj_weight is None else layer.in_proj_weight
        layer.embed_dim = layer.kdim = layer.vdim = first.shape[1]
        layer.head_dim = layer.embed_dim // layer.num_heads
        if layer.in_proj_weight is None:
            layer.kdim, layer.vdim = layer.k_proj_weight.shape[1], layer.v_proj_weight.shape[1]
