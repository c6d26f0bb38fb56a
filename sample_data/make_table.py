"""The table of the sample data, from scikit-learn, and the faults planted in its rows."""

from dataclasses import dataclass, field

import numpy as np
from sklearn.datasets import load_wine

DECIMALS = (2, 2, 2, 1, 0, 2, 2, 2, 2, 2, 3, 2, 0)
"""Digits after the point that each column of the source is written with."""
EXACT, NEAR, MISSING, OUTLIERS, FLIPPED = 12, 10, 15, 6, 8
BODY, LABEL = "body", "cultivar"


@dataclass
class Row:
    """One record: its cells as text, and what was planted in it; `of` is the row it is a copy of."""

    cells: dict[str, str]
    fault: str | None = None
    of: "Row | None" = None
    more: dict[str, str] = field(default_factory=dict)


def body(alcohol: float) -> str:
    """The wine's body, by common shop words for its alcohol in per cent by volume."""
    if alcohol < 12.5:
        return "light"
    return "medium" if alcohol < 13.5 else "full, 13.5 % or more"


def wines() -> list[Row]:
    """The source, one row a wine."""
    source = load_wine()
    names = [name.removesuffix("_of_diluted_wines").replace("/", "_") for name in source.feature_names]
    rows = []
    for values, target in zip(source.data.tolist(), source.target.tolist(), strict=True):
        cells = {n: f"{v:.{d}f}" for n, v, d in zip(names, values, DECIMALS, strict=True)}
        rows.append(Row({**cells, BODY: body(values[0]), LABEL: str(source.target_names[target])}))
    return rows


def near_copy(row: Row, numbers: list[str], rng: np.random.Generator, retype: bool) -> Row:
    """A copy with five numbers changed by less than one part in a million, and perhaps words retyped."""
    cells = dict(row.cells)
    for name in rng.choice(numbers, 5, replace=False).tolist():
        factor = 1 + rng.uniform(1e-7, 9e-7) * rng.choice([-1, 1])
        cells[name] = f"{float(cells[name]) * factor:.10g}"
    how = "five numbers changed by less than 1e-6 of their size"
    if retype:
        cells[BODY] = cells[BODY].upper() + " "
        how += f"; {BODY} in capitals, with a blank behind it"
    return Row(cells, "near-duplicate", row, {"how": how})


def spoil(row: Row, fault: str, numbers: list[str], classes: list[str], rng: np.random.Generator) -> None:
    """Plant a fault in the row itself."""
    row.fault = fault
    if fault == "missing":
        column = str(rng.choice([*numbers, BODY]))
        row.cells[column] = ""
        row.more = {"columns": column}
    elif fault == "outlier":
        columns = sorted(rng.choice(numbers, 3, replace=False).tolist())
        for column in columns:
            text = row.cells[column]
            row.cells[column] = f"{float(text) * 10:.{len(text.partition('.')[2])}f}"
        row.more = {"columns": " ".join(columns), "how": "ten times too large"}
    else:
        row.more = {"true_label": row.cells[LABEL]}
        row.cells[LABEL] = str(rng.choice([c for c in classes if c != row.cells[LABEL]]))


def make_table(rng: np.random.Generator) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The records in their shuffled order, and what was planted in them; no wine is used for two faults."""
    rows = wines()
    numbers = [name for name in rows[0].cells if name not in (BODY, LABEL)]
    classes = sorted({row.cells[LABEL] for row in rows})
    drawn = iter([rows[i] for i in rng.permutation(len(rows))])
    for fault, count in (("missing", MISSING), ("outlier", OUTLIERS), ("flipped-label", FLIPPED)):
        for _ in range(count):
            spoil(next(drawn), fault, numbers, classes, rng)
    copies = [Row(dict(row.cells), "exact-duplicate", row) for row in (next(drawn) for _ in range(EXACT))]
    copies += [near_copy(next(drawn), numbers, rng, retype=i % 2 == 0) for i in range(NEAR)]
    rows += copies
    shuffled = [rows[i] for i in rng.permutation(len(rows))]
    place = {id(row): str(number) for number, row in enumerate(shuffled)}
    truth = []
    for row in shuffled:
        if row.fault:
            of = {"of": place[id(row.of)]} if row.of else {}
            truth.append({"id": place[id(row)], "fault": row.fault, **of, **row.more})
    return [row.cells for row in shuffled], truth
