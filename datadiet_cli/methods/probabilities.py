"""How probable each class is for each sample, by models that did not learn from the sample itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.discriminant import Moments, discriminant, moments, spread
from datadiet_cli.methods.folds import SEQUENTIAL, hashes, nearest, sample, standardised, stratified
from datadiet_cli.methods.pieces import one_thread

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

NEAR, FAR = 10, 30
"""Neighbours that vote in the two members of their kind."""
TREES, FEWER_TREES = 100, 50
"""Fewer where there are more rows than a tree learns from."""
LEAF = 3
TREE_ROWS = 4000
"""Rows that one tree learns from, at most; drawn anew for each."""
ROWS_A_CLASS = 4
"""With fewer rows to a class, on average, there are no trees either."""
TREE_CLASSES = 200
"""With more classes there are no trees: each keeps a number for every class at every leaf."""
REFERENCE = 8192
"""About so many rows can be neighbours; of more there is a sample, the same share of every class."""
_PROBE = 2000
_NUMBERS = 1 << 21
"""Probabilities worked on at once."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """Probabilities of classes.

    Attributes:
        probability: (n, K) float32, rows sum to 1.
        neighbours: (n, 10) int64, the nearest rows that the model knew, nearest first; -1 where there are no more.
        members: names of the models whose mean the probability is.
        scaled: whether neighbours were sought among scaled columns, as found better, and not among columns as given.
    """

    probability: Floats
    neighbours: Ints
    members: tuple[str, ...]
    scaled: bool


def out_of_fold(
    x: Floats, label: Ints, fit: Bools, classes: int, *, folds: int = 5, seed: int = 0, crew: Crew = ALONE
) -> Predicted:
    """Predict each row's class by models that have not seen it: the mean of four, none of which needs tuning.

    - the votes of 10 and of 30 nearest neighbours (of fewer in small data: of no more than a row's class has on
      average); among columns as given or scaled, whichever lets neighbours agree more;
    - 100 extremely randomised trees (Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63,
      2006), no leaf below 3 rows; not with more than 200 classes;
    - linear discriminant analysis with shrinkage.

    So that large data stay cheap, from 4,000 rows on there are 50 trees of 4,000 rows each, and of more than some 8,000
    rows neighbours are sought in a sample.
    Rows are worked on in the order of a hash of their numbers: the answer follows them however they are permuted
    (equal rows are told apart by their position), and does not depend on `crew`.

    A class of one can never be predicted for its one row: whoever judges labels has to leave it alone.

    Args:
        x: (n, d) float32 features, finite.
        label: (n,) int64 in [0, classes); -1 for no label.
        fit: (n,) rows to learn from, all of them labelled; they are predicted from the other folds, all other rows
            from all of these.
        classes: number of classes K; some may have no row.
        folds: number of folds, at least 2; each has the same share of every class.
        seed: for folds and trees.
        crew: works on the folds side by side.

    Raises:
        ValueError: shapes do not fit, a feature is not finite, or a row to learn from has no label.
    """
    x = np.ascontiguousarray(x, dtype=np.float32)
    _check(x, label, fit, classes, folds)
    n = len(x)
    order = np.lexsort((label, hashes(x, seed)))
    probability = np.empty((n, classes), dtype=np.float32)
    neighbours = np.full((n, NEAR), -1, dtype=np.int64)
    trees = ("extra trees",) if _wants_trees(label[fit], classes) else ()
    members = (f"{NEAR} nearest neighbours", f"{FAR} nearest neighbours", "shrinkage LDA", *trees)
    if not n or not fit.any():
        probability[:] = np.float32(1 / max(classes, 1))
        return Predicted(probability, neighbours, members, False)
    # Libraries of linear algebra add up in another order with more threads, and a decision may hang on the last digit.
    with one_thread():
        data = _Data.of(x[order], label[order], fit[order], classes, folds, seed)
        tasks = [f for f in range(-1, folds) if (data.fold == f).any()]
        for rows, some, near in crew.each(_predicted, data, tasks):
            probability[order[rows]] = some
            neighbours[order[rows]] = np.where(near >= 0, order[near], -1)
    return Predicted(probability, neighbours, members, data.scaled)


def _check(x: Floats, label: Ints, fit: Bools, classes: int, folds: int) -> None:
    if x.ndim != 2 or label.shape != x.shape[:1] or fit.shape != x.shape[:1]:
        raise ValueError(f"features {x.shape}, labels {label.shape} and rows to learn from {fit.shape} do not fit")
    if folds < 2:
        raise ValueError(f"{folds} folds: at least 2 are needed")
    if not np.isfinite(x).all():
        raise ValueError("a feature is missing or infinite")
    if len(label) and (label.min() < -1 or label.max() >= classes):
        raise ValueError(f"a label lies outside of 0 to {classes - 1}")
    if (label[fit] < 0).any():
        raise ValueError("a row to learn from has no label")


def _wants_trees(label: Ints, classes: int) -> bool:
    """Whether there are few enough classes, and enough rows of them, for trees to tell them apart."""
    return classes <= TREE_CLASSES and len(label) >= ROWS_A_CLASS * len(np.unique(label))


@dataclass(frozen=True, eq=False)
class _Data:
    """Everything that the folds share.

    Attributes:
        x: (n, d) features as given.
        near: (n, d) features among which neighbours are sought.
        scaled: whether those are scaled.
        z: (n, d) scaled features.
        label: (n,) classes.
        fold: (n,) folds, -1 for rows that are not learned from.
        classes: number of classes.
        seed: for trees.
        parts: moments of each fold.
    """

    x: Floats
    near: Floats
    scaled: bool
    z: Floats
    label: Ints
    fold: Ints
    classes: int
    seed: int
    parts: Sequence[Moments]

    @classmethod
    def of(cls, x: Floats, label: Ints, fit: Bools, classes: int, folds: int, seed: int) -> "_Data":
        z = standardised(x)
        fold = stratified(label, fit, folds)
        parts = [moments(z[fold == f], label[fold == f], classes) for f in range(folds)]
        probe = np.flatnonzero(fit)[:_PROBE]
        scaled = _agreement(z[probe], label[probe]) > _agreement(x[probe], label[probe])
        return cls(x, z if scaled else x, scaled, z, label, fold, classes, seed, parts)

    def predict(self, fold: int) -> tuple[Ints, Floats, Ints]:
        """Rows of a fold, their probabilities and their nearest rows."""
        rows = np.flatnonzero(self.fold == fold)
        learned = np.flatnonzero((self.fold != fold) & (self.fold >= 0))
        out = np.zeros((len(rows), self.classes), dtype=np.float32)
        near = np.full((len(rows), NEAR), -1, dtype=np.int64)
        if not len(learned):
            out[:] = np.float32(1 / self.classes)
            return rows, out, near
        with one_thread():
            models: list[Callable[[Ints], NDArray[Any]]] = [self._linear(fold, learned)]
            if _wants_trees(self.label[self.fold >= 0], self.classes):
                models.append(self._trees(fold, learned))
            found = self._neighbours(rows, learned)
            near[:, : found.shape[1]] = found[:, :NEAR]
            block = max(1, _NUMBERS // self.classes)
            for start in range(0, len(rows), block):
                some = slice(start, start + block)
                for model in models:
                    out[some] += model(rows[some])
                self._vote(found[some], out[some])
        out /= out.sum(axis=1, keepdims=True)
        return rows, out, near

    def _linear(self, fold: int, learned: Ints) -> Callable[[Ints], NDArray[Any]]:
        seen = self.parts[0]
        for part in self.parts[1:]:
            seen = seen + part
        if fold >= 0:
            seen = seen - self.parts[fold]
        model = discriminant(seen, float(spread(self.z[learned], self.label[learned], seen).mean()))
        return lambda rows: model.probability(self.z[rows])

    def _trees(self, fold: int, learned: Ints) -> Callable[[Ints], NDArray[Any]]:
        from sklearn.ensemble import ExtraTreesClassifier

        capped = len(learned) > TREE_ROWS
        forest = ExtraTreesClassifier(
            FEWER_TREES if capped else TREES,
            min_samples_leaf=LEAF,
            bootstrap=capped,
            max_samples=TREE_ROWS if capped else None,
            random_state=self.seed + fold + 1,
        )
        with SEQUENTIAL:
            forest.fit(self.x[learned], self.label[learned])

        def model(rows: Ints) -> NDArray[Any]:
            out = np.zeros((len(rows), self.classes))
            with SEQUENTIAL:
                out[:, forest.classes_] = forest.predict_proba(self.x[rows])
            return out

        return model

    def _neighbours(self, rows: Ints, learned: Ints) -> Ints:
        reference = sample(learned, self.label[learned], REFERENCE)
        return reference[nearest(self.near[rows], self.near[reference], min(FAR, len(reference)))]

    def _vote(self, found: Ints, out: Floats) -> None:
        """Add the shares of classes among the nearest few and the nearest more."""
        seen = self.label[found]
        here = len(np.unique(self.label[self.fold >= 0]))
        average = max(3, int((self.fold >= 0).sum()) // here)
        rows = np.arange(len(out))
        for most in (NEAR, FAR):
            k = min(most, average, found.shape[1])
            for column in range(k):
                out[rows, seen[:, column]] += np.float32(1 / k)


def _predicted(data: _Data, fold: int) -> tuple[Ints, Floats, Ints]:
    return data.predict(fold)


def _agreement(x: Floats, label: Ints) -> float:
    """How many of the nearest neighbours have a row's own label."""
    k = min(NEAR, len(x) - 1)
    if k < 1:
        return 0.0
    found = nearest(x, x, k + 1)
    # A row is its own nearest, if not for equal ones.
    found = np.where(found == np.arange(len(x))[:, None], -1, found)
    same = (label[found] == label[:, None]) & (found >= 0)
    return float(same.sum() / same.size)
