"""What units of a network are worth that can only go as a whole."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.pruning import layerwise
from datadiet_cli.nn.pruning.base import Floats, Group, Member, Structure
from datadiet_cli.nn.pruning.criteria import Ranking, chance, elements, lamp, refuse_infinite
from datadiet_cli.nn.pruning.statistics import output_means

Counts = Callable[[Member], bool]


def unit_scores(
    criterion: str,
    model: nn.Module,
    structure: Structure,
    samples: Samples | None,
    *,
    device: torch.device,
    seed: int,
    norm: str = "l1",
    batch: int = 64,
) -> dict[str, Floats]:
    """What each unit is worth, by a criterion of `CRITERIA`, from all places that it lies in.

    - ``magnitude``: the sum of abs(w), or of w^2 for ``l2``, over all weights of the unit: those that make it, those
      that take it, and its scales in norms; biases do not count (Fang et al., "DepGraph", CVPR 2023, section 3.3).
    - ``gradient``, ``fisher``, ``snip``: the sums of the scores that `weight_scores` gives these weights.
    - ``wanda``: the sum of them over the weights that take the unit, which are those that meet its values.
    - ``activation``: mean absolute output of its batch norms, or else of the layers that make it, each divided by its
      mean over the units.
    - ``bn-scale``: the mean abs(scale) of the unit in batch norms (Liu et al., ICCV 2017, section 3).
    - ``lamp``: the sum of w^2 as above, divided by the sum of those in the group that are not smaller.
    - ``random``: even from 0 to 1, from a stream for each group by the seed and its name.

    The scores of a group are divided by their mean, so that groups can be ranked together; where all are 0, they are
    all 1. But those of ``lamp`` and ``random``, made to be compared, stay as they are.

    Args:
        criterion: its name.
        model: as for `weight_scores`.
        structure: of this model; its tensors are named as in `Module.state_dict`.
        samples: for criteria that need them; others do not look at them.
        device: where to compute.
        seed: at least 0.
        norm: ``l1`` or ``l2``.
        batch: samples at a time at most.

    Returns:
        By name of a group, (units,) float64, finite and not below 0. Groups that the criterion cannot rank are left
        out: without a batch norm for ``bn-scale``, or whose layers do not tell their outputs for ``activation``.

    Raises:
        ValueError: something of the above is not there or wrong, the structure is of another model, or scores are not
            finite.
        DatadietError: there is not enough memory.
    """
    ranking = Ranking(criterion, model, samples, device, seed, norm, batch)
    _refuse_others(model, structure)
    match criterion:
        case "random":
            found = {group.name: chance(seed, group.name, group.units).double().numpy() for group in structure.groups}
        case "bn-scale":
            found = _scales(ranking, structure)
        case "activation":
            found = _activations(ranking, structure)
        case _:
            found = _sums(ranking, structure)
    for name, scores in found.items():
        refuse_infinite(criterion, name, torch.from_numpy(scores))
    if criterion == "lamp":
        return {name: lamp(torch.from_numpy(scores)).numpy() for name, scores in found.items()}
    return found if criterion == "random" else {name: _even(scores) for name, scores in found.items()}


def _refuse_others(model: nn.Module, structure: Structure) -> None:
    known = model.state_dict()
    for name in dict.fromkeys(name for group in structure.groups for name in group.tensors):
        if name not in known:
            raise ValueError(f"the structure is of another model: {name} is not in this one")
        if structure.sizes.get(name, known[name].shape) != tuple(known[name].shape):
            own = tuple(known[name].shape)
            raise ValueError(f"the structure is of another model: {name} has shape {own} in this one")


def _even(scores: Floats) -> Floats:
    mean = scores.mean()
    return scores / mean if mean > 0 else np.ones_like(scores)


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layer of each parameter, by the parameter's name."""
    return {
        f"{path}.{name}".removeprefix("."): layer
        for path, layer in model.named_modules(remove_duplicate=False)
        for name, _ in layer.named_parameters(recurse=False)
    }


def _weighty(layers: Mapping[str, nn.Module]) -> Counts:
    """Which members count as weights: matrices, kernels and scales of norms; no biases, and no statistics."""

    def counts(member: Member) -> bool:
        layer, last = layers.get(member.tensor), member.tensor.rpartition(".")[2]
        return layer is not None and "bias" not in last and (layerwise.norms(layer) or _is_matrix(layer, last))

    return counts


def _taking(layers: Mapping[str, nn.Module]) -> Counts:
    """Which members are weights that take the units."""

    def counts(member: Member) -> bool:
        layer, last = layers.get(member.tensor), member.tensor.rpartition(".")[2]
        return not member.makes and layer is not None and layerwise.takes(layer) and _is_matrix(layer, last)

    return counts


