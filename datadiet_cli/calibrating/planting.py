"""Plant faults: a private copy of the sample with known faults, one a sample, each of which knows its original."""

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.calibrating.cells import Record
from datadiet_cli.calibrating.content import Content, Made, UnfitError
from datadiet_cli.calibrating.faults import Fault, Part
from datadiet_cli.calibrating.sample import Ints, Sample
from datadiet_cli.config.base import Common
from datadiet_cli.data.dataset import UNKNOWN, Dataset, encode_names
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.places import Place, fetch
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.table import TableSource
from datadiet_cli.data.tablefile import TableFormat
from datadiet_cli.data.tables import open_table
from datadiet_cli.encode.cells import FREE_TEXT, cells_of

if TYPE_CHECKING:
    import polars as pl

MOST = 20
"""Faults of a kind that are planted at most."""
_SHARE, _SHARE_IN_PLACE = 20, 32
"""One sample in so many bears a fault of a kind, at most. Faults that stand in the place of a sample are fewer, since
what is usual among samples is learned from them as well: many odd ones of a kind are a class."""
_TRIES = 5
"""Originals that are tried for each fault that is to be planted."""


@dataclass(frozen=True)
class Plant:
    """A fault that was planted.

    Attributes:
        fault: its kind.
        row: of the sample that bears it.
        original: row of the sample it was made of; the same where it stands in its place.
    """

    fault: str
    row: int
    original: int


@dataclass(frozen=True, eq=False)
class Planted:
    """A sample with faults.

    Attributes:
        dataset: originals have the rows 0 to m - 1, in the order of the sample; copies follow.
        plants: what was planted; none in the sample as it is.
        unfit: kinds of faults that no sample could bear, each with the reason.
    """

    dataset: Dataset
    plants: Sequence[Plant]
    unfit: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Draft:
    """One fault on its way: what was made, and the label that it bears."""

    fault: str
    original: int
    made: Any
    label: int
    in_place: bool


