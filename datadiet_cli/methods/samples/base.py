"""What scores, rules and choices by features work on and give.

One convention for all scores: the higher, the more worth keeping.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Small = NDArray[np.float32]
Floats = NDArray[np.float64]


class Graph(NamedTuple):
    """The nearest others of each of n samples, the nearest first.

    Attributes:
        neighbour: (n, k) int64; -1 where there are no more.
        distance: (n, k) float32, Euclidean; infinite where there are no more.
    """

    neighbour: Ints
    distance: Small


class Picked(NamedTuple):
    """Samples chosen one after the other.

    Attributes:
        order: (m,) int64 different positions, in the order of the choice.
        gain: (m,) float64, what each added when it was chosen, in the unit of the method.
    """

    order: Ints
    gain: Floats


@dataclass(frozen=True, eq=False)
class Pool:
    """Samples that a rule chooses from.

    Attributes:
        score: (n,) float64, finite.
        keep: how many to choose, from 0 to n.
        seed: of what is drawn; ties of scores are settled by a draw as well.
        strata: of `ccs`.
        gamma: of `d2`.
        graph: for `d2`.
        easiness: (n,) float64 in [0, 1], for `dual-beta`: the mean probability of the own label in training.
        pruned: share of all training samples that goes, for `dual-beta`; that of this pool may differ.
    """

    score: Floats
    keep: int
    seed: int = 0
    strata: int = 50
    gamma: float = 0.1
    graph: Graph | None = None
    easiness: Floats | None = None
    pruned: float = 0.5

    def __len__(self) -> int:
        return len(self.score)


class Chosen(NamedTuple):
    """What a rule chose.

    Attributes:
        kept: (n,) bool, exactly `Pool.keep` of them.
        stratum: (n,) int64 from 0 for the lowest scores on; -1 where the rule has none.
        threshold: (n,) float64, the score that decided, of each sample; NaN where the rule has none.
    """

    kept: Bools
    stratum: Ints
    threshold: Floats
