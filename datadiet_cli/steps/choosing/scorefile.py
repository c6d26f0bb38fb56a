"""Scores of training samples as a file: choose again by another share without a training, or score in shards.

A Parquet file with a row for each sample: its ``id``, its ``label`` if there are labels, and a Float64 column for each
score, null where a sample has none. What it is of stands as JSON in the key-value metadata of the file, under
``datadiet``, with a digest of the table.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.config.words import LONGEST_SHOWN
from datadiet_cli.errors import InputError
from datadiet_cli.steps.choosing.scoretable import read_table, table_bytes, texts_of

if TYPE_CHECKING:
    import polars as pl

SCORES = ".scores.parquet"
"""How the name of the file ends."""
VERSION = 1
NAMED = 5
"""Samples that an error names."""

_HEAD = ("id", "label")
_OWN = {"seeds", "samples_seen"}
"""What each shard has its own of: of seeds all count, of samples seen in training the sum."""
_THINGS = {
    "fingerprint": "datasets",
    "digest": "samples or labels",
    "kind": "kinds of data",
    "task": "tasks",
    "model": "models",
    "recipe": "recipes",
    "datadiet": "versions of datadiet",
    "epochs": "numbers of epochs",
    "folds": "numbers of folds",
    "window": "windows",
    "score_epoch": "epochs",
}
"""What two files are of different ones of, by the key of the provenance; others are called by their key."""


@dataclass(frozen=True, eq=False)
class Scores:
    """What each training sample is worth by one score or several, and what that rests on.

    Attributes:
        ids: (n,) one per sample, all different.
        labels: (n,) names of classes, or numbers as text; None without labels.
        values: by score, such as ``el2n``, and ``confidence``: (n,) float64, finite; NaN where a sample has none.
        provenance: JSON values. ``seeds`` is the list of the seeds of the models that scores are the mean of; two
            files whose provenance is the same in all else, but for the number of ``samples_seen``, are shards of one
            scoring.
    """

    ids: list[str]
    labels: list[str] | None
    values: Mapping[str, NDArray[np.float64]]
    provenance: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the models, sorted; empty where no model was trained."""
        return tuple(sorted(self.provenance.get("seeds", ())))


def to_bytes(scores: Scores) -> bytes:
    """The scores as a Parquet file; the same bytes for the same scores.

    Raises:
        ValueError: ids are doubled, columns are not of one length or infinite, a score has no name of its own, or the
            provenance is no JSON.
    """
    _check(scores)
    labels = {} if scores.labels is None else {"label": scores.labels}
    told = {
        "scores_version": VERSION,
        "scores": list(scores.values),
        "digest": _digest(scores),
        "provenance": dict(scores.provenance),
    }
    return table_bytes({"id": scores.ids, **labels}, scores.values, told)


