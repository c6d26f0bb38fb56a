"""Whether something lost is less than what counts as nothing, in words that claim no more than the data can tell."""

from dataclasses import asdict, dataclass
from math import ceil, floor
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datadiet_cli.methods.intervals import Crossed, crossed

Floats = NDArray[np.float64]
Unit = Literal["points", "R2"]

_DECIMALS = 4


@dataclass(frozen=True)
class Verdict:
    """What is lost from before to after, and whether it is proved to be no more than the margin.

    Attributes:
        difference: mean of after less before; a share of 1, or R2.
        lower: end of the two-sided interval of the difference.
        upper: end of the two-sided interval of the difference.
        loss_bound: one-sided: no more than this is lost, with the confidence. Below 0 where something is gained.
        noninferior: whether `loss_bound` is within the margin.
        inferior: whether the loss is proved to exceed the margin.
        resolution: the smallest loss that such test data and so many seeds can prove, were there none.
        margin: the loss that counts as none.
        confidence: of the bounds.
        seeds: how many trainings of each kind.
        samples: how many test samples.
        words: a sentence for people.
    """

    difference: float
    lower: float
    upper: float
    loss_bound: float
    noninferior: bool
    inferior: bool
    resolution: float
    margin: float
    confidence: float
    seeds: int
    samples: int
    words: str

    def as_json(self) -> dict[str, Any]:
        """As the report has it."""
        return asdict(self)


def verdict(
    before: ArrayLike, after: ArrayLike, margin: float, confidence: float = 0.95, *, unit: Unit = "points"
) -> Verdict:
    """Test one-sidedly whether after is no worse than before by more than a margin.

    The bound is that of `intervals.crossed`: seeds and test samples might both have been others. For one seed it is
    about these two models on other test samples.

    Args:
        before: (S, n) scores, the s-th row by the s-th seed: for ``points`` correctness, 0 or 1; for ``R2`` what
            `r2_scores` gives.
        after: (S, n) scores of the same seeds and test samples.
        margin: the loss that counts as none, 0 or more.
        confidence: of the bounds, above 0, below 1.
        unit: what the scores are.

    Raises:
        ValueError: shapes differ, there are no samples, scores are not finite or not of their unit, or the margin is
            negative.
    """
    one, other = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 2:
        raise ValueError(f"scores before are {one.shape}, after {other.shape}; both must be (seeds, samples)")
    if not margin >= 0:
        raise ValueError(f"a margin of {margin:g} is negative")
    if unit == "points" and not all(((x == 0) | (x == 1)).all() for x in (one, other)):
        raise ValueError("correctness is 0 or 1")
    seen = crossed(other - one, confidence, within=1.0 if unit == "points" else None)
    seeds, samples = one.shape
    noninferior, inferior = bool(-seen.least <= margin), bool(-seen.most > margin)
    return Verdict(
        difference=seen.mean,
        lower=seen.lower,
        upper=seen.upper,
        loss_bound=0.0 - seen.least,  # never a negative zero
        noninferior=noninferior,
        inferior=inferior,
        resolution=seen.resolution,
        margin=float(margin),
        confidence=float(confidence),
        seeds=seeds,
        samples=samples,
        words=_words(seen, float(margin), seeds, samples, unit),
    )


def r2_scores(values: ArrayLike, predicted: ArrayLike) -> Floats:
    """Scores whose mean is the R2 of each seed, and whose spread is that of R2 over test samples.

    R2 is one less a ratio of means, `e = mean (y - p)^2` over `v = mean (y - mean y)^2`, and both move with the test
    samples. A sample's score is `R2 + ((1 - R2) (y - mean y)^2 - (y - p)^2) / v`, its influence by the linearisation
    of the ratio (the delta method; Cochran, Sampling Techniques, 3rd ed. 1977, §6.4).

    Args:
        values: (n,) numbers to predict, finite, not all equal.
        predicted: (S, n) predictions, finite.

    Returns:
        (S, n) float64.

    Raises:
        ValueError: values are all equal, so that there is no R2, or numbers are missing.
    """
    y, p = np.asarray(values, dtype=np.float64), np.atleast_2d(np.asarray(predicted, dtype=np.float64))
    if y.ndim != 1 or p.ndim != 2 or p.shape[1] != len(y) or not (np.isfinite(y).all() and np.isfinite(p).all()):
        raise ValueError("R2 takes finite values (n,) and predictions (seeds, n)")
    if len(y) < 2 or (y == y[0]).all():
        raise ValueError("there is no R2 where all values to predict are equal")
    off = (y - y.mean()) ** 2
    error = (y - p) ** 2
    lost = error.mean(axis=1, keepdims=True) / off.mean()
    return np.asarray(1 - lost + (lost * off - error) / off.mean())


def amount(value: float, unit: Unit, decimals: int | None = None) -> str:
    """A difference in its unit: ``0.4 points``, ``0.004 of R2``."""
    if unit == "points":
        return f"{100 * value:.{1 if decimals is None else decimals}f} points"
    return f"{value:.{3 if decimals is None else decimals}f} of R2"


def percent(confidence: float) -> str:
    """A confidence as people write it: ``95 %``."""
    return f"{100 * confidence:.6g} %"


def _words(seen: Crossed, margin: float, seeds: int, samples: int, unit: Unit) -> str:
    """Say what is proved; bounds are rounded to the side that claims less."""
    bound, sure = -seen.least, percent(seen.confidence)
    if bound <= 0:
        gained, least = amount(seen.mean, unit), _rounded(-bound, unit, up=False)
        more = f"; {gained} gained on average, {least} at least" if least != amount(0, unit) else ""
        return f"nothing lost ({sure}){more}"
    if bound <= margin:
        return f"at most {_rounded(bound, unit, up=True, limit=margin)} lost ({sure})"
    if -seen.most > margin:
        least = _rounded(-seen.most, unit, up=False, limit=margin)
        return f"worse: {amount(-seen.mean, unit)} lost on average, at least {least} ({sure})"
    up_to = _rounded(bound, unit, up=True)
    if seen.resolution <= margin:
        allowed = _rounded(margin, unit, up=False)
        change = f"{amount(abs(seen.mean), unit)} {'lost' if seen.mean <= 0 else 'gained'} on average"
        return f"not proved: {change}, and up to {up_to} may be lost ({sure}), more than the {allowed} allowed"
    tested = f"{samples:,} test sample{'s' if samples != 1 else ''}"
    more = "give more test data"
    if seeds > 1:
        tested, more = f"{tested} and {seeds} seeds", f"{more} or seeds"
    best = _rounded(seen.resolution, unit, up=True)
    verb = "resolve" if samples != 1 or seeds > 1 else "resolves"
    return f"not proved: up to {up_to} may be lost ({sure}); {tested} {verb} {best} at best; {more}"


def _rounded(value: float, unit: Unit, *, up: bool, limit: float | None = None) -> str:
    """Round to one side, with as many decimals as it takes to stay on the same side of a limit."""
    scale = 100 if unit == "points" else 1
    first = 1 if unit == "points" else 3
    for decimals in range(first, first + _DECIMALS):
        # So that 0.3 points, which is .3 + 4e-17, does not become 0.4.
        exact = round(value * scale * 10**decimals, 6)
        shown = (ceil(exact) if up else floor(exact)) / 10**decimals / scale
        if limit is None or (shown <= limit * (1 + 1e-12) if up else shown >= limit):
            break
    return amount(shown, unit, decimals)
