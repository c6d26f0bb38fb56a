"""Which samples are faulty by what was measured of them: limits, fixed or taken from the other samples."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Rule = Literal["fixed", "typical", "outlying", "odd", "minority"]

ENOUGH = 8
"""Samples below which nothing is said about what is usual among them."""
FENCE = 3.0
"""Interquartile ranges beyond the quartiles where values are far out (Tukey, "Exploratory Data Analysis", 1977)."""
MINORITY = 0.25
"""Share of the samples; what more of them show is the nature of the data, and no fault of one sample."""
_MARGIN = 0.1
"""Share of a quartile that a moved limit keeps from it, where the samples are too much alike to have a range."""


class Check(NamedTuple):
    """A fault, and the measure and limit that tell it.

    Attributes:
        name: of the fault.
        measure: what it is told by.
        limit: in the unit of the measure; a factor for the rules `outlying` and `odd`.
        above: whether values above the limit are bad, or those below.
        words: one sentence, with {value} and {limit} as `str.format` has them.
        rule: how the limit is meant; a value on the limit is good under all of them.

            * ``fixed``: as it stands.
            * ``typical``: as it stands, unless more than a quarter of the samples are beyond it. They then show what
              the data is like, and only those far out by Tukey's fences are faulty.
            * ``minority``: as it stands, but no fault at all if more than a quarter of the samples are beyond it.
            * ``outlying``: far out by Tukey's fences of the logarithms, and at least by the factor `limit` from the
              median.
            * ``odd``: the same, on both sides; `above` says nothing then.
    """

    name: str
    measure: str
    limit: float
    above: bool
    words: str
    rule: Rule = "typical"


class Bounds(NamedTuple):
    """Samples are good from `low` to `high`, both included; infinite where there is no limit."""

    low: float
    high: float


_PICTURES = (
    # Five pixels are the just noticeable blur at low contrast, three at high: Ferzli & Karam, "A no-reference objective
    # image sharpness metric based on the notion of just noticeable blur", IEEE TIP 18(4), 2009.
    Check("blurred", "edge_width", 5.0, True, "its sharpest edges are {value:.1f} pixels wide, more than {limit:.1f}"),
    # cleanvision 0.3.7: 0.32 for the same percentile, which takes in pictures of the evening.
    Check(
        "dark", "bright_end", 0.2, False, "99 % of it is no brighter than {value:.2f}, less than {limit:.2f} of white"
    ),
    # cleanvision 0.3.7: 0.95 for the darkest 5 %, which takes in pages of text and misses pale photographs.
    Check("over-exposed", "dark_end", 0.8, True, "99 % of it is brighter than {value:.2f}, above {limit:.2f} of white"),
    # scikit-image's is_low_contrast calls 0.05 of the whole range low; around medium gray that is 0.05 here too.
    Check("washed-out", "contrast", 0.08, False, "its contrast is {value:.3f}, less than {limit:.3f}"),
    # What is left of a wall of one colour after the grain of the sensor and JPEG.
    Check(
        "flat", "spread", 3.0, False, "its pixels differ by {value:.1f} of 255 levels, less than {limit:.1f}", "fixed"
    ),
    # Gray pictures in a format of colours are at 0; scans of gray prints and toned photographs lie above.
    Check("gray-in-colour", "colour", 0.02, False, "its colour is {value:.3f}, less than {limit:.3f}", "minority"),
    # cleanvision 0.3.7: three interquartile ranges too, without logarithms or a least factor.
    Check("odd-size", "side", 4.0, True, "its mean side is {value:.0f} pixels, beyond the usual {limit:.0f}", "odd"),
    # cleanvision 0.3.7: 2.86 for every picture; here by what is usual.
    Check(
        "odd-aspect", "elongation", 2.5, True, "its sides are as {value:.2f} to 1, beyond the usual {limit:.2f}", "odd"
    ),
)
_SOUNDS = (
    # Spoken digits are at 0, and at 0.004 when driven to half as much again as the range; Audacity marks every run.
    Check("clipped", "clipped", 0.001, True, "{value:.2%} of its samples are cut off, more than {limit:.2%}"),
    # The default of ffmpeg's silencedetect, and of librosa's trim for a sound at full scale.
    Check("silent", "level", -60.0, False, "its loudest moment is at {value:.0f} dB, below {limit:.0f} dB", "fixed"),
    # Two syllables a quarter of a second long are the shortest words; less than a tenth is a cut gone wrong.
    Check("too-short", "seconds", 0.1, False, "it lasts {value:.3f} s, less than {limit:.3f} s"),
    Check("odd-length", "seconds", 10.0, True, "it lasts {value:.2f} s, beyond the usual {limit:.2f} s", "odd"),
    # The poorest of the spoken digits are at 0.008.
    Check("dc-offset", "offset", 0.02, True, "its mean is {value:.3f} of full scale off zero, more than {limit:.3f}"),
    # Speech with as much noise as itself, or half as much; clean spoken digits are at 6 dB and more.
    Check("low-snr", "snr", 3.0, False, "it is {value:.1f} dB above its noise, less than {limit:.1f} dB"),
    # A short word in a second is 0.7; a bark in five seconds, as sets of environmental sounds have them, 0.9.
    Check("mostly-silence", "silence", 0.93, True, "{value:.0%} of it is silence, more than {limit:.0%}"),
)
# Gopher: Rae et al., "Scaling language models: methods, analysis & insights from training Gopher", arXiv:2112.11446,
# appendix A.1 (quality filtering, and table A1 for repetition).
_TEXTS = (
    Check("empty", "characters", 1.0, False, "it has nothing but white space", "fixed"),
    # Never an absolute length: Gopher's 50 words would refuse every short message.
    Check("too-short", "length", 10.0, False, "it has {value:.0f} characters; usual are {limit:.0f}", "outlying"),
    # Gopher: a letter in 80 % of the words. Here by characters, for languages without blanks; "Ok..." is at 0.6.
    Check("mostly-symbols", "symbols", 0.7, True, "{value:.0%} of it are symbols, more than {limit:.0%}"),
    Check(
        "wrong-script",
        "foreign",
        0.5,
        True,
        "{value:.0%} of its letters are not in the script of nearly all texts",
        "fixed",
    ),
    # Gopher: duplicate lines 0.30, duplicate phrases of five words 0.15.
    Check(
        "repeated-lines", "repeated_lines", 0.3, True, "{value:.0%} of its lines are repeated, more than {limit:.0%}"
    ),
    Check(
        "repeated-phrases",
        "repeated_phrases",
        0.15,
        True,
        "{value:.0%} of it are repeated phrases, more than {limit:.0%}",
    ),
    # English with its apostrophes broken has 0.01 to 0.03, languages with accents more.
    Check("bad-encoding", "broken", 0.01, True, "{value:.1%} of its characters are broken, more than {limit:.1%}"),
)

CHECKS: dict[str, dict[str, Check]] = {
    kind: {check.name: check for check in checks}
    for kind, checks in (("image", _PICTURES), ("audio", _SOUNDS), ("text", _TEXTS))
}
"""The checks of each kind of sample, by name. Each limit has its source beside it."""


def find_faults(values: Mapping[str, Values], checks: Sequence[Check]) -> dict[str, NDArray[np.bool_]]:
    """Tell which samples are faulty.

    Args:
        values: (n,) float64 for every measure that the checks need; NaN where there is none, which is no fault.
        checks: with different names.

    Returns:
        (n,) bool for the name of each check. The order of the samples makes no difference.

    Raises:
        ValueError: see `bounds_of`.
    """
    bounds = bounds_of(values, checks)
    # NaN is neither below nor above anything.
    return {
        check.name: (values[check.measure] < bounds[check.name].low) | (values[check.measure] > bounds[check.name].high)
        for check in checks
    }


def bounds_of(values: Mapping[str, Values], checks: Sequence[Check]) -> dict[str, Bounds]:
    """The values between which samples are good, by the name of each check.

    Args:
        values: as for `find_faults`.
        checks: likewise.

    Raises:
        ValueError: a measure is missing, is no row of numbers or holds infinity, the measures are of different
            lengths, or two checks have one name.
    """
    names = [check.name for check in checks]
    if len(set(names)) < len(names):
        raise ValueError("two checks have the same name")
    arrays = [np.asarray(values[check.measure]) if check.measure in values else None for check in checks]
    for check, array in zip(checks, arrays, strict=True):
        if array is None:
            raise ValueError(f"check {check.name}: there is no measure {check.measure}")
        if array.ndim != 1 or array.dtype != np.float64 or np.isinf(array).any():
            raise ValueError(f"check {check.name}: measure {check.measure} is no row of finite float64 numbers or NaN")
    if len({len(array) for array in arrays if array is not None}) > 1:
        raise ValueError("the measures are of different lengths")
    return {check.name: _bounds(values[check.measure], check) for check in checks}


def explain(check: Check, value: float, bounds: Bounds) -> str:
    """The words of a check for a faulty value, with the limit that it is beyond."""
    return check.words.format(value=value, limit=bounds.low if value < bounds.low else bounds.high)


def _bounds(values: Values, check: Check) -> Bounds:
    known = values[~np.isnan(values)]
    if check.rule in ("outlying", "odd"):
        low, high = _usual(known, check.limit)
        if check.rule == "odd":
            return Bounds(low, high)
        return Bounds(-np.inf, high) if check.above else Bounds(low, np.inf)
    limit = check.limit
    if check.rule == "minority" or (check.rule == "typical" and len(known) >= ENOUGH):
        limit = _moved(known if check.above else -known, limit if check.above else -limit, check.rule)
        limit = limit if check.above else -limit
    return Bounds(-np.inf, limit) if check.above else Bounds(limit, np.inf)


def _moved(values: Values, limit: float, rule: Rule) -> float:
    """A limit that values should not exceed, moved to where they are far out if too many do."""
    if np.count_nonzero(values > limit) <= MINORITY * len(values):
        return limit
    if rule == "minority":
        return float("inf")
    first, third = np.quantile(values, [0.25, 0.75])
    fence = third + max(FENCE * (third - first), _MARGIN * abs(third))
    # The quartile interpolates, so it may be a hair on the good side.
    return float(max(limit, fence))


def _usual(values: Values, factor: float) -> tuple[float, float]:
    """The range of what is usual, by Tukey's fences of the logarithms and the least factor from the median."""
    positive = values[values > 0]
    if len(positive) < ENOUGH:
        return -np.inf, np.inf
    first, median, third = np.quantile(np.log(positive), [0.25, 0.5, 0.75])
    away, least = FENCE * (third - first), np.log(factor)
    low, high = min(first - away, median - least), max(third + away, median + least)
    # What is exactly the factor away is no further, whatever the logarithm makes of its last digits.
    return float(np.exp(low) * (1 - 1e-9)), float(np.exp(min(high, 700.0)) * (1 + 1e-9))
