"""What a step decides: a verdict for every sample it did not leave alone, and what remains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.columns import ColumnVerdict, Transform

FIGURES: Mapping[str, tuple[str, ...]] = {
    "unreadable": ("unreadable",),
    "conflicts": ("conflict", "conflict-minority"),
    "leaks": ("leak",),
    "contaminated": ("contamination",),
    "invalid": ("impossible", "too-empty", "missing"),
    "poor": (
        "blurred", "dark", "over-exposed", "washed-out", "flat", "gray-in-colour", "odd-size", "odd-aspect",
        "clipped", "silent", "too-short", "odd-length", "dc-offset", "low-snr", "mostly-silence",
        "empty", "mostly-symbols", "wrong-script", "repeated-lines", "repeated-phrases", "bad-encoding",
    ),
    "outliers": ("outlier",),
    "mislabelled": ("wrong-label",),
}  # fmt: skip
"""Figures that gates may be set on, each with the reasons of the verdicts that it counts."""

NO_WITNESS = -1
FOREIGN = -2
"""Witness codes from here down stand for samples outside INPUT: `FOREIGN - i` for the i-th foreign name."""


class Action(StrEnum):
    """What a verdict does with its sample."""

    DROP = "drop"
    FLAG = "flag"
    RELABEL = "relabel"
    IMPUTE = "impute"
    ADD = "add"
    WEIGH = "weigh"
    ACCEPT = "accept"


def unique(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The different values, sorted.

    Plain `np.unique` hashes integers, which takes seconds for a million consecutive ones; asked for indices it sorts.
    """
    return np.unique(values, return_index=True)[0]


