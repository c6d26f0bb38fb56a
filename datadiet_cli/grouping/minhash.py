"""Pairs of texts that agree in a band of their MinHash signatures, when no single memory holds the signatures.

Workers write what they sketch into files, a few thousand texts each: the keys of a band next to each other, then the
traces. A survey reads one band at a time, and tells who has company. Then band after band those who have are dealt out
to ranges of keys, with their keys up to that band and their traces, and each range is compared where it is read. The
rounds are those of `methods.minhash_pairs`, and so is the answer.

How often a file of sketches is read: by the survey, the keys of each band once for each `Span`, of which a band has one
per four million texts. Then in each wave of bands, of which there are at most half as many as bands, the keys up to its
last band and the traces, unless nobody in the file takes part. What was dealt out lies in one file for several of them;
of it each meeting reads its own bucket, and meetings of crowds and of others share one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.engine import Engine, Exchange
from datadiet_cli.grouping import portions
from datadiet_cli.methods.minhash import Bands
from datadiet_cli.methods.minhash_pairs import Company, meet, take_all
from datadiet_cli.methods.minhash_room import Found
from datadiet_cli.methods.minhash_survey import Keys, Meeting, Span, Survey, in_band

Ints = NDArray[np.int64]

OF_A_FILE = 4096
"""Texts whose sketches lie in a file."""
_MANY = 1 << 18
"""Texts whose sketches a cluster keeps where its workers are."""
_DEALT = 2
"""So many times, on average, a text's sketches are dealt out before what was dealt out is compared and removed."""
_TOGETHER = 16
"""Files that are dealt out to one, so that there are not as many for each wave; fewer, where memory is short."""
_NOBODY = np.iinfo(np.uint32).max


def goes_through_files(engine: Engine, texts: int, bands: Bands) -> bool:
    """Whether the sketches of so many texts are to lie in files."""
    return engine.too_large(texts * (4 * bands.count + bands.hashes)) or (engine.is_led and texts >= _MANY)


