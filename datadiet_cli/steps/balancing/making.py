"""How small groups grow: by copies of their samples, changed copies, or new rows between two of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.augment import ALLOWED, recipe
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.oversampling import oversample
from datadiet_cli.outcome import Action, Addition, Verdicts
from datadiet_cli.steps.balancing.augmenting import Made, augmented_cells, augmented_files
from datadiet_cli.steps.balancing.base import STEP, Ints, Part, Task, nothing
from datadiet_cli.steps.balancing.between import BETWEEN, Rows
from datadiet_cli.steps.balancing.readable import causes_at
from datadiet_cli.steps.features import meanings

BY_KIND = {"image": "augment", "audio": "augment", "text": "repeat", "file": "repeat"}
"""What ``auto`` means for folders."""
MOST = 10_000_000
"""New samples beyond which a target was mistyped."""
OFTEN = 10
"""Times a sample is used on average from which on that is said."""


def grown(task: Task) -> Part:
    """Make the samples that small groups lack.

    Raises:
        ConfigError: the settings do not fit the data.
        InputError: a named column does not exist.
        MissingExtraError: what reads the samples is not installed.
    """
    settings, counts = task.settings, task.groups.counts
    lacks = np.maximum(task.target - counts, 0)
    if settings.over == "none" or not lacks.any():
        return nothing()
    if lacks.sum() > MOST:
        raise ConfigError(
            f"{STEP}: target {settings.target} asks for {int(lacks.sum()):,} new samples; at most {MOST:,} are made"
        )
    method, rows = _method(task)
    if rows is not None:
        return rows.made(method, lacks)
    return _copies(task, method, lacks)


def _method(task: Task) -> tuple[str, Rows | None]:
    """How samples are made, and the rows as cells where they are made between rows."""
    dataset, over = task.dataset, task.settings.over
    table = isinstance(dataset.source, TableSource)
    if over in BETWEEN or (over == "auto" and table):
        if not table:
            raise ConfigError(f"{STEP}: over {over} makes rows of a table; for files use augment or repeat")
        rows = Rows(task)
        chosen = rows.usual if over == "auto" else over
        return chosen, rows if chosen in BETWEEN else None
    return BY_KIND[dataset.kind] if over == "auto" else over, None


def _copies(task: Task, method: str, lacks: Ints) -> Part:
    """Copies of real samples, each used as often as any other of its group, give or take one; or changed copies."""
    dataset, context = task.dataset, task.context
    if method == "augment":
        _check_operations(task)
    short = np.flatnonzero(lacks[task.groups.code] * (task.groups.code >= 0))
    causes = causes_at(task, short)
    readable = np.asarray(causes == None, dtype=np.bool_)  # noqa: E711 - elementwise
    blind = np.flatnonzero(~readable)
    flags = task.unreadable(short[blind], causes[blind].tolist(), meanings(dataset.kind, context))
    group = task.groups.code[short[readable]]
    there = np.bincount(group, minlength=len(lacks))
    nothing_to_copy = np.empty((len(group), 0))
    made = oversample(
        nothing_to_copy, nothing_to_copy, group, np.maximum(there + lacks, 1), "repeat", seed=context.seed
    )
    parents = short[readable][made.parent]
    changed = [None] * len(parents) if method == "repeat" else _augmented(task, parents)
    part = _told(task, parents, made.group, changed)
    notes = [*_unreached(task, lacks, there), *_worn(task, lacks, there, method)]
    return Part(
        Verdicts.join([part.verdicts, flags]), notes, part.additions, part.cells, part.marks, made.group,
        {"over": method},
    )  # fmt: skip


def _check_operations(task: Task) -> None:
    kind = "text" if task.dataset.kind == "row" else task.dataset.kind
    if kind not in ALLOWED:
        raise ConfigError(f"{STEP}: over augment needs pictures, sounds or texts; use repeat")
    try:
        recipe(kind, 0, 0, task.settings.augment)
    except ValueError as error:
        raise ConfigError(f"{STEP}: {error}") from None
    if kind == "audio":
        from datadiet_cli.encode.sounds import require_soundfile

        require_soundfile("augment", STEP, "over")


def _augmented(task: Task, parents: Ints) -> Sequence[Made | None]:
    if isinstance(task.dataset.source, TableSource):
        return augmented_cells(task, task.dataset.source, parents)
    return augmented_files(task, parents)


def _told(task: Task, parents: Ints, group: Ints, changed: Sequence[Made | None]) -> Part:
    """Additions and their verdicts."""
    rows = task.dataset.rows[parents]
    new = np.arange(len(rows)) + task.first_new
    names = task.ids(parents)
    table = isinstance(task.dataset.source, TableSource)
    said: list[str] = []
    facts: list[dict[str, Any]] = []
    cells: dict[str, dict[int, str | None]] = {}
    for name, row, made in zip(names, new.tolist(), changed, strict=True):
        facts.append(
            {"parents": [name]} if made is None or not made.words else {"parents": [name], "recipe": made.recipe}
        )
        said.append(f"a copy of {name}" if made is None else made.words or f"a copy of {name}, which nothing changes")
        if made is not None:
            for column, text in made.cells.items():
                cells.setdefault(column, {})[row] = text
    done = np.array([made is not None and bool(made.words) for made in changed], dtype=bool)
    verdicts = [
        Verdicts.of(
            new[part], Action.ADD, reason, witness=rows[part],
            detail=[said[i] for i in np.flatnonzero(part)], evidence=[facts[i] for i in np.flatnonzero(part)],
        )
        for part, reason in ((done, "augmented"), (~done, "repeated"))
    ]  # fmt: skip
    additions = [
        Addition(row, made.recipe if made is not None and made.words and not table else None)
        for row, made in zip(rows.tolist(), changed, strict=True)
    ]
    marks: dict[int, str | None] = {
        row: f"{'augment' if good else 'repeat'} of {name}"
        for row, good, name in zip(new.tolist(), done.tolist(), names, strict=True)
    }
    return Part(Verdicts.join(verdicts), (), additions, cells, marks, group)


def _unreached(task: Task, lacks: Ints, there: Ints) -> list[str]:
    empty = np.flatnonzero((lacks > 0) & (there == 0))
    return [f"{task.groups.names[g]} cannot grow: none of its samples can be read" for g in empty[:1].tolist()]


def _worn(task: Task, lacks: Ints, there: Ints, method: str) -> list[str]:
    """Say where few samples are used very often: what is learned of them is learned by heart."""
    times = np.divide(lacks, there, out=np.zeros(len(lacks)), where=there > 0)
    worst = int(np.argmax(times))
    if times[worst] < OFTEN:
        return []
    return [
        f"{task.groups.names[worst]}: {there[worst]:,} real samples for {lacks[worst]:,} made by {method}; "
        "more real ones would do more"
    ]