@dataclass(frozen=True, eq=False)
class Verdicts:
    """A table of verdicts, one row each, column by column so that a million of them stay cheap.

    Attributes:
        sample: (v,) int64, the sample's row in the input dataset; it stays the same through a pipeline.
        action: (v,) object, an `Action` each.
        reason: (v,) object, a short code each, for example ``duplicate``; `reasons` has the words.
        score: (v,) float64, how strongly the reason holds, in the unit of the threshold; NaN for none.
        threshold: (v,) float64, the limit the score was compared with; NaN for none.
        witness: (v,) int64, row of the sample it was compared with; `NO_WITNESS` for none; see
            `FOREIGN` for samples outside INPUT.
        detail: (v,) object, further words or None.
        evidence: (v,) object, what the verdict rests on beside score and witness, as a dictionary of JSON values, or
            None: probabilities of labels, the columns that made a row odd, how a sample was made.
    """

    sample: NDArray[np.int64]
    action: NDArray[np.object_]
    reason: NDArray[np.object_]
    score: NDArray[np.float64]
    threshold: NDArray[np.float64]
    witness: NDArray[np.int64]
    detail: NDArray[np.object_]
    evidence: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.sample)

    @classmethod
    def of(
        cls,
        sample: NDArray[np.int64] | Sequence[int],
        action: Action,
        reason: str,
        *,
        score: NDArray[np.float64] | Sequence[float] | float = np.nan,
        threshold: NDArray[np.float64] | Sequence[float] | float = np.nan,
        witness: NDArray[np.int64] | Sequence[int] | int = NO_WITNESS,
        detail: Sequence[str | None] | None = None,
        evidence: Sequence[Mapping[str, Any] | None] | None = None,
    ) -> "Verdicts":
        """Give the same action and reason to several samples; scalars are repeated."""
        rows = np.asarray(sample, dtype=np.int64)
        n = len(rows)
        words, facts = np.full(n, None, dtype=object), np.full(n, None, dtype=object)
        if detail is not None:
            words[:] = detail
        if evidence is not None:
            facts[:] = list(evidence)
        return cls(
            sample=rows,
            action=np.full(n, action, dtype=object),
            reason=np.full(n, reason, dtype=object),
            score=np.broadcast_to(np.asarray(score, dtype=np.float64), (n,)).copy(),
            threshold=np.broadcast_to(np.asarray(threshold, dtype=np.float64), (n,)).copy(),
            witness=np.broadcast_to(np.asarray(witness, dtype=np.int64), (n,)).copy(),
            detail=words,
            evidence=facts,
        )

    @classmethod
    def join(cls, parts: "Sequence[Verdicts]") -> "Verdicts":
        """Stack several tables and sort them by sample, keeping the order given among verdicts of one sample."""
        if not parts:
            return cls.of([], Action.FLAG, "")
        columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in cls.__dataclass_fields__}
        order = np.argsort(columns["sample"], kind="stable")
        return cls(**{name: column[order] for name, column in columns.items()})

    def dropped(self) -> NDArray[np.int64]:
        """(k,) int64, sorted rows of the samples that a verdict drops."""
        return unique(self.sample[self.action == Action.DROP])


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Pairs of samples that were compared: enough to decide again by another threshold, without a look at them.

    Attributes:
        sample: (p,) int64, row of one sample.
        other: (p,) int64, row of the other, or a code as `Verdicts.witness` has it.
        distance: (p,) float64.
        agreement: (p,) float64, a second opinion, the larger the more alike; NaN for none.
        confirmed: (p,) int8, whether a last look said that they are copies: 1, 0, or -1 for never looked.
        sample_rank: (p,) int64, preference; of two copies the smaller stays.
        other_rank: (p,) int64.
        threshold: the largest distance of copies.
        reach: pairs of a larger distance than this were not all looked for.
        floor: the least agreement of copies.
        threshold_name: the setting the threshold comes from.
        floor_name: the setting the floor comes from; empty for none.
        similar: whether scores are told as similarities, one less the distance.
        complete: whether all candidates are here, and not only those that a decision hung on.
    """

    sample: NDArray[np.int64]
    other: NDArray[np.int64]
    distance: NDArray[np.float64]
    agreement: NDArray[np.float64]
    confirmed: NDArray[np.int8]
    sample_rank: NDArray[np.int64]
    other_rank: NDArray[np.int64]
    threshold: float
    reach: float
    floor: float
    threshold_name: str
    floor_name: str
    similar: bool
    complete: bool

    def __len__(self) -> int:
        return len(self.sample)


Cells = Mapping[str, Mapping[int, str | None]]
"""New texts of cells: column -> {row: text, or None for an empty cell}."""


@dataclass(frozen=True)
class Addition:
    """A sample that is made of another one.

    Attributes:
        template: row of the sample it is a copy of before anything is done to it.
        recipe: what is done to the content of its file, as `encode.augment` has it; None for nothing.
    """

    template: int
    recipe: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Changes:
    """What a step changes besides dropping samples.

    Attributes:
        cells: new texts of cells; for tables only.
        labels: new labels of samples: row -> name of a class.
        columns: new columns, in order, for tables only; rows that are not named have an empty cell.
        additions: new samples. The i-th gets the row that follows the last row of the source by i; `cells` and
            `columns` may speak of it.
        dropped_columns: columns that go, for tables only.
        new_features: those of `columns` that say what a row is like, as the other features do.
    """

    cells: Cells = field(default_factory=dict)
    labels: Mapping[int, str] = field(default_factory=dict)
    columns: Cells = field(default_factory=dict)
    additions: Sequence[Addition] = ()
    dropped_columns: Sequence[str] = ()
    new_features: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.cells or self.labels or self.columns or self.additions or self.dropped_columns)


@dataclass(frozen=True)
class Brake:
    """A limit of a step; if it was broken the run fails and publishes nothing.

    Attributes:
        name: the setting, with what it is about: ``max_dropped_per_class (cat)``.
        limit: in words, such as ``<= 30%``.
        value: what was met: a share where the limit has a %, else a number of samples.
        passed: whether it held.
    """

    name: str
    limit: str
    value: float
    passed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a step hands on: its verdicts, and figures worth reporting.

    What remains follows from the verdicts, the input rows without the dropped ones, and from the changes.

    Attributes:
        verdicts: a verdict for every sample the step did not leave alone.
        metrics: figures for the report: JSON values only, the same for the same input, settings and seed.
        foreign: names of samples outside INPUT that verdicts speak of; see `FOREIGN`.
        comparisons: what the decisions rest on, if it can be told in full.
        changes: what becomes of samples that are not dropped.
        brakes: limits of the step, those that were broken and others worth telling.
        artefacts: further files to stand beside OUTPUT: the end of the name (``.weights.csv``) -> content.
        folders: further folders to stand beside OUTPUT: the end of the name -> where the folder was made.
        columns: a verdict for every column that the step looked at.
        transform: what it learned that can be done to new data.
        figures: shares for gates, such as the accuracy, by name; see `config.pipeline.Metric`.
        timings: what was timed, which differs from run to run: JSON values.
    """

    verdicts: Verdicts
    metrics: Mapping[str, Any] = field(default_factory=dict)
    foreign: Sequence[str] = ()
    comparisons: Comparisons | None = None
    changes: Changes = field(default_factory=Changes)
    brakes: Sequence[Brake] = ()
    artefacts: Mapping[str, bytes] = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)
    columns: Sequence[ColumnVerdict] = ()
    transform: Transform | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)

    def with_names(self, names: Sequence[str]) -> "Outcome":
        """The same with codes renumbered so that only names that are spoken of are kept.

        Args:
            names: of all samples outside INPUT, as the codes have them so far.
        """
        past = self.comparisons
        codes = np.concatenate([self.verdicts.witness, *((past.sample, past.other) if past else ())])
        used = unique(FOREIGN - codes[codes <= FOREIGN])

        def renumbered(codes: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.where(codes <= FOREIGN, FOREIGN - np.searchsorted(used, FOREIGN - codes), codes)

        comparisons = past and replace(past, sample=renumbered(past.sample), other=renumbered(past.other))
        verdicts = replace(self.verdicts, witness=renumbered(self.verdicts.witness))
        spoken_of = tuple(names[i] for i in used.tolist())
        return replace(self, verdicts=verdicts, foreign=spoken_of, comparisons=comparisons)
