"""Folds for problems whose rows are in canonical order."""

import numpy as np

from datadiet_cli.methods.folds import stratified
from datadiet_cli.methods.selection.base import Ints, Target


def folds_of(target: Target, folds: int, seed: int) -> Ints:
    """Deal rows out: the same share of every class to each fold, or of small, middle and large numbers.

    Args:
        target: n rows.
        folds: how many, at least 2.
        seed: another deals in another way.

    Returns:
        (n,) int64 folds from 0 on; as many as there are rows, if that is fewer.
    """
    n = len(target.values)
    rng = np.random.default_rng([seed, n])
    mixed = rng.permutation(n)
    values = target.values[mixed]
    folds = min(folds, n)
    fold = np.empty(n, dtype=np.int64)
    if target.classes:
        fold[mixed] = stratified(values.astype(np.int64), np.ones(n, dtype=np.bool_), folds)
    else:
        # Of rows that follow each other in size each fold gets one.
        ascending = mixed[np.argsort(values, kind="stable")]
        turn = np.resize(np.arange(folds), n).reshape(-1)
        blocks = np.arange(n) // folds
        fold[ascending] = turn[np.lexsort((rng.random(n), blocks))]
    return fold


def subsample(target: Target, most: int, seed: int) -> Ints:
    """Some rows, ascending: the same share of every class or range of numbers; all if there are no more than `most`."""
    n = len(target.values)
    if n <= most:
        return np.arange(n)
    rng = np.random.default_rng([seed, n, most])
    mixed = rng.permutation(n)
    along = mixed[np.argsort(target.values[mixed], kind="stable")]
    # Evenly spaced ones, of rows ordered by their target.
    return np.sort(along[(np.arange(most) * n) // most])
