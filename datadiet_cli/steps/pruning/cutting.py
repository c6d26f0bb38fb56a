"""What goes: units that are removed, or weights that become zeros, and the model that is left."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from datadiet_cli.config.prune_model import blocks_of
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.pruning.base import Bools, Floats, Masks, Scores
from datadiet_cli.steps.pruning.case import STEP, Case

if TYPE_CHECKING:
    import torch

    from datadiet_cli.nn.models import Model
    from datadiet_cli.nn.pruning.base import Group, Structure
    from datadiet_cli.nn.pruning.masks import Limits
    from datadiet_cli.nn.pruning.shrink import Examined

LEAST_UNITS, LEAST_WEIGHTS = 0.05, 0.01
"""Share of a layer that stays at least, where the settings say nothing."""
_BATCH = 64
"""Samples at a time in scoring; gradients are taken batch by batch."""


class Manner(TypedDict):
    """How scores are reckoned."""

    device: "torch.device"
    seed: int
    norm: str
    batch: int


@dataclass(frozen=True, eq=False)
class State:
    """A model on its way.

    Attributes:
        model: on the CPU, in evaluation mode; not changed from now on.
        gone: share of units that can be ranked, or of weights, that is gone so far.
        masks: which weights stay; None where units are removed.
        units: how many units each group has left; none where weights become zeros.
        first: how many it had at first.
        ranked: groups that could be ranked at first, of whose units `gone` is a share; none yet for an uncut model.
        known: the model as it was looked at, if it was.
    """

    model: "Model"
    gone: float
    masks: Masks | None
    units: Mapping[str, int]
    first: Mapping[str, int]
    known: "Examined | None" = None
    ranked: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Ranking:
    """What the parts of a model are worth.

    Attributes:
        state: the model.
        weights: for each weight.
        units: for each unit of each group that can be ranked.
        known: the model as it was looked at; None where weights become zeros.
    """

    state: State
    weights: Scores
    units: Mapping[str, Floats]
    known: "Examined | None"

    @property
    def unranked(self) -> list[str]:
        """Groups that the criterion says nothing of, which stay whole."""
        if self.known is None:
            return []
        return [group.name for group in self.known.structure.groups if group.name not in self.units]


def begun(case: Case, model: "Model") -> State:
    """A model of which nothing is gone by us; zeros that are there already count as gone."""
    if case.settings.structure == "channels":
        known = case.looked_at(model)
        units = {group.name: group.units for group in known.structure.groups}
        return State(model, 0.0, None, units, units, known)
    from datadiet_cli.nn.pruning.masks import sparsity_of

    parts = dict(model.named_parameters())
    masks = {name: (parts[name].detach() != 0).cpu() for name in case.tensors}
    return State(model, sparsity_of(masks), masks, {}, {})


def ranked(case: Case, state: State, criterion: str, seed: int) -> Ranking:
    """Find out what is worth keeping.

    Raises:
        ConfigError: the criterion does not serve, or cannot be reckoned.
        InputError: nothing can be pruned.
    """
    from datadiet_cli.nn.pruning.criteria import weight_scores
    from datadiet_cli.nn.pruning.units import unit_scores

    settings = case.settings
    model, samples = state.model, case.learned
    how = Manner(device=case.device, seed=seed, norm=settings.norm, batch=_BATCH)
    try:
        if settings.structure != "channels":
            return Ranking(state, weight_scores(criterion, model, case.tensors, samples, **how), {}, None)
        known = state.known or case.looked_at(model)
        units = unit_scores(criterion, model, known.structure, samples, **how)
    except ValueError as error:
        raise ConfigError(f"{STEP}: --criterion {criterion}: {error}") from error
    finally:
        model.to("cpu").eval()
    if not units:
        raise InputError(f"{STEP}: {case.named}: --criterion {criterion} can rank none of its layers; take another one")
    return Ranking(state, {}, units, known)


def pruned(case: Case, ranking: Ranking, share: float, *, check: bool = True) -> State:
    """What is left when a share of what there was at first is gone.

    Args:
        case: the model as it was at first, and the settings.
        ranking: of what is there now.
        share: of all units that can be ranked, or of all weights. Weights by a threshold or quantile go by that.
        check: see `shrink.shrunk`.

    Raises:
        InputError: the model cannot be made smaller.
    """
    if ranking.known is None:
        return masked(ranking.state, _masks(case, ranking, share))
    return _smaller(case, ranking, _kept(case, ranking, share), check=check)


def alike(case: Case, ranking: Ranking, other: State) -> State:
    """As much gone as in another state, by this ranking: as many units of each group, or the share of the weights."""
    if ranking.known is None:
        return masked(ranking.state, _masks(case, ranking, other.gone, by_share=True))
    kept: dict[str, Bools] = {}
    for name, scores in ranking.units.items():
        mask = np.zeros(len(scores), dtype=bool)
        mask[np.argsort(-scores, kind="stable")[: other.units[name]]] = True
        kept[name] = mask
    return _smaller(case, ranking, kept)


def lone(case: Case, ranking: Ranking, name: str, share: float) -> State:
    """A share gone of one group, or of one layer's weights, and nothing of the others."""
    import torch

    if ranking.known is not None:
        scores, fewest = ranking.units[name], ranking.known.structure.group(name).least
        mask = np.ones(len(scores), dtype=bool)
        mask[np.argsort(scores, kind="stable")[: min(int(share * len(scores)), len(scores) - fewest)]] = False
        return _smaller(case, ranking, {name: mask}, check=False)
    values = ranking.weights[name].flatten()
    least = torch.argsort(values, stable=True)[: int(share * len(values))]
    stays = torch.ones(len(values), dtype=torch.bool)
    stays[least] = False
    whole = {other: torch.ones_like(tensor, dtype=torch.bool) for other, tensor in ranking.weights.items()}
    return masked(ranking.state, {**whole, name: stays.reshape(ranking.weights[name].shape)})


