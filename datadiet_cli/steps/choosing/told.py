"""What the records of trainings tell of samples, score by score."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datadiet_cli.config.select_samples import SelectSamples
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.samples.dynamics import (
    DYNAMICS,
    Dynamic,
    When,
    averaged,
    confidence,
    dual_epochs,
    early_epoch,
    hardness,
)
from datadiet_cli.steps.choosing.base import STEP, Floats

if TYPE_CHECKING:
    from datadiet_cli.nn.record import Record

CONFIDENCE, HARDNESS = "confidence", "hardness"
"""Told beside the scores: the mean probability of the own label, and what speaks for a wrong one."""
WINDOW = 10
FEW = 3
_SOON, _LATE = ("el2n", "grand"), ("loss", "entropy", "margin")


def together(single: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """The mean of each score over the models that tell it."""
    names = dict.fromkeys(name for one in single for name in one)
    return {name: averaged([one[name] for one in single]) for name in names}


def held_of(record: "Record", number: int) -> dict[str, Any]:
    """All that a record has of one model."""
    return {quantity: record.read(quantity, number) for quantity in record.facts.quantities}


def models_of(settings: SelectSamples) -> int:
    """How many trainings scores are averaged over: of a score of one early epoch a single one tells little."""
    return settings.models or (FEW if _wanted(settings) in _SOON else 1)


def wants_full(settings: SelectSamples) -> bool:
    """Whether somebody chooses, or may choose, by gradients of all layers."""
    named = [*(settings.candidates or ()), _wanted(settings)]
    return settings.gradient == "full" and any(name.partition("/")[0] == "grand" for name in named)


def stop_of(settings: SelectSamples, rule: str, epochs: int) -> int | None:
    """The epoch after which the score that is asked for looks at nothing more; None for the last.

    Args:
        settings: name the score.
        rule: that chooses by it.
        epochs: of the training.
    """
    wanted, window = _wanted(settings), window_of(settings, epochs)
    if not settings.early or settings.space == "model":
        return None
    found = 0
    if rule == "dual-beta" or wanted == "dual":
        found = dual_epochs(epochs, window)
    if wanted in _SOON:
        found = max(found, settings.score_epoch or early_epoch(epochs) + 1)
    elif wanted in _LATE and settings.score_epoch is not None:
        found = max(found, settings.score_epoch)
    elif wanted != "dual":
        return None
    return found if found < epochs else None


def by_one(held: Mapping[str, Any], settings: SelectSamples, epochs: int) -> dict[str, Floats]:
    """Every score that one model's record tells, with confidence and hardness.

    Args:
        held: by quantity.
        settings: name the score that is asked for, and the epochs to look at.
        epochs: of the whole training; the record may end before.

    Raises:
        ConfigError: it does not tell the one that is asked for.
    """
    recorded = len(held["loss"])
    window = window_of(settings, epochs)
    when = When(None if settings.score_epoch is None else settings.score_epoch - 1, window, epochs)
    numbers = "probability" not in held
    check_told(settings, epochs, numbers=numbers)
    wanted = _wanted(settings)
    values: dict[str, Floats] = {HARDNESS: hardness(held)}
    if not numbers:
        values[CONFIDENCE] = confidence(held, dual_epochs(epochs, window))
    for name, dynamic in DYNAMICS.items():
        needed = dynamic.numbers if numbers else dynamic.quantities
        short = recorded < max(dynamic.epochs(window), settings.score_epoch or 0)
        short |= recorded < epochs and recorded < _looked_at(name, settings, epochs)
        if name == wanted or (needed and not short and set(needed) <= set(held)):
            values[name] = _run(dynamic, held, when)
    return values


def _looked_at(name: str, settings: SelectSamples, epochs: int) -> int:
    """How many epochs, from the first on, a score looks at."""
    if name in _SOON:
        return settings.score_epoch or early_epoch(epochs) + 1
    if name == "dual":
        return dual_epochs(epochs, window_of(settings, epochs))
    return settings.score_epoch or epochs if name in _LATE else epochs


def check_told(settings: SelectSamples, epochs: int, *, numbers: bool) -> None:
    """Refuse a score that a training of so many epochs cannot tell, before it is begun.

    Raises:
        ConfigError: it takes more epochs, or is not defined for numbers to predict.
    """
    wanted = _wanted(settings)
    if wanted not in DYNAMICS:
        return
    if numbers and not DYNAMICS[wanted].numbers:
        able = ", ".join(name for name, dynamic in DYNAMICS.items() if dynamic.numbers)
        raise ConfigError(f"{STEP}: {wanted} is for classes, and the labels are numbers; choose one of {able}")
    most = max(DYNAMICS[wanted].epochs(window_of(settings, epochs)), settings.score_epoch or 0)
    if epochs < most:
        raise ConfigError(f"{STEP}: {wanted} takes {most} epochs, and the training has {epochs}; give --epochs {most}")


def _wanted(settings: SelectSamples) -> str:
    """The score that is asked for."""
    return settings.information if settings.method == "composite" else settings.method


def _run(dynamic: Dynamic, held: Mapping[str, Any], when: When) -> Floats:
    try:
        return dynamic.run(held, when)
    except ValueError as error:
        raise ConfigError(f"{STEP}: {error}") from error


def window_of(settings: SelectSamples, epochs: int) -> int:
    """Epochs of a window: 10, as in the papers, but no more than half of those there are."""
    return settings.window or max(3, min(WINDOW, epochs // 2))
