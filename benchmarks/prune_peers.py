"""The same by peers: `torch.nn.utils.prune` for weights, Torch-Pruning for channels, with plain training."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from prune_nets import Part, accuracy, normed, taught, weights_of
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune

MORE, RATE = 10, 0.02
APART = 1000
"""Added to the seed of masks: from that of the first weights they would be of one sign where a mask is."""
_TRIES = 12


def weights(model: nn.Module, way: str, sparsity: float, train: Part, test: Part, seed: int) -> dict[str, Any]:
    """Prune weights, and train with the masks that the peer holds."""
    places = [(layer, "weight") for layer in weights_of(model).values()]
    torch.manual_seed(APART + seed)
    if way == "magnitude, layer":
        for layer, name in places:
            prune.l1_unstructured(layer, name, sparsity)
    else:
        method = prune.RandomUnstructured if way.startswith("random") else prune.L1Unstructured
        prune.global_unstructured(places, method, amount=sparsity)
    masks = {f"{name}.weight": layer.weight_mask.clone() for name, layer in weights_of(model).items()}
    for layer, name in places:
        prune.remove(layer, name)
    return _figures(model, train, test, seed, masks)


@dataclass(frozen=True)
class Near:
    """What a peer is to come near to.

    Attributes:
        macs: operations of one sample.
        ratio: of channels, to begin with.
        together: whether all channels are ranked together.
    """

    macs: float
    ratio: float
    together: bool


def channels(model: nn.Module, criterion: str, near: Near, train: Part, test: Part, seed: int) -> dict[str, Any]:
    """Take channels out, with the ratio at which the number of operations is nearest to a given one."""
    low, high, ratio = 0.0, 1.0, near.ratio
    best: tuple[float, int, nn.Module] | None = None
    for _ in range(_TRIES):
        small, count = _pruned(copy.deepcopy(model), criterion, ratio, near.together, train, seed)
        gap = abs(count / near.macs - 1)
        if best is None or gap < best[0]:
            best = gap, count, small
        if gap == 0:
            break
        low, high = (ratio, high) if count > near.macs else (low, ratio)
        ratio = (low + high) / 2
    assert best is not None
    return {"macs": best[1], "gap": best[0]} | _figures(best[2], train, test, seed)


def _pruned(
    model: nn.Module, criterion: str, ratio: float, together: bool, train: Part, seed: int
) -> tuple[nn.Module, int]:
    import torch_pruning

    from datadiet_cli.nn.cost import macs

    kinds = torch_pruning.importance
    importance = {
        "random": kinds.RandomImportance,
        "magnitude": lambda: kinds.GroupMagnitudeImportance(p=1),
        "gradient": kinds.GroupTaylorImportance,
        "bn-scale": kinds.BNScaleImportance,
    }[criterion]()
    torch.manual_seed(APART + seed)
    model.eval()
    pruner = torch_pruning.pruner.BasePruner(
        model,
        train.x[:2],
        importance=importance,
        pruning_ratio=ratio,
        global_pruning=together,
        ignored_layers=[model.f2],
        max_pruning_ratio=0.95,
    )
    if criterion == "gradient":
        model.zero_grad()
        functional.cross_entropy(model(train.x), train.y).backward()
    pruner.step()
    model.zero_grad()
    return model, macs(model, (train.x,))


def _figures(
    model: nn.Module, train: Part, test: Part, seed: int, masks: dict[str, torch.Tensor] | None = None
) -> dict[str, float]:
    found = {"pruned": accuracy(model, test)}
    found["re-estimated"] = accuracy(normed(copy.deepcopy(model), train), test)
    found["fine-tuned"] = accuracy(taught(model, train, MORE, seed, RATE, masks=masks), test)
    return found
