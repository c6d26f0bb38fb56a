"""How labels were mixed up, told from the rows of which a model is surest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.confident import blocks, given_probability

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Wide = NDArray[np.float64]
Bools = NDArray[np.bool_]

SURE, SURER = 0.75, 0.05
"""Shares of the rows predicted to be of a class that are taken for certain, where there is noise and where none."""
OVERLAP, NOISE = 0.10, 0.18
"""Disagreement among the surest rows, as a share of that among all rows. Where classes merely overlap, the surest
hardly disagree; labels mixed up by chance, or by people, disagree there too. Below the one it is taken for overlap,
above the other for noise."""
_FEW = 200
"""So many rows are the surest, if that is no more than a quarter."""
SHARP = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0)
"""Powers that probabilities may be raised to."""
LEAST_SHARP = 3.4
"""Where there is noise. A model that learned from wrong labels is as unsure as these are often wrong, hence less sure
of the true class than it has reason to be."""
NORMAL = 1.959963984540054
"""Standard errors to either side that take in 95 %."""
APART, LEAST_APART = 6.0, 0.2
"""How wide a gap sets a label apart: in mean distances of the less sure half from the median, and at least."""
TYPICAL = 0.1
"""Share of the rows of a class that are too unsure: what is no surer to be of that class is not said to be so."""
_LEAST = 3
_SPREAD = 0.1
_PRIOR, _MUTE = 2.0, 1000.0
_FLOOR = 1e-5
_LIKELY = 1e-3
_LIFT = 3.0
_TOP = 20
_MOST = 1 << 18


@dataclass(frozen=True, eq=False)
class Noise:
    """A model of wrong labels.

    Attributes:
        given: (K, K) float64, probability of a label (column) when the true class is the row; rows sum to 1.
        power: probabilities are raised to this and scaled to 1 again, to be those of the true class.
        recognised: (K,) classes that the model tells from others better than chance. Nothing is said of others.
        share: between 0 and 1, how much of all disagreement is put down to wrong labels, not to overlap.
        error: standard error of the share of wrong labels, from the number of rows that `given` was told from.
    low: share of wrong labels, were it everywhere as among the surest rows, less its error at 95 %.
    high: share of wrong labels, were every row's that is predicted otherwise, and its error at 95 %.
    """

    given: Wide
    power: float
    recognised: Bools
    share: float
    error: float
    low: float
    high: float


def fit_noise(probability: Floats, label: Ints) -> Noise:
    """Learn how labels were mixed up.

    For each class the rows that are surest to be of it are anchors, and the labels given to these are the noise (as
    in Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach", CVPR 2017,
    section 4.1, equations 12 and 13; of many anchors the labels are counted, as in the confident joint, instead of
    taking the probability at one). Given that, the power which makes the labels most likely is taken, as in
    temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2).

    Args:
        probability: (n, K) float32, out of fold.
        label: (n,) int64; rows with -1 do not count.
    """
    classes = probability.shape[1]
    best, sure = _best(probability)
    known = label >= 0
    count = np.bincount(label[known], minlength=classes)
    best = np.where(known, best, -1)
    all_rows = _Anchors.of(best, sure, label, classes, 1.0)
    few = float(np.clip(_FEW / max(int(known.sum()), 1), SURER, 0.25))
    surest = _Anchors.of(best, sure, label, classes, few)
    share = _share_of_noise(surest, all_rows)
    weight = float(np.clip((share - OVERLAP) / (NOISE - OVERLAP), 0, 1))
    anchors = _Anchors.of(best, sure, label, classes, few + weight * (SURE - few))
    given = anchors.given(weight)
    least = 1 + weight * (LEAST_SHARP - 1) if weight else 0.0
    power = _power(probability, label, sure, given, least)
    recognised = _recognised(all_rows, probability, label, count)
    low, high = surest.wrong(-1), all_rows.wrong(1)
    return Noise(given, power, recognised, weight, anchors.error(all_rows.count), low, high)


def posterior(noise: Noise, probability: Floats, label: Ints) -> Wide:
    """Probabilities of the true class of rows, knowing the label that each was given.

    Args:
        noise: from `fit_noise`.
        probability: (n, K) float32.
        label: (n,) int64, none of them -1.

    Returns:
        (n, K) float64, rows sum to 1.
    """
    true = sharpened(probability, noise.power)
    true *= noise.given.T[label]
    true /= true.sum(axis=1, keepdims=True)
    return true


def sharpened(probability: Floats, power: float) -> Wide:
    """Raise probabilities to a power and scale them to 1; none gets to be impossible.

    Args:
        probability: (n, K) float32.
        power: above 0.

    Returns:
        (n, K) float64.
    """
    out = probability.astype(np.float64)
    out += 1e-6
    np.log(out, out=out)
    out *= power
    out -= out.max(axis=1, keepdims=True)
    np.exp(out, out=out)
    out *= (1 - _LIKELY) / out.sum(axis=1, keepdims=True)
    out += _LIKELY / out.shape[1]
    return out


def isolated(probability: Floats, label: Ints, learned: Ints) -> Bools:
    """Rows whose label stands out where classes hardly overlap: for data so small that the surest rows show no noise.

    Such a row is predicted to be of another class, as surely as most rows of that are; and between it and the rows of
    its own label there is a gap in the probability of that label. Where classes overlap there is none.

    Args:
        probability: (n, K) float32.
        label: (n,) int64, -1 for none.
        learned: (n,) int64, the same, and -1 for a row that says nothing of others.
    """
    own = given_probability(probability, label)
    best, sure = _best(probability)
    off = (label >= 0) & (own < sure)
    below, typical = np.full((2, probability.shape[1]), [[-np.inf], [np.inf]])
    rows = np.flatnonzero(learned >= 0)
    rows = rows[np.lexsort((own[rows], label[rows]))]
    for part in np.split(rows, np.flatnonzero(np.diff(label[rows])) + 1) if off.any() and len(rows) else ():
        below[label[part[0]]], typical[label[part[0]]] = _edges(own[part], off[part])
    out: Bools = off & (own < below[label]) & (sure >= typical[best])
    return out


def _edges(own: Wide, off: Bools) -> tuple[float, float]:
    """Below which probability a row stands apart from its class, and from which on it is typical of it; `own` rises."""
    right = own[~off]
    if 4 * len(right) < 3 * len(own) or len(right) < _LEAST:
        return -np.inf, np.inf
    spread = float(np.median(right) - right[: (len(right) + 1) // 2].mean())
    wide = max(APART * spread, LEAST_APART)
    upper = own[: int(off.argmin()) + 1]
    return float(upper[np.diff(upper, prepend=-np.inf) > wide][-1]) - wide, float(right[int(TYPICAL * len(right))])


@dataclass(frozen=True, eq=False)
class _Anchors:
    """The rows that a model is surest of, and what they are labelled.

    Attributes:
        seen: (K, K) int64, rows by predicted class and label given.
        count: (K,) int64, rows by predicted class.
    """

    seen: Ints
    count: Ints

    @classmethod
    def of(cls, best: Ints, sure: Floats, label: Ints, classes: int, share: float) -> "_Anchors":
        """Take a share of the rows predicted to be of each class, and those as sure as the last of them."""
        order = np.lexsort((-sure, best))
        order = order[np.searchsorted(best[order], 0) :]
        count = np.bincount(best[order], minlength=classes)
        first = np.cumsum(count) - count
        here = np.flatnonzero(count)
        least = np.full(classes, np.inf, dtype=np.float32)
        least[here] = sure[order[first[here] + np.ceil(share * count[here]).astype(np.int64) - 1]]
        rows = order[sure[order] >= least[best[order]]]
        seen = np.bincount(best[rows] * classes + label[rows], minlength=classes * classes).reshape(classes, classes)
        return cls(seen, seen.sum(axis=1))

    @property
    def off(self) -> Ints:
        """Rows of each predicted class with another label."""
        wrong: Ints = self.count - self.seen.diagonal()
        return wrong

    def given(self, weight: float) -> Wide:
        """Shares of labels among the anchors of each class.

        Args:
            weight: how far these are trusted; the less, the more has every class the same share of wrong labels, and
                every wrong label the same share of these.
        """
        classes = len(self.seen)
        prior, own = _PRIOR + _MUTE * (1 - weight), (1 - _SPREAD) * weight
        count = self.count + prior
        pooled = self.off.sum() / max(int(self.count.sum()), 1)
        wrong = (self.off + prior * pooled) / count
        shares: Wide = own * self.seen / count[:, None]
        shares += ((wrong - own * self.off / count) / max(classes - 1, 1))[:, None]
        # However rarely a label was mixed up with another, rows can be put in order by how likely it is.
        shares = np.maximum(shares, _FLOOR / classes)
        np.fill_diagonal(shares, 0)
        np.fill_diagonal(shares, np.maximum(1 - shares.sum(axis=1), _FLOOR))
        shares /= shares.sum(axis=1, keepdims=True)
        return shares

    def wrong(self, side: int) -> float:
        """Share of anchors with another label, and the end of its 95 % interval at one side (Wilson, 1927)."""
        n = max(int(self.count.sum()), 1)
        share, square = float(self.off.sum()) / n, NORMAL**2
        away = NORMAL * np.sqrt(share * (1 - share) / n + square / (4 * n * n))
        return float(np.clip((share + square / (2 * n) + side * away) / (1 + square / n), 0, 1))

    def error(self, predicted: Ints) -> float:
        """Standard error of the share of wrong labels, were that the same for all rows of a class."""
        count = np.maximum(self.count, 1)
        wrong = (self.off + 0.5) / (count + 1)
        part = predicted / max(int(predicted.sum()), 1)
        return float(np.sqrt((part**2 * wrong * (1 - wrong) / count).sum()))


def _share_of_noise(surest: _Anchors, everything: _Anchors) -> float:
    """Disagreement among the surest, less what may be chance, as a share of that among all."""
    wrong, rows = int(surest.off.sum()), int(surest.count.sum())
    off, n = int(everything.off.sum()), int(everything.count.sum())
    if not wrong or not off:
        return 0.0
    return max(wrong - float(np.sqrt(wrong)), 0.0) / rows / (off / n)


def _recognised(predicted: _Anchors, probability: Floats, label: Ints, count: Ints) -> Bools:
    """Classes that have their label, among the rows predicted to be of them, oftener than by chance.

    Where wrong labels outnumber a rare class, hardly a row may be predicted to be of it: then the rows in question are
    the 20 with the highest probability of it, and more than half of them have to have its label.
    """
    base = count / max(int(count.sum()), 1)
    known = _above(predicted.seen.diagonal(), predicted.count, base)
    rows = np.flatnonzero(label >= 0)
    for class_ in np.flatnonzero(~known & (count > 0)):
        own = probability[rows, class_]
        few = min(_TOP, int(count[class_]))
        top = own >= np.partition(own, len(own) - few)[len(own) - few]
        hits, n = int((label[rows[top]] == class_).sum()), int(top.sum())
        known[class_] = 2 * hits > n and bool(_above(np.array([hits]), np.array([n]), base[[class_]])[0])
    return known


def _above(hits: Ints, count: Ints, base: Wide) -> Bools:
    """Whether a share is above that of all rows, by three standard errors."""
    some = np.maximum(count, 1)
    out: Bools = (count > 0) & (hits / some - base > _LIFT * np.sqrt(base * (1 - base) / some))
    return out


def _best(probability: Floats) -> tuple[Ints, Floats]:
    n, classes = probability.shape
    best, sure = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.float32)
    for some in blocks(n, classes):
        best[some] = probability[some].argmax(axis=1)
        sure[some] = probability[some].max(axis=1)
    return best, sure


def _power(probability: Floats, label: Ints, sure: Floats, given: Wide, least: float) -> float:
    rows = np.flatnonzero(label >= 0)
    # Evenly from the surest to the least sure of each label, wherever they stand.
    rows = rows[np.lexsort((sure[rows], label[rows]))]
    rows = rows[:: 1 + len(rows) * probability.shape[1] // _MOST]
    if not len(rows):
        return max(least, 1.0)
    part, own = probability[rows], label[rows]
    of_label = given.T[own]

    def likelihood(power: float) -> float:
        return float(np.log(np.einsum("nk,nk->n", sharpened(part, power), of_label)).sum())

    powers = [power for power in (least, *SHARP) if power >= max(least, SHARP[0])]
    return max(powers, key=likelihood)
