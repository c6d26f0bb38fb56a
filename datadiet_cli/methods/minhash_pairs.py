"""The pairs of sets that agree in a band of their MinHash signatures, found by a crew.

Three rounds: a survey (`methods.minhash_survey`) sorts each band, and tells who has company in it; in a *meeting* those
of a range of keys are compared with each other; and the pairs are *taken* (`methods.minhash_room`) in the order of
bands and keys, as far as there is room. Only the last depends on what was found before, and it looks at numbers alone.
So the first two may be done anywhere, in any order, on what lies in memory (here) or in files (`grouping.minhash`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.minhash import Bands
from datadiet_cli.methods.minhash_room import Found, Met
from datadiet_cli.methods.minhash_survey import CROWD, Keys, Meeting, Span, Survey, between, in_band, runs_of
from datadiet_cli.methods.shingles import Ints, ranges

_HUBS, _FRUITLESS = 64, 4
"""Hubs of a crowded bucket, and how many of them in a row may find nothing like them."""
_PAIRS = 1 << 16
"""About so many pairs are compared at a time, and given room at a time."""
_SMALL = 1 << 20
"""Keys that are not worth to be sent anywhere."""


@dataclass(frozen=True, eq=False)
class Company:
    """Sets that have company in a range of keys of a band, in any order.

    Attributes:
        sets: (m,) int64, their numbers.
        keys: (m, b) uint32, of all bands up to that one at least.
        traces: (m, hashes) uint8.
        crowded: (m, bands / 8) uint8, a bit for each band that they are in a crowd in.
    """

    sets: Ints
    keys: Keys
    traces: NDArray[np.uint8]
    crowded: NDArray[np.uint8]


class Sketched(Protocol):
    """What meetings are held on."""

    bands: Bands
    rank: Ints
    group: Ints

    def company(self, meeting: Meeting) -> Company:
        """Who takes part."""


def likely_pairs(
    keys: Keys, traces: NDArray[np.uint8], bands: Bands, rank: Ints, group: Ints, crew: Crew = ALONE
) -> tuple[NDArray[np.int64], int]:
    """Find pairs of sets that agree in a band, and whose estimated similarity does not rule them out.

    A bucket of at most `CROWD` sets is compared pair by pair. In a larger one the best of rank is compared with all,
    then the best of those that are not like it and of its group, and so on, a few dozen times at most: enough to group
    the copies of a few texts by the thousand, without the square of their number. And a pair that neither of the two
    has `ROOM` for is left out. So texts that share a template by the thousand, and are no copies, cost little.

    Args:
        keys: (n, bands) uint32, as `band_keys` gives them; n below 2**32.
        traces: (n, hashes) uint8, the lowest byte of each hash of the signatures.
        bands: how they were cut.
        rank: (n,) int64, all different; smaller is kept.
        group: (n,) int64; who is compared with the best of another group does not count as done.
        crew: who does it. The answer does not depend on that.

    Returns:
        (p, 2) int64, rows (i, j) with i < j, sorted; and how many sets were not compared with all that they met.
    """
    crew = crew if keys.size > _SMALL else ALONE
    seen = Survey(len(keys), bands.count)
    seen.make(_Held(keys), crew)
    found = Found(len(keys))
    sketched = HeldSketches(bands, rank, group, keys, traces, seen.company, seen.crowded)
    meetings = [meeting for band in seen.meetings for meeting in band]
    take_all(found, meetings, crew.each(meet, sketched, meetings))
    return found.pairs(), found.left


def take_all(found: Found, meetings: Sequence[Meeting], results: Iterator[Met]) -> None:
    """Take what came of some meetings: of whole bands, in order."""
    for meeting, met in zip(meetings, results, strict=True):
        found.take(met, band=meeting.band, hubs=meeting.crowds)
    found.finish()


@dataclass(frozen=True, eq=False)
class _Held:
    """Keys in memory."""

    keys: Keys

    def column(self, span: Span) -> tuple[Keys, Ints]:
        """See `Columns`."""
        keys = self.keys[:, span.band]
        sets = between(keys, span)
        return keys[sets], sets


@dataclass(frozen=True, eq=False)
class HeldSketches:
    """All of it in memory; see `likely_pairs` and `Survey`."""

    bands: Bands
    rank: Ints
    group: Ints
    keys: Keys
    traces: NDArray[np.uint8]
    has_company: NDArray[np.uint8]
    crowded: NDArray[np.uint8]

    def company(self, meeting: Meeting) -> Company:
        """See `Sketched`."""
        some = np.flatnonzero(in_band(self.has_company, meeting.band))
        some = some[between(self.keys[some, meeting.band], meeting)]
        return Company(some, self.keys[some], self.traces[some], self.crowded[some])


def meet(sketched: Sketched, meeting: Meeting) -> Met:
    """Compare those who have company in a range of keys: each crowd with its hubs, or the others pair by pair."""
    all_there = sketched.company(meeting)
    own = all_there.keys[:, meeting.band]
    order = np.lexsort((sketched.rank[all_there.sets], own))
    there = Company(all_there.sets[order], all_there.keys[order], all_there.traces[order], all_there.crowded[order])
    start, size = runs_of(own[order])
    if meeting.crowds:
        crowds = size > CROWD
        return _with_hubs(there, start[crowds], size[crowds], sketched)
    few = (size > 1) & (size <= CROWD)
    return _by_pairs(there, start[few], size[few], sketched.bands, meeting)


def _by_pairs(there: Company, start: Ints, size: Ints, bands: Bands, meeting: Meeting) -> Met:
    """All pairs of each bucket that did not meet in an earlier band and are not ruled out."""
    crowded = np.unpackbits(there.crowded, axis=1, bitorder="little")[:, : meeting.band].astype(bool)
    earlier = np.ascontiguousarray(there.keys[:, : meeting.band])
    parts = []
    for number, a, b in _pairs_of(start, size, meeting.before):
        # Pairs that met in an earlier band are known; but a crowd's pairs may not all have met.
        new = ~((earlier[a] == earlier[b]) & ~crowded[a]).any(axis=1)
        a, b = a[new], b[new]
        same = _equal(there.traces[a], there.traces[b])
        chosen = same >= bands.least
        likely = same[chosen] >= bands.threshold * bands.hashes
        parts.append(Met.of(there.sets[a[chosen]], there.sets[b[chosen]], likely, number))
    return Met.joined(parts)


def _pairs_of(start: Ints, size: Ints, before: int) -> Iterator[tuple[int, Ints, Ints]]:
    """All pairs of each bucket, about `_PAIRS` at a time, with the number of their block within the band."""
    place = ranges(start, size)
    later = np.repeat(start + size, size) - place - 1
    block = (before + np.cumsum(later)) // _PAIRS
    for part in np.split(np.arange(len(place)), np.flatnonzero(np.diff(block)) + 1):
        if len(part):
            first = np.repeat(place[part], later[part])
            yield int(block[part[0]]), first, ranges(place[part] + 1, later[part])


def _with_hubs(there: Company, start: Ints, size: Ints, sketched: Sketched) -> Met:
    """Compare all members of each crowd with a few of them."""
    parts: list[Met] = []
    side = sketched.group[there.sets]
    for begin, count in zip(start.tolist(), size.tolist(), strict=True):
        inside = slice(begin, begin + count)
        _meet_hubs(parts, there.sets[inside], there.traces[inside], side[inside], sketched.bands)
    return Met.joined(parts)


def _meet_hubs(parts: list[Met], members: Ints, traces: NDArray[np.uint8], side: Ints, bands: Bands) -> None:
    """Compare all members of a crowd, best first, with hubs."""
    waiting = np.ones(len(members), dtype=bool)
    fruitless = 0
    for _ in range(_HUBS):
        hub = int(waiting.argmax())
        if not waiting[hub] or fruitless == _FRUITLESS:
            break
        same = np.concatenate([_equal(traces[i : i + _PAIRS], traces[hub]) for i in range(0, len(members), _PAIRS)])
        same[hub] = -1
        chosen = np.flatnonzero(same >= bands.least)
        likely = same >= bands.threshold * bands.hashes
        hubs = np.full(len(chosen), members[hub])
        parts.append(Met.of(hubs, members[chosen], likely[chosen], len(parts)))
        covered = likely & (side == side[hub])
        fruitless = 0 if waiting[covered].any() else fruitless + 1
        waiting[covered] = waiting[hub] = False
    parts.append(Met.without_pairs(members[waiting], len(parts)))


def _equal(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Ints:
    """In how many bytes rows are equal."""
    same: Ints = (one == other).view(np.uint8).sum(axis=1, dtype=np.uint16).astype(np.int64)
    return same
