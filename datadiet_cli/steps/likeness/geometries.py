"""In which geometries one picture may be another: orientations, and for a thorough search crops, tilts and corners."""

from collections.abc import Sequence
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.encode.spool import Spool
from datadiet_cli.grouping.exact import numbered
from datadiet_cli.grouping.hamming import pairs_between, pairs_within
from datadiet_cli.methods.duplicates import ALONE, Candidates, Ints
from datadiet_cli.methods.pieces import one_thread
from datadiet_cli.methods.turns import ALL, FLIPS, MATRICES, QUARTERS, TURNS
from datadiet_cli.methods.views import MAPS, WHOLE, same_corner, view_hashes
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import NO_EDGES
from datadiet_cli.steps.likeness.looks import Looks

TURN_COST = 4
"""Bits added to the distance of a picture in another orientation: seven more chances to be alike by accident."""
PICTURES_AT_ONCE = 64
_ORIENTATIONS = {"none": (0,), "exif": (0,), "flips": FLIPS, "rotations": QUARTERS, "all": ALL}

Hashes = NDArray[np.uint64]


class Nearest(NamedTuple):
    """In which geometry each of k pictures is nearest to another.

    Attributes:
        distance: (k,) int64, bits, with what the orientation costs.
        turn: (k,) int64, the best orientation of the whole picture.
        place: (k, 2, 3) float64, from points of the other picture to points of this one, in the best geometry.
        other_place: (k,) bool, whether that is more than the orientation.
    """

    distance: Ints
    turn: Ints
    place: NDArray[np.float64]
    other_place: NDArray[np.bool_]


class Geometries:
    """Hashes of n pictures in all geometries that are looked for.

    Args:
        looks: the pictures.
        settings: with `method`, `invariance` and `level`.
        context: runs the work.
    """

    def __init__(self, looks: Looks, settings: Dedup, context: Context) -> None:
        self._hashes, self._engine = looks.hashes, context.engine
        seen = settings.method != "colorhash"
        self.turns = np.array(_ORIENTATIONS[settings.invariance] if seen else (0,), dtype=np.int64)
        self._cost = np.where(self.turns > 0, TURN_COST, 0)
        self._views = None
        if settings.level == "thorough" and settings.method == "phash" and len(looks):
            self._views = _views(looks, context)

    def nearest(self, one: Ints, other: Ints) -> Nearest:
        """Compare pairs, the first of each in all geometries with the second as it is."""
        plain = self._hashes[other][:, :1]
        apart = np.bitwise_count(self._hashes[one][:, self.turns] ^ plain) + self._cost
        best = apart.argmin(axis=1)
        turn = self.turns[best]
        distance = np.take_along_axis(apart, best[:, None], 1)[:, 0].astype(np.int64)
        place = np.zeros((len(one), 2, 3))
        place[:, :, :2] = MATRICES[turn]
        elsewhere = np.zeros(len(one), dtype=bool)
        if self._views is not None:
            self._look_further(one, other, distance, place, elsewhere)
        return Nearest(distance, turn, place, elsewhere)

    def _look_further(
        self, one: Ints, other: Ints, distance: Ints, place: NDArray[np.float64], elsewhere: NDArray[np.bool_]
    ) -> None:
        """Replace what is nearer in a view."""
        assert self._views is not None  # noqa: S101 - the caller looked
        views, others = self._views[one], self._views[other]
        for turn, cost in zip(self.turns.tolist(), self._cost.tolist(), strict=True):
            whole = np.bitwise_count(views[:, :WHOLE, turn] ^ self._hashes[other][:, :1])
            corners = views[:, WHOLE + same_corner()[turn], turn]
            part = np.bitwise_count(corners ^ others[:, WHOLE:, 0])
            apart = np.concatenate([whole, part], axis=1).astype(np.int64) + cost
            best = apart.argmin(axis=1)
            least = np.take_along_axis(apart, best[:, None], 1)[:, 0]
            nearer = np.flatnonzero(least < distance)
            distance[nearer] = least[nearer]
            view = best[nearer]
            maps = MAPS[view].copy()
            # A corner is like the same corner of the other picture, so the pictures lie upon each other as they are.
            maps[view >= WHOLE] = np.eye(2, 3)
            maps[:, :, :2] = maps[:, :, :2] @ MATRICES[turn]
            place[nearer], elsewhere[nearer] = maps, True

    def candidates(self, by_hash: NDArray[np.bool_], reach: int) -> Candidates:
        """A node for each different hash, with edges to those within reach in some geometry."""
        node = np.full(len(by_hash), ALONE, dtype=np.int64)
        node[by_hash] = numbered(self._hashes[by_hash, 0], self._engine)
        who = np.flatnonzero(by_hash)
        if not len(who):
            return Candidates(node, NO_EDGES)
        values = np.empty(int(node.max()) + 1, dtype=np.uint64)
        values[node[who]] = self._hashes[who, 0]
        plain = np.arange(len(values), dtype=np.int64)
        edges = [pairs_within(values, reach, self._engine)]

        def join(one: Hashes, other: Hashes, nodes: Ints, radius: int) -> None:
            one, one_node = _different(one, node[who])
            found = pairs_between(one, other, radius, self._engine)
            edges.append(_unique(np.stack([one_node[found[:, 0]], nodes[found[:, 1]]], axis=1), len(values)))

        for turn, cost in zip(self.turns.tolist(), self._cost.tolist(), strict=True):
            if reach < cost:
                continue
            if turn:
                join(self._hashes[who, turn], values, plain, reach - cost)
            if self._views is None:
                continue
            for view in range(WHOLE):
                join(self._views[who, view, turn], values, plain, reach - cost)
            for corner, same in enumerate(same_corner()[turn].tolist()):
                others, nodes = _different(self._views[who, WHOLE + corner, 0], node[who])
                join(self._views[who, WHOLE + same, turn], others, nodes, reach - cost)
        return Candidates(node, _unique(np.concatenate(edges), len(values)))


