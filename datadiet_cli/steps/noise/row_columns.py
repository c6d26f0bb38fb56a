"""Columns of a table as `denoise` looks at them: which cells are missing, which are numbers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.infer import infer_column
from datadiet_cli.data.table import TableSource

if TYPE_CHECKING:
    import polars as pl

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

MISSING_WORDS = frozenset(
    ["?", "-", "--", ".", "na", "n/a", "<na>", "#na", "#n/a", "nan", "-nan", "null", "none", "missing", "unknown"]
)
"""Texts that stand for a missing cell in a column that otherwise holds numbers, or dates; in small letters."""
_INFINITE = ("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")
_EXACT = 2.0**53


@dataclass(frozen=True, eq=False)
class Column:
    """The cells of a column, by position in the dataset.

    Attributes:
        name: of the column.
        texts: (n,) String, the cells as the file has them.
        plain: (n,) String, the same without blanks around them, null where nothing is left.
        typed: (n,) the cells in the type that the file gives the column.
        known: (n,) bool, cells that are not missing. Empty and blank ones are, NaN, and, where all else are numbers
            or dates, `MISSING_WORDS`.
        numbers: (n,) float64 of a column of numbers, NaN where none is known; None for another column. Whole numbers
            of 2^53 and more are identifiers, and no numbers.
    """

    name: str
    texts: "pl.Series"
    plain: "pl.Series"
    typed: "pl.Series"
    known: Bools
    numbers: Floats | None

    def words(self) -> dict[str, int]:
        """The texts that stand for missing cells, each with how often it does."""
        import polars as pl

        words = self.plain.filter(pl.Series(~self.known)).drop_nulls()
        return dict(sorted(words.value_counts().iter_rows()))

    def constant(self) -> bool:
        """Whether all cells that are not missing have one value, and there is one."""
        if self.numbers is not None:
            known = self.numbers[self.known]
            return len(known) > 0 and bool((known == known[0]).all())
        return self.plain.n_unique() - bool(self.plain.null_count()) == 1

    def equals(self, other: "Column") -> bool:
        """Whether the cells of both are equal, or missing, in all rows; numbers by value."""
        if self.numbers is None or other.numbers is None:
            return self.numbers is other.numbers and bool(self.plain.eq_missing(other.plain).all())
        return np.array_equal(self.numbers, other.numbers, equal_nan=True)

    def digest(self) -> int:
        """The same for columns that are equal, and hardly ever for others."""
        import polars as pl

        cells = self.plain if self.numbers is None else pl.Series(self.numbers + 0.0)
        hashes = cells.hash().to_numpy()
        place = np.arange(len(hashes), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        return int((hashes * place).sum())


def read_columns(dataset: Dataset, names: Sequence[str], numeric: Collection[str]) -> dict[str, Column]:
    """Read columns of a table.

    Args:
        dataset: of a table.
        names: of the columns.
        numeric: those of them that are meant to be numbers, whatever else is in them.
    """
    if not names:
        return {}
    file = table_of(dataset).file
    texts, typed = file.texts(names)[dataset.rows], file.typed(names)[dataset.rows]
    return {name: _column(texts[name], typed[name], name in numeric) for name in names}


def table_of(dataset: Dataset) -> TableSource:
    """The table of a dataset of rows."""
    assert isinstance(dataset.source, TableSource)  # noqa: S101 - rows are those of a table
    return dataset.source


def as_numbers(plain: "pl.Series") -> Floats:
    """(n,) float64, the numbers that texts are; NaN for those that are none."""
    import polars as pl

    return plain.cast(pl.Float64, strict=False).cast(pl.Float64).to_numpy().copy()


def same_columns(columns: Sequence[Column]) -> dict[str, str]:
    """The columns that equal an earlier one, each with the first that it equals."""
    alike: dict[int, list[Column]] = {}
    found: dict[str, str] = {}
    for column in columns:
        firsts = alike.setdefault(column.digest(), [])
        twin = next((first for first in firsts if first.equals(column)), None)
        if twin is None:
            firsts.append(column)
        else:
            found[column.name] = twin.name
    return found


def _column(texts: "pl.Series", typed: "pl.Series", numeric: bool) -> Column:
    import polars as pl

    stripped = texts.str.strip_chars()
    plain = pl.select(pl.when(stripped != "").then(stripped).alias(texts.name)).to_series()
    known = plain.is_not_null().to_numpy()
    numbers = None
    if typed.dtype.is_numeric():
        numbers = typed.cast(pl.Float64).to_numpy().copy()
        known = ~np.isnan(numbers)
        if not typed.dtype.is_float() and np.abs(numbers[known]).max(initial=0.0) >= _EXACT:
            numbers = None
    elif numeric or typed.dtype == pl.String:
        known, numbers = _spoiled(texts, plain, numeric)
    return Column(texts.name, texts, plain, typed, known, numbers)


def _spoiled(texts: "pl.Series", plain: "pl.Series", numeric: bool) -> tuple[Bools, Floats | None]:
    """What is known in a column of texts, and its numbers if it would be one of numbers but for some words."""
    import polars as pl

    there = plain.is_not_null()
    written = pl.select(pl.when(there).then(texts)).to_series()
    if not numeric and infer_column(written).dtype != pl.String:
        return there.to_numpy(), None  # a file that has types of its own says that these numbers are texts
    lower = plain.str.to_lowercase()
    known = there & ~lower.is_in(list(MISSING_WORDS)).fill_null(value=True)
    rest = pl.select(pl.when(known).then(plain)).to_series()
    inner = pl.select(pl.when(~lower.is_in(list(_INFINITE))).then(rest)).to_series()
    dtype = infer_column(inner).dtype
    if dtype.is_numeric() or numeric:
        numbers = as_numbers(rest)
        return known.to_numpy(), numbers if np.isfinite(numbers).any() else None
    return (known if dtype.is_temporal() else there).to_numpy(), None


def missing_cells(columns: Mapping[str, Column]) -> dict[str, int]:
    """How many cells of each column are missing, of columns that lack any."""
    counts = {name: int((~column.known).sum()) for name, column in columns.items()}
    return {name: count for name, count in counts.items() if count}
