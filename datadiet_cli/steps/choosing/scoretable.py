r"""Texts and numbers as a Parquet file with JSON in its metadata; the texts may be of any bytes.

Text that is not UTF-8, the name of a file say, is written with \udcXX escapes, as in a report. In such a column a
backslash that would read as the start of an escape is \x5c, so that all texts come back as they were.
"""

import json
import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.errors import InputError

if TYPE_CHECKING:
    import polars as pl

KEY = "datadiet"
"""Of the metadata of the file."""

_ROWS = 1 << 18
_ESCAPE = re.compile(r"\\(ud[89a-f][0-9a-f]{2}|x5c)")


def table_bytes(
    texts: Mapping[str, Sequence[str]], numbers: Mapping[str, NDArray[np.float64]], told: Mapping[str, Any]
) -> bytes:
    """A Parquet file of these columns; the same bytes for the same content.

    Args:
        texts: by column.
        numbers: (n,) by column; NaN becomes null.
        told: JSON values for the metadata; the key ``escaped`` is added.

    Raises:
        ValueError: they are no JSON, or columns are not of one length.
    """
    import polars as pl

    written = {name: _text_column(name, values) for name, values in texts.items()}
    whole = {**told, "escaped": [name for name, (_, escaped) in written.items() if escaped]}
    metadata = {KEY: json.dumps(whole, sort_keys=True, allow_nan=False)}
    columns = [column for column, _ in written.values()]
    for name, values in numbers.items():
        columns.append(pl.Series(name, np.ascontiguousarray(values, dtype=np.float64)).fill_nan(None))
    buffer = BytesIO()
    pl.DataFrame(columns).write_parquet(buffer, compression="zstd", row_group_size=_ROWS, metadata=metadata)
    return buffer.getvalue()


def read_table(path: str) -> "tuple[pl.DataFrame, dict[str, Any]]":
    """The columns of a file, and what its metadata tell under `KEY`, which may be nothing.

    Raises:
        InputError: the file cannot be read, is no Parquet, or damaged.
    """
    import polars as pl

    try:
        # A damaged file makes the library's Rust core panic, which prints before it raises.
        with open(path, "rb") as file, quiet_libraries():
            text = pl.read_parquet_metadata(file).get(KEY)
            file.seek(0)
            frame = pl.read_parquet(file, hive_partitioning=False)
        told = json.loads(text or "{}")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"{path}: cannot be read as a Parquet file of scores: {reason}") from error
    return frame, told if isinstance(told, dict) else {}


def texts_of(column: "pl.Series", told: Mapping[str, Any]) -> list[str]:
    """The texts of a column as they were, by what the metadata tell.

    Raises:
        ValueError: it is no column of texts.
    """
    import polars as pl

    if column.dtype != pl.String or column.null_count():
        raise ValueError(f"the column {column.name} is no text")
    texts: list[str] = column.to_list()
    if column.name not in told["escaped"]:
        return texts
    return [_ESCAPE.sub(lambda found: chr(int(found[1][1:], 16)), text) for text in texts]


def _text_column(name: str, values: Sequence[str]) -> "tuple[pl.Series, bool]":
    """A column of text, and whether it had to be escaped."""
    import polars as pl

    try:
        return pl.Series(name, values, dtype=pl.String), False
    except UnicodeEncodeError:
        plain = [_ESCAPE.sub(r"\\x5c\1", text).encode("utf-8", "backslashreplace").decode() for text in values]
        return pl.Series(name, plain, dtype=pl.String), True
