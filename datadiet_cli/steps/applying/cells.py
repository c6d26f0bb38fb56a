"""Missing cells get the values, and numbers the scale, that were learned from other rows."""

import numpy as np

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.methods.scaling import Scaling
from datadiet_cli.methods.scaling import apply as scaled
from datadiet_cli.outcome import Action, Changes, Outcome, Verdicts
from datadiet_cli.steps.applying.documents import Imputed, OfCells
from datadiet_cli.steps.noise.row_columns import Column, read_columns
from datadiet_cli.steps.noise.row_texts import Manner, manner_of, scaled_texts

_DIGITS = 16
_NAMED = 5


def change_cells(dataset: Dataset, document: OfCells) -> Outcome:
    """Put in and scale.

    Args:
        dataset: of a table that has the columns.
        document: what was learned.
    """
    names = list(dict.fromkeys([*document.impute, *document.scale.columns]))
    numeric = {name for name, told in document.impute.items() if told.kind == "number"} | set(document.scale.columns)
    columns = read_columns(dataset, names, numeric)
    put_in = {name: _put_in(columns[name], told) for name, told in document.impute.items()}
    texts = {name: dict(given) for name, given in put_in.items()}
    for name, told in document.scale.columns.items():
        texts[name] = texts.get(name, {}) | _scaled(
            columns[name], texts.get(name, {}), Scaling(told.centre, told.scale)
        )
    rows = dataset.rows.tolist()
    cells = {name: {rows[place]: text for place, text in new.items()} for name, new in texts.items() if new}
    return Outcome(
        _verdicts(dataset, put_in),
        {
            "imputed": {name: len(given) for name, given in put_in.items() if given},
            "scaled": list(document.scale.columns),
            "notes": _notes(document, put_in),
        },
        changes=Changes(cells=cells),
    )


def _put_in(column: Column, told: Imputed) -> dict[int, str]:
    """The texts of the missing cells, by position."""
    if told.value is None:
        return {}
    value = told.value
    if not isinstance(value, str):
        least = manner_of(column, column.known).least if column.numbers is not None and column.known.any() else 0
        value = Manner(whole=False, most=_DIGITS, least=least).text(value)
    return dict.fromkeys(np.flatnonzero(~column.known).tolist(), value)


def _scaled(column: Column, put_in: dict[int, str], scaling: Scaling) -> dict[int, str]:
    """The texts of all numbers on their new scale, by position."""
    if column.numbers is None and not put_in:
        return {}
    numbers = np.full(len(column.known), np.nan) if column.numbers is None else column.numbers.copy()
    numbers[list(put_in)] = [float(text) for text in put_in.values()]
    places = np.flatnonzero(np.isfinite(numbers))
    return dict(zip(places.tolist(), scaled_texts(scaled(scaling, numbers[places])).to_list(), strict=True))


def _verdicts(dataset: Dataset, put_in: dict[str, dict[int, str]]) -> Verdicts:
    by_place: dict[int, dict[str, str]] = {}
    for name, given in put_in.items():
        for place, text in given.items():
            by_place.setdefault(place, {})[name] = text
    places = sorted(by_place)
    words = [
        "put in: " + ", ".join(f"{name} {text}" for name, text in list(by_place[place].items())[:_NAMED])
        for place in places
    ]
    evidence = [{"columns": by_place[place]} for place in places]
    return Verdicts.of(dataset.rows[places], Action.IMPUTE, "missing", detail=words, evidence=evidence)


def _notes(document: OfCells, put_in: dict[str, dict[int, str]]) -> list[str]:
    alone = [name for name, told in document.impute.items() if told.by == "knn" and put_in[name]]
    if not alone:
        return []
    by = "; ".join(f"{name}: the {document.impute[name].otherwise}" for name in alone)
    return [f"the neighbours that values came from are not at hand; what was put in instead: {by}"]
