"""From the dense model to the pruned one: at once, in rounds, or as far as the validation loss allows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from datadiet_cli.errors import ConfigError
from datadiet_cli.steps.pruning.case import STEP, Case
from datadiet_cli.steps.pruning.cutting import Ranking, State, masked, pruned, ranked
from datadiet_cli.steps.pruning.healing import Healed, Healer, gentle_recipe, own_recipe

_MOST = 0.95
"""Sparsity that adaptive goes to at most."""


@dataclass(frozen=True, eq=False)
class Course:
    """How a model was pruned.

    Attributes:
        pruned: straight after the last time that something went.
        recalibrated: after batch norms were estimated again; None if that was not done.
        healed: after training; None if that was not done.
        epochs: passes of training in all.
        samples_seen: samples that was learned from, each as often as it was.
        seconds: of training by the clock.
        rounds: what happened, as JSON values.
        unranked: groups that the criterion says nothing of.
    """

    pruned: State
    recalibrated: State | None
    healed: State | None
    epochs: int
    samples_seen: int
    seconds: float
    rounds: tuple[dict[str, Any], ...] = ()
    unranked: tuple[str, ...] = ()

    @property
    def final(self) -> State:
        """The model in the end."""
        return self.healed or self.recalibrated or self.pruned


def finished(case: Case, healer: Healer, state: State, said: str, number: int = 0, rounds: int = 1) -> Course:
    """Heal what is left."""
    again = healer.reestimated(state)
    recipe = gentle_recipe(case, rounds)
    if recipe is None:
        return Course(state, again, None, 0, 0, 0.0)
    done = healer.trained(again or state, recipe, said, number=number, teacher=True)
    return Course(state, again, done.state, done.epochs, done.samples_seen, done.seconds)


def one_shot(case: Case, healer: Healer, ranking: Ranking, share: float, number: int = 0) -> Course:
    """Prune at once."""
    course = finished(case, healer, pruned(case, ranking, share), "fine-tuning", number)
    return replace(course, unranked=tuple(ranking.unranked))


def iterative(case: Case, healer: Healer, ranking: Ranking, share: float, number: int = 0) -> Course:
    """Prune in rounds, more at first, and train between (Zhu and Gupta, "To prune, or not to prune", 2017, eq. 1)."""
    from datadiet_cli.nn.pruning.choosing import cubic

    settings = case.settings
    shares = cubic(share, settings.rounds, start=ranking.state.gone)
    courses: list[Course] = []
    for turn, part in enumerate(shares, 1):
        if courses:
            ranking = ranked(case, courses[-1].final, settings.criterion, case.context.seed)
        state = pruned(case, ranking, part)
        said = f"fine-tuning, round {turn} of {len(shares)}"
        courses.append(finished(case, healer, state, said, number, len(shares)))
    told = [{"share": one.pruned.gone, "epochs": one.epochs} for one in courses]
    return replace(_joined(courses), rounds=tuple(told), unranked=tuple(ranking.unranked))


def adaptive(case: Case, healer: Healer, ranking: Ranking, share: float | None, number: int = 0) -> Course:
    """Prune more while the validation loss stays within the tolerance; else step back and go on by half the step.

    Raises:
        ConfigError: there are no validation samples.
    """
    from datadiet_cli.nn.pruning.choosing import Adaptive

    settings = case.settings
    before = healer.loss(ranking.state)
    if before is None:
        raise ConfigError(f"{STEP}: --schedule adaptive goes by validation samples, and there are none")
    gone = ranking.state.gone
    controller = Adaptive(limit=max(gone, _MOST if share is None else share), best=gone)
    allowed = before * (1 + settings.tolerance)
    told: list[dict[str, Any]] = []
    tried: list[Course] = []
    best: Course | None = None
    while (part := controller.proposal) is not None and len(tried) < 3 * settings.rounds:
        state = pruned(case, ranking, part)
        course = finished(case, healer, state, f"fine-tuning at {part:.0%}", number, settings.rounds)
        tried.append(course)
        loss = healer.loss(course.final)
        assert loss is not None  # noqa: S101 - there were samples before
        good = loss <= allowed
        told.append({"share": state.gone, "validation_loss": loss, "allowed": allowed, "kept": good})
        controller.tell(good)
        if good:
            best = course
            ranking = ranked(case, course.final, settings.criterion, case.context.seed)
    # The state that nothing went from, where no step was good enough.
    kept = best or Course(ranking.state, None, None, 0, 0, 0.0)
    spent = _joined([*tried, kept])
    sums = {name: sum(getattr(one, name) for one in tried) for name in ("epochs", "samples_seen", "seconds")}
    return replace(spent, **sums, rounds=tuple(told), unranked=tuple(ranking.unranked))


def run_schedule(case: Case, healer: Healer, ranking: Ranking, share: float, *, limited: bool, number: int) -> Course:
    """Prune as the settings say.

    Args:
        case: has them.
        healer: trains.
        ranking: of the model that is pruned.
        share: how much goes.
        limited: whether that was asked for; adaptive finds out by itself otherwise.
        number: of the seed of its trainings.
    """
    if case.settings.schedule == "adaptive":
        return adaptive(case, healer, ranking, share if limited else None, number)
    schedules: dict[str, Callable[..., Course]] = {"one-shot": one_shot, "iterative": iterative}
    return schedules[case.settings.schedule](case, healer, ranking, share, number)


def from_scratch(case: Case, healer: Healer, course: Course, before: int, number: int) -> Healed:
    """The same small network, trained from fresh weights for as long as the dense model and the pruned one were.

    (Liu et al., "Rethinking the value of network pruning", ICLR 2019, section 3.)

    Args:
        case: what is pruned.
        healer: trains.
        course: how the model was pruned.
        before: passes that it was trained for towards small weights before.
        number: of the seed.
    """
    from datadiet_cli.nn.pruning.starting import fresh

    own = own_recipe(case)
    # Fresh weights that were pruned and then trained have had no other training either.
    recipe = replace(own, epochs=course.epochs if case.settings.fresh else own.epochs + before + course.epochs)
    final = course.final
    state = replace(final, model=fresh(final.model, case.context.seed + number + 1), known=None)
    # What was zero before channels went is zero here, too.
    masks = final.masks or healer.held(final)
    if masks is not None:
        state = replace(state, model=masked(state, masks).model)
    return healer.trained(state, recipe, "control: from scratch", number=number)


def _joined(courses: list[Course]) -> Course:
    """The last of several rounds, with what all of them took."""
    last = courses[-1]
    return replace(
        last,
        epochs=sum(one.epochs for one in courses),
        samples_seen=sum(one.samples_seen for one in courses),
        seconds=sum(one.seconds for one in courses),
    )
