"""Linear models of classes and numbers, for many columns: penalised by ridges, or column by column."""

from dataclasses import dataclass

import numpy as np

from datadiet_cli.methods.selection.base import Floats, Ints, Target


@dataclass(frozen=True, eq=False)
class Aim:
    """A target as a matrix to predict.

    Attributes:
        y: (n, K) float64: 1 in the column of a row's class; or (n, 1) numbers, standardised.
        logistic: whether the model is of classes.
    """

    y: Floats
    logistic: bool

    @classmethod
    def of(cls, target: Target) -> "Aim":
        """Classes that do not occur have no column."""
        if target.classes:
            codes = np.unique(target.values, return_inverse=True)[1]
            # Laid out class by class: what is summed over few classes is then summed quickly.
            return cls(np.asfortranarray(np.eye(codes.max() + 1)[codes]), True)
        peak = max(float(np.abs(target.values).max()), 1e-300)
        values = target.values / peak
        spread = values.std()
        return cls(((values - values.mean()) / (spread if spread > 0 else 1.0))[:, None], False)

    def rows(self, rows: Ints) -> "Aim":
        """Some of the rows."""
        return Aim(np.asfortranarray(self.y[rows]), self.logistic)

    @property
    def curvature(self) -> float:
        """No direction of the loss in what is predicted curves more (Boehning, 1992)."""
        return 0.5 if self.logistic else 1.0

    def start(self) -> Floats:
        """(K,) what is best predicted without any column."""
        mean = self.y.mean(axis=0)
        if not self.logistic:
            return np.asarray(mean)
        bias = np.log(np.maximum(mean, 0.5 / len(self.y)))
        return np.asarray(bias - bias.mean())

    def residual(self, score: Floats) -> Floats:
        """(n, K) the derivative of the loss of each row."""
        return (softmax(score) if self.logistic else score) - self.y

    def loss(self, score: Floats) -> float:
        """Mean loss of rows: logarithmic, or half the square."""
        if not self.logistic:
            return float(((score - self.y) ** 2).sum() / (2 * len(score)))
        top = score.max(axis=1)
        log_sum = top + np.log(np.exp(score - top[:, None]).sum(axis=1))
        return float((log_sum - (score * self.y).sum(axis=1)).mean())


def product(x: Floats, beta: Floats) -> Floats:
    """(n, K) x @ beta, laid out class by class."""
    return np.asarray((beta.T @ x.T).T)


def softmax(score: Floats) -> Floats:
    """(n, K) probabilities."""
    out = score - score.max(axis=1, keepdims=True)
    np.exp(out, out=out)
    out /= out.sum(axis=1, keepdims=True)
    return np.asarray(out)


def ridge(x: Floats, aim: Aim, penalty: float) -> tuple[Floats, Floats]:
    """Fit a linear model whose squared coefficients cost half of `penalty`, the bias nothing, per row of loss 1 / n.

    Args:
        x: (n, D) float64, columns centred.
        aim: n rows.
        penalty: above 0.

    Returns:
        (D, K) coefficients and (K,) bias.
    """
    n, d = x.shape
    k = aim.y.shape[1]
    if not aim.logistic:
        y = aim.y - aim.y.mean(axis=0)
        if d <= n:
            beta = np.linalg.solve(x.T @ x / n + penalty * np.eye(d), x.T @ y / n)
        else:
            beta = x.T @ np.linalg.solve(x @ x.T / n + penalty * np.eye(n), y / n)
        return beta, aim.start()
    from scipy.optimize import minimize

    def cost(flat: Floats) -> tuple[float, Floats]:
        beta, bias = flat[:-k].reshape(d, k), flat[-k:]
        score = product(x, beta) + bias
        left = aim.residual(score) / n
        slope = np.concatenate([(x.T @ left + penalty * beta).ravel(), left.sum(axis=0)])
        return aim.loss(score) + penalty / 2 * float((beta**2).sum()), slope

    first = np.concatenate([np.zeros(d * k), aim.start()])
    flat = minimize(cost, first, jac=True, method="L-BFGS-B", options={"maxiter": 200, "gtol": 1e-5}).x
    return flat[:-k].reshape(d, k), flat[-k:]


def column_norms(beta: Floats, owner: Ints, columns: int) -> Floats:
    """(p,) the Euclidean norm of all coefficients of each column."""
    return np.sqrt(np.bincount(owner, (beta**2).sum(axis=1), columns))
