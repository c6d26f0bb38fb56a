"""Do to a dataset what a step learned from another one."""

import difflib
from collections.abc import Sequence
from typing import cast

from datadiet_cli.columns import ColumnVerdict, Transform
from datadiet_cli.config.apply import Apply
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.table import TableSource
from datadiet_cli.errors import InputError
from datadiet_cli.outcome import Changes, Outcome, Verdicts
from datadiet_cli.steps.applying.cells import change_cells
from datadiet_cli.steps.applying.documents import OfCells, OfColumns, document_of
from datadiet_cli.steps.context import Context
from datadiet_cli.transformfile import read_transforms

_NAMED = 5


def run(dataset: Dataset, settings: Apply, context: Context) -> Outcome:
    """Do one of the steps that a transform holds. Nothing is learned from this dataset.

    Raises:
        InputError: the transform cannot be read, or does not fit the data.
        ConfigError: its encoder is not known here.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    found, kind = read_transforms(settings.transform)
    if kind != dataset.kind:
        raise InputError(
            f"{dataset.source.path}: holds {_words(dataset.kind)}, and {settings.transform} was made of {_words(kind)}"
        )
    if settings.number >= len(found):
        raise InputError(f"{settings.transform}: has no step of number {settings.number}")
    transform = found[settings.number]
    document = document_of(transform, settings.transform)
    if isinstance(document, OfCells):
        _require(dataset, [*document.impute, *document.scale.columns], settings.transform)
        return change_cells(dataset, document)
    if isinstance(document, OfColumns):
        return _columns(dataset, transform, document, settings.transform)
    if document.column is not None:
        _require(dataset, [document.column], settings.transform)
    return _vectors(dataset, transform, context)


def _words(kind: str) -> str:
    return {"row": "rows of a table", "file": "files"}.get(kind, f"{kind} files")


def _require(dataset: Dataset, names: Sequence[str], transform: str) -> None:
    """Check that a table has the columns.

    Raises:
        InputError: it lacks one; the message names all.
    """
    if not isinstance(dataset.source, TableSource):
        raise InputError(f"{dataset.source.path}: is no table, and {transform} is about columns")
    there = dataset.source.file.columns
    lacking = [name for name in dict.fromkeys(names) if name not in there]
    if not lacking:
        return
    near = difflib.get_close_matches(lacking[0], there, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    named = ", ".join(map(repr, lacking[:_NAMED])) + (f" and {len(lacking) - _NAMED} more" * (len(lacking) > _NAMED))
    raise InputError(f"{dataset.source.path}: lacks what {transform} needs: column {named}{hint}")


def _columns(dataset: Dataset, transform: Transform, document: OfColumns, path: str) -> Outcome:
    from datadiet_cli.steps.selecting.making import made_columns

    _require(dataset, [*document.kept, *(column.name for column in document.inputs)], path)
    source = cast(TableSource, dataset.source)
    there, aside = source.file.columns, set(source.set_aside)
    dropped = tuple(name for name in document.dropped if name in there and name not in aside)
    made = made_columns(transform, source.file, dataset.rows) if document.projection is not None else {}
    known = {*document.kept, *document.dropped, *document.aside, *aside}
    others = [name for name in there if name not in known]
    said = ", ".join(name or "''" for name in others)
    notes = [f"columns that the transform does not speak of stay: {said}"] if others else []
    verdicts = [ColumnVerdict(name, "drop", document.step) for name in dropped]
    verdicts += [ColumnVerdict(name, "make", str(document.projection)) for name in made]
    metrics = {"columns_before": len(there), "columns_after": len(there) - len(dropped) + len(made), "notes": notes}
    return Outcome(
        Verdicts.join([]),
        metrics,
        changes=Changes(columns=made, dropped_columns=dropped, new_features=tuple(made)),
        columns=verdicts,
    )


def _vectors(dataset: Dataset, transform: Transform, context: Context) -> Outcome:
    from datadiet_cli.steps.encoded import vectors_by
    from datadiet_cli.steps.selecting.featurefile import FEATURES, feature_file
    from datadiet_cli.steps.selecting.vectors import unreadable

    selected = vectors_by(transform, dataset, context, "apply")
    return Outcome(
        unreadable(dataset, selected.causes, context),
        {"dimensions": len(selected.names), "notes": []},
        artefacts={FEATURES: feature_file(dataset, selected)},
    )
