"""Copies across the splits of CIFAR-10, as people judged them: recall and precision of each way to find them.

DATA is a folder with train/, test/ and cifair_duplicates.csv: pairs of pictures that the authors of ciFAIR (Barz and
Denzler, "Do we train on test data? Purging CIFAR of near-duplicates", 2020) looked at, with what they said. They looked
at the nearest pictures of each test picture only, as a network sees them. So of a pair that is not listed nobody said
that it is none; the pairs are counted in kinds:

- near: judged a near-duplicate; these should be found, recall is their share.
- similar: judged very similar, another picture all the same; found ones are counted as wrong.
- implied: not listed, but joined by a chain of near-duplicates.
- other: not listed, one of them a test picture. People said that they are none, or were shown a nearer one instead:
  a picture that occurs many times has many such pairs. Counted as wrong.
- unjudged: not listed, both training pictures, at which nobody ever looked. Counted neither way.

The least precision is (near + implied) / (near + implied + similar + other): what it must be if all others are wrong.
Among the judged it is near / (near + similar), which knows nothing of the rest. The truth lies between; --sheet writes
a picture of the others that datadiet takes at its fast level, to look at.

The pictures have 32 x 32 pixels, which is less than what the confirmation of photographs is made for.
"""

import argparse
import csv
import json
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from measure import DATADIET, run
from near.score import joined

NEAR, SIMILAR, IMPLIED, OTHER, UNJUDGED = "near", "similar", "implied", "other", "unjudged"
KINDS = (NEAR, SIMILAR, IMPLIED, OTHER, UNJUDGED)
PRECISIONS = (0.99, 0.95, 0.9, 0.8)
REACH_OF_HASHES = 16
REACH_OF_VECTORS = 0.75

Row = Mapping[str, Any]
Pair = frozenset[str]


@dataclass(frozen=True)
class Way:
    """A way to find copies.

    Attributes:
        name: how it is called.
        flags: what it adds to the command.
        likeness: how alike two pictures are by it, the larger the more; None for pairs that it would never take.
        steps: likenesses to tell of.
        says: how such a likeness is told.
        decides: whether what it decides by itself is told as well.
    """

    name: str
    flags: Sequence[str]
    likeness: Callable[[Row], float | None]
    steps: Sequence[float]
    says: str
    decides: bool = True


class Judged:
    """The pairs that people judged."""

    def __init__(self, path: Path) -> None:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        self.kind = {
            frozenset((row["file_a"], row["file_b"])): NEAR if row["judgment"] == "1" else SIMILAR for row in rows
        }
        groups = joined(sorted(pair) for pair, kind in self.kind.items() if kind == NEAR)
        self.group_of = {name: number for number, group in enumerate(groups) for name in group}
        self.near = sum(kind == NEAR for kind in self.kind.values())
        self.similar = len(self.kind) - self.near

    def kind_of(self, pair: Pair) -> str:
        """Which kind of pair it is, one of `KINDS`."""
        if pair in self.kind:
            return self.kind[pair]
        one, other = pair
        if one in self.group_of and self.group_of[one] == self.group_of.get(other):
            return IMPLIED
        return OTHER if one.startswith("test/") or other.startswith("test/") else UNJUDGED


def least_precision(count: Mapping[str, int]) -> float:
    return _share(count[NEAR] + count[IMPLIED], count[SIMILAR] + count[OTHER])


def precision_among_judged(count: Mapping[str, int]) -> float:
    return _share(count[NEAR], count[SIMILAR])


def _share(right: int, wrong: int) -> float:
    return right / (right + wrong) if right + wrong else 1.0


def _of_hash(row: Row) -> float:
    return -float(row["distance"])


def _of_detail(row: Row) -> float | None:
    """The agreement of pictures whose hashes are near enough; where none was measured, the pixels are equal."""
    if row["distance"] > row["threshold"]:
        return None
    return 1.0 if row["agreement"] is None else float(row["agreement"])


def _of_vectors(row: Row) -> float:
    return 1 - float(row["distance"])


FLOORS = (0.3, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9)
COSINES = (0.95, 0.9, 0.88, 0.86, 0.84, 0.82, 0.8, 0.78)
ALONE = ("--no-verify", "--invariance", "none", "--max-distance", str(REACH_OF_HASHES))
WAYS = (
    Way("phash alone", ALONE, _of_hash, range(0, -REACH_OF_HASHES - 1, -2), "at most {:.0f} bits", decides=False),
    Way("datadiet, fast", ("--level", "fast"), _of_detail, FLOORS, "correlation {:.2f}"),
    Way("datadiet, thorough", ("--level", "thorough"), _of_detail, FLOORS, "correlation {:.2f}"),
    Way(
        "embedding, efficientnet-lite0",
        ("--method", "embedding", "--encoder", "efficientnet-lite0", "--similarity", str(REACH_OF_VECTORS)),
        _of_vectors,
        COSINES,
        "similarity {:.2f}",
        decides=False,
    ),
)