class Garden:
    """Makes planted copies of one sample in a folder of its own.

    Args:
        sample: what is planted in.
        common: the settings of the run.
        folder: gives an empty folder that is gone afterwards.
    """

    def __init__(self, sample: Sample, common: Common, folder: str) -> None:
        self.sample, self._common, self._folder = sample, common, folder
        self._soil = _Rows(sample, folder) if isinstance(sample.dataset.source, TableSource) else _Files(sample, folder)
        self._broken: set[int] = set()
        self._named: set[int] = set()

    def leave_out(self, broken: set[int], named: set[int]) -> None:
        """Take no broken sample for an original, and of those that have copies already only what is needed."""
        self._broken, self._named = broken, named

    def plain(self) -> Planted:
        """The sample as it is."""
        return Planted(self._soil.grown([], "plain"), ())

    def planted(self, part: Part, faults: Mapping[str, Fault]) -> Planted:
        """The sample with faults.

        Args:
            part: what they are planted for; copies are put beside their originals, all else in their place.
            faults: by name.
        """
        drawn = [row for row in np.argsort(self._lots(part), kind="stable").tolist() if row not in self._broken]
        order = sorted(drawn, key=lambda row: row in self._named)
        share = _SHARE if part == "copies" else _SHARE_IN_PLACE
        count = min(MOST, max(1, len(self.sample) // share), max(1, len(order) // max(len(faults), 1)))
        drafts: list[_Draft] = []
        unfit: dict[str, str] = {}
        for name, fault in faults.items():
            mine: list[_Draft] = []
            left: list[int] = []
            why = ""
            while order and len(mine) < count and len(left) < _TRIES * count:
                original = order.pop(0)
                try:
                    mine.append(self._draft(name, fault, original, in_place=part != "copies"))
                except UnfitError as error:
                    why = str(error)
                    left.append(original)
            # What could not bear this fault may bear the next.
            order = left + order
            drafts += mine
            if not mine:
                unfit[name] = why or "no sample was left for it"
        dataset = self._soil.grown(drafts, part)
        return Planted(dataset, _rows_of(drafts, len(self.sample)), unfit)

    def _lots(self, part: str) -> NDArray[np.uint64]:
        """(m,) in which order the samples are taken: by their digests, another order for each part."""
        rng = np.random.default_rng([self._common.seed, zlib.crc32(part.encode())])
        mask = rng.integers(0, 2**63, dtype=np.uint64)
        mixed = (self.sample.digests ^ mask) * np.uint64(0x9E3779B97F4A7C15)
        return cast("NDArray[np.uint64]", mixed ^ (mixed >> np.uint64(29)))

    def _draft(self, name: str, fault: Fault, original: int, *, in_place: bool) -> _Draft:
        digest = int(self.sample.digests[original])
        rng = np.random.default_rng([self._common.seed, zlib.crc32(name.encode()), digest])
        label = int(self.sample.labels[original])
        if fault.relabelled:
            label = self._another(label, rng)
        made = None if fault.make is None else fault.make(self._soil.content(original, self._common), rng)
        return _Draft(name, original, made, label, in_place)

    def _another(self, label: int, rng: np.random.Generator) -> int:
        """The label of another class; of numbers one that is half of the samples away."""
        classes = self.sample.dataset.classes
        held: list[int] = sorted({code for code in self.sample.labels.tolist() if code != UNKNOWN})
        others = [code for code in held if code != label]
        if label == UNKNOWN or not others:
            raise UnfitError("no other class")
        values = _numbers([classes[code] for code in held])
        if values is None or len(held) <= MOST:
            return int(others[int(rng.integers(len(others)))])
        ranked = [held[i] for i in np.argsort(values, kind="stable").tolist()]
        return int(ranked[(ranked.index(label) + len(ranked) // 2) % len(ranked)])


def _numbers(names: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        return np.array([float(name) for name in names])
    except ValueError:
        return None


def _rows_of(drafts: Sequence[_Draft], originals: int) -> list[Plant]:
    plants, following = [], originals
    for draft in drafts:
        row = draft.original if draft.in_place else following
        following += not draft.in_place
        plants.append(Plant(draft.fault, row, draft.original))
    return plants


def _labels(sample: Sample, drafts: Sequence[_Draft]) -> list[str | None]:
    """The label of every row, by name."""
    codes = sample.labels.tolist()
    for draft in drafts:
        if draft.in_place:
            codes[draft.original] = draft.label
        else:
            codes.append(draft.label)
    return [None if code == UNKNOWN else sample.dataset.classes[code] for code in codes]


def _dataset(source: Any, sample: Sample, names: list[str | None]) -> Dataset:
    labels, classes = encode_names(names)
    rows = np.arange(len(names), dtype=np.int64)
    sets = {name: some for name, some in sample.dataset.class_sets.items() if name in set(classes)}
    return Dataset(source, rows, labels, classes, np.full(len(names), UNKNOWN, dtype=np.int32), (), sets)


class _Files:
    """Files: originals are read where they are, what is made lies in a folder of its own."""

    def __init__(self, sample: Sample, folder: str) -> None:
        self._sample, self._folder = sample, folder
        self._source = cast(FolderSource, sample.dataset.source)

    def content(self, original: int, common: Common) -> Content:
        row: Ints = self._sample.rows[original : original + 1]
        path = self._source.paths(row)[0]
        place = Place.of(path)
        if place is not None:
            # What lies in a shard or a store is fetched once, however many faults are planted in it.
            here = os.path.join(self._folder, f"original-{original}{place.suffix}")
            if not os.path.lexists(here):
                fetch({path: here})
            path = here
        return Content(path, common.max_pixels, common.encoding)

    def grown(self, drafts: Sequence[_Draft], name: str) -> Dataset:
        entries = [self._source.samples[row] for row in self._sample.rows.tolist()]
        made: dict[int, str] = {}
        for number, draft in enumerate(drafts):
            if draft.made is None:
                continue
            file = cast(Made, draft.made)
            base = f"{name}-{number:05d}-{draft.fault}{file.suffix}"
            path = os.path.join(self._folder, base)
            with open(path, "wb") as target:
                target.write(file.data)
            # It is as old as its original, so that no preference for new files tells them apart.
            entry = Entry(base, len(file.data), entries[draft.original].mtime_ns)
            if draft.in_place:
                entries[draft.original] = entry
            else:
                entries.append(entry)
            made[draft.original if draft.in_place else len(entries) - 1] = path
        # Names that INPUT has as well would be taken for the same file.
        source = replace(
            self._source, samples=entries, others=(), directories=(), tables=(), missing=(), moved={}, made=made
        )
        return _dataset(source, self._sample, _labels(self._sample, drafts))


class _Rows:
    """Rows: the sample becomes a CSV of its own, whatever the format of INPUT."""

    def __init__(self, sample: Sample, folder: str) -> None:
        self._sample, self._folder = sample, folder
        self._source = source = cast(TableSource, sample.dataset.source)
        self._frame = source.file.texts()[sample.rows]
        typed = source.file.typed(source.features)[sample.rows]
        self._numbers, self._fractions, self._words = _sorts(typed)
        left_out = cells_of(typed, self._frame.select(source.features)).left_out
        self._free = tuple(name for name, why in left_out.items() if why == FREE_TEXT)

    def content(self, original: int, common: Common) -> Record:
        del common
        cells = self._frame.select(self._source.features).row(original, named=True)
        return Record(cells, self._numbers, self._fractions, self._words, self._free)

    def grown(self, drafts: Sequence[_Draft], name: str) -> Dataset:
        import polars as pl

        columns = {column: self._frame[column].to_list() for column in self._frame.columns}
        label = self._source.label
        for draft in drafts:
            if not draft.in_place:
                for cells in columns.values():
                    cells.append(cells[draft.original])
            row = draft.original if draft.in_place else len(next(iter(columns.values()))) - 1
            for column, text in (draft.made or {}).items():
                columns[column][row] = text
            if label is not None:
                columns[label][row] = None if draft.label == UNKNOWN else self._sample.dataset.classes[draft.label]
        frame = pl.DataFrame({column: pl.Series(cells, dtype=pl.String) for column, cells in columns.items()})
        path = os.path.join(self._folder, f"{name}.csv")
        # A CSV cannot hold NUL, which JSON can.
        frame.with_columns(pl.all().str.replace_all("\0", "\u2400", literal=True)).write_csv(path, quote_style="always")
        file = open_table(path, TableFormat("utf-8", ",", "first-row"))
        # Cells that name files name them as seen from INPUT.
        source = TableSource(self._source.path, file, None, self._source.set_aside, label=label)
        return _dataset(source, self._sample, _labels(self._sample, drafts))


def _sorts(typed: "pl.DataFrame") -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Columns of numbers, those of them with fractions, and columns of texts."""
    import polars as pl

    numbers = [column.name for column in typed if column.dtype.is_numeric()]
    fractions = [name for name in numbers if typed[name].dtype.is_float() and _fractional(typed[name])]
    words = [column.name for column in typed if column.dtype == pl.String]
    return tuple(numbers), tuple(fractions), tuple(words)


def _fractional(column: "pl.Series") -> bool:
    values = column.drop_nulls().to_numpy()
    values = values[np.isfinite(values)]
    return bool((values != np.floor(values)).any())