def _kept(case: Case, ranking: Ranking, share: float) -> dict[str, Bools]:
    from datadiet_cli.nn.pruning.choosing import UnitLimits, choose_units
    from datadiet_cli.nn.pruning.ranking import at_least

    settings, known = case.settings, ranking.known
    assert known is not None  # noqa: S101 - asked for units only
    groups = {group.name: group for group in known.structure.groups}
    # Shares, and what stays at least, are of what there was at first.
    first = _first(ranking)
    left = sum(map(len, ranking.units.values())) / sum(first.values())
    least = LEAST_UNITS if settings.least_per_layer is None else settings.least_per_layer
    dense, now = (sum(tensor.numel() for tensor in m.parameters()) for m in (case.model, ranking.state.model))
    assert settings.scope != "row"  # noqa: S101 - `checks` refuses that
    return choose_units(
        ranking.units,
        {name: group.units for name, group in groups.items()},
        share=max(0.0, 1 - (1 - share) / left),
        scope=settings.scope,
        signatures={name: group.signature for name, group in groups.items()},
        kinds={name: group.kind for name, group in groups.items()},
        limits=UnitLimits(min(1.0, settings.protect * dense / now), 0.0, round_to=settings.round_to),
        least={name: max(at_least(least, count), groups[name].least) for name, count in first.items()},
        weights={name: _weights_of(group, known.structure) for name, group in groups.items()},
        total=now if settings.protect else None,
    )


def _first(ranking: Ranking) -> dict[str, int]:
    """How many units the groups that can be ranked had at first."""
    return {name: ranking.state.first.get(name, len(scores)) for name, scores in ranking.units.items()}


def _weights_of(group: "Group", structure: "Structure") -> int:
    """How many numbers a unit of a group has; those that lie in units of two groups count for both."""
    found = 0.0
    for member in group.members:
        shape = structure.sizes[member.tensor]
        found += len(member.positions) / group.units * math.prod(shape) / shape[member.dim]
    return math.ceil(found)


def _smaller(case: Case, ranking: Ranking, kept: Mapping[str, Bools], *, check: bool = True) -> State:
    from datadiet_cli.nn.pruning.shrink import shrunk

    assert ranking.known is not None  # noqa: S101 - asked for units only
    before = ranking.state
    gone = {name: int((~mask).sum()) for name, mask in kept.items()}
    units = {**before.units, **{name: len(mask) - gone[name] for name, mask in kept.items()}}
    if not any(gone.values()):
        return replace(before, units=units)
    try:
        model = shrunk(ranking.known, kept, check=check)
    except ValueError as error:
        raise InputError(f"{STEP}: {case.named}: {error}") from error
    among = before.ranked or frozenset(ranking.units)
    gone_by_now = 1 - sum(units[name] for name in among) / sum(before.first[name] for name in among)
    return State(model, gone_by_now, None, units, before.first, ranked=among)


def _masks(case: Case, ranking: Ranking, share: float, *, by_share: bool = False) -> Masks:
    from datadiet_cli.nn.pruning.masks import masks_of, n_of_m

    settings = case.settings
    parts = dict(ranking.state.model.named_parameters())
    weights = {name: parts[name].detach().cpu() for name in case.tensors}
    if settings.structure == "n:m":
        n, m = blocks_of(settings.pattern)
        return n_of_m(ranking.weights, weights, n=n, m=m, dims=_inputs_of(ranking.state.model))
    by_share = by_share or settings.target not in ("threshold", "quantile")
    amount = {"share": share} if by_share else {settings.target: float(getattr(settings, settings.target))}
    return masks_of(
        ranking.weights,
        weights,
        **amount,
        scope=settings.scope,
        signatures=case.signatures(),
        limits=_limits(case),
    )


def _inputs_of(model: "Model") -> dict[str, int]:
    """The dimension along which inputs lie, where it is not the second."""
    from torch.nn.modules.conv import _ConvTransposeNd

    return {f"{name}.weight": 0 for name, module in model.named_modules() if isinstance(module, _ConvTransposeNd)}


def _limits(case: Case) -> "Limits":
    from datadiet_cli.nn.pruning.masks import Limits

    settings = case.settings
    least = LEAST_WEIGHTS if settings.least_per_layer is None else settings.least_per_layer
    # Of all parameters so many stay; those that are not under consideration do anyway.
    sizes = {name: tensor.numel() for name, tensor in case.model.named_parameters()}
    among = sum(sizes[name] for name in case.tensors)
    others = sum(sizes.values()) - among
    protect = min(1.0, max(0.0, settings.protect * sum(sizes.values()) - others) / among)
    return Limits(protect=protect, per_layer=least, per_row=settings.least_per_row)


def weights_left(state: State) -> int:
    """Parameters of a model that are there, and not held at zero; others may be zero by chance."""
    zeros = sum(int((~mask).sum()) for mask in (state.masks or {}).values())
    return sum(tensor.numel() for tensor in state.model.parameters()) - zeros


def masked(state: State, masks: Masks) -> State:
    """A copy of which other weights than these are zeros."""
    import torch

    from datadiet_cli.nn.pruning.masks import sparsity_of

    model = copy.deepcopy(state.model)
    parts = dict(model.named_parameters())
    with torch.no_grad():
        for name, mask in masks.items():
            # By a product, negative weights would become negative zeros, and files with two kinds of zeros are larger.
            parts[name].masked_fill_(~mask, 0.0)
    return State(model, sparsity_of(masks), masks, {}, {})
