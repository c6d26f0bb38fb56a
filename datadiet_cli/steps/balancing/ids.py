"""Ids of new rows, in tables that have a column of them."""

from collections.abc import Sequence

from datadiet_cli.data.table import TableSource
from datadiet_cli.outcome import Addition
from datadiet_cli.steps.balancing.base import Task


def new_ids(task: Task, additions: Sequence[Addition]) -> dict[str, dict[int, str | None]]:
    """Cells for the id column: the next whole numbers where ids are such, else the parent's id with ``-new-1``."""
    source = task.dataset.source
    if not isinstance(source, TableSource) or source.id_column is None or not additions:
        return {}
    typed = source.file.typed([source.id_column]).to_series()
    if typed.dtype.is_integer():
        start = int(typed.max()) + 1  # type: ignore[arg-type]
        names = [str(start + i) for i in range(len(additions))]
    else:
        texts = source.file.texts([source.id_column]).to_series().to_list()
        names = _beside(["" if text is None else text for text in texts], [a.template for a in additions])
    first = task.first_new
    return {source.id_column: {first + i: name for i, name in enumerate(names)}}


def _beside(taken: Sequence[str], templates: Sequence[int]) -> list[str]:
    used, numbers = set(taken), dict.fromkeys(templates, 0)
    names = []
    for row in templates:
        while True:
            numbers[row] += 1
            name = f"{taken[row]}-new-{numbers[row]}"
            if name not in used:
                break
        used.add(name)
        names.append(name)
    return names
