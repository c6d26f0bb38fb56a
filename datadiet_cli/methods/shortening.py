"""Vectors in the few directions that hold most of them, such that no product gets smaller."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.int16]
Floats = NDArray[np.float32]

SLACK = 1e-4
"""What float32 may be wrong by in a bound; whoever passes the bound is measured exactly."""
_FEW = (32, 64, 128, 256)
_SAMPLE = 1024


@dataclass(frozen=True, eq=False)
class Short:
    """How vectors are shortened.

    Attributes:
        basis: (d, p) float32, the chosen directions.
        whole: whether few directions do not help, and vectors stay as they are.
    """

    basis: Floats
    whole: bool

    @property
    def width(self) -> int:
        """Numbers of a shortened vector."""
        return len(self.basis) if self.whole else len(self.basis.T) + 1

    def bound(self, grid: Grid) -> Floats:
        """(n, width) float32 vectors whose products are no smaller than the cosines, up to the slack.

        They are the unit vectors in the chosen directions, and the length of what is left; or all of them.
        """
        unit = unit_vectors(grid)
        if self.whole:
            return unit
        plane = unit @ self.basis
        return np.column_stack([plane, _rest(plane)])

    def middle(self, centre: Floats) -> Floats:
        """(k, width) float32: centres in the chosen directions as points among shortened vectors."""
        if self.whole:
            return np.ascontiguousarray(centre @ self.basis.T)
        return np.column_stack([centre, np.zeros(len(centre), dtype=np.float32)])


def directions(grid: Grid, least: float, rng: np.random.Generator) -> Short:
    """Choose the directions from a sample, as many as make the search cheapest on it.

    Args:
        grid: (n, d) int16 vectors.
        least: the smallest cosine that is searched for.
        rng: for the sample.
    """
    n, d = grid.shape
    sample = unit_vectors(grid[np.sort(rng.choice(n, min(n, _SAMPLE), replace=False))])
    directions = np.linalg.svd(sample, full_matrices=False)[2]
    cheapest, chosen = float(d), 0
    for few in _FEW:
        if few >= min(d, len(directions)):
            break
        plane = sample @ directions[:few].T
        bound = np.column_stack([plane, _rest(plane)])
        passing = ((bound @ bound.T >= least - SLACK).sum() - len(bound)) / max(len(bound) ** 2 - len(bound), 1)
        # To measure a pair costs more than its share of a matrix product: its numbers are gathered and widened.
        cost = few + 10 * d * passing
        if cost < cheapest:
            cheapest, chosen = cost, few
    basis = np.ascontiguousarray(directions[: chosen or min(d, _FEW[1])].T)
    return Short(basis, not chosen)


def _rest(plane: Floats) -> Floats:
    rest: Floats = np.sqrt(np.maximum(1 - squares(plane), 0)).astype(np.float32)
    return rest


def squares(rows: Floats) -> NDArray[np.float64]:
    """(n,) float64 squares of the lengths of (n, d) vectors."""
    total: NDArray[np.float64] = np.einsum("ij,ij->i", rows, rows).astype(np.float64)
    return total


def unit_vectors(grid: Grid) -> Floats:
    """Vectors of length 1; those of zeros stay zeros."""
    wide = grid.astype(np.float32)
    length = np.sqrt(squares(wide))[:, None].astype(np.float32)
    return np.divide(wide, length, out=np.zeros_like(wide), where=length > 0)
