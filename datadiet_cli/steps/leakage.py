"""Test samples that are in the training data, or nearly: what a model has seen says nothing of what it has learned.

Files are compared as `dedup` compares them: equal bytes are exact copies; pictures that look alike, texts that share
most of their shingles and sounds that sound alike, each confirmed by a second look, are near ones. Rows are compared
by the features that both tables have, for equality only: in a table of few columns near rows are nothing unusual.

There equal rows are nothing unusual either: in a table of three categories most people have a double. If training and
test are drawn alike, then a test row has a double among the training rows as often as a training row has one among
the others (leave-one-out), and a test row among the other test rows at most as often, as there are fewer. So equal
rows are *natural* if there are no more of them than that: the larger of the two shares, applied to the test rows, and
three standard errors (of the count, and of the share it is compared with). If there are more, all of them are leaks.
Rows that occur once are no doubles, so that where none repeats a single one that is in both is a leak. What this
cannot see is a table whose rows were copied before it was split; `dedup` finds those.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup, Method
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.errors import InputError
from datadiet_cli.methods.duplicates import ALONE, Accept, Candidates, Ints, distinct, nearest
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness import find
from datadiet_cli.steps.likeness.base import NO_EDGES
from datadiet_cli.steps.likeness.pool import Pool, table_of
from datadiet_cli.steps.likeness.record import Recorder

if TYPE_CHECKING:
    import polars as pl

NEAR: Mapping[str, Method] = {"image": "phash", "text": "minhash", "audio": "fingerprint"}
"""Kind of data -> the way of `dedup` to find near-duplicates; other kinds have exact ones only."""

_TOLERATED = 3.0
"""Standard errors by which there may be more equal rows than expected."""


@dataclass(frozen=True, eq=False)
class Leaks:
    """Test samples that are in the training data.

    Attributes:
        exact: the number of exact copies.
        near: the number of near-duplicates that are no exact copies.
        natural: the number of test rows that equal a training row no more often than rows of this table do anyway.
            They are no leaks.
        expected: test rows that would equal a training row if both were drawn alike; 0 for files.
        test_rows: (k,) int64, ascending rows of the test dataset's source: of leaks and of natural ones.
        witness_rows: (k,) int64, for each the row in the training dataset's source that it is a copy of.
        kinds: (k,) object, ``exact``, ``near`` or ``natural``.
        share_of_test: the share of the test samples that are among `test_rows`; 0 where there are no samples.
    """

    exact: int
    near: int
    natural: int
    expected: float
    test_rows: Ints
    witness_rows: Ints
    kinds: NDArray[np.object_]
    share_of_test: float

    def __len__(self) -> int:
        return self.exact + self.near

    @property
    def leaking(self) -> Ints:
        """(m,) int64, ascending rows of the test samples that leak; natural ones are not among them."""
        leaking: Ints = self.test_rows[self.kinds != "natural"]
        return leaking


def leaks(training: Dataset, test: Dataset, context: Context) -> Leaks:
    """Find test samples that are copies of training samples.

    What cannot be read is no copy of anything. Labels, splits and ids do not count. Each leak has the nearest training
    sample as its witness, of equally near ones the first.

    Args:
        training: what a model is trained on; all its samples count, whatever their split.
        test: what it is tested on, of the same source or another.
        context: of the run.

    Raises:
        InputError: the two are of different kinds, or tables that have no feature in common.
        MissingExtraError: sounds cannot be decoded, as an extra is not installed.
    """
    if training.kind != test.kind:
        raise InputError(
            f"{test.source.path}: holds {test.kind} samples and {training.source.path} {training.kind} samples; "
            "test data must be of the kind of the training data"
        )
    pool = Pool(training, (test,))
    witness = np.full(len(pool), ALONE, dtype=np.int64)
    kinds = np.full(len(pool), None, dtype=object)
    expected = 0.0
    if not len(training) or not len(test):
        pass
    elif pool.kind == "row":
        witness, expected, natural = _equal_rows(pool)
        kinds[witness != ALONE] = "natural" if natural else "exact"
    else:
        witness, kinds = _alike_files(pool, context)
    return _told(pool, witness, kinds, expected)


def _told(pool: Pool, witness: Ints, kinds: NDArray[np.object_], expected: float) -> Leaks:
    """What was found by position in the pool, by row."""
    first, test = len(pool.dataset), pool.others[0]
    found = np.flatnonzero(witness != ALONE)
    kind = kinds[found]
    exact, near, natural = (int((kind == name).sum()) for name in ("exact", "near", "natural"))
    rows, witnesses = test.rows[found - first], pool.dataset.rows[witness[found]]
    share = len(found) / len(test) if len(test) else 0.0
    return Leaks(exact, near, natural, expected, rows, witnesses, kind, share)


def _alike_files(pool: Pool, context: Context) -> tuple[Ints, NDArray[np.object_]]:
    """The witness of each test file among the training files, by position in the pool, and the kind of its leak."""
    kinds = np.full(len(pool), None, dtype=object)
    with ExitStack() as stack:
        likeness = find(pool, Dedup(method="exact", prefer="first"), context, stack)
        accept = Recorder(pool, likeness).accept
        witness = _first_equals(likeness.candidates.node, ~pool.foreign, accept)
        kinds[witness != ALONE] = "exact"
        if pool.kind not in NEAR:
            return witness, kinds
        likeness = find(pool, Dedup(method=NEAR[pool.kind], prefer="first"), context, stack)
        rest, accept = pool.foreign & (witness == ALONE), Recorder(pool, likeness).accept
        near = nearest(likeness.candidates, likeness.rank, accept, rest, ~pool.foreign)[0]
    kinds[near != ALONE] = "near"
    witness = np.where(near != ALONE, near, witness)
    # Equal files that cannot be decoded are copies, but nothing can be learned from them.
    witness[likeness.causes != None] = ALONE  # noqa: E711 - elementwise
    return witness, kinds


def _first_equals(node: Ints, training: NDArray[np.bool_], accept: Accept) -> Ints:
    """(n,) int64, for each test sample the first training sample of its node, if it is accepted.

    One comparison a sample, however many there are of the same content.
    """
    first = np.zeros(len(node), dtype=np.bool_)
    known = np.flatnonzero(training & (node != ALONE))
    first[known[np.unique(node[known], return_index=True)[1]]] = True
    return nearest(Candidates(node, NO_EDGES), np.arange(len(node)), accept, ~training, first)[0]


def _equal_rows(pool: Pool) -> tuple[Ints, float, bool]:
    """The witness of each test row, how many would have one anyway, and whether that explains those that have."""
    frame = _comparable(pool)
    node = distinct(frame.hash_rows(seed=0).to_numpy(), shared_only=True)
    # A row that says nothing is no copy of another one.
    node[np.all([column.is_null().to_numpy() for column in frame], axis=0)] = ALONE

    def accept(a: Ints, b: Ints) -> NDArray[np.float64]:
        same = np.ones(len(a), dtype=np.bool_)
        for column in frame:
            same &= column.gather(a).eq_missing(column.gather(b)).to_numpy()
        return np.where(same, 0.0, np.nan)

    witness = _first_equals(node, ~pool.foreign, accept)
    training, tests = len(pool.dataset), int(pool.foreign.sum())
    share, size = max((_share_repeated(part), len(part)) for part in (node[:training], node[training:]))
    expected = tests * share
    margin = _TOLERATED * sqrt(expected * (1 - share) * (1 + tests / size))
    return witness, expected, int((witness != ALONE).sum()) <= expected + margin


def _share_repeated(node: Ints) -> float:
    """The share of some rows that equal another of them."""
    count = np.unique(node[node != ALONE], return_counts=True)[1]
    return float(count[count > 1].sum()) / len(node)


def _comparable(pool: Pool) -> "pl.DataFrame":
    """The cells of all rows in the features that both tables have.

    A cell is what its text says, but in two files numbers are compared as numbers: one may write 1 and the other 1.0.

    Raises:
        InputError: the tables have no such column.
    """
    import polars as pl

    own, other = (table_of(part) for part in pool.parts)
    columns = [name for name in own.features if name in set(other.features)]
    if not columns:
        raise InputError(
            f"{other.path}: no column that could be compared with those of {own.path}; name other test data"
        )
    if own.file is other.file:
        return own.file.texts(columns)[np.concatenate([part.rows for part in pool.parts])]
    typed = [source.file.typed(columns) for source in (own, other)]
    words = [name for name in columns if not all(frame[name].dtype.is_numeric() for frame in typed)]
    frames = [
        numbers.with_columns(source.file.texts(words))[part.rows] if words else numbers[part.rows]
        for numbers, source, part in zip(typed, (own, other), pool.parts, strict=True)
    ]
    return pl.concat(frames, how="vertical_relaxed")
