"""Print what pruning costs in accuracy, beside the figures of an independent implementation and of peers."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from prune_facts import print_facts

Row = dict[str, Any]
REFERENCE = json.loads(Path(__file__).with_name("prune_reference.json").read_text())
STAGES = ("pruned", "re-estimated", "fine-tuned")
MATCHED = "datadiet, with a share of which a peer comes near"
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
_SEEDS = 5
"""Of the independent implementation."""


def print_all(rows: Sequence[Row]) -> bool:
    """Print all tables and facts; whether all facts hold in all seeds."""
    if not rows:
        print("there are no figures")
        return False
    count = Count()
    for net in ("cnn", "mlp"):
        print(f"\n## {net}\n")
        dense = [row for row in rows if (row["net"], row["part"]) == (net, "dense")]
        for way in dict.fromkeys(row["way"] for row in dense):
            print(f"- dense, {way}: {told(spread([row['fine-tuned'] for row in dense if row['way'] == way]))}")
        for stage in STAGES:
            if net == "cnn" or stage != "re-estimated":
                known = REFERENCE[stage][net]
                print_table(rows, f"{net}, weights, {stage}", (net, "weights", stage), known, count)
        print_table(
            rows,
            f"{net}, first weights, then trained",
            (net, "first", STAGES[2]),
            REFERENCE["at the start"][net],
            count,
        )
    for stage in STAGES:
        known = {way: [[value, None] for value in line] for way, line in REFERENCE["channels"][stage].items()}
        print_table(rows, f"cnn, channels, {stage}", ("cnn", "channels", stage), known, count)
    print_table(rows, "cnn, channels, share of the operations left", ("cnn", "channels", "macs"), {}, Count(), 100)
    print(f"\n{count.met} of {count.cells} cells meet the interval of the independent implementation.")
    print("\n".join(REFERENCE["about"]))
    print_peers(rows)
    return print_facts(rows)


class Count:
    """Of the cells that were compared, those that meet the other's interval."""

    def __init__(self) -> None:
        self.met = self.cells = 0


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half of the 95 % t-interval; not a number for less than two."""
    n = len(values)
    if n < 2:
        return (float(np.mean(values)) if n else math.nan), math.nan
    return float(np.mean(values)), T_95.get(n, 1.96) * float(np.std(values, ddof=1)) / math.sqrt(n)


def told(found: tuple[float, float], write: str = ".1f") -> str:
    mean, half = found
    return f"{mean:{write}}" + ("" if math.isnan(half) else f" ± {half:{write}}")


def print_table(
    rows: Iterable[Row],
    title: str,
    what: tuple[str, str, str],
    known: dict[str, list[list[float] | None]],
    count: Count,
    scale: float = 1.0,
) -> None:
    """A row for each way and a column for each amount; after the slash, what the independent implementation has."""
    net, part, stage = what
    own = [row for row in rows if (row["net"], row["part"]) == (net, part) and row["by"] == "datadiet" and stage in row]
    amounts = sorted({row["amount"] for row in own})
    if not own:
        return
    print(f"\n### {title}\n\n| | " + " | ".join(f"{amount:.0%}" for amount in amounts) + " |")
    print("|---|" + "---:|" * len(amounts))
    for way in dict.fromkeys(row["way"] for row in own):
        others = known.get(way, [])
        line = []
        for amount in amounts:
            values = [scale * row[stage] for row in own if (row["way"], row["amount"]) == (way, amount)]
            # Known figures of first weights begin with an amount that is not measured.
            place = len(others) - len(amounts) + amounts.index(amount)
            line.append(cell(values, others[place] if others else None, count))
        print(f"| {way} | " + " | ".join(line) + " |")


def cell(values: Sequence[float], other: Sequence[float | None] | None, count: Count) -> str:
    """Mean and interval; in brackets if it does not meet the other's. Where its spread is not known, ours is taken."""
    found = spread(values)
    text = told(found)
    if other is None or other[0] is None:
        return text
    mean, half = found
    if not math.isnan(half):
        width = half if other[1] is None else T_95[_SEEDS] * other[1] / math.sqrt(_SEEDS)
        # The other's figures are rounded to a tenth.
        met = abs(mean - other[0]) <= half + width + 0.05
        count.met, count.cells = count.met + met, count.cells + 1
        text = text if met else f"({text})"
    return f"{text} / {other[0]:.1f}"


def print_peers(rows: Sequence[Row]) -> None:
    """How many points datadiet is above peers, in the same seeds, at the same sparsity or number of operations."""
    theirs = [row for row in rows if row.get("by", "datadiet") not in ("datadiet", MATCHED)]
    ours = {_key(row): row for by in ("datadiet", MATCHED) for row in rows if row.get("by") == by}
    for peer in dict.fromkeys(row["by"] for row in theirs):
        own = [row for row in theirs if row["by"] == peer]
        print(f"\n### points above {peer}\n\n| | amount | pruned | re-estimated | fine-tuned | its operations |")
        print("|---|---:|---:|---:|---:|---:|")
        for net, way, amount in dict.fromkeys((row["net"], row["way"], row["amount"]) for row in own):
            some = [row for row in own if (row["net"], row["way"], row["amount"]) == (net, way, amount)]
            pairs = [(ours[_key(row)], row) for row in some if _key(row) in ours]
            gaps = [told(spread([one[stage] - other[stage] for one, other in pairs])) for stage in STAGES]
            costs = [other["macs"] / one["macs"] - 1 for one, other in pairs if "macs" in other]
            cost = f"{min(costs):+.1%} to {max(costs):+.1%}" if costs else ""
            print(f"| {net}: {way} | {amount:.0%} | " + " | ".join(gaps) + f" | {cost} |")


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("seed", "net", "part", "way", "amount"))
