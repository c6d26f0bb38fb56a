"""Pairs of sets that met, and the room that each set has for them: see `methods.minhash_pairs`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.shingles import Ints

ROOM = (64, 32)
"""So many likely pairs, and so many doubtful ones, each set is given; a pair of two sets without room is left out."""
_MERGED = 1 << 22
"""Pairs that are kept before those among them that are there twice are sought."""


@dataclass(frozen=True, eq=False)
class Met:
    """What came of a meeting.

    Attributes:
        a: (k,) uint32, one set of each pair that is not ruled out.
        b: (k,) uint32, the other.
        likely: (k,) bool, whether they are likely copies.
        block: (k,) int64, ascending; those of a block are given room at the same time.
        left: (l,) uint32, sets that were not compared with all.
    """

    a: NDArray[np.uint32]
    b: NDArray[np.uint32]
    likely: NDArray[np.bool_]
    block: Ints
    left: NDArray[np.uint32]

    @classmethod
    def of(cls, a: Ints, b: Ints, likely: NDArray[np.bool_], block: int) -> "Met":
        """Pairs of one block."""
        nobody = np.empty(0, dtype=np.uint32)
        return cls(a.astype(np.uint32), b.astype(np.uint32), likely, np.full(len(a), block, dtype=np.int64), nobody)

    @classmethod
    def without_pairs(cls, left: Ints, block: int) -> "Met":
        """Sets that were not compared with all."""
        none = np.empty(0, dtype=np.int64)
        met = cls.of(none, none, np.empty(0, dtype=bool), block)
        return cls(met.a, met.b, met.likely, met.block, left.astype(np.uint32))

    @classmethod
    def joined(cls, parts: Sequence["Met"]) -> "Met":
        """One after the other."""
        parts = [cls.without_pairs(np.empty(0, dtype=np.int64), 0), *parts]
        return cls(*(np.concatenate(column) for column in zip(*(vars(part).values() for part in parts), strict=True)))

    def __getitem__(self, part: slice) -> "Met":
        """Some of the pairs."""
        return Met(self.a[part], self.b[part], self.likely[part], self.block[part], self.left[:0])


class Found:
    """The pairs so far, and how many each set has.

    Args:
        n: number of sets.
    """

    def __init__(self, n: int) -> None:
        self._n = max(n, 1)
        self._left = np.zeros(n, dtype=bool)
        self._taken = np.zeros((2, n), dtype=np.uint8)
        self._merged, self._parts = np.empty(0, dtype=np.int64), [np.empty(0, dtype=np.int64)]
        self._held = 0
        self._open = Met.joined([])
        self._band = -1

    @property
    def left(self) -> int:
        """Sets that were not compared with all that they met."""
        return int(self._left.sum())

    def take(self, met: Met, *, band: int, hubs: bool) -> None:
        """Take the pairs that there is room for.

        Args:
            met: what came of a meeting; those of a band come by key, its crowds first.
            band: where they met.
            hubs: whether they met a crowd's hub: then likely pairs need no room.
        """
        self._left[met.left] = True
        if hubs or band != self._band:
            self.finish()
        self._band = band
        if hubs:
            self._keep(met.a[met.likely], met.b[met.likely])
            self._count(0, met.a[met.likely], met.b[met.likely])
            self._give(1, met, ~met.likely)
            return
        # The next meeting may have more pairs of the last block.
        met = Met.joined([self._open, met])
        whole = int(np.searchsorted(met.block, met.block[-1])) if len(met.block) else 0
        self._open = met[whole:]
        self._give_both(met[:whole])

    def finish(self) -> None:
        """Say that no more pairs of the last block will come."""
        self._give_both(self._open)
        self._open = Met.joined([])

    def pairs(self) -> NDArray[np.int64]:
        """(p, 2) int64, each pair once, sorted."""
        self._merge()
        return np.stack(np.divmod(self._merged, self._n), axis=1)

    def _give_both(self, met: Met) -> None:
        self._give(0, met, met.likely)
        self._give(1, met, ~met.likely)

    def _give(self, number: int, met: Met, which: NDArray[np.bool_]) -> None:
        """Take likely (0) or doubtful (1) pairs block by block, as far as there is room."""
        a, b, block = met.a[which], met.b[which], met.block[which]
        if not len(a):
            return
        taken, room = self._taken[number], ROOM[number]
        sets, count = np.unique(np.concatenate([a, b]), return_counts=True)
        at_last = taken[sets] + count
        fits = at_last <= room
        if (fits[np.searchsorted(sets, a)] | fits[np.searchsorted(sets, b)]).all():
            # One of each pair has room to the end, in whatever blocks they come.
            taken[sets] = np.minimum(at_last, room)
            self._keep(a, b)
            return
        for part in np.split(np.arange(len(a)), np.flatnonzero(np.diff(block)) + 1):
            one, other = a[part], b[part]
            there_is = (taken[one] < room) | (taken[other] < room)
            self._left[one[~there_is]] = self._left[other[~there_is]] = True
            self._keep(one[there_is], other[there_is])
            self._count(number, one[there_is], other[there_is])

    def _count(self, number: int, a: NDArray[np.uint32], b: NDArray[np.uint32]) -> None:
        sets, count = np.unique(np.concatenate([a, b]), return_counts=True)
        # More than there is room for need not be counted.
        self._taken[number][sets] = np.minimum(self._taken[number][sets] + count, ROOM[number])

    def _keep(self, a: NDArray[np.uint32], b: NDArray[np.uint32]) -> None:
        self._parts.append(np.minimum(a, b).astype(np.int64) * self._n + np.maximum(a, b))
        self._held += len(a)
        if self._held > max(_MERGED, len(self._merged)):
            self._merge()

    def _merge(self) -> None:
        self._merged = np.unique(np.concatenate([self._merged, *self._parts]))
        self._parts, self._held = [], 0
