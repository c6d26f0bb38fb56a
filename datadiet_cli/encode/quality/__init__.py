"""Files -> what their quality is judged by: one decoding each, a number for every measure.

`methods.quality` names the measures and says which values are faults.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.cache import Rows


@dataclass(frozen=True, eq=False)
class Measures:
    """What was measured of n samples.

    Attributes:
        causes: (n,) object, why a sample could not be read (a code of the module that opens its kind), or None.
        values: (n,) float64 for each measure; NaN where it has no meaning, and for a sample with a cause.
    """

    causes: NDArray[np.object_]
    values: dict[str, NDArray[np.float64]]

    @classmethod
    def blank(cls, n: int, names: tuple[str, ...]) -> "Measures":
        """Rows to fill."""
        return cls(np.full(n, None, dtype=object), {name: np.full(n, np.nan) for name in names})


def row_type(names: Sequence[str]) -> np.dtype[np.void]:
    """What is remembered of a file: its measures, and the number of its cause (0 for none)."""
    return np.dtype([("values", np.float64, (len(names),)), ("cause", np.uint8)])


def unpacked(
    n: int, names: tuple[str, ...], causes: Sequence[str | None], found: Iterable[tuple[NDArray[np.int64], Rows]]
) -> Measures:
    """What was measured of n files, from rows as `packed` makes them.

    Args:
        n: number of files.
        names: of the measures.
        causes: None, and all causes there may be.
        found: positions and rows.
    """
    measures, kind = Measures.blank(n, names), row_type(names)
    for positions, some in found:
        rows = some.view(kind)[:, 0]
        measures.causes[positions] = np.array(causes, dtype=object)[rows["cause"]]
        for column, name in enumerate(names):
            measures.values[name][positions] = rows["values"][:, column]
    return measures


def packed(
    paths: Sequence[str],
    names: Sequence[str],
    causes: Sequence[str | None],
    measure: Callable[[str], Sequence[float]],
    cause_of: Callable[[Exception], str],
) -> tuple[Rows, NDArray[np.bool_]]:
    """Measure some files: (k, width) rows, and (k,) bool, which of them to remember.

    Args:
        paths: the files.
        names: of the measures.
        causes: None, and all causes there may be.
        measure: gives the values of a file, or raises.
        cause_of: the cause, for what it raised; raises it again if it says nothing of the file.
    """
    rows = np.zeros(len(paths), dtype=row_type(names))
    rows["values"] = np.nan
    keep = np.ones(len(paths), dtype=bool)
    for i, path in enumerate(paths):
        try:
            rows["values"][i] = measure(path)
        except Exception as error:  # noqa: BLE001, RUF100 - decoders raise anything on damaged bytes
            cause = cause_of(error)
            # What cannot be reached now may be there tomorrow, with the same content.
            rows["cause"][i], keep[i] = causes.index(cause), cause != "unreachable"
    return rows.view(np.uint8).reshape(len(paths), rows.itemsize), keep
