"""The columns of a table, each as a block of numbers in which distances mean about the same."""

import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.data.kinds import BY_KIND, kind_of
from datadiet_cli.encode.cells import TableCells

if TYPE_CHECKING:
    import polars as pl

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MANY_MISSING = 0.05
"""Share of missing cells from which on it is a fact of its own that a cell is missing."""
ONE_HOT = 32
"""Values of a category that have a dimension each; the values of others share as many."""
_MOST_DIMENSIONS, _NARROW = 2048, 8
_STRAIGHT, _FARTHEST = 3.0, 10.0
_MISMATCH = np.sqrt(0.5)
"""Two values of a category are as far apart as two numbers that differ by one spread."""
_QUARTILES_APART, _HUNDREDTHS_APART = 1.349, 4.653
NEARLY_ALL = 0.95
_FIRST_LOOK = 200
OUTSIDE, UNREACHABLE = "outside", "unreachable"


class Part(NamedTuple):
    """A column as numbers.

    Attributes:
        column: its name.
        kind: ``number``, ``category``, ``text``, ``image`` or ``audio``.
        values: (n, k) float32, finite; zeros where the cell is missing.
    """

    column: str
    kind: str
    values: NDArray[np.float32]


class Pointers(NamedTuple):
    """A column whose cells name files.

    Attributes:
        kind: of the files.
        paths: n file names to open, None for cells that are missing or name none.
        causes: (n,) object, why a cell names no file that may be opened (`OUTSIDE` or `UNREACHABLE`), or None.
    """

    kind: str
    paths: list[str | None]
    causes: NDArray[np.object_]


def cell_parts(cells: TableCells, fit: Bools) -> list[Part]:
    """Numbers in spreads from the median, and categories as directions; both with a dimension for what is missing.

    That is one where 5 % of the cells of a column are missing or more; else a missing number is an average one.

    Args:
        cells: n rows.
        fit: (n,) bool, rows to take medians and spreads from.
    """
    parts = [
        Part(name, "number", np.column_stack([in_spreads(column, fit), *_gaps(np.isnan(column))]).astype(np.float32))
        for name, column in zip(cells.number_names, cells.numbers.T, strict=True)
    ]
    total = sum(min(len(values), ONE_HOT) for values in cells.category_values)
    width = ONE_HOT if total <= _MOST_DIMENSIONS else _NARROW
    for name, codes, values in zip(cells.category_names, cells.categories.T, cells.category_values, strict=True):
        made = _directions(values, width)[codes]
        gaps = [_MISMATCH * gap for gap in _gaps(codes < 0)]
        parts.append(Part(name, "category", np.column_stack([made, *gaps]).astype(np.float32)))
    return parts


def in_spreads(values: Floats, fit: Bools) -> Floats:
    """(n,) numbers -> how many spreads above the median, by the logarithm beyond 3, never more than 10; 0 for NaN.

    The spread is that of the quartiles or of the hundredths at both ends, whichever is larger, each in standard
    deviations of normal numbers; where nearly all numbers are the same, the median of the distances that are not 0.
    """
    known = np.isfinite(values) & fit
    if known.sum() < 2:
        known = np.isfinite(values)
    if not known.any():
        return np.nan_to_num(values, nan=0.0, posinf=_FARTHEST, neginf=-_FARTHEST)
    # In parts of the largest, so that no difference overflows.
    shares = values / (float(np.abs(values[np.isfinite(values)]).max()) or 1.0)
    least, quarter, middle, three, most = np.quantile(shares[known], [0.01, 0.25, 0.5, 0.75, 0.99])
    away = shares - middle
    spread = max((three - quarter) / _QUARTILES_APART, (most - least) / _HUNDREDTHS_APART)
    if spread <= 0:
        apart = np.abs(away[known & (away != 0)])
        spread = float(np.median(apart)) if len(apart) else 1.0
    with np.errstate(over="ignore"):
        away = away / spread
    size = np.minimum(np.abs(away), np.finfo(np.float64).max)
    bent = np.where(size <= _STRAIGHT, size, _STRAIGHT + np.log1p(np.maximum(size - _STRAIGHT, 0.0)))
    scaled: Floats = np.sign(away) * np.minimum(bent, _FARTHEST)
    scaled[np.isnan(values)] = 0.0
    return scaled


def _gaps(missing: Bools) -> list[Floats]:
    return [missing.astype(np.float64)] if missing.mean() >= MANY_MISSING else []


def _directions(values: tuple[str, ...], width: int) -> Floats:
    """A vector for each value of a category, and zeros as the last, for a missing one.

    More values than dimensions get signs by the hash of their text, so that any two are about as far apart as the
    others (Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009).
    """
    if len(values) <= width:
        made = np.eye(len(values))
    else:
        hashes = [xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) for text in values]
        bits = np.array(hashes, dtype=np.uint64)[:, None] >> np.arange(width, dtype=np.uint64) & np.uint64(1)
        made = (bits.astype(np.float64) * 2 - 1) / np.sqrt(width)
    scaled: Floats = np.vstack([made, np.zeros((1, made.shape[1]))]) * _MISMATCH
    return scaled


def pointers_of(texts: "pl.Series", folder: str, *, follow_symlinks: bool = False) -> Pointers | None:
    """What files the cells of a column name, if nearly all (95 %) are relative paths of images, sounds or text files.

    Args:
        texts: n cells as text.
        folder: what the paths are relative to. None of them may lead out of it.
        follow_symlinks: whether symbolic links may.

    Returns:
        None for a column of another sort.
    """
    names = texts.unique(maintain_order=True).drop_nulls().to_list()
    if not names or _kind(names[:_FIRST_LOOK]) is None or (kind := _kind(names)) is None:
        return None
    root = os.path.realpath(folder)
    found = {name: resolved(name, root, follow_symlinks) for name in names}
    cells = texts.to_list()
    known = [found[name] for name in cells if name is not None]
    if sum(cause is None for _, cause in known) < NEARLY_ALL * len(known):
        return None
    causes = np.full(len(cells), None, dtype=object)
    causes[:] = [None if name is None else found[name][1] for name in cells]
    return Pointers(kind, [None if name is None else found[name][0] for name in cells], causes)


def _kind(names: list[str]) -> str | None:
    """The kind of files that nearly all names are of, by their suffixes."""
    kinds = [kind_of(name.strip()) for name in names]
    most = max(BY_KIND, key=kinds.count)
    return most if kinds.count(most) >= NEARLY_ALL * len(kinds) else None


def resolved(name: str, root: str, follow_symlinks: bool) -> tuple[str | None, str | None]:
    """The file that a cell names, or why there is none that may be opened."""
    path = os.path.normpath(os.path.join(root, name.strip()))
    inside = root.rstrip(os.sep) + os.sep
    if os.path.isabs(name.strip()) or not path.startswith(inside):
        return None, OUTSIDE
    try:
        real = os.path.realpath(path)
        there = os.path.isfile(real)
    except (OSError, ValueError):  # no name of a file at all
        return None, UNREACHABLE
    if not there:
        return None, UNREACHABLE
    return (path, None) if follow_symlinks or real.startswith(inside) else (None, OUTSIDE)
