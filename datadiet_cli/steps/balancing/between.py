"""New rows of a table between two real ones: which cells are new, and how they are written."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.cells import TableCells, cells_of
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.oversampling import Synthetic, oversample
from datadiet_cli.methods.targets import apportion
from datadiet_cli.outcome import Action, Addition, Verdicts
from datadiet_cli.steps.balancing.base import STEP, Bools, Floats, Ints, Part, Task

if TYPE_CHECKING:
    import polars as pl

BETWEEN = ("smote", "borderline", "adasyn", "smote-nc")
VARIED = ("real", "whole")
"""Forms of numbers that vary; dates are those of the parent, though they count for distances."""
MOST_CELLS = 0.9
MANY_DECIMALS = 15
"""From so many on, digits are those of binary fractions and not of measurements."""


class Rows:
    """The members of a table as cells.

    Args:
        task: what there is to do.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._source = cast(TableSource, task.dataset.source)
        self._rows = task.dataset.rows[task.members]

    @cached_property
    def _texts(self) -> "pl.DataFrame":
        named = self._task.settings.columns
        names = self._source.features if named is None else list(dict.fromkeys(named))
        return self._source.file.texts(names)[self._rows]

    @cached_property
    def _cells(self) -> TableCells:
        return cells_of(self._source.file.typed(self._texts.columns)[self._rows], self._texts)

    @property
    def usual(self) -> str:
        """What ``auto`` means for this table."""
        if not any(form in VARIED for form in self._cells.forms):
            return "repeat"
        return "smote-nc" if self._cells.category_names else "smote"

    def made(self, method: str, lacks: Ints) -> Part:
        """Make rows between rows.

        Args:
            method: of `BETWEEN`.
            lacks: (g,) rows to make for each group.

        Raises:
            ConfigError: no column can vary.
        """
        cells, task = self._cells, self._task
        varies = any(form in VARIED for form in cells.forms) or (method == "smote-nc" and cells.category_names)
        if not varies:
            raise ConfigError(f"{STEP}: over {method} varies numbers, and no column holds any; use repeat")
        group, label, quota, of_group = self._kin(lacks)
        # Infinite numbers have no distance.
        numbers = np.where(np.isfinite(cells.numbers), cells.numbers, np.nan)
        new = oversample(
            numbers, cells.categories, group, quota, method,
            neighbours=task.settings.neighbours, seed=task.context.seed, whole=cells.whole, label=label,
            crew=task.context.engine,
        )  # fmt: skip
        parent, other = task.members[new.parent], task.members[new.other]
        additions = [Addition(row) for row in task.dataset.rows[parent].tolist()]
        verdicts, marks = _told(task, parent, other, new.weight, method)
        alone = len(np.unique(parent[parent == other]))
        notes = [f"{alone:,} rows have no other of their kind and were repeated as they are"] if alone else []
        return Part(
            verdicts, notes, additions, self._new_cells(new, numbers), marks, of_group[new.group], {"over": method}
        )

    def _kin(self, lacks: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Rows of one group and one class: only between those may a row be made, since it gets the parent's label.

        Returns:
            (m,) int64 kin of each member; (m,) int64 its class, or else group; (k,) quotas of the kin; and (k,) the
            group of each kin.
        """
        task = self._task
        group = task.groups.code[task.members]
        label = task.dataset.labels[task.members].astype(np.int64) if task.dataset.classes else group
        pairs, kin = np.unique(np.stack([group, label], axis=1), axis=0, return_inverse=True)
        kin = kin.reshape(-1).astype(np.int64)
        size = np.bincount(kin, minlength=len(pairs)).astype(np.int64)
        quota = size.copy()
        for g in np.flatnonzero(lacks).tolist():
            own = pairs[:, 0] == g
            quota[own] += apportion(size[own], int(lacks[g]))
        return kin, label, quota, pairs[:, 0]

    def _new_cells(self, new: Synthetic, numbers: Floats) -> dict[str, dict[int, str | None]]:
        """The cells in which new rows differ from their parents."""
        cells, first = self._cells, self._task.first_new
        texts: dict[str, dict[int, str | None]] = {}
        for d, (name, form) in enumerate(zip(cells.number_names, cells.forms, strict=True)):
            if form not in VARIED:
                continue
            values = new.numbers[:, d]
            differs = ~np.isnan(values) & (values != numbers[new.parent, d])
            if form == "whole":
                written = [f"{value:.0f}" for value in values[differs].tolist()]
            else:
                written = self._written(name, values[differs], new.parent[differs], new.other[differs])
            texts[name] = dict(zip((first + np.flatnonzero(differs)).tolist(), written, strict=True))
        for c, name in enumerate(cells.category_names):
            codes = new.categories[:, c]
            differs = (codes >= 0) & (codes != cells.categories[new.parent, c])
            words = [cells.category_values[c][code] for code in codes[differs].tolist()]
            texts[name] = dict(zip((first + np.flatnonzero(differs)).tolist(), words, strict=True))
        return {name: column for name, column in texts.items() if column}

    def _written(self, name: str, values: Floats, parents: Ints, others: Ints) -> list[str]:
        """Real numbers, each with as many decimals as nine tenths of its column, or as either of its parents.

        Args:
            name: the column.
            values: (k,) the numbers.
            parents: (k,) places of the parents among the members.
            others: (k,) likewise.
        """
        texts = self._texts[name]
        if texts.str.contains("[eE]").any():
            return [repr(value) for value in values.tolist()]
        lengths = texts.str.extract(r"\.([0-9]*)\s*$").fill_null("").str.len_bytes().to_numpy().astype(np.int64)
        known = lengths[texts.is_not_null().to_numpy()]
        usual = int(np.quantile(known, MOST_CELLS, method="lower"))
        # So that rounding cannot lead beyond a parent.
        decimals = np.maximum(np.maximum(lengths[parents], lengths[others]), usual)
        return formatted(values, decimals, in_full=bool((known == usual).all()))


def formatted(values: Floats, decimals: Ints, *, in_full: bool) -> list[str]:
    """Numbers as texts.

    Args:
        values: (k,) finite.
        decimals: (k,) how many each has at most; from `MANY_DECIMALS` on as many as tell it from all others.
        in_full: whether zeros at the end stay.
    """
    import polars as pl

    texts = np.empty(len(values), dtype=object)
    for places in np.unique(decimals).tolist():
        some = decimals == places
        write = repr if places >= MANY_DECIMALS else f"{{:.{places}f}}".format
        texts[some] = list(map(write, values[some].tolist()))
    if in_full:
        return list(texts)
    # Of zeros behind the point one stays: the column is one of real numbers.
    return list(pl.Series(texts, dtype=pl.String).str.replace(r"^(-?[0-9]+\.[0-9]+?)0+$", "$1").to_list())


def _told(task: Task, parent: Ints, other: Ints, weight: Floats, method: str) -> tuple[Verdicts, dict[int, str | None]]:
    one, two = task.ids(parent), task.ids(other)
    new = np.arange(len(one)) + task.first_new
    between: Bools = parent != other
    parts = []
    for which, reason in ((between, "synthetic"), (~between, "repeated")):
        chosen = np.flatnonzero(which).tolist()
        said = [
            f"between {one[i]} and {two[i]}, {weight[i]:.2f} of the way" if between[i] else f"a copy of {one[i]}"
            for i in chosen
        ]
        facts: Sequence[dict[str, Any]] = [
            {"parents": [one[i], two[i]], "lambda": round(float(weight[i]), 6)} if between[i] else {"parents": [one[i]]}
            for i in chosen
        ]
        parts.append(
            Verdicts.of(
                new[which], Action.ADD, reason, witness=task.dataset.rows[parent[which]], detail=said, evidence=facts
            )
        )
    marks: dict[int, str | None] = {
        row: f"{method} of {one[i]} and {two[i]}" if between[i] else f"repeat of {one[i]}"
        for i, row in enumerate(new.tolist())
    }
    return Verdicts.join(parts), marks
