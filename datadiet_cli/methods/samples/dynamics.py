"""Scores out of a training record: what the epochs of a training say about how much a sample is worth.

For a sample with label y, in epoch t of T, p_t is the softmax output, and the margin the logit of y less the largest
other one. The higher a score, the more worth keeping, and for each of these that means the harder to learn: where
labels are wrong, those samples come first.

Each score takes the quantities of one model, and `When`; it gives (n,) float64, and raises ValueError where the record
lacks a quantity or an epoch that it needs. `averaged` puts the scores of several models together.

A sample may have taken no part in some epochs. They are left out of a mean or a window; where a score looks at one
epoch, it takes the sample's last one before that, else its next one. A score is NaN where a sample took part in none,
or in too few to tell: in less than two for `data_map`, and in less than two of every window for those of windows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.samples.base import Floats
from datadiet_cli.methods.samples.epochs import at, blocks, deviations, forgotten, means, over_windows

Held = Mapping[str, NDArray[Any]]
"""By quantity, (T, n) numbers of one model, NaN where a sample took no part in an epoch; ``correct``: bool."""

DECAY = 0.1
"""Of `tdds`: what a window weighs against the one that begins an epoch later."""
_NUMBERS = {"loss", "error"}


@dataclass(frozen=True)
class When:
    """Which epochs a score looks at.

    Attributes:
        epoch: from 0 on, for the scores that look at one; if not given, each has its own.
        window: epochs of a window of `dyn_unc`, `tdds` and `dual`, J.
        epochs: of the whole training, where the record ends before; so `el2n`, `grand` and `dual` know what is early.

    Raises:
        ValueError: a window of less than two epochs.
    """

    epoch: int | None = None
    window: int = 10
    epochs: int | None = None

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ValueError(f"a window has at least 2 epochs, not {self.window}")


def early_epoch(epochs: int) -> int:
    """The epoch, from 0 on, that `el2n` and `grand` look at: after a tenth of all, but the second at the earliest.

    After one epoch the score still depends on the seed more than on the sample.
    """
    return min(max(-(-epochs // 10), 2), epochs) - 1


def dual_epochs(epochs: int, window: int) -> int:
    """How many epochs, from the first on, `dual` looks at: three tenths of up to 50, of more 15 % but no fewer than 15.

    The paper takes the first 30 of 200, and 60 of 90 for ImageNet. There are always so many that there are two windows.
    """
    early = max(-(-15 * epochs // 100), min(-(-3 * epochs // 10), 15))
    return min(max(early, window + 1), epochs)


def el2n(held: Held, when: When) -> Floats:
    """EL2N, of ``error``: the length of p_t - onehot(y) at `early_epoch`. For a regression the absolute error there.

    Paul et al., "Deep learning on a data diet" (NeurIPS 2021), section 2.
    """
    return _early(held, "el2n", "error", when)


def grand(held: Held, when: When) -> Floats:
    """GraNd, of ``gradient``: the length of the gradient of the sample's loss at `early_epoch`.

    Paul et al. (2021), section 2; the gradient is of the last layer, or of what else the record took it of. Never
    before the first epoch, where it says little but the length of the input (Kirsch, "Does 'Deep learning on a data
    diet' reproduce?", 2023).
    """
    return _early(held, "grand", "gradient", when)


def entropy(held: Held, when: When) -> Floats:
    """The ``entropy`` of p_t in nats, in the last epoch; it looks at no label.

    Coleman et al., "Selection via proxy" (ICLR 2020), section 2.
    """
    return _late(held, "entropy", when)


def margin(held: Held, when: When) -> Floats:
    """Minus the ``margin`` in the last epoch: `aum` of one epoch."""
    return -_late(held, "margin", when)


def loss(held: Held, when: When) -> Floats:
    """The ``loss`` in the last epoch: - log p_t(y), or the squared error of a regression.

    Loshchilov & Hutter, "Online batch selection for faster training of neural networks" (ICLR workshop 2016), rank
    samples by the latest loss that is known.
    """
    return _late(held, "loss", when)


def forgetting(held: Held, when: When) -> Floats:
    """How often ``correct`` in an epoch was followed by wrong in the next that the sample took part in.

    Toneva et al., "An empirical study of example forgetting" (ICLR 2019), section 3. A sample that was never correct
    gets T, more than any other can have. That is the integer part; the rest, above 0 and below 1, tells ties apart by
    the mean ``margin`` m over all epochs: (1 - m / (1 + |m|)) / 2, so the harder of two has more.
    """
    correct, margins = (_read(held, "forgetting", quantity, 2) for quantity in ("correct", "margin"))
    score = np.empty(margins.shape[1])
    for columns in blocks(margins):
        part = ~np.isnan(margins[:, columns])
        score[columns] = forgotten(np.asarray(correct[:, columns], dtype=np.bool_), part)
    mean = means(margins)
    score += 0.5 * (1 - mean / (1 + np.abs(mean)))
    return score


def aum(held: Held, when: When) -> Floats:
    """Minus the mean ``margin`` over all epochs. For a regression the mean ``error``, the area under the error's curve.

    Pleiss et al., "Identifying mislabeled data using the area under the margin ranking" (NeurIPS 2020), section 3, on
    logits, with the sign changed; nothing there is about regression.
    """
    return hardness(held)


def data_map(held: Held, when: When) -> Floats:
    """Variability: the standard deviation of the ``probability`` p_t(y) over all epochs; high where it is ambiguous.

    Swayamdipta et al., "Dataset cartography" (EMNLP 2020), section 2: divided by the number of epochs, not one less.
    """
    return deviations(_read(held, "data-map", "probability", 2))


def dyn_unc(held: Held, when: When) -> Floats:
    """Dynamic uncertainty: the mean over all windows of J epochs of the standard deviation of p_t(y) in the window.

    He et al., "Large-scale dataset pruning with dynamic uncertainty" (CVPR workshops 2024), section 3, with J = 10, of
    ``probability``. The deviation is that of a sample, divided by J - 1; needs J + 1 epochs, so two windows.
    """
    return over_windows(_read(held, "dyn-unc", "probability", when.window + 1), when.window, _uncertainty)


def tdds(held: Held, when: When) -> Floats:
    """Temporal dual-depth score: how unevenly the outputs move from epoch to epoch, in the latest windows above all.

    Zhang et al., "Spanning training progress: temporal dual-depth scoring" (CVPR 2024), section 3, of ``divergence``:
    d_t = sum over classes of p_t |log(p_t / p_(t-1))|, NaN in epoch 0. A window of J epochs has J - 1 of them, and its
    value is the length of (d_t - their mean); it grows with the root of how many there are, so where some are missing,
    it is multiplied by the root of (J - 1) / how many. The score is the mean of the windows' values, each weighing
    `DECAY` times as much as the next later one: the paper's moving average, 0.9 for the newest window, up to a factor
    that all samples have in common. Needs J + 1 epochs, and a J of 3, for a single divergence deviates from nothing.
    """
    size = when.window - 1
    if size < 2:
        raise ValueError("tdds needs a window of at least 3 epochs, not 2")
    values = _read(held, "tdds", "divergence", when.window + 1)[1:]
    return over_windows(
        values, size, lambda mean, spread, count: np.sqrt(spread / np.maximum(count, 1) * size), decay=DECAY
    )


def dual(held: Held, when: When) -> Floats:
    """DUAL: the mean over windows of J epochs of std (1 - mean) of p_t(y), in the first `dual_epochs` only.

    Cho et al., "Lightweight dataset pruning without full training via example difficulty and prediction uncertainty"
    (ICML 2025), section 3, with J = 10, of ``probability``; the deviation and the epochs needed as for `dyn_unc`.
    """
    values = _read(held, "dual", "probability", when.window + 1)
    values = values[: dual_epochs(when.epochs or len(values), when.window)]
    return over_windows(values, when.window, lambda mean, spread, count: _uncertainty(mean, spread, count) * (1 - mean))


def confidence(held: Held, epochs: int | None = None) -> Floats:
    """How easily samples are learned: the mean ``probability`` p_t(y) (Swayamdipta et al. 2020, section 2).

    Args:
        held: ``probability``.
        epochs: how many epochs to look at, from the first on; `dual_epochs` is what the sampling of DUAL goes by. All
            if not given, or if there are fewer.

    Returns:
        (n,) float64 in [0, 1], NaN where a sample took part in none of them.

    Raises:
        ValueError: the record lacks the quantity, or no epoch is looked at.
    """
    if epochs is not None and epochs < 1:
        raise ValueError(f"confidence looks at 1 epoch at least, not {epochs}")
    return means(_read(held, "confidence", "probability", 1)[:epochs])


def hardness(held: Held) -> Floats:
    """What `aum` gives, the best sign of a wrong label that a record has: the likeliest wrong are the highest.

    Args:
        held: ``margin``; of a regression ``error``, and nothing but ``loss`` besides.

    Returns:
        (n,) float64, NaN where a sample took no part.

    Raises:
        ValueError: the record lacks the quantity.
    """
    if held and set(held) <= _NUMBERS:
        return means(_read(held, "aum", "error", 1))
    return -means(_read(held, "aum", "margin", 1))


def averaged(scores: Sequence[Floats]) -> Floats:
    """The mean over the models that have a score for the sample.

    Args:
        scores: (n,) float64 of each model, NaN where it has none.

    Returns:
        (n,) float64, NaN where no model has one.

    Raises:
        ValueError: there are no scores, or they are not of the same number of samples.
    """
    if len({score.shape for score in scores}) != 1:
        raise ValueError("only scores of the same samples can be averaged, and at least those of one model")
    total, count = np.zeros(len(scores[0])), np.zeros(len(scores[0]))
    for score in scores:
        known = ~np.isnan(score)
        total[known] += score[known]
        count += known
    total[count == 0] = np.nan
    return total / np.maximum(count, 1)


class Dynamic(NamedTuple):
    """A score out of a training record.

    Attributes:
        run: gives (n,) float64.
        quantities: what it reads of a classification.
        epochs: the fewest epochs that it needs, by the window.
        numbers: what it reads of a regression; empty where it is defined for classes only.
    """

    run: Callable[[Held, When], Floats]
    quantities: tuple[str, ...]
    epochs: Callable[[int], int]
    numbers: tuple[str, ...] = ()


DYNAMICS: dict[str, Dynamic] = {
    "el2n": Dynamic(el2n, ("error",), lambda window: 1, ("error",)),
    "grand": Dynamic(grand, ("gradient",), lambda window: 1),
    "forgetting": Dynamic(forgetting, ("correct", "margin"), lambda window: 2),
    "aum": Dynamic(aum, ("margin",), lambda window: 1, ("error",)),
    "entropy": Dynamic(entropy, ("entropy",), lambda window: 1),
    "margin": Dynamic(margin, ("margin",), lambda window: 1),
    "loss": Dynamic(loss, ("loss",), lambda window: 1, ("loss",)),
    "data-map": Dynamic(data_map, ("probability",), lambda window: 2),
    "dyn-unc": Dynamic(dyn_unc, ("probability",), lambda window: window + 1),
    "tdds": Dynamic(tdds, ("divergence",), lambda window: window + 1),
    "dual": Dynamic(dual, ("probability",), lambda window: window + 1),
}
"""By the name of the score."""


def _read(held: Held, name: str, quantity: str, fewest: int) -> NDArray[Any]:
    if quantity not in held:
        raise ValueError(f"{name} needs {quantity}, which the record does not have")
    values = held[quantity]
    if len(values) < fewest:
        raise ValueError(f"{name} needs at least {fewest} epochs; the record has {len(values)}")
    return values


def _early(held: Held, name: str, quantity: str, when: When) -> Floats:
    values = _read(held, name, quantity, 1)
    return _looked_at(values, name, early_epoch(when.epochs or len(values)) if when.epoch is None else when.epoch)


def _late(held: Held, name: str, when: When) -> Floats:
    values = _read(held, name, name, 1)
    return _looked_at(values, name, len(values) - 1 if when.epoch is None else when.epoch)


def _looked_at(values: NDArray[Any], name: str, epoch: int) -> Floats:
    if not 0 <= epoch < len(values):
        raise ValueError(f"{name} cannot look at epoch {epoch + 1}; the record has {len(values)}")
    return at(values, epoch)


def _uncertainty(mean: Floats, spread: Floats, count: Floats) -> Floats:
    return np.sqrt(spread / np.maximum(count - 1, 1))
