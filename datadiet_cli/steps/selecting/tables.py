"""The columns of a table: which go, or what they are turned into."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from datadiet_cli.columns import ColumnVerdict, Transform
from datadiet_cli.data.open import require_column
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.cells import FREE_TEXT, TableCells, cells_of
from datadiet_cli.encode.known_cells import known_columns
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.selection.base import Columns
from datadiet_cli.outcome import Changes
from datadiet_cli.steps.content import only_column, pointers_in
from datadiet_cli.steps.selecting.base import COMPRESSION, STEP, Bools, Choice, Ints, Part, Task
from datadiet_cli.steps.selecting.compressing import (
    compression_figures,
    fitted,
    new_names,
    of_components,
    of_inputs,
)
from datadiet_cli.steps.selecting.deciding import decide
from datadiet_cli.steps.selecting.goal import goal_of
from datadiet_cli.steps.selecting.making import made_columns
from datadiet_cli.steps.selecting.projecting import arrays_of
from datadiet_cli.steps.selecting.telling import (
    ALWAYS,
    figures,
    idle,
    in_order,
    of_constants,
    of_others,
    of_units,
)

_EMPTY = "every training row that was learned from says the same"


@dataclass(frozen=True, eq=False)
class Survey:
    """What the columns of a table are.

    Attributes:
        names: columns that are asked about.
        cells: those of the training rows; of numbers and categories.
        constant: columns that say nothing.
        content: columns that hold content, each with its kind.
        left_alone: columns of another sort, each with what they hold.
    """

    names: tuple[str, ...]
    cells: TableCells
    constant: tuple[str, ...]
    content: dict[str, str]
    left_alone: dict[str, str]

    @property
    def column_of_content(self) -> bool:
        """Whether the table is about the content of a column, for there are no numbers and categories."""
        return bool(self.content) and not (self.cells.number_names or self.cells.category_names)


def survey_of(task: Task) -> Survey:
    """Find out what the columns are, by the training rows.

    Raises:
        InputError: a column that was named does not exist.
        ConfigError: one that was named is the label, the split or the id.
    """
    source, settings = cast(TableSource, task.dataset.source), task.settings
    for flag, given in (("--columns", settings.columns), ("--always-keep", settings.always_keep)):
        for name in given or ():
            require_column(source.path, flag, name, source.file.columns)
            if name in source.set_aside:
                raise ConfigError(f"{STEP}: {flag} {name}: label, split and id are never dropped, nor chosen by")
    names = tuple(dict.fromkeys(source.features if settings.columns is None else settings.columns))
    rows = task.dataset.rows[task.dataset.training]
    if not names:
        return Survey((), _no_cells(len(rows)), (), {}, {})
    texts = source.file.texts(names)[rows]
    content = {name: found.kind for name, found in pointers_in(texts, source.path, task.context).items()}
    plain = [name for name in names if name not in content]
    cells = cells_of(source.file.typed(plain)[rows], texts.select(plain)) if plain else _no_cells(len(rows))
    constant = tuple(name for name, why in cells.left_out.items() if why.startswith(("constant", "no cell")))
    left_alone = {name: f"names of {kind} files" for name, kind in content.items()}
    left_alone |= {name: why for name, why in cells.left_out.items() if name not in constant}
    content |= {name: "text" for name, why in left_alone.items() if why == FREE_TEXT}
    return Survey(names, cells, constant, content, left_alone)


def content_column(task: Task, survey: Survey) -> str:
    """The column whose vectors are chosen from.

    Raises:
        ConfigError: there are several.
    """
    return only_column(survey.content, task.dataset.source.path, STEP)


def from_table(task: Task, survey: Survey) -> Part:
    """Choose among the columns of numbers and categories.

    Raises:
        ConfigError: the method cannot work on such data.
    """
    goal = goal_of(task, np.ones(len(task.dataset), dtype=bool))
    place = np.cumsum(task.dataset.training) - 1
    columns = _columns(survey.cells, place[goal.rows])
    names = (*survey.cells.number_names, *survey.cells.category_names)
    some = varies(columns)
    flat = (*survey.constant, *(name for name, tells in zip(names, some.tolist(), strict=True) if not tells))
    chosen = np.flatnonzero(some)
    names = tuple(names[i] for i in chosen.tolist())
    always = np.isin(np.array(names, dtype=object), task.settings.always_keep or [])
    choice = Choice(names, columns.only(chosen), goal, np.asarray(always, dtype=np.bool_), "column")
    if not names:
        return _nothing(task, survey, choice, flat)
    if task.settings.method in COMPRESSION:
        return _compressed(task, survey, choice, flat)
    return _selected(task, survey, choice, flat)


def varies(columns: Columns) -> Bools:
    """(p,) bool, columns that do not say the same in all rows; that a cell is missing says something too."""
    gaps, codes = np.isnan(columns.numbers), columns.categories
    if not len(columns):
        return np.zeros(columns.count, dtype=np.bool_)
    low = np.where(gaps, np.inf, columns.numbers).min(axis=0)
    high = np.where(gaps, -np.inf, columns.numbers).max(axis=0)
    numbers = (low < high) | (gaps.any(axis=0) & ~gaps.all(axis=0))
    return np.concatenate([numbers, codes.min(axis=0) < codes.max(axis=0)])


def _columns(cells: TableCells, rows: Ints) -> Columns:
    numbers = cells.numbers[rows]
    return Columns(np.where(np.isfinite(numbers), numbers, np.nan), cells.categories[rows])


def _no_cells(n: int) -> TableCells:
    none = np.empty((n, 0))
    return TableCells(none, none.astype(np.int64), (), (), (), np.empty(0, dtype=bool), {}, ())


def _told(task: Task, survey: Survey, flat: Sequence[str], verdicts: list[ColumnVerdict]) -> list[ColumnVerdict]:
    """All verdicts, in the order of the table."""
    source = cast(TableSource, task.dataset.source)
    always = task.settings.always_keep or ()
    whole = [*verdicts, *of_constants(flat, always, _EMPTY), *of_others(source, survey.names, survey.left_alone)]
    return in_order(whole, source.file.columns)


def _nothing(task: Task, survey: Survey, choice: Choice, flat: Sequence[str]) -> Part:
    """Where no column is to be chosen from, none goes."""
    source = cast(TableSource, task.dataset.source)
    verdicts = of_others(source, survey.names, survey.left_alone)
    verdicts += [ColumnVerdict(name, "keep", "constant", detail=_EMPTY) for name in flat]
    notes = [*choice.goal.notes, "no column of numbers or categories to choose from; nothing was dropped"]
    return Part(in_order(verdicts, source.file.columns), None, figures(task, choice, (), None), notes)


def _document(task: Task, verdicts: Sequence[ColumnVerdict]) -> dict[str, Any]:
    """Which columns stay and go, and which are neither, for they are no features."""
    aside = cast(TableSource, task.dataset.source).set_aside
    return {
        "step": STEP,
        "of": "columns",
        "kept": [v.column for v in verdicts if v.action == "keep" and v.column not in aside],
        "dropped": [v.column for v in verdicts if v.action == "drop"],
        "aside": list(aside),
    }


def _selected(task: Task, survey: Survey, choice: Choice, flat: Sequence[str]) -> Part:
    decision = decide(task, choice)
    verdicts = _told(task, survey, flat, of_units(task, choice, decision))
    document = _document(task, verdicts)
    ranked = [choice.names[i] for i in np.argsort(decision.ranking.rank).tolist() if decision.kept[i]]
    metrics = {
        **figures(task, choice, ranked, decision.ranking.unit),
        **decision.metrics,
        "constant": list(flat),
        **idle(task, vectors=False),
    }
    notes = [*choice.goal.notes, *decision.notes]
    return Part(verdicts, Transform(document), metrics, notes, Changes(dropped_columns=document["dropped"]))


def _compressed(task: Task, survey: Survey, choice: Choice, flat: Sequence[str]) -> Part:
    from datadiet_cli.methods.selection.design import Design

    source, method = cast(TableSource, task.dataset.source), task.settings.method
    inputs = np.flatnonzero(~choice.always)
    if not len(inputs):
        raise ConfigError(f"{STEP}: method {method}: every column is to be kept by --always-keep")
    gone = tuple(choice.names[i] for i in inputs.tolist())
    columns = choice.columns.only(inputs)
    design = Design.fit(columns)
    projection = fitted(task, design.matrix(columns), choice.goal)
    made = new_names(method, projection.components.shape[0], source.file.columns)
    always = [ColumnVerdict(name, "keep", ALWAYS) for name in choice.names if name not in gone]
    whole = [*of_inputs(made, method, gone), *always, *of_components(projection, made, method)]
    verdicts = _told(task, survey, flat, whole)
    document = {
        **_document(task, verdicts),
        "projection": method,
        "inputs": _inputs(survey.cells, gone),
        "design": design.as_json(),
        "outputs": list(made),
    }
    transform = Transform(document, arrays_of(projection))
    cells = made_columns(transform, source.file, task.dataset.rows)
    changes = Changes(columns=cells, dropped_columns=document["dropped"], new_features=made)
    metrics = {
        **figures(task, choice, made, "share of variance" if projection.explained is not None else None),
        **compression_figures(projection),
        "constant": list(flat),
        **idle(task, vectors=False),
    }
    notes = [*choice.goal.notes, *projection.notes]
    if len(made) > len(gone):
        notes.append(
            f"{len(made)} new columns in the place of {len(gone)}: a category has a dimension for each value; "
            f"--keep {max(1, len(gone) // 2)} makes fewer"
        )
    return Part(verdicts, transform, metrics, notes, changes)


def _inputs(cells: TableCells, names: Sequence[str]) -> list[dict[str, Any]]:
    """What is known of the columns that go into the new ones, as JSON values, in the order of the design."""
    there = set(names)
    return [
        column._asdict() | {"values": list(column.values)} for column in known_columns(cells) if column.name in there
    ]
