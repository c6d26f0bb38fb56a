"""Logarithms of tail probabilities that stay exact where the probability itself is too small for a float."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, gammaincc, gammaln

Floats = NDArray[np.float64]

_LEAST = 1e-250
"""Below this the logarithm comes from a continued fraction."""
_TINY = 1e-300
_TERMS = 5000


def log_tail_of_f(left: Floats, above: Floats, below: Floats) -> Floats:
    """Natural logarithm of the probability that F is as large, given the share of the variance that is left over.

    Args:
        left: 1 - R2, above 0; F is (1 - left) / left * below / above.
        above: degrees of freedom of the numerator, above 0.
        below: those of the denominator, above 0.

    Returns:
        Not above 0, and finite. All arguments have one shape.
    """
    a, b = below / 2, above / 2
    p = betainc(a, b, left)
    return _logged(p, lambda deep: _log_beta(left[deep], a[deep], b[deep]))


def log_tail_of_chi2(statistic: Floats, freedom: Floats) -> Floats:
    """Natural logarithm of the probability that chi squared is as large.

    Args:
        statistic: not negative.
        freedom: degrees of freedom, above 0; of the same shape.

    Returns:
        Not above 0, and finite.
    """
    p = gammaincc(freedom / 2, statistic / 2)
    return _logged(p, lambda deep: _log_gamma(statistic[deep] / 2, freedom[deep] / 2))


def _logged(p: Floats, far: Callable[[NDArray[np.bool_]], Floats]) -> Floats:
    deep = p < _LEAST
    out = np.log(np.where(deep, 1.0, p))
    if deep.any():
        out[deep] = far(deep)
    return np.minimum(out, 0.0)


def _log_beta(x: Floats, a: Floats, b: Floats) -> Floats:
    """The incomplete beta function far in its lower tail (Press et al., "Numerical Recipes", 3rd ed., section 6.4)."""

    def term(step: int) -> tuple[Floats, Floats]:
        m = step // 2
        if step % 2 == 0:
            return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), np.ones_like(x)
        return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), np.ones_like(x)

    out: Floats = a * np.log(x) + b * np.log1p(-x) - np.log(a) - betaln(a, b) - np.log(_fraction(np.ones_like(x), term))
    return out


def _log_gamma(x: Floats, a: Floats) -> Floats:
    """The incomplete gamma function far in its upper tail (as above, section 6.2)."""

    def term(step: int) -> tuple[Floats, Floats]:
        return -step * (step - a), x + 2 * step + 1 - a

    out: Floats = a * np.log(x) - x - gammaln(a) - np.log(_fraction(x + 1 - a, term))
    return out


def _fraction(first: Floats, term: Callable[[int], tuple[Floats, Floats]]) -> Floats:
    """A continued fraction by Lentz's method: first + a1 / (b1 + a2 / (b2 + ...)), `term` giving a and b."""
    value = np.where(np.abs(first) < _TINY, _TINY, first)
    up, down = value.copy(), np.zeros_like(value)
    for step in range(1, _TERMS):
        a, b = term(step)
        down = b + a * down
        up = b + a / up
        down = 1 / np.where(np.abs(down) < _TINY, _TINY, down)
        up = np.where(np.abs(up) < _TINY, _TINY, up)
        change = up * down
        value = value * change
        if (np.abs(change - 1) < 1e-15).all():
            break
    return value
