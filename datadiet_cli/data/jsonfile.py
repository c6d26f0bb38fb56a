"""JSON Lines: a record is a line that holds one object; lines are copied as the bytes they were."""

import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.encoding import map_text
from datadiet_cli.data.infer import infer_column, infer_times
from datadiet_cli.data.jsoncells import (
    PLAIN_NUMBER,
    all_numbers,
    new_member,
    new_value,
    quote,
    replace_cells,
    with_members,
)
from datadiet_cli.data.jsonedit import without_members
from datadiet_cli.data.records import Appended, Records, Rewritten, write_records
from datadiet_cli.data.tablefile import (
    MAX_COLUMNS,
    NO_EDITS,
    NO_GROWTH,
    Edits,
    Growth,
    TableFile,
    TableFormat,
    edited_rows,
    put,
)
from datadiet_cli.errors import InputError, OutputError

if TYPE_CHECKING:
    import polars as pl

_BLOCK = 2**16
_EXACT = 2**53
_NUMBERS = {int, float}
# The last characters for private use, one for each half of a surrogate pair: different texts must stay different.
_STAND_INS = {half: 0x10F800 + half - 0xD800 for half in range(0xD800, 0xE000)}


class JsonLinesFile(TableFile):
    """A JSON Lines file. Its columns are the keys of all objects, in order of their first appearance.

    A missing key and a null are the same empty cell. Blank lines are no records.

    Args:
        path: the file.
        fmt: only its encoding counts.

    Raises:
        InputError: a line is not a JSON object, or there is none.
        ConfigError: the encoding cannot be one.
        OSError: the file cannot be read.
    """

    def __init__(self, path: str, fmt: TableFormat) -> None:
        self.path = path
        self._codec, self._data, begin = map_text(path, fmt.encoding)
        names: dict[str, None] = {}
        starts, ends = array("q"), array("q")
        with open(path, "rb") as file:
            file.seek(begin)
            for number, line in enumerate(file, 1):
                start, begin = begin, begin + len(line)
                if text := line.strip(b" \t\r\n"):
                    starts.append(start)
                    ends.append(start + line.index(text) + len(text))
                    names.update(dict.fromkeys(_load_object(text.decode(self._codec), path, number)))
        if not names or len(names) > MAX_COLUMNS:
            found = "no" if not names else f"{len(names):,}"
            raise InputError(f"{path}: {found} columns; a JSON Lines table has 1 to {MAX_COLUMNS:,} different keys")
        self._spans = Records(np.array([*starts, len(self._data)], dtype=np.int64), np.array(ends, dtype=np.int64))
        self.columns = tuple(names)
        self.records = len(ends)

    def texts(self, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Every cell as text; see `TableFile`.

        A string is its own text, so that "" is not null; numbers are as the file writes them, except within
        lists and objects, which are JSON. Half of a surrogate pair is no text: U+D800 to U+DFFF are given as
        U+10F800 to U+10FFFF, which are for private use.
        """
        import polars as pl

        cells = self._values(columns, _WrittenFloat)
        return pl.DataFrame([_text_series(name, [_text(v) for v in values]) for name, values in cells.items()])

    def typed(self, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Every cell in the type of its column; see `TableFile`.

        A column is numbers or booleans if all its values are, dates if all are strings of dates, else text.
        """
        import polars as pl

        return pl.DataFrame(
            [_typed_series(name, values) for name, values in self._values(columns, _WrittenFloat).items()]
        )

    def record_bytes(self) -> NDArray[np.int64]:
        """(records,) int64; see `TableFile`. Blank lines count with the record before them."""
        return np.diff(self._spans.starts)

    def overhead(self, column: str) -> int | None:
        """The name in quotes, a colon, a comma and two blanks; see `TableFile`."""
        return len(column.encode("utf-8", "surrogatepass")) + 6

    def keys(self, columns: Sequence[str] | None = None) -> NDArray[np.uint64]:
        """(records,) uint64; see `TableFile`. Values count, not how they are written: 1e2 is 100."""
        import polars as pl

        hashes = [np.empty(0, dtype=np.uint64)]
        for begin in range(0, self.records, _BLOCK):
            rows = range(begin, min(begin + _BLOCK, self.records))
            hashes.append(pl.Series(self._canonical(rows, columns), dtype=pl.String).hash().to_numpy())
        return np.concatenate(hashes)

    def same(
        self, a: NDArray[np.int64], b: NDArray[np.int64], columns: Sequence[str] | None = None
    ) -> NDArray[np.bool_]:
        """(n,) bool; see `TableFile`. Records are equal by value, whatever the order of their keys."""
        pairs = zip(self._canonical(a.tolist(), columns), self._canonical(b.tolist(), columns), strict=True)
        return np.fromiter((one == other for one, other in pairs), dtype=np.bool_, count=len(a))

    def write(
        self, rows: NDArray[np.int64], destination: str, edits: Edits = NO_EDITS, growth: Growth = NO_GROWTH
    ) -> int:
        """Copy the records that stay; of an edited record only the edited values' bytes change.

        See `TableFile`. A new text becomes a number, a boolean or another JSON value if it is one and the
        column holds no strings, otherwise a string; None becomes null. A missing key is
        appended to its object. So is every new column, of numbers if all its texts are such, else of strings.
        Columns go with one comma each, and with the blanks that part them from a neighbour.
        """
        self.staying(growth)
        self.positions(list(edits))
        gone = frozenset(growth.without)
        edits = {column: texts for column, texts in edits.items() if column not in gone}
        sources = growth.sources(self.records).tolist()
        worded = self._worded if edits else frozenset()
        members = [(quote(name), texts, all_numbers(texts.values())) for name, texts in growth.columns.items()]

        def make(number: int) -> bytes:
            values = {
                column: new_value(texts[number], column in worded) for column, texts in edits.items() if number in texts
            }
            before = self._text(sources[number])
            text = without_members(before, gone) if gone else before
            text = replace_cells(text, values) if values else text
            new = [(name, new_member(texts.get(number), numeric)) for name, texts, numeric in members]
            return self._encoded(with_members(text, new, before), number)

        changed = rows if members or gone else edited_rows(rows, edits.values(), len(sources))
        appended = Appended(np.asarray(growth.template, dtype=np.int64), self._end())
        return write_records(self._data, self._spans, rows, destination, Rewritten(changed, make), appended)

    def reread(self, texts: "pl.Series", column: str | None) -> "pl.Series":
        """The texts; see `TableFile`. A text that is JSON, in a column without strings, is written anew."""
        if column is None or column in self._worded:
            return texts
        # Most are plain numbers, which are their own text.
        odd = np.flatnonzero((~texts.str.contains(PLAIN_NUMBER)).fill_null(False).to_numpy())
        decode = json.JSONDecoder(parse_float=_WrittenFloat).decode
        values = [_text(decode(new_value(text, False))) for text in texts.gather(odd).to_list()]
        return put(texts, odd, _text_series(texts.name, values))

    def retype(self, texts: "pl.Series", before: "pl.Series | None", changed: NDArray[np.int64]) -> "pl.Series":
        """The values; see `TableFile`. Whole numbers and others are numbers together."""
        import polars as pl

        if before is None:
            return infer_column(texts) if all_numbers(texts.to_list()) else infer_times(texts)
        typed = super().retype(texts, before, changed)
        if typed.dtype == pl.String and before.dtype == pl.Int64:
            return super().retype(texts, before.cast(pl.Float64), changed)
        return typed

    @cached_property
    def _worded(self) -> frozenset[str]:
        """The columns that hold strings."""
        worded: set[str] = set()
        for record in self._objects(range(self.records), float):
            worded.update(name for name, value in record.items() if type(value) is str)
        return frozenset(worded)

    def _end(self) -> bytes:
        """What ends the first line."""
        if not self.records:
            return b"\n"
        gap = self._data[self._spans.ends[0] : self._spans.starts[1]].tobytes()
        return b"\r\n" if gap.partition(b"\n")[0].endswith(b"\r") else b"\n"

    def _encoded(self, text: str, number: int) -> bytes:
        try:
            return text.encode(self._codec)
        except UnicodeEncodeError as error:
            raise OutputError(
                f"{self.path}: record {number}: the new text holds {text[error.start]!r}, which {self._codec} "
                "cannot express; convert the table to UTF-8 first"
            ) from None

    def _text(self, row: int) -> str:
        return self._spans.text(self._data, row).decode(self._codec)

    def _objects(self, rows: Sequence[int], real: Callable[[str], float]) -> Iterator[dict[str, Any]]:
        decoder = json.JSONDecoder(parse_float=real)
        for row in rows:
            yield decoder.decode(self._text(row))

    def _values(self, columns: Sequence[str] | None, real: Callable[[str], float]) -> dict[str, list[Any]]:
        names = [self.columns[i] for i in self.positions(columns)]
        cells: dict[str, list[Any]] = {name: [] for name in names}
        appends = [(name, values.append) for name, values in cells.items()]
        for record in self._objects(range(self.records), real):
            for name, append in appends:
                append(record.get(name))
        return cells

    def _canonical(self, rows: Sequence[int], columns: Sequence[str] | None) -> list[str]:
        """A text for each record that is the same for equal values."""
        names = [self.columns[i] for i in self.positions(columns)]
        encode = json.JSONEncoder(sort_keys=True).encode
        return [encode([record.get(name) for name in names]) for record in self._objects(rows, _plain_number)]


class _WrittenFloat(float):
    """A number with the text that it was written as, such as 0.10."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "_WrittenFloat":
        number = super().__new__(cls, text)
        number.text = text
        return number


def _plain_number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def _load_object(text: str, path: str, line: int) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        _refuse(path, line, f"not JSON: {error.msg} at character {error.pos + 1}")
    except RecursionError:
        _refuse(path, line, "nested too deeply")
    except ValueError:  # an integer of more digits than Python takes
        _refuse(path, line, "holds a number too long to read")
    if not isinstance(value, dict):
        _refuse(path, line, "not a JSON object")
    return value


def _refuse(path: str, line: int, what: str) -> NoReturn:
    raise InputError(f'{path}:{line}: {what}; every line of a JSON Lines table holds one object: {{"key": value, ...}}')


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    return value.text if isinstance(value, _WrittenFloat) else json.dumps(value, ensure_ascii=False)


def _text_series(name: str, texts: list[str | None]) -> "pl.Series":
    import polars as pl

    try:
        return pl.Series(name, texts, dtype=pl.String)
    except UnicodeEncodeError:  # half of a surrogate pair, "\ud83d", is JSON but no text
        clean = [text if text is None else text.translate(_STAND_INS) for text in texts]
        return pl.Series(name, clean, dtype=pl.String)


def _typed_series(name: str, values: list[Any]) -> "pl.Series":
    import polars as pl

    kinds = {float if type(value) is _WrittenFloat else type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if float in kinds and kinds <= _NUMBERS:
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    texts = _text_series(name, [_text(value) for value in values])
    return infer_times(texts) if kinds == {str} else texts
