"""The last look at two pictures that seem the same: at a size where their detail survives."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple, overload

import numpy as np
import PIL
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.cache import pair_digests
from datadiet_cli.encode.pictures import SMALL, detail_files
from datadiet_cli.encode.spool import Spool
from datadiet_cli.methods.agreement import agreement, residual
from datadiet_cli.methods.alignment import align, band, halved, resampled, sound, template
from datadiet_cli.methods.duplicates import Ints
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.looks import Looks
from datadiet_cli.steps.likeness.overlay import SURE, Overlay, by_turn

DETAIL = 256
FLOOR = 0.5
"""Least agreement of the details of copies: less than of small pictures, for compression takes detail first."""
ENOUGH = 0.8
"""Details that agree this well as they lie need no better alignment."""
VERSION = 1
FILES_AT_ONCE, PAIRS_AT_ONCE = 16, 8
_MIDDLE = 128
_STEPS = 4


class _Pairs(NamedTuple):
    """Pictures of k pairs, the upper of each as it is stored, and how they lie upon each other."""

    above: NDArray[np.uint8]
    below: NDArray[np.uint8]
    turn: Ints
    place: NDArray[np.float64]
    side: Ints


class Details:
    """Detailed pictures of those that need them, each decoded once.

    Args:
        looks: the pictures.
        paths: their files.
        settings: with `invariance` and `level`.
        context: runs the work, and remembers its results.
        stack: closes what is kept on disk.
    """

    def __init__(self, looks: Looks, paths: list[str], settings: Dedup, context: Context, stack: ExitStack) -> None:
        self._looks, self._paths, self._context = looks, paths, context
        self._upright = settings.invariance != "none"
        self._all = settings.level == "thorough"
        self._place = np.full(len(looks), -1, dtype=np.int64)
        self._held = 0
        self._spool = stack.enter_context(Spool((DETAIL, DETAIL)))
        self._namespace = (
            f"detail/{VERSION}/pillow-{PIL.__version__}/{settings.method}/{settings.level}/{settings.invariance}/"
            f"{settings.decode}/{context.max_pixels}"
        )

    def confirm(self, one: Ints, other: Ints, overlay: Overlay) -> NDArray[np.bool_]:
        """Whether pairs still agree in detail; (k,) bool, True where no doubt was left."""
        agreed = np.ones(len(one), dtype=bool)
        side = self._side(one, other)
        todo = np.flatnonzero(self.doubtful(one, other, overlay))
        keys = pair_digests(self._looks.contents[one[todo]], self._looks.contents[other[todo]])
        known, rows = self._context.cache.recall(self._namespace, keys, 4)
        agreed[todo[known]] = rows[known].view(np.float32)[:, 0] >= FLOOR
        todo, keys = todo[~known], keys[~known]
        if len(todo):
            found = self._compared(one[todo], other[todo], side[todo], overlay, todo)
            agreed[todo] = found >= FLOOR
            self._context.cache.store(self._namespace, keys, found[:, None].view(np.uint8))
        return agreed

    def doubtful(self, one: Ints, other: Ints, overlay: Overlay) -> NDArray[np.bool_]:
        """(k,) bool, the pairs that have to be looked at once more."""
        return (self._side(one, other) > SMALL) & ~overlay.same & (self._all | (overlay.most < SURE))

    def _side(self, one: Ints, other: Ints) -> Ints:
        """(k,) the side to compare pairs at: no larger than both pictures are."""
        short = np.minimum(self._looks.sides[one].min(axis=1), self._looks.sides[other].min(axis=1))
        return np.select([short >= 0.75 * DETAIL, short >= 0.75 * _MIDDLE], [DETAIL, _MIDDLE], SMALL)

    def _compared(self, one: Ints, other: Ints, side: Ints, overlay: Overlay, rows: Ints) -> NDArray[np.float32]:
        swapped = overlay.swapped[rows]
        above, below = np.where(swapped, other, one), np.where(swapped, one, other)
        with quiet_libraries():
            self._fetch(np.unique(np.concatenate([one, other])))
        pairs = _Fetched(self._spool, self._place[above], self._place[below], overlay, rows, side)
        tell = self._context.progress("comparing details", len(rows))
        found = self._context.engine.map(compare_details, pairs, chunk=PAIRS_AT_ONCE, progress=tell)
        return np.concatenate([agreed for _, agreed in found])

    def _fetch(self, samples: Ints) -> None:
        missing = samples[self._place[samples] < 0]
        paths = [self._paths[i] for i in missing.tolist()]
        limit = self._context.max_pixels
        for part, pictures in self._context.engine.map(
            detail_files, paths, DETAIL, limit, self._upright, chunk=FILES_AT_ONCE
        ):
            places = np.arange(self._held, self._held + len(pictures))
            self._spool.put(places, pictures)
            self._place[missing[part]] = places
            self._held += len(pictures)


class _Fetched(Sequence[_Pairs]):
    """Pairs that are fetched from disk when their turn comes."""

    def __init__(self, spool: Spool, above: Ints, below: Ints, overlay: Overlay, rows: Ints, side: Ints) -> None:
        self._spool, self._above, self._below = spool, above, below
        self._overlay, self._rows, self._side = overlay, rows, side

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, part: int) -> _Pairs: ...
    @overload
    def __getitem__(self, part: slice) -> "Sequence[_Pairs]": ...
    def __getitem__(self, part: int | slice) -> "_Pairs | Sequence[_Pairs]":
        rows = self._rows[part]
        return _Pairs(
            self._spool.take(self._above[part]),
            self._spool.take(self._below[part]),
            self._overlay.turn[rows],
            self._overlay.place[rows],
            self._side[part],
        )


def compare_details(pairs: _Pairs) -> NDArray[np.float32]:
    """(k,) agreement of the details of pairs, at the size of each."""
    found = np.zeros(len(pairs.side), dtype=np.float32)
    for side in np.unique(pairs.side).tolist():
        rows = np.flatnonzero(pairs.side == side)
        above, below = pairs.above[rows].astype(np.float32), pairs.below[rows].astype(np.float32)
        while above.shape[1] > side:
            above, below = halved(above), halved(below)
        found[rows] = agreement(residual(by_turn(above, pairs.turn[rows])), residual(below)).assured()
        todo = np.flatnonzero(found[rows] < ENOUGH)
        if len(todo):
            aligned = _aligned(above[todo], below[todo], pairs.place[rows[todo]])
            found[rows[todo]] = np.maximum(found[rows[todo]], aligned)
    return found


def _aligned(above: NDArray[np.float32], below: NDArray[np.float32], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Align once more, at twice the size and at full size; (k,) agreement."""
    for upper, lower in ((_to(above, _MIDDLE), _to(below, _MIDDLE)), (above, below)):
        place = align(template(band(lower)), band(upper), place, _STEPS)
    shown, inside = resampled(above, place)
    found = agreement(residual(shown), residual(below), inside).assured()
    return np.where(sound(place, inside), found, 0.0)


def _to(pictures: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return halved(pictures) if pictures.shape[1] > side else pictures
