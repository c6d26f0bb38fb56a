"""Choices by features alone: samples that stand for all the others."""

from collections.abc import Callable

import numpy as np

from datadiet_cli.methods.centres import representatives
from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.samples.base import Ints, Picked, Small
from datadiet_cli.methods.samples.facility import facility_location
from datadiet_cli.methods.samples.farthest import k_center
from datadiet_cli.methods.samples.herding import herding


def k_means(x: Small, m: int, seed: int, crew: Crew = ALONE) -> Picked:
    """The sample nearest to each of m centres of k-means, those of the largest clusters first.

    Another m gives other clusters: unlike the greedy choices this one is not nested.

    Args:
        x: (n, d) float32, finite.
        m: how many, from 0 to n.
        seed: of the first centres.
        crew: taken for the sake of the others; without effect.

    Returns:
        `Picked.gain` is the number of samples of each one's cluster.
    """
    if m <= 0:
        none: Ints = np.empty(0, dtype=np.int64)
        return Picked(none, np.empty(0))
    found = representatives(x, m, seed)
    size = np.bincount(found.witness, minlength=len(x))[found.kept]
    order = np.lexsort((found.kept, -size))
    return Picked(found.kept[order], size[order].astype(np.float64))


COVERAGE: dict[str, Callable[[Small, int, int, Crew], Picked]] = {
    "k-center": k_center,
    "herding": herding,
    "k-means": k_means,
    "facility-location": facility_location,
}
"""Name of a method -> (features, how many, seed, crew) -> the chosen ones."""