def _is_matrix(layer: nn.Module, name: str) -> bool:
    return layer.get_parameter(name).dim() > 1


def _sums(ranking: Ranking, structure: Structure) -> dict[str, Floats]:
    """Sums of what single weights are worth, over the places of each unit."""
    layers = _layers(ranking.model)
    counts = (_taking if ranking.criterion == "wanda" else _weighty)(layers)
    members = [member for group in structure.groups for member in group.members if counts(member)]
    values = _values(ranking, list(dict.fromkeys(member.tensor for member in members)))
    along: dict[tuple[str, int], Floats] = {}
    for tensor, dim in dict.fromkeys((member.tensor, member.dim) for member in members):
        own = values[tensor]
        others = [other for other in range(own.dim()) if other != dim]
        summed = own.sum(others, dtype=torch.float64) if others else own.to(torch.float64)
        along[tensor, dim] = summed.cpu().numpy()
    found: dict[str, Floats] = {}
    for group in structure.groups:
        own_members = [member for member in group.members if counts(member)]
        if own_members:
            found[group.name] = sum(
                (_gathered(along[member.tensor, member.dim], member, group.units) for member in own_members),
                start=np.zeros(group.units),
            )
    return found


def _values(ranking: Ranking, names: list[str]) -> dict[str, Tensor]:
    """What single weights are worth, before sums over them are taken."""
    squared = ranking.criterion == "lamp" or (ranking.criterion == "magnitude" and ranking.norm == "l2")
    if not squared:
        return elements(ranking, names)
    weights = dict(ranking.model.named_parameters(remove_duplicate=False))
    return {name: weights[name].detach().to(torch.float64).square() for name in names}


def _gathered(along: Floats, member: Member, units: int) -> Floats:
    """(units,) sums over the positions of each."""
    return np.bincount(member.owners, weights=along[member.positions], minlength=units).astype(np.float64, copy=False)


def _means(group: Group, parts: list[tuple[Member, Floats]]) -> Floats | None:
    """(units,) means over all members of a group that tell of a unit; None if none tells of some."""
    totals, counts = np.zeros(group.units), np.zeros(group.units)
    for member, along in parts:
        totals += _gathered(along, member, group.units)
        counts += np.bincount(member.owners, minlength=group.units)
    return totals / counts if counts.all() else None


def _scales(ranking: Ranking, structure: Structure) -> dict[str, Floats]:
    layers, found = _layers(ranking.model), {}
    scales = {
        name: layer.weight.detach().abs().to("cpu", torch.float64).numpy()
        for name, layer in layers.items()
        if isinstance(layer, _BatchNorm) and name.rpartition(".")[2] == "weight"
    }
    for group in structure.groups:
        parts = [(member, scales[member.tensor]) for member in group.members if member.tensor in scales]
        scores = _means(group, parts)
        if scores is not None:
            found[group.name] = scores
    return found


def _activations(ranking: Ranking, structure: Structure) -> dict[str, Floats]:
    layers = _layers(ranking.model)
    heard = {group.name: _heard(group, layers) for group in structure.groups}
    names = {member.tensor for members in heard.values() for member in members} & layers.keys()
    known = output_means(ranking.model, sorted(names), ranking.given, device=ranking.device, batch=ranking.batch)
    sizes = {name: tensor.shape for name, tensor in ranking.model.state_dict().items()}
    found = {}
    for group in structure.groups:
        parts = []
        for member in heard[group.name]:
            if member.tensor in known:
                along = _along(known[member.tensor], member.dim, sizes[member.tensor][member.dim])
                refuse_infinite(ranking.criterion, member.tensor, along)
                mean = float(along[torch.from_numpy(member.positions)].mean())
                parts.append((member, (along / mean if mean > 0 else torch.ones_like(along)).numpy()))
        scores = _means(group, parts)
        if scores is not None:
            found[group.name] = scores
    return found


def _heard(group: Group, layers: Mapping[str, nn.Module]) -> list[Member]:
    """Where the units of a group come out: of its batch norms, or else of what makes them."""
    found = [
        member
        for member in group.members
        if isinstance(layers.get(member.tensor), _BatchNorm) and member.tensor.endswith("weight")
    ]
    return found or [member for member in group.members if member.makes]


def _along(values: Tensor, dim: int, size: int) -> Tensor:
    """(size,) means along a dimension, of what a tensor can be multiplied with."""
    others = [other for other in range(values.dim()) if other != dim]
    return (values.mean(others) if others else values).cpu().expand(size)