def compared(data: Path, way: Way) -> list[dict[str, Any]]:
    """The pairs that a run compared.

    Raises:
        SystemExit: it failed, or compared too many pairs to tell them.
    """
    flags = ["--dry-run", "--json", "--no-cache", "-q", *way.flags]
    report = json.loads(run([*DATADIET, "dedup", data, *flags]).output)
    block = report["comparisons"]
    if block is None:
        raise SystemExit("the report tells no comparisons")
    rows = [dict(zip(block["columns"], pair, strict=True)) for pair in block["pairs"]]
    for row in rows:
        row["threshold"], row["floor"] = block["threshold"], block["floor"]
    return rows


def copies(rows: Sequence[Row]) -> list[Pair]:
    """The pairs that are copies by the settings of the run."""
    return [
        frozenset((row["id"], row["other"]))
        for row in rows
        if row["distance"] <= row["threshold"]
        and row["confirmed"] != 0
        and (row["agreement"] is None or row["floor"] is None or row["agreement"] >= row["floor"])
    ]


def line(name: str, setting: str, count: Mapping[str, int], judged: Judged) -> str:
    shares = count[NEAR] / judged.near, least_precision(count), precision_among_judged(count)
    figures = [*(str(count[kind]) for kind in KINDS), *(f"{share:.3f}" for share in shares)]
    return f"| {name} | {setting} | {' | '.join(figures)} |"


def ranked(way: Way, rows: Sequence[Row], judged: Judged) -> list[tuple[float, str]]:
    """Pairs that the way may take, the most alike first: the negated likeness, and the kind."""
    found = []
    for row in rows:
        likeness = way.likeness(row)
        if likeness is not None and row["confirmed"] != 0:
            found.append((-likeness, judged.kind_of(frozenset((row["id"], row["other"])))))
    return sorted(found)


def sweep(way: Way, rows: Sequence[Row], judged: Judged) -> None:
    """Print the counts at each step."""
    if way.decides:
        decided = Counter(judged.kind_of(pair) for pair in copies(rows))
        print(line(way.name, "**as it decides**", decided, judged))
    pairs = ranked(way, rows, judged)
    for step in way.steps:
        count = Counter(kind for _, kind in pairs[: bisect_right(pairs, -step, key=itemgetter(0))])
        print(line(way.name, way.says.format(abs(step)), count, judged))
    sys.stdout.flush()


def best_recalls(pairs: Sequence[tuple[float, str]], judged: Judged, of: Callable[[Mapping[str, int]], float]) -> str:
    """The largest recall at each precision, as cells of a table."""
    best = dict.fromkeys(PRECISIONS, 0.0)
    count: Counter[str] = Counter()
    # Pairs as alike as each other are taken together or not at all.
    for _, group in groupby(pairs, key=itemgetter(0)):
        count.update(kind for _, kind in group)
        for least in PRECISIONS:
            if of(count) >= least:
                best[least] = max(best[least], count[NEAR] / judged.near)
    return " | ".join(f"{recall:.3f}" for recall in best.values())


def write_sheet(path: Path, data: Path, pairs: Sequence[Pair]) -> None:
    """Paste pairs into one picture, eight a row."""
    from PIL import Image

    sheet = Image.new("RGB", (8 * 140, 70 * -(-max(1, len(pairs)) // 8)))
    for place, pair in enumerate(pairs):
        for side, name in enumerate(sorted(pair)):
            with Image.open(data / name) as picture:
                sheet.paste(picture.resize((64, 64)), (place % 8 * 140 + side * 66, place // 8 * 70))
    sheet.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/, test/, cifair_duplicates.csv")
    parser.add_argument("--sheet", type=Path, help="write the pairs of the kind `other` into this PNG file")
    args = parser.parse_args()
    judged = Judged(args.data / "cifair_duplicates.csv")
    print(f"## CIFAR-10: {judged.near} pairs judged near-duplicates, {judged.similar} very similar\n")
    print(f"| way | setting | {' | '.join(KINDS)} | recall | least precision | among the judged |")
    print(f"|---|---|{'---:|' * (len(KINDS) + 3)}")
    lines, absent = [], {}
    for way in WAYS:
        try:
            rows = compared(args.data, way)
        except SystemExit as problem:
            absent[way.name] = str(problem).partition(":")[0]
            continue
        sweep(way, rows, judged)
        pairs = ranked(way, rows, judged)
        lines += [
            f"| {way.name} | least | {best_recalls(pairs, judged, least_precision)} |",
            f"| {way.name} | among the judged | {best_recalls(pairs, judged, precision_among_judged)} |",
        ]
        if args.sheet is not None and way is WAYS[1]:
            write_sheet(args.sheet, args.data, [pair for pair in copies(rows) if judged.kind_of(pair) == OTHER])
    print(
        f"\n| recall at a precision of | | {' | '.join(map(str, PRECISIONS))} |\n|---|---|{'---:|' * len(PRECISIONS)}"
    )
    print("\n".join(lines))
    for name, why in absent.items():
        print(f"\n{name} did not run: {why}")


if __name__ == "__main__":
    main()
