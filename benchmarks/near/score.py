"""How good an answer about copies is, where it is known which files show the same picture."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePath

VARIANTS = "exact resize50 resize25 q40 png bright gray watermark crop5 crop20 rotate3 rotate90 mirror exif".split()
"""The variants that `make.py` plants, in the order of tables."""
ORIGINALS = ("original", "orig")

Shown = tuple[int, str]
"""The number of the picture that a file shows, and which variant of it."""
Groups = list[list[str]]


@dataclass(frozen=True)
class Score:
    """What an answer is worth.

    Attributes:
        recall: for each variant, the share of files that are in one group with their original.
        found: that share of all variants.
        precision: the share of reported pairs that show one picture; 1 for none reported.
        wrong: reported pairs that do not.
        lost: pictures that would be lost if only one file of each group stayed.
        pictures: different pictures in all.
    """

    recall: dict[str, float]
    found: float
    precision: float
    wrong: int
    lost: int
    pictures: int


def truth_of(folder: Path) -> Path:
    """Where the truth about a folder of pictures lies."""
    return folder.with_name(folder.name + ".truth.json")


def read_truth(folder: Path) -> dict[str, Shown]:
    """What every file of a folder shows, by its name."""
    shown = json.loads(truth_of(folder).read_text())
    return {name: (int(number), str(variant)) for name, (number, variant) in shown.items()}


def joined(groups: Iterable[Sequence[str]]) -> Groups:
    """Join groups, or pairs, that share a member; sorted, whatever the order of the answer."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for group in groups:
        for name in group:
            parent[root(name)] = root(group[0])
    members = defaultdict(list)
    for name in sorted(parent):
        members[root(name)].append(name)
    return sorted(members.values())


def score(answer: Iterable[Sequence[str]], truth: Mapping[str, Shown], pairs_only: bool = False) -> Score:
    """Hold an answer against the truth.

    Args:
        answer: groups of paths or names; those that share a member are joined.
        truth: what every file shows; files it does not name are passed over.
        pairs_only: the tool reports pairs and no groups, so that only these count for the precision.
    """
    named = [[name for name in (PurePath(path).name for path in group) if name in truth] for group in answer]
    groups = joined(group for group in named if group)
    group_of = {name: number for number, group in enumerate(groups) for name in group}
    together = {pair for group in (named if pairs_only else groups) for pair in combinations(sorted(set(group)), 2)}
    wrong = sum(truth[one][0] != truth[other][0] for one, other in together)
    found = defaultdict(list)
    originals = {number: name for name, (number, variant) in truth.items() if variant in ORIGINALS}
    for name, (number, variant) in truth.items():
        if number in originals and variant not in ORIGINALS:
            same = group_of.get(name, -1) == group_of.get(originals[number], -2)
            found[variant].append(same)
    every = [one for some in found.values() for one in some]
    return Score(
        recall={variant: sum(some) / len(some) for variant, some in found.items()},
        found=sum(every) / max(1, len(every)),
        precision=1 - wrong / max(1, len(together)),
        wrong=wrong,
        lost=sum(len({truth[name][0] for name in group}) - 1 for group in groups),
        pictures=len({number for number, _ in truth.values()}),
    )


def gone(dropped: Iterable[str], truth: Mapping[str, Shown]) -> int:
    """Pictures of which no file remains when these are dropped."""
    dropped = {PurePath(path).name for path in dropped}
    return len({number for number, _ in truth.values()} - {truth[name][0] for name in truth if name not in dropped})
