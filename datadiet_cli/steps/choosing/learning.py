"""A training that scores samples, wherever it is sent: what is learned of them from its record and its model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from datadiet_cli.errors import ConfigError
from datadiet_cli.steps.choosing.base import STEP, Floats, Ints, Small
from datadiet_cli.steps.teaching.lessons import Lesson
from datadiet_cli.steps.teaching.material import Shown
from datadiet_cli.steps.teaching.recording import files_of, record_at
from datadiet_cli.steps.teaching.side_by_side import Tutor

if TYPE_CHECKING:
    from torch import nn

    from datadiet_cli.nn.record import Facts
    from datadiet_cli.nn.training import Fitted


class Course(NamedTuple):
    """Trainings of one material that score its samples.

    Attributes:
        tutor: teaches.
        lessons: what.
        observed: what each says something of; None for what it learns from.
        rooms: folders for checkpoints.
        folder: of the record.
        facts: of the record.
        stop: the epoch after which the gradients of all layers are wanted; None if they are not.
        looked_at: (m,) int64 positions of the samples of which it is wanted how the first model sees them, or None.
    """

    tutor: Tutor
    lessons: Sequence[Lesson]
    observed: Sequence[Ints | None]
    rooms: Sequence[str]
    folder: str
    facts: "Facts"
    stop: int | None
    looked_at: Ints | None


class Told(NamedTuple):
    """What a training told of n samples, besides its record.

    Attributes:
        samples_seen: in training, and for gradients.
        lengths: (n,) GraNd by all layers, NaN where it has none; None where it is not wanted.
        features: (m, d) float32, what its head is given; None where it is not wanted.
        files: its part of the record, where that could not be written in place.
    """

    samples_seen: int
    lengths: Floats | None
    features: Small | None
    files: Mapping[str, bytes]


def learn(numbers: Sequence[int], course: Course) -> list[Told]:
    """Train, and tell, wherever this runs."""
    return [_one(course, number) for number in numbers]


def _one(course: Course, number: int) -> Told:
    from datadiet_cli.nn.recorder import Recorder

    tutor, lesson, observed = course.tutor, course.lessons[number], course.observed[number]
    with tutor.at_work(), record_at(course.folder, course.facts) as record:
        recorder = Recorder(record, number)
        fitted = tutor.teach(lesson, course.rooms[number], recorder=recorder, observed=observed, whole=True)
        files = files_of(record, number, course.folder)
        lengths, more = (None, 0) if course.stop is None else _full(course, number, fitted)
        seen = None
        if course.looked_at is not None and not number:
            seen = features_by(fitted.model, lesson.material, course.looked_at, tutor.device)
    return Told(fitted.samples_seen + more, lengths, seen, files)


def _full(course: Course, number: int, fitted: "Fitted") -> tuple[Floats, int]:
    """GraNd by all layers, of a model as it was after the epoch that it looks at; and samples seen for it."""
    from datadiet_cli.nn.device import device_of
    from datadiet_cli.nn.gradients import full_gradient_norms
    from datadiet_cli.nn.training import frozen

    tutor, lesson, rows, seen = course.tutor, course.lessons[number], course.observed[number], 0
    if fitted.epochs != course.stop:
        fitted = tutor.teach(replace(lesson, recipe=replace(lesson.recipe, stop=course.stop)), None)
        seen = fitted.samples_seen
    rows = lesson.rows if rows is None else rows
    values = np.full(len(lesson.material.goal.values), np.nan)
    with frozen(fitted.model, lesson.recipe):
        shown = lesson.material.samples(rows)
        values[rows] = full_gradient_norms(fitted.model, shown, device=device_of(tutor.device))
    # A gradient costs about what learning from a sample does.
    return values, seen + len(rows)


def features_by(model: "nn.Module", shown: Shown, rows: Ints, device: str) -> Small:
    """(m, d) float32, what the head of a trained model is given of some samples.

    Raises:
        ConfigError: the model does not tell.
    """
    from datadiet_cli.nn.device import device_of
    from datadiet_cli.nn.predicting import features

    try:
        return features(model, shown.samples(rows), device=device_of(device))
    except ValueError as error:
        raise ConfigError(f"{STEP}: --space model: {error}") from error
