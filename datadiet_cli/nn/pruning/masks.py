"""Which single weights go: a share of them, those up to a threshold or a quantile, or some of every few neighbours."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from datadiet_cli.nn.pruning.base import Bools, Masks, Scores
from datadiet_cli.nn.pruning.ranking import ROUNDING, at_least, checked_share, kth, lowest, together

Scope = Literal["layer", "global", "isomorphic", "row"]

_Worths = NDArray[np.float32]


@dataclass(frozen=True)
class Limits:
    """How many weights stay, whatever they are worth. Weights that are 0 are gone, and do not count as staying.

    Attributes:
        protect: share of all weights under consideration that stays at least.
        per_layer: share of each tensor that stays at least; one weight always does.
        per_row: weights that each row (slice of dimension 0) keeps at least; shorter rows stay whole. A tensor of one
            dimension is a row.

    Raises:
        ValueError: a share is not between 0 and 1, or `per_row` is below 0.
    """

    protect: float = 0.0
    per_layer: float = 0.0
    per_row: int = 1

    def __post_init__(self) -> None:
        checked_share("protect", self.protect)
        checked_share("per_layer", self.per_layer)
        if self.per_row < 0:
            raise ValueError(f"per_row must be 0 or more, not {self.per_row}")


def masks_of(
    scores: Scores,
    weights: Mapping[str, torch.Tensor],
    *,
    share: float | None = None,
    threshold: float | None = None,
    quantile: float | None = None,
    scope: Scope = "global",
    signatures: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> Masks:
    """Decide which weights stay, by one of three amounts. The result does not depend on the order of the tensors.

    Weights that are 0 are gone already (the model was pruned before): their masks are False, and they count towards
    the amount before all others. So a share below the present sparsity removes nothing more.

    Of weights of the same score the first ones go first, by name of the tensor, then by position.

    Args:
        scores: what each weight is worth, finite; names of the tensors under consideration.
        weights: these tensors; others are passed over.
        share: so many weights go in each part of the scope: ``round(share * weights)`` with the lowest scores. Where
            limits hold some, the next ones of the same part go instead, as far as there are any.
        threshold: weights of at most this absolute value go, whatever the scope; scores only decide which of them
            the limits hold.
        quantile: weights go whose scores are at most this quantile of their part of the scope (the inverse of the
            distribution function: the lowest score that at least this share of the weights does not exceed). All of
            equal scores go or stay together; a quantile of 0 removes nothing.
        scope: the parts that are ranked for themselves: each tensor, all together, tensors of one signature, or each
            row (slice of dimension 0; Sun et al., "A simple and effective pruning approach for large language models",
            ICLR 2024).
        signatures: of each tensor, for the scope ``isomorphic``.
        limits: what stays in any case. No part loses more than all but `Limits.protect`, and no row more than all but
            `Limits.per_layer`; what is still too much comes back, highest scores first.

    Returns:
        Masks in the order of `scores`.

    Raises:
        ValueError: not exactly one amount, or one out of its range; scores that are not finite, or without weights of
            their shape; an unknown scope; a tensor without a signature.
    """
    limits = limits or Limits()
    _check_amount(share, threshold, quantile)
    _check_scores(scores, weights)
    by_row = scope == "row" and threshold is None
    most = 1 - max(limits.protect, limits.per_layer if by_row else 0)
    gone: dict[str, Bools] = {}
    for part in together(sorted(scores), scope, get_args(Scope), signatures):
        pool = _Pool(part, scores, weights, threshold)
        matrix = pool.rows[part[0]] if by_row else pool.flat[None]
        columns = matrix.shape[1]
        # Before limits hide some of the scores.
        cut = np.inf if quantile is None else kth(matrix, math.ceil(min(quantile, most) * columns - ROUNDING))
        for name in part:
            _hold(pool.rows[name], limits.per_row, 0 if by_row else _least(limits, scores[name]))
        lost = (matrix <= cut) & (matrix < np.inf)
        if share is not None:
            lost &= lowest(matrix, round(min(share, most) * columns))
        gone.update(pool.split(lost | (matrix == -np.inf)))
        if by_row:
            # A tensor is more than a part of this scope: what it holds depends on what went of its rows.
            _give_back(gone, part, scores, weights, _least(limits, scores[part[0]]))
    _give_back(gone, sorted(gone), scores, weights, at_least(limits.protect, sum(map(len, gone.values()))))
    return {name: torch.from_numpy(~gone[name]).reshape(score.shape) for name, score in scores.items()}


def n_of_m(
    scores: Scores, weights: Mapping[str, torch.Tensor], *, n: int, m: int, dims: Mapping[str, int] | None = None
) -> Masks:
    """Keep n of every m neighbours along the inputs of a layer, those of the highest scores.

    Neighbours lie along dimension 1: inputs of linear layers, and for convolutions input channels at the same position
    of the kernel, as in NVIDIA's Apex (Mishra et al., "Accelerating sparse deep neural networks", 2021, for 2:4). A
    last block of fewer than m keeps n of them, or all. Weights that are 0 are gone and go first, so a block of a pruned
    model may keep fewer than n. Of weights of the same score the first go first.

    Args:
        scores: what each weight is worth, finite.
        weights: these tensors; others are passed over.
        n: weights that stay, at least 1.
        m: length of a block, at least n.
        dims: by name, the dimension of tensors whose inputs lie elsewhere (0 for transposed convolutions).

    Returns:
        Masks in the order of `scores`.

    Raises:
        ValueError: n and m that do not fit, a tensor without this dimension, or scores as for `masks_of`.
    """
    if not 1 <= n <= m:
        raise ValueError(f"of {m} neighbours {n} cannot stay: n must be between 1 and m")
    _check_scores(scores, weights)
    masks: Masks = {}
    for name, score in scores.items():
        dim = (dims or {}).get(name, 1)
        if not 0 <= dim < score.ndim:
            raise ValueError(f"{name} has {score.ndim} dimensions, and none with the number {dim}")
        worth = np.moveaxis(_worth(score, weights[name], None), dim, -1)
        size = worth.shape[-1]
        stays = np.zeros(worth.shape, dtype=bool)
        if worth.size:
            blocks = np.full((worth.size // size, -(-size // m) * m), -np.inf, dtype=np.float32)
            blocks[:, :size] = worth.reshape(-1, size)
            kept = ~lowest(blocks.reshape(-1, m), m - n)
            stays = kept.reshape(blocks.shape)[:, :size].reshape(worth.shape) & (worth > -np.inf)
        masks[name] = torch.from_numpy(np.ascontiguousarray(np.moveaxis(stays, -1, dim)))
    return masks


def sparsity_of(masks: Mapping[str, torch.Tensor]) -> float:
    """Share of the weights that go; 0 if there are none."""
    total = sum(mask.numel() for mask in masks.values())
    kept = sum(int(mask.sum()) for mask in masks.values())
    return (total - kept) / total if total else 0.0


class _Pool:
    """Weights that are ranked together: what they are worth in one array, and each tensor's rows as views of it."""

    def __init__(
        self, names: Sequence[str], scores: Scores, weights: Mapping[str, torch.Tensor], threshold: float | None
    ) -> None:
        self.flat: _Worths = np.empty(sum(scores[name].numel() for name in names), dtype=np.float32)
        self.rows: dict[str, _Worths] = {}
        self._places: dict[str, slice] = {}
        start = 0
        for name in names:
            score = scores[name]
            place = slice(start, start := start + score.numel())
            self.flat[place] = _worth(score, weights[name], threshold).reshape(-1)
            rows = score.shape[0] if score.ndim > 1 and score.numel() else 1
            self.rows[name] = self.flat[place].reshape(rows, score.numel() // rows)
            self._places[name] = place

    def split(self, lost: Bools) -> dict[str, Bools]:
        """Flags of all weights, by tensor, flat."""
        flat = lost.reshape(-1)
        return {name: flat[place] for name, place in self._places.items()}


def _worth(score: torch.Tensor, weight: torch.Tensor, threshold: float | None) -> _Worths:
    """Scores, -inf for weights that are gone already, and inf for those that a threshold leaves."""
    worth: _Worths = score.detach().to("cpu", torch.float32, copy=True).numpy()
    sizes = weight.detach().cpu().abs()
    if threshold is not None:
        worth[(sizes > threshold).numpy()] = np.inf
    worth[(sizes == 0).numpy()] = -np.inf
    return worth


def _least(limits: Limits, score: torch.Tensor) -> int:
    """How many weights of a tensor stay at least."""
    return max(at_least(limits.per_layer, score.numel()), 1)


def _hold(worth: _Worths, per_row: int, least: int) -> None:
    """Make weights that must stay worth inf, in place.

    Rows lie in tensors and tensors in parts of a scope: under limits that are nested like this, weights go greedily
    from the lowest score on, and what a row holds is the same however many go. So it can be set apart beforehand.

    Args:
        worth: (r, c), the rows of a tensor.
        per_row: how many of each row stay.
        least: how many of the tensor stay.
    """
    rows, columns = worth.shape
    alive = worth > -np.inf
    stays = ~lowest(worth, columns - per_row) if per_row else np.zeros(worth.shape, dtype=bool)
    stays &= alive
    if np.count_nonzero(stays) < least:
        worth[stays] = np.inf
        stays |= ~lowest(worth.reshape(1, -1), worth.size - least).reshape(rows, columns) & alive
    worth[stays] = np.inf


def _give_back(
    gone: dict[str, Bools], names: Sequence[str], scores: Scores, weights: Mapping[str, torch.Tensor], least: int
) -> None:
    """Let weights of some tensors stay after all, highest scores first, until so many do; in place."""
    if sum(len(gone[name]) - np.count_nonzero(gone[name]) for name in names) >= least:
        return
    lost, worth = [], []
    for name in names:
        flat = _worth(scores[name], weights[name], None).reshape(-1)
        lost.append(np.flatnonzero(gone[name] & (flat > -np.inf)))
        worth.append(flat[lost[-1]])
        least -= len(flat) - int(np.count_nonzero(gone[name]))
    everything = np.concatenate(worth)
    back = ~lowest(everything[None], len(everything) - least)[0]
    ends = np.cumsum([len(places) for places in lost])[:-1]
    for name, places, some in zip(names, lost, np.split(back, ends), strict=True):
        gone[name][places[some]] = False


def _check_amount(share: float | None, threshold: float | None, quantile: float | None) -> None:
    """Refuse amounts that say nothing, or two things."""
    given = {"share": share, "threshold": threshold, "quantile": quantile}
    if sum(value is not None for value in given.values()) != 1:
        raise ValueError("give exactly one of share, threshold and quantile")
    if threshold is not None:
        if not (threshold >= 0 and math.isfinite(threshold)):
            raise ValueError(f"threshold must be 0 or more, and finite, not {threshold:g}")
        return
    for name, value in given.items():
        if value is not None:
            checked_share(name, value)


def _check_scores(scores: Scores, weights: Mapping[str, torch.Tensor]) -> None:
    """Refuse scores that belong to no weights, or cannot be ranked."""
    for name, score in scores.items():
        if name not in weights:
            raise ValueError(f"there are scores of {name}, but no weights")
        if score.shape != weights[name].shape:
            raise ValueError(f"scores of {name} have shape {tuple(score.shape)}, not {tuple(weights[name].shape)}")
        if not bool(torch.isfinite(score.to(torch.float32)).all()):
            raise ValueError(f"scores of {name} are not finite")
