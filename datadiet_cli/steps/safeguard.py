"""The last sample of a class stays, whatever a step decided: class indices of a folder must not shift."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.outcome import Action, Verdicts


def keep_classes(dataset: Dataset, verdicts: Verdicts, rank: NDArray[np.int64]) -> Verdicts:
    """Turn a drop into a flag where it would take the last sample of a class in a split.

    A sample that shows several classes, as an image does its objects, counts for each. Labels of rows that hardly
    repeat (more classes than half the rows) are taken for numbers to predict, not for classes.

    Args:
        dataset: what the step was given.
        verdicts: what it decided.
        rank: by source row, the smallest is the best sample to keep.

    Returns:
        The verdicts, those that would empty a class changed to `Action.FLAG`, their detail saying so.
    """
    dropped = verdicts.dropped()
    numbers = dataset.kind == "row" and len(dataset.classes) * 2 > len(dataset)
    if not len(dropped) or numbers:
        return verdicts
    place, label, classes = dataset.memberships()
    # From 0 on: the class before the first is "unlabelled", the split before the first "none".
    group = (dataset.splits[place].astype(np.int64) + 1) * (len(classes) + 1) + label + 1
    gone = np.isin(dataset.rows, dropped)[place]
    lost, left = (np.bincount(group[part], minlength=int(group.max()) + 1) for part in (gone, ~gone))
    emptied = np.flatnonzero((lost > 0) & (left == 0))
    # To be without a label is no class: what counts is that the split has samples left.
    width = len(classes) + 1
    remain = np.add.reduceat(left, np.arange(0, len(left), width))
    emptied = emptied[(emptied % width > 0) | (remain[emptied // width] == 0)]
    saved: list[int] = []
    names: dict[int, str] = {}
    for key in emptied.tolist():
        members = dataset.rows[place[group == key]]
        best = int(members[np.argmin(rank[members])])
        code = key % (len(classes) + 1) - 1
        saved.append(best)
        names[best] = "the last sample" if code == UNKNOWN else f"the last sample of class {classes[code]}"
    if not saved:
        return verdicts
    action, detail = verdicts.action.copy(), verdicts.detail.copy()
    for position in np.flatnonzero(np.isin(verdicts.sample, saved) & (verdicts.action == Action.DROP)).tolist():
        action[position] = Action.FLAG
        kept = f"kept: {names[int(verdicts.sample[position])]}"
        detail[position] = f"{detail[position]}; {kept}" if detail[position] else kept
    return replace(verdicts, action=action, detail=detail)
