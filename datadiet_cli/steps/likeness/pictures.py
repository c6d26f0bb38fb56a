"""Copies among pictures: equal pixels, or hashes within reach whose pictures agree in detail."""

from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.grouping.exact import numbered
from datadiet_cli.methods.duplicates import Candidates, Ints
from datadiet_cli.methods.hashes import HASHES
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import NO_EDGES, Likeness, Measured
from datadiet_cli.steps.likeness.detail import Details
from datadiet_cli.steps.likeness.files import file_preference
from datadiet_cli.steps.likeness.geometries import Geometries
from datadiet_cli.steps.likeness.looks import Looks, look
from datadiet_cli.steps.likeness.overlay import Overlay, lay_over
from datadiet_cli.steps.likeness.pool import Pool

AFFORDABLE = {"fast": 10_000, "thorough": 1_000}
"""Pairs that are compared although no decision hangs on them: a thorough comparison takes far longer."""
MARGIN = 2
"""Bits beyond the threshold up to which pairs are looked at, for the closest calls of the report."""


def by_picture(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Pictures that look alike, by the method that the settings name."""
    looks = look(pool, settings, context, stack)
    better = _preference(pool, settings, looks)
    readable = looks.causes == None  # noqa: E711 - elementwise
    if settings.method not in HASHES:
        nodes = _by_pixels(looks, readable, 0, context)
        return Likeness(Candidates(nodes, NO_EDGES), _equal, 0.0, better, looks.causes)
    pairs = _Pairs(pool, looks, readable & ~looks.guarded, settings, context, stack)
    found = pairs.candidates()
    first = int(found.node.max(initial=-1)) + 1
    nodes = np.where(looks.guarded, _by_pixels(looks, readable & looks.guarded, first, context), found.node)
    metrics = {"flat_or_animated": int((readable & looks.guarded).sum()), "hash_pairs": len(found.edges)}
    return Likeness(
        Candidates(nodes, found.edges),
        pairs.measure,
        float(settings.distance),
        better,
        looks.causes,
        reach=float(pairs.reach),
        floor=settings.min_correlation if settings.verify else -np.inf,
        threshold_name="max_distance",
        floor_name="min_correlation" if settings.verify else "",
        confirm=pairs.confirm if settings.verify else None,
        doubtful=pairs.doubtful if settings.verify else None,
        affordable=AFFORDABLE[settings.level],
        metrics=metrics,
    )


class _Pairs:
    """Compares pairs of pictures, and remembers the few that were compared last."""

    def __init__(
        self,
        pool: Pool,
        looks: Looks,
        by_hash: NDArray[np.bool_],
        settings: Dedup,
        context: Context,
        stack: ExitStack,
    ) -> None:
        self._looks, self._by_hash, self._verify = looks, by_hash, settings.verify
        self.reach = min(settings.distance + MARGIN, 64)
        self._geometries = Geometries(looks, settings, context)
        self._known = np.empty(0, dtype=np.int64)
        self._overlay: Overlay
        self._details = Details(looks, pool.paths, settings, context, stack)

    def candidates(self) -> Candidates:
        """Who may be a copy of whom, by hash."""
        return self._geometries.candidates(self._by_hash, self.reach)

    def measure(self, a: Ints, b: Ints) -> Measured:
        """Distance of hashes and agreement of details; pictures compared by pixels are equal where they meet."""
        measured = _equal(a, b)
        hashed = np.flatnonzero(self._by_hash[a])
        overlay = self._lay_over(a[hashed], b[hashed])
        measured.distance[hashed] = overlay.distance
        measured.agreement[hashed] = overlay.most
        measured.words[hashed] = overlay.words()
        return measured

    def confirm(self, a: Ints, b: Ints) -> NDArray[np.bool_]:
        """Look once more, at a size where detail survives."""
        agreed = np.ones(len(a), dtype=bool)
        hashed = np.flatnonzero(self._by_hash[a])
        a, b = a[hashed], b[hashed]
        agreed[hashed] = self._details.confirm(a, b, self._lay_over(a, b))
        return agreed

    def doubtful(self, a: Ints, b: Ints) -> NDArray[np.bool_]:
        """The pairs that `confirm` has to decode files for."""
        hashed = np.flatnonzero(self._by_hash[a])
        doubts = np.zeros(len(a), dtype=bool)
        a, b = a[hashed], b[hashed]
        doubts[hashed] = self._details.doubtful(a, b, self._lay_over(a, b))
        return doubts

    def _lay_over(self, a: Ints, b: Ints) -> Overlay:
        """Compare pairs; what was measured is asked for again at once, to be confirmed."""
        reach = float(self.reach) if self._verify else -1.0
        key = a * len(self._looks) + b
        place = np.minimum(np.searchsorted(self._known, key), max(len(self._known) - 1, 0))
        if len(self._known) and (self._known[place] == key).all():
            return self._overlay.take(place)
        overlay = lay_over(a, b, self._geometries, self._looks.small, reach)
        order = np.argsort(key, kind="stable")
        self._known, self._overlay = key[order], overlay.take(order)
        return overlay


def _equal(a: Ints, b: Ints) -> Measured:
    return Measured.of(np.zeros(len(a)))


def _by_pixels(looks: Looks, chosen: NDArray[np.bool_], first: int, context: Context) -> Ints:
    """Nodes of pictures that count by their pixels alone, numbered from `first` on."""
    nodes = np.full(len(looks), -1, dtype=np.int64)
    nodes[chosen] = first + numbered(looks.digests[chosen], context.engine)
    return nodes


def _preference(pool: Pool, settings: Dedup, looks: Looks) -> list[NDArray[np.generic]]:
    better = file_preference(pool, settings)
    pixels = looks.sides.prod(axis=1)
    if settings.prefer == "largest":
        # Black and white without grays is a poor copy of a photograph, however large.
        return [looks.tones == 0, -pixels, looks.tones < 2, looks.lossy, *better]
    if settings.prefer == "sharpest":
        return [-looks.sharpness, -pixels, *better]
    return better
