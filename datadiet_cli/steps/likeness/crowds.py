"""Candidates among vectors so many of which are alike that not all of their pairs can be kept."""

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.methods.crew import Crew
from datadiet_cli.methods.duplicates import ALONE, Ints
from datadiet_cli.methods.leaders import led_by, nearest_of
from datadiet_cli.methods.neighbours import pairs_above
from datadiet_cli.methods.shortening import Grid
from datadiet_cli.steps.likeness.pool import Pool


class Crowds:
    """Finds the pairs that decisions hang on, at most a few for each vector, and those of the ones that are kept.

    - Each vector of a group (label and side) that is near a preferred one that stays, with one of these, and with the
      nearest that stays. So the same samples stay as if all pairs were known.
    - Each vector and the nearest of the other datasets; each training vector and the nearest of the evaluation data.
      The groups of those that are left by these are led anew, for a leader may have gone.
    - All pairs of leaders, which is where conflicts are looked for.

    Args:
        pool: the samples.
        settings: with the scope.
        node: (n,) int64, rows of the grid; other numbers for samples without a vector.
        grid: (v, d) int16, all different.
        rank: (n,) int64, all different, the smallest is preferred.
        least: the smallest cosine.
        crew: compares vectors.
    """

    def __init__(
        self, pool: Pool, settings: Dedup, node: Ints, grid: Grid, rank: Ints, least: float, crew: Crew
    ) -> None:
        self.grid, self.least, self.crew = grid, least, crew
        self.order = np.argsort(rank)
        self.order = self.order[(node[self.order] >= 0) & (node[self.order] < len(grid))]
        self.node, self.foreign = node, pool.foreign
        own, n = pool.dataset, len(pool)
        self.training = np.zeros(n, dtype=bool)
        self.training[: len(own)] = own.training
        self.across = settings.scope == "across-splits"
        side = own.training if self.across else own.splits.astype(np.int64) + 1
        self.group = np.full(n, ALONE, dtype=np.int64)
        self.group[: len(own)] = (own.labels.astype(np.int64) + 1) * (int(side.max(initial=0)) + 1) + side

    def edges(self) -> Ints:
        """(e, 2) int64 pairs of nodes, sorted.

        Raises:
            TooManyPairsError: even of those that stay too many are alike, under different labels.
        """
        own = ~self.foreign
        pairs, leaders = self._led(own)
        references = [(own, self.foreign)]
        if self.across:
            references.append((self.training, own & ~self.training))
        copies = np.zeros(len(self.grid), dtype=bool)
        for some, others in references:
            rows, among = self._nodes(some), self._nodes(others)
            nearest = nearest_of(self.grid, self.least, rows, among, crew=self.crew)
            found = np.stack([rows, nearest], axis=1)[nearest != ALONE]
            copies[found[:, 0]] = True
            pairs.append(found)
        if copies.any():
            left = self.training.copy()
            left[self.order] &= ~copies[self.node[self.order]]
            more, also = self._led(left)
            pairs, leaders = pairs + more, leaders + also
        if len(leaders) > 1:
            rows = np.unique(np.concatenate(leaders))
            pairs.append(rows[pairs_above(self.grid[rows], self.least, crew=self.crew)])
        joined = np.sort(np.concatenate([np.empty((0, 2), dtype=np.int64), *pairs]), axis=1)
        joined = joined[joined[:, 0] != joined[:, 1]]
        nodes = max(len(self.grid), 1)
        return np.stack(np.divmod(np.unique(joined[:, 0] * nodes + joined[:, 1]), nodes), axis=1)

    def _led(self, taking_part: NDArray[np.bool_]) -> tuple[list[Ints], list[Ints]]:
        """For each group the pairs of a vector and its leader, and the leaders."""
        some = self.order[taking_part[self.order]]
        some = some[np.argsort(self.group[some], kind="stable")]
        cut = np.flatnonzero(np.diff(self.group[some])) + 1
        pairs, leaders = [], []
        for members in np.split(some, cut):
            rows = _once(self.node[members])
            leader = led_by(self.grid, self.least, rows, crew=self.crew)
            goes = leader != ALONE
            nearest = nearest_of(self.grid, self.least, rows[goes], rows[~goes], crew=self.crew)
            pairs += [np.stack([rows[goes], to], axis=1) for to in (leader[goes], nearest)]
            leaders.append(rows[~goes])
        return pairs, leaders

    def _nodes(self, taking_part: NDArray[np.bool_]) -> Ints:
        return _once(self.node[self.order[taking_part[self.order]]])


def _once(nodes: Ints) -> Ints:
    """Each once, in the order in which they come first."""
    return nodes[np.sort(np.unique(nodes, return_index=True)[1])]