def read(path: str) -> Scores:
    """Read scores.

    Raises:
        InputError: the file is not there, is no Parquet, holds no scores or those of another version, or is damaged.
    """
    import polars as pl

    frame, told = read_table(path)
    if told.get("scores_version") is None:
        raise InputError(f"{path}: holds no scores of datadiet; name an OUTPUT{SCORES} of select-samples")
    if told["scores_version"] != VERSION:
        raise InputError(f"{path}: holds scores of version {told['scores_version']}; compute them again")
    try:
        scores = _of_frame(frame, told)
        _check(scores)
        whole = told["digest"] == _digest(scores)
    except (ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: is damaged: {error}; compute the scores again") from error
    if not whole:
        raise InputError(f"{path}: was changed or damaged after it was written; compute the scores again")
    return scores


def merged(parts: Sequence[tuple[str, Scores]]) -> Scores:
    """The scores of all models of several shards, in whatever order they come: the mean, each model counting once.

    A sample that has no score in some shards gets the mean of the others.

    Args:
        parts: one or more, each with its path.

    Raises:
        InputError: the parts are not of one scoring, or a model is in two of them.
        ValueError: there are no parts.
    """
    if not parts:
        raise ValueError("there is nothing to merge")
    if len(parts) == 1:
        return parts[0][1]
    ordered = sorted(parts, key=lambda part: (part[1].seeds, part[0]))
    (first_path, first), *others = ordered
    for path, scores in others:
        _check_alike(first_path, first, path, scores)
    _check_seeds(ordered)
    aligned = [first, *(matched(scores, first.ids, first.labels, path) for path, scores in others)]
    weights = [len(scores.seeds) for scores in aligned]
    values = {name: _mean([scores.values[name] for scores in aligned], weights) for name in first.values}
    seeds = sorted(seed for scores in aligned for seed in scores.seeds)
    told = {key: value for key, value in first.provenance.items() if key not in _OWN} | {"seeds": seeds}
    seen: list[Any] = [scores.provenance.get("samples_seen") for scores in aligned]
    if all(type(count) is int for count in seen):
        told["samples_seen"] = sum(seen)
    return replace(first, values=values, provenance=told)


def matched(scores: Scores, ids: Sequence[str], labels: Sequence[str] | None, path: str) -> Scores:
    """The scores in the order of these samples, which must be all that there are scores of, with the same labels.

    Args:
        scores: as read.
        ids: (n,) of the samples to choose from.
        labels: (n,) as `Scores.labels`; not looked at where the scores were made without labels.
        path: of the file, for the message.

    Raises:
        InputError: samples have no score, scores have no sample, labels have changed, or ids are doubled.
    """
    row_of = {name: row for row, name in enumerate(scores.ids)}
    wanted = set(ids)
    if len(wanted) < len(ids):
        raise InputError(f"{path}: cannot be told apart: {_samples(_doubled(ids), 'shares its', 'share their')} id")
    without = [name for name in ids if name not in row_of]
    extra = [name for name in scores.ids if name not in wanted]
    found = (
        _samples(without, "has no score", "have no score"),
        _samples(extra, "that has a score is not there", "that have a score are not there"),
        _samples(_relabelled(scores, row_of, ids, labels), "has another label now", "have another label now"),
    )
    problems = [problem for problem in found if problem]
    if problems:
        raise InputError(f"{path}: of other data: {', '.join(problems)}; compute the scores again")
    rows = np.fromiter((row_of[name] for name in ids), dtype=np.int64, count=len(ids))
    return Scores(
        ids=list(ids),
        labels=None if scores.labels is None else [scores.labels[row] for row in rows.tolist()],
        values={name: column[rows] for name, column in scores.values.items()},
        provenance=scores.provenance,
    )


def _check(scores: Scores) -> None:
    """Refuse what cannot be scores."""
    doubled = _doubled(scores.ids)
    if doubled:
        raise ValueError(f"the id {doubled[0]!r} is there twice")
    if not scores.values or any(not name or name in _HEAD for name in scores.values):
        raise ValueError("there must be scores, and none is called id or label")
    columns: list[Sized] = [scores.ids, *([] if scores.labels is None else [scores.labels]), *scores.values.values()]
    if len({len(column) for column in columns}) > 1:
        raise ValueError("not every column has a value for each sample")
    for name, column in scores.values.items():
        if np.isinf(column).any():
            raise ValueError(f"{name} is infinite")
    seeds = scores.provenance.get("seeds", [])
    if not isinstance(seeds, list | tuple) or not all(type(seed) is int for seed in seeds):
        raise ValueError("seeds must be whole numbers")
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed is there twice")


def _digest(scores: Scores) -> str:
    """Of all that the table holds."""
    digest = xxhash.xxh3_128()
    for texts in (scores.ids, scores.labels or ()):
        encoded = "\0".join(texts).encode("utf-8", "surrogatepass")
        digest.update(f"{len(texts)} {len(encoded)}\n".encode())
        digest.update(encoded)
    for name, column in scores.values.items():
        digest.update(f"{name}\n".encode("utf-8", "surrogatepass"))
        # There are many NaNs and two zeros, and a file may hold any of them.
        digest.update((np.where(np.isnan(column), np.nan, column) + 0.0).astype("<f8").tobytes())
    return digest.hexdigest()


def _of_frame(frame: "pl.DataFrame", told: Mapping[str, Any]) -> Scores:
    import polars as pl

    there = [name for name in _HEAD if name in frame.columns]
    names = list(told["scores"])
    if frame.columns != [*there, *names] or any(frame.schema[name] != pl.Float64 for name in names):
        raise ValueError("its columns are not those that were written")
    texts = {name: texts_of(frame[name], told) for name in there}
    values = {name: frame[name].fill_null(np.nan).to_numpy().copy() for name in names}
    return Scores(texts["id"], texts.get("label"), values, dict(told["provenance"]))


def _check_alike(path: str, scores: Scores, other_path: str, other: Scores) -> None:
    """Refuse files that are not of one scoring."""
    one, two = scores.provenance, other.provenance
    for key in [*_THINGS, *sorted({*one, *two} - {*_THINGS, *_OWN})]:
        if one.get(key) != two.get(key):
            values = " and ".join(json.dumps(told.get(key), sort_keys=True) for told in (one, two))
            said = f" ({values})" if len(values) <= LONGEST_SHOWN and key not in ("fingerprint", "digest") else ""
            things = _THINGS.get(key, f"values of {key}")
            raise InputError(f"{path} and {other_path} are of different {things}{said}; shards differ in seeds only")
    if set(scores.values) != set(other.values):
        shown = [", ".join(sorted(each.values)) for each in (scores, other)]
        raise InputError(f"{path} and {other_path} are of different scores ({shown[0]}; {shown[1]})")
    if (scores.labels is None) != (other.labels is None):
        raise InputError(f"{path} and {other_path} are of different samples or labels; shards differ in seeds only")


def _check_seeds(parts: Sequence[tuple[str, Scores]]) -> None:
    """Refuse a model that is in two files, and files that no model is in."""
    seen: dict[int, str] = {}
    for path, scores in parts:
        if not scores.seeds:
            raise InputError(f"{path}: holds scores that took no training, so there is nothing to average")
        for seed in scores.seeds:
            if seed in seen:
                raise InputError(f"{seen[seed]} and {path} both hold the model of seed {seed}; name each shard once")
            seen[seed] = path


def _mean(columns: Sequence[NDArray[np.float64]], weights: Sequence[int]) -> NDArray[np.float64]:
    """The weighted mean of what is there; NaN where nothing is."""
    total, weight = np.zeros(len(columns[0])), np.zeros(len(columns[0]))
    for column, each in zip(columns, weights, strict=True):
        there = ~np.isnan(column)
        total[there] += each * column[there]
        weight += each * there
    mean: NDArray[np.float64] = np.divide(total, weight, out=np.full(len(total), np.nan), where=weight > 0)
    return mean


def _relabelled(
    scores: Scores, row_of: Mapping[str, int], ids: Sequence[str], labels: Sequence[str] | None
) -> list[str]:
    """Samples whose label is not what it was when they were scored."""
    if scores.labels is None:
        return []
    past, now = scores.labels, labels if labels is not None else [None] * len(ids)
    return [
        f"{name}: {past[row_of[name]]}, now {'none' if label is None else label}"
        for name, label in zip(ids, now, strict=True)
        if name in row_of and past[row_of[name]] != label
    ]


def _doubled(ids: Sequence[str]) -> list[str]:
    """Ids that are there more than once."""
    return [name for name, count in Counter(ids).items() if count > 1]


def _samples(names: Sequence[str], one: str, many: str) -> str:
    """How many samples it holds of, and some of them; nothing for none."""
    if not names:
        return ""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    said = f"sample {one}" if len(names) == 1 else f"samples {many}"
    return f"{len(names):,} {said} ({', '.join(names[:NAMED])}{more})"