class _Small(Sequence[NDArray[np.uint8]]):
    """Small pictures that are fetched from disk when their turn comes."""

    def __init__(self, spool: Spool, n: int) -> None:
        self._spool, self._n = spool, n

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, part: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, part: slice) -> "Sequence[NDArray[np.uint8]]": ...
    def __getitem__(self, part: int | slice) -> "NDArray[np.uint8] | Sequence[NDArray[np.uint8]]":
        places = np.arange(self._n)[part]
        pictures = self._spool.take(np.atleast_1d(places))
        return pictures if isinstance(part, slice) else pictures[0]


def _views(looks: Looks, context: Context) -> Hashes:
    """(n, views, 8) hashes of views."""
    n = len(looks)
    views: Hashes = context.engine.zeros((n, len(MAPS), TURNS), np.uint64)
    tell = context.progress("looking at parts of pictures", n)
    for part, found in context.engine.map(hash_views, _Small(looks.small, n), chunk=PICTURES_AT_ONCE, progress=tell):
        views[part] = found
    return views


def hash_views(pictures: NDArray[np.uint8]) -> Hashes:
    """(k, views, 8) hashes of views of small pictures."""
    with one_thread():
        return view_hashes(pictures)


def _different(hashes: Hashes, nodes: Ints) -> tuple[Hashes, Ints]:
    """The different pairs of a hash and a node."""
    order = np.lexsort((nodes, hashes))
    hashes, nodes = hashes[order], nodes[order]
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (nodes[1:] != nodes[:-1])
    return hashes[first], nodes[first]


def _unique(edges: Ints, nodes: int) -> Ints:
    """Edges between different nodes, once each, sorted."""
    edges = edges[edges[:, 0] != edges[:, 1]]
    keys = np.unique(edges.min(axis=1) * nodes + edges.max(axis=1))
    return np.stack(np.divmod(keys, max(nodes, 1)), axis=1)