@dataclass(frozen=True)
class SketchFiles:
    """Sketches of texts on disk, by pieces of `OF_A_FILE`.

    Attributes:
        exchange: of a bucket for each band.
        texts: how many there are.
    """

    exchange: Exchange
    texts: int

    @property
    def pieces(self) -> int:
        """How many there are."""
        return -(-self.texts // OF_A_FILE)

    def rows(self, piece: int) -> slice:
        """The texts of a piece."""
        return slice(piece * OF_A_FILE, min((piece + 1) * OF_A_FILE, self.texts))

    def write(self, piece: int, keys: Keys, about: Mapping[str, NDArray[Any]]) -> None:
        """Write the (m, bands) keys of a piece, and columns of m rows about its texts, ``traces`` among them."""
        count, bands = keys.shape
        self.exchange.write(2 * piece, np.repeat(np.arange(bands), count), {"keys": keys.T.ravel()})
        self.exchange.write(2 * piece + 1, np.zeros(count, dtype=np.int64), about)

    def has(self, piece: int) -> bool:
        """Whether a piece is written."""
        return self.exchange.has(2 * piece) and self.exchange.has(2 * piece + 1)

    def check(self, piece: int) -> None:
        """See that the keys of a piece are what was written.

        Raises:
            DatadietError: they are not.
        """
        for _ in self.exchange.read_some(range(self.exchange.buckets), 2 * piece):
            pass

    def about(self, piece: int) -> dict[str, NDArray[Any]]:
        """The columns about the texts of a piece."""
        return self.exchange.read(0, [2 * piece + 1])

    def keys(self, piece: int, bands: Sequence[int]) -> list[Keys]:
        """The keys of its texts in each of some bands."""
        return [found["keys"] for found in self.exchange.read_some(bands, 2 * piece)]


def likely_pairs(
    files: SketchFiles, bands: Bands, chosen: Ints, rank: Ints, group: Ints, engine: Engine
) -> tuple[NDArray[np.int64], int]:
    """Find pairs among some of the texts, as `methods.minhash_pairs.likely_pairs` does.

    Args:
        files: the sketches of all texts, fewer than 2**32 - 1.
        bands: how they were cut.
        chosen: (k,) int64, the texts to look at.
        rank: (k,) int64, all different; smaller is kept.
        group: (k,) int64.
        engine: does the work.

    Returns:
        As that does; places in `chosen` stand for sets.

    Raises:
        DatadietError: a file was lost.
        OSError: one cannot be written.
    """
    number = engine.zeros((files.texts,), np.uint32)
    number[:] = _NOBODY
    number[chosen] = np.arange(len(chosen), dtype=np.uint32)
    seen = Survey(len(chosen), bands.count, engine.zeros)
    seen.make(_FiledColumns(files, number), engine)
    found = Found(len(chosen))
    for wave in _waves(seen.meetings, _DEALT * len(chosen)):
        first = min(meeting.number for meeting in wave)
        exchange = engine.exchange("met", max(meeting.number for meeting in wave) - first + 1)
        try:
            deal = _Deal(files, number, seen.company, seen.crowded, exchange, tuple(wave))
            written = engine.each(deal_out, deal, _parts(files, bands, engine))
            there = _Dealt(bands, rank, group, exchange, tuple(one for one in written if one is not None), first)
            take_all(found, wave, engine.each(meet, there, wave))
        finally:
            exchange.remove()
    return found.pairs(), found.left


def _parts(files: SketchFiles, bands: Bands, engine: Engine) -> Iterator[range]:
    """Pieces that are dealt out together."""
    row = 4 * bands.count + bands.hashes + 8 + bands.count // 8
    step = max(_TOGETHER // portions(_TOGETHER * OF_A_FILE * _DEALT * row, engine), 1)
    for start in range(0, files.pieces, step):
        yield range(start, min(start + step, files.pieces))


def _waves(meetings: Sequence[Sequence[Meeting]], most: int) -> Iterator[list[Meeting]]:
    """The meetings of consecutive bands together, as long as not too many take part; of one band at least."""
    wave: list[Meeting] = []
    rows = 0
    for band in meetings:
        more = sum({meeting.number: meeting.rows for meeting in band}.values())
        if wave and rows + more > most:
            yield wave
            wave, rows = [], 0
        wave.extend(band)
        rows += more
    if wave:
        yield wave


@dataclass(frozen=True, eq=False)
class _FiledColumns:
    """Keys of texts in files; `number` has the number of each text among the chosen ones."""

    files: SketchFiles
    number: NDArray[np.uint32]

    def column(self, span: Span) -> tuple[Keys, Ints]:
        """See `methods.minhash_pairs.Columns`."""
        keys, sets = [np.empty(0, dtype=np.uint32)], [np.empty(0, dtype=np.int64)]
        for piece in range(self.files.pieces):
            (own,) = self.files.keys(piece, [span.band])
            number = self.number[self.files.rows(piece)]
            some = (own >= np.uint32(span.low)) & (own <= np.uint32(span.last)) & (number != _NOBODY)
            keys.append(own[some])
            sets.append(number[some].astype(np.int64))
        return np.concatenate(keys), np.concatenate(sets)


@dataclass(frozen=True, eq=False)
class _Deal:
    """Who is dealt out where.

    Attributes:
        files: where the sketches are.
        number: (texts,) uint32, the number of each text among the chosen ones.
        has_company: see `Survey`.
        crowded: likewise.
        exchange: where sketches go: a bucket for each range of keys.
        wave: the meetings.
    """

    files: SketchFiles
    number: NDArray[np.uint32]
    has_company: NDArray[np.uint8]
    crowded: NDArray[np.uint8]
    exchange: Exchange
    wave: tuple[Meeting, ...]

    def ranges(self) -> Iterator[tuple[int, NDArray[np.uint32], int]]:
        """Of each band the last key of each range, and the bucket of the first."""
        first = min(meeting.number for meeting in self.wave)
        for band, meetings in groupby(self.wave, lambda meeting: meeting.band):
            last = {meeting.number: meeting.last for meeting in meetings}
            yield band, np.array([last[number] for number in sorted(last)], dtype=np.uint32), min(last) - first


def deal_out(deal: _Deal, pieces: range) -> int | None:
    """Deal out the sketches of some pieces into one file; the number of the first, unless nobody in them takes part."""
    parts = [part for part in (_dealt(deal, piece) for piece in pieces) if part is not None]
    if not parts:
        return None
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    deal.exchange.write(pieces[0], columns.pop("buckets"), columns)
    return pieces[0]


def _dealt(deal: _Deal, piece: int) -> dict[str, NDArray[Any]] | None:
    """The columns of `Company` and the buckets of those in a piece who take part; None for nobody."""
    number = deal.number[deal.files.rows(piece)]
    rows = np.flatnonzero(number != _NOBODY)
    sets = number[rows].astype(np.int64)
    company = deal.has_company[sets]
    among = [(np.flatnonzero(in_band(company, band)), band, last, first) for band, last, first in deal.ranges()]
    place = np.concatenate([places for places, *_ in among])
    if not len(place):
        return None
    # Meetings look at their own band and those before.
    keys = np.stack(deal.files.keys(piece, range(1 + max(band for _, band, *_ in among))), axis=1)[rows]
    buckets = [first + np.searchsorted(last, keys[places, band]) for places, band, last, first in among]
    traces = deal.files.about(piece)["traces"][rows]
    return {
        "sets": sets[place],
        "keys": keys[place],
        "traces": traces[place],
        "crowded": deal.crowded[sets][place],
        "buckets": np.concatenate(buckets),
    }


@dataclass(frozen=True, eq=False)
class _Dealt:
    """What was dealt out, by files; see `methods.minhash_pairs.Sketched`."""

    bands: Bands
    rank: Ints
    group: Ints
    exchange: Exchange
    pieces: tuple[int, ...]
    first: int

    def company(self, meeting: Meeting) -> Company:
        """Who takes part."""
        return Company(**self.exchange.read(meeting.number - self.first, self.pieces))
