"""Few new dimensions for many: principal components, discriminants, and random directions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from datadiet_cli.methods.selection.base import Floats, Ints, Target

__all__ = ["COMPRESSIONS", "Projection"]

VARIANCE = 0.95
"""Of principal components, unless told otherwise."""
DISTORTION = 0.3
"""Random directions change no squared distance by more, unless told how many there shall be."""
MOST = 6000
"""Rows or dimensions of the largest matrix whose eigenvectors are taken."""
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Projection:
    """A linear map of rows of d numbers to rows of k.

    Attributes:
        mean: (d,) float64, what is taken off.
        scale: (d,) float64, what is divided by.
        components: (k, d) float64, a direction in each row.
        explained: (k,) float64, of the variance, or of that between classes, the share of each; None for random ones.
        notes: what a reader of the report should know.
    """

    mean: Floats
    scale: Floats
    components: Floats
    explained: Floats | None
    notes: tuple[str, ...] = ()

    def apply(self, x: Floats) -> Floats:
        """Map rows, (n, d) float64, to (n, k) float64.

        Raises:
            ValueError: rows have another number of columns.
        """
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise ValueError(f"rows {x.shape}, not of {len(self.mean)} numbers")
        out = np.empty((len(x), len(self.components)))
        for start in range(0, len(x), _BLOCK):
            some = (x[start : start + _BLOCK] - self.mean) / self.scale
            # Not by a library of linear algebra, whose last digits hang on how many rows come at once.
            out[start : start + _BLOCK] = np.einsum("nd,kd->nk", some, self.components)
        return out


def pca(
    x: Floats, target: Target | None, *, components: int | None = None, variance: float | None = None, seed: int = 0
) -> Projection:
    """Principal components (Hotelling, 1933): the directions in which rows vary most.

    Args:
        x: (n, d) float64, finite.
        target: not used.
        components: how many; no more than rows vary in.
        variance: or as many as it takes to keep this share of the variance, in (0, 1]; 0.95 if neither is given.
        seed: of the rows that are taken where there are more than 6,000 rows and dimensions.

    Returns:
        Orthonormal directions, the one of most variance first; of each the number farthest from 0 is positive.

    Raises:
        ValueError: there is no row, a number is not finite, or `components` or `variance` are out of range.
    """
    _check(x, components, variance)
    notes: list[str] = []
    rows = x
    if min(x.shape) > MOST:
        picked = np.sort(np.random.default_rng([seed, len(x)]).permutation(len(x))[:MOST])
        rows = x[picked]
        notes.append(f"pca: learned from {MOST} of {len(x)} rows")
    mean = rows.mean(axis=0)
    from scipy.linalg import eigh

    wide = rows.shape[1] > rows.shape[0]
    gram = _outer(rows, mean) if wide else _gram(rows, mean)
    value, vector = eigh(gram, overwrite_a=True)
    value, vector = np.maximum(value[::-1], 0.0), vector[:, ::-1]
    real = int((value > max(value[0], 0.0) * max(gram.shape) * 1e-15).sum()) if value[0] > 0 else 0
    share = value[:real] / max(float(value.sum()), 1e-300)
    k = _how_many(share, components, VARIANCE if variance is None else variance, real)
    if not k:
        notes.append("pca: rows do not vary, so there is no component")
    elif components is not None and components > k:
        notes.append(f"pca: {k} components instead of {components}: rows vary in no more directions")
    axes = vector[:, :k].T
    if wide:
        axes = _turned_back(rows, mean, axes)
    return Projection(mean, np.ones(x.shape[1]), _signed(axes), share[:k], tuple(notes))


def lda(
    x: Floats, target: Target | None, *, components: int | None = None, variance: float | None = None, seed: int = 0
) -> Projection:
    """Discriminants (Fisher, 1936; Rao, 1948): directions in which classes lie apart, by what they vary inside.

    The covariance inside classes is that of standardised columns, shrunk by Ledoit and Wolf ("A well-conditioned
    estimator for large-dimensional covariance matrices", Journal of Multivariate Analysis 88(2), 2004), so that it
    has an inverse however few the rows are.

    Args:
        x: (n, d) float64, finite, d no more than 6,000.
        target: classes.
        components: how many; no more than classes less one.
        variance: or as many as it takes to keep this share of the variance between classes; all if neither is given.
        seed: not used.

    Returns:
        Directions along which classes vary by about 1 inside, the one that sets them apart most first.

    Raises:
        ValueError: the target is not of two classes or more, there are more than 6,000 dimensions, or see `pca`.
    """
    _check(x, components, variance)
    if target is None or not target.classes:
        raise ValueError("lda needs a target of classes")
    here, label = np.unique(target.values, return_inverse=True)
    if len(target.values) != len(x) or len(here) < 2:
        raise ValueError(f"lda needs a class for each row, and two or more of them; there is {len(here)}")
    if x.shape[1] > MOST:
        raise ValueError(f"lda: {x.shape[1]} dimensions, more than {MOST}; compress them by pca first")
    from scipy.linalg import eigh

    mean = x.mean(axis=0)
    scale = x.std(axis=0)
    scale[scale <= 1e-12 * np.maximum(1.0, np.abs(mean))] = 1.0
    centre, within = _within(x, label, len(here), mean, scale)
    value, vector = eigh(within, overwrite_a=True)
    white = vector / np.sqrt(np.maximum(value, 1e-300))
    weight = np.sqrt(np.bincount(label) / len(label))
    apart, size, _ = np.linalg.svd(white.T @ (centre * weight[:, None]).T, full_matrices=False)
    # In spreads inside classes, that is next to nothing.
    real = int((size > max(float(size[0]) * 1e-10, 1e-9)).sum())
    share = size[:real] ** 2 / max(float((size**2).sum()), 1e-300)
    k = _how_many(share, components, 1.0 if variance is None else variance, min(real, len(here) - 1))
    notes: tuple[str, ...] = ()
    if not k:
        notes = ("lda: classes do not lie apart, so there is no component",)
    elif components is not None and components > k:
        notes = (f"lda: {k} components instead of {components}: {len(here)} classes lie apart in no more directions",)
    return Projection(mean, scale, _signed((white @ apart[:, :k]).T), share[:k], notes)


def random_projection(
    x: Floats, target: Target | None, *, components: int | None = None, variance: float | None = None, seed: int = 0
) -> Projection:
    """Random directions, which keep distances (Achlioptas, "Database-friendly random projections", JCSS 66, 2003).

    Two thirds of the numbers are 0, the others plus or minus the root of 3 / k.

    Args:
        x: (n, d) float64, finite.
        target: not used.
        components: how many; else as many as keep all squared distances of n rows within 30 % (Johnson and
            Lindenstrauss; Dasgupta and Gupta, 1999), but no more than d.
        variance: must be None: random directions keep distances, and no share of the variance is promised.
        seed: of the directions.

    Raises:
        ValueError: `variance` is given, or see `pca`.
    """
    _check(x, components, variance)
    if variance is not None:
        raise ValueError("random-projection goes by a number of components, not by a share of the variance")
    n, d = x.shape
    k = components
    notes: tuple[str, ...] = ()
    if k is None:
        wanted = int(np.ceil(4 * np.log(max(n, 2)) / (DISTORTION**2 / 2 - DISTORTION**3 / 3)))
        k = min(wanted, d)
        if wanted >= d:
            notes = (f"random-projection: to keep distances of {n} rows within 30 % takes {wanted} of {d} dimensions",)
    sign = np.random.default_rng([seed, d, k]).choice(np.array([-1.0, 0, 0, 0, 0, 1.0]), size=(k, d))
    return Projection(x.mean(axis=0), np.ones(d), sign * np.sqrt(3 / k), None, notes)


COMPRESSIONS: dict[str, Callable[..., Projection]] = {
    "pca": pca,
    "lda": lda,
    "random-projection": random_projection,
}
"""By name: `fit(x, target, *, components=None, variance=None, seed=0)`."""


def _check(x: Floats, components: int | None, variance: float | None) -> None:
    if x.ndim != 2 or not x.size:
        raise ValueError(f"rows {x.shape}: there is nothing to compress")
    if not np.isfinite(x).all():
        raise ValueError("a number is missing or infinite")
    if components is not None and components < 1:
        raise ValueError(f"{components} components: at least 1 is needed")
    if variance is not None and not 0 < variance <= 1:
        raise ValueError(f"a share of {variance:g} of the variance is not above 0 and at most 1")


def _gram(x: Floats, mean: Floats) -> Floats:
    """(d, d) sum of the outer products of centred rows."""
    out = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), _BLOCK):
        some = x[start : start + _BLOCK] - mean
        out += some.T @ some
    return out


def _outer(x: Floats, mean: Floats) -> Floats:
    """(n, n) inner products of centred rows."""
    out = np.zeros((len(x), len(x)))
    for start in range(0, x.shape[1], _BLOCK):
        some = x[:, start : start + _BLOCK] - mean[start : start + _BLOCK]
        out += some @ some.T
    return out


def _turned_back(x: Floats, mean: Floats, left: Floats) -> Floats:
    """(k, d) right singular vectors from (k, n) left ones."""
    axes = np.empty((len(left), x.shape[1]))
    for start in range(0, x.shape[1], _BLOCK):
        axes[:, start : start + _BLOCK] = left @ (x[:, start : start + _BLOCK] - mean[start : start + _BLOCK])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return axes


def _within(x: Floats, label: Ints, classes: int, mean: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """(K, d) means of the classes, and (d, d) the shrunk covariance inside them, both of standardised columns."""
    n, d = x.shape
    count = np.bincount(label, minlength=classes)
    centre = np.zeros((classes, d))
    for start in range(0, n, _BLOCK):
        np.add.at(centre, label[start : start + _BLOCK], (x[start : start + _BLOCK] - mean) / scale)
    centre /= count[:, None]
    gram, fourth = np.zeros((d, d)), 0.0
    for start in range(0, n, _BLOCK):
        some = (x[start : start + _BLOCK] - mean) / scale - centre[label[start : start + _BLOCK]]
        gram += some.T @ some
        fourth += float(((some**2).sum(axis=1) ** 2).sum())
    gram /= n
    level = max(float(np.trace(gram)) / d, 0.0)
    square = float((gram**2).sum())
    distance = square - d * level**2
    error = min(max(fourth / n - square, 0.0) / n, distance)
    shrinkage = error / distance if distance > 1e-12 * max(square, 1e-300) else 0.0
    gram *= 1 - shrinkage
    # With no spread inside any class every direction is as good as another: a little more keeps the inverse finite.
    gram[np.diag_indices(d)] += shrinkage * level + 1e-9 * max(level, 1e-3)
    return centre, gram


def _how_many(share: Floats, components: int | None, variance: float, most: int) -> int:
    """How many directions to keep of those there are."""
    if components is not None:
        return min(components, most)
    if not most:
        return 0
    return min(most, int(np.searchsorted(np.cumsum(share), variance * (1 - 1e-12))) + 1)


def _signed(axes: Floats) -> Floats:
    """Directions whose number farthest from 0 is positive."""
    if not len(axes):
        return axes
    far = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return np.ascontiguousarray(axes * np.where(far < 0, -1.0, 1.0)[:, None])
