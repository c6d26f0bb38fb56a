"""What is known of a shard once it was looked through."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.places import Place
from datadiet_cli.data.scan import Entry

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shard:
    """A tar file of samples.

    Attributes:
        entry: the file, relative to the folder.
        spans: (m, 2) int64, where each member begins and where the next one does.
        row: (m,) int64, the row of the sample that a member belongs to; -1 for none, or for one without content.
        rows: all of these.
        place: where the file lies, on this machine or in a store.
        ending: (m,) int64, into `endings`; -1 for a member of no sample.
        endings: of the members' names, as they are written.
    """

    entry: Entry
    spans: Ints
    row: Ints
    rows: range
    place: Place
    ending: Ints
    endings: Sequence[str]

    def members(self, row: int) -> Ints:
        """(k,) int64, the members of the sample of a row, in order."""
        order, rows = self._by_row
        first, stop = np.searchsorted(rows, (row, row + 1))
        return order[first:stop]

    def endings_of(self, row: int) -> set[str]:
        """The endings of the members of a sample, in small letters: readers know no others."""
        return {self.endings[code].lower() for code in self.ending[self.members(row)].tolist()}

    @cached_property
    def _by_row(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.row, kind="stable")
        return order, self.row[order]
