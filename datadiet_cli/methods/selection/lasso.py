"""The path of a lasso that takes or leaves whole columns."""

from dataclasses import dataclass

import numpy as np

from datadiet_cli.methods.selection.base import Floats, Ints
from datadiet_cli.methods.selection.linear import Aim, column_norms, product

_MOST_STEPS = 300


@dataclass(eq=False)
class Path:
    """A group lasso at a descending penalty: half squared or logarithmic loss + penalty x sum of columns' norms.

    Yuan and Lin, "Model selection and estimation in regression with grouped variables", JRSS B 68(1), 2006; with
    several classes all of a column's coefficients are one group (Vincent and Hansen, "Sparse group lasso and high
    dimensional multinomial classification", 2014). Solved by accelerated proximal gradients with restarts (Beck and
    Teboulle, 2009; O'Donoghue and Candes, 2015) among the columns that the strong rule leaves (Tibshirani et al.,
    "Strong rules for discarding predictors in lasso-type problems", JRSS B 74(2), 2012), until no other is due.

    Attributes:
        x: (n, D) float64.
        aim: n rows.
        owner: (D,) column of each dimension, ascending.
        columns: how many columns, p.
        beta: (D, K) coefficients now.
        bias: (K,) now.
        before: the penalty of `beta`.
        near: a step that moves no coefficient by more than this share of the largest is the last one.
    """

    x: Floats
    aim: Aim
    owner: Ints
    columns: int
    beta: Floats
    bias: Floats
    before: float = 0.0
    near: float = 1e-3

    @classmethod
    def of(cls, x: Floats, aim: Aim, owner: Ints, columns: int) -> "Path":
        """The start of a path, where no column is in."""
        path = cls(x, aim, owner, columns, np.zeros((x.shape[1], aim.y.shape[1])), aim.start())
        path.before = path.highest()
        return path

    def slopes(self) -> Floats:
        """(p,) the norm of the loss's derivative by each column's coefficients."""
        score = product(self.x[:, self.inside], self.beta[self.inside]) + self.bias
        return column_norms(self.x.T @ (self.aim.residual(score) / len(self.x)), self.owner, self.columns)

    @property
    def inside(self) -> Ints:
        """Dimensions that are in."""
        return np.flatnonzero(self.beta.any(axis=1))

    def highest(self) -> float:
        """The least penalty at which no column is in."""
        return float(self.slopes().max(initial=0.0))

    def norms(self) -> Floats:
        """(p,) the norm of each column's coefficients."""
        return column_norms(self.beta, self.owner, self.columns)

    def score(self, x: Floats) -> Floats:
        """(m, K) what is predicted of rows."""
        inside = self.inside
        return np.asarray(product(x[:, inside], self.beta[inside]) + self.bias)

    def down_to(self, penalty: float) -> None:
        """Go on to a smaller penalty."""
        strong = (self.norms() > 0) | (self.slopes() >= 2 * penalty - self.before)
        while True:
            self._solve(np.flatnonzero(strong[self.owner]), penalty)
            due = (self.slopes() > penalty * (1 + 1e-3)) & ~strong
            if not due.any():
                break
            strong |= due
        self.before = penalty

    def _solve(self, some: Ints, penalty: float) -> None:
        """Solve for some dimensions, whole columns of them; all others are out."""
        x, n = self.x[:, some], len(self.x)
        owner = np.unique(self.owner[some], return_inverse=True)[1]
        groups = int(owner.max(initial=-1)) + 1
        step = 1 / (self.aim.curvature * (_largest(x) / n + 1))
        now, bias = self.beta[some], self.bias
        ahead, ahead_bias, pace = now, bias, 1.0
        for _ in range(_MOST_STEPS):
            left = self.aim.residual(product(x, ahead) + ahead_bias) / n
            moved = ahead - step * (x.T @ left)
            norm = column_norms(moved, owner, groups)
            shrink = np.maximum(1 - step * penalty / np.maximum(norm, 1e-300), 0.0)
            new, new_bias = moved * shrink[owner][:, None], ahead_bias - step * left.sum(axis=0)
            change, change_bias = new - now, new_bias - bias
            if float(((ahead - new) * change).sum() + ((ahead_bias - new_bias) * change_bias).sum()) > 0:
                pace = 1.0
            faster = (1 + np.sqrt(1 + 4 * pace**2)) / 2
            ahead = new + (pace - 1) / faster * change
            ahead_bias = new_bias + (pace - 1) / faster * change_bias
            now, bias, pace = new, new_bias, faster
            if np.abs(change).max(initial=0.0) <= self.near * max(0.1, float(np.abs(new).max(initial=0.0))):
                break
        self.beta = np.zeros_like(self.beta)
        self.beta[some], self.bias = now, bias


def _largest(x: Floats) -> float:
    """An upper bound, about, of the largest eigenvalue of x'x, by powers from a fixed start."""
    gram = x.T @ x if x.shape[1] <= len(x) else x @ x.T
    v = np.ones(len(gram)) + np.arange(len(gram)) / max(len(gram), 1)
    size = 0.0
    for _ in range(30):
        v = gram @ (v / max(float(np.linalg.norm(v)), 1e-300))
        size = float(np.linalg.norm(v))
    return 1.1 * size
