"""What heals a model that lost something: statistics of batch norms, and training."""

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from datadiet_cli.config.training import Training
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.steps.pruning.case import STEP, Case
from datadiet_cli.steps.pruning.cutting import State, weights_left
from datadiet_cli.steps.teaching.lessons import OFTEN, Place, seed_of
from datadiet_cli.steps.teaching.recipes import recipe_of

if TYPE_CHECKING:
    from datadiet_cli.nn.models import Model
    from datadiet_cli.nn.pruning.base import Masks

_GENTLE = 3
"""Fine-tuning has so many times fewer passes than a training, and as much lower a rate."""
STRENGTHS = {"l1": 2e-4, "l2": 5e-3, "group": 1e-3, "bn": 1e-3}
"""Factors of penalties, where the settings say nothing."""


@dataclass(frozen=True, eq=False)
class Healed:
    """A model after training.

    Attributes:
        state: it.
        epochs: passes.
        samples_seen: samples that it learned from, each as often as it did.
        seconds: by the clock.
    """

    state: State
    epochs: int
    samples_seen: int
    seconds: float


class Healer:
    """Trains models of a case, each with checkpoints of its own.

    Args:
        case: what is pruned.
        place: where checkpoints are kept.
    """

    def __init__(self, case: Case, place: Place) -> None:
        self._case, self._place = case, place
        self._number = 0

    def reestimated(self, state: State) -> State | None:
        """A copy with new statistics of its batch norms; None if it has none, or they are to stay."""
        from datadiet_cli.nn.pruning.recovery import reestimate

        model = copy.deepcopy(state.model)
        if not self._case.settings.recalibrate or not reestimate(model, self._case.learned, device=self._case.device):
            return None
        return replace(state, model=model.to("cpu").eval(), known=None)

    def trained(
        self, state: State, recipe: Recipe, said: str, *, number: int = 0, teacher: bool = False, penalty: bool = False
    ) -> Healed:
        """Train a copy of a model; what is gone stays gone.

        Args:
            state: the model.
            recipe: how.
            said: for the progress bar.
            number: of the training's seed.
            teacher: whether it may learn from the dense model, if that was asked for.
            penalty: whether it is drawn towards small groups.

        Raises:
            ConfigError: it diverges.
        """
        from datadiet_cli.nn.checkpoint import Checkpoint
        from datadiet_cli.nn.training import fit

        case = self._case
        self._number += 1
        room = self._place.room(f"training-{self._number}")
        model = copy.deepcopy(state.model)
        self._adjust(model, state)
        tell = case.context.progress(said, recipe.epochs)
        try:
            done = fit(
                model,
                case.learned,
                recipe,
                seed=seed_of(case.context.seed, number),
                device=case.device,
                masks=self.held(state),
                teacher=self._teacher() if teacher else None,
                penalty=self._penalty(state) if penalty else None,
                checkpoint=Checkpoint(room, "prune-model"),
                every=OFTEN,
                progress=lambda _epoch, _epochs: tell(1),
            )
        except ValueError as error:
            raise ConfigError(f"{STEP}: {said}: {error}") from error
        return Healed(replace(state, model=model, known=None), done.epochs, done.samples_seen, done.seconds)

    def loss(self, state: State) -> float | None:
        """The mean loss of the validation samples; None if there are none."""
        import torch

        from datadiet_cli.nn.optimising import losses_of, scale_of
        from datadiet_cli.nn.predicting import predict

        rows = self._case.division.validation
        if not len(rows):
            return None
        samples = self._case.material.samples(rows)
        said = torch.from_numpy(predict(state.model, samples, device=self._case.device))
        state.model.to("cpu")
        return float(losses_of(said, samples.target, scale_of(self._case.model, samples.target)).mean())

    def held(self, state: State) -> "Masks | None":
        """Which weights stay in training; where channels go, zeros of a model that was pruned before stay zeros too."""
        if state.masks is not None:
            return state.masks if state.gone else None
        parts = dict(state.model.named_parameters())
        return {name: (parts[name].detach() != 0).cpu() for name in self._case.sparse} or None

    def _adjust(self, model: "Model", state: State) -> None:
        from datadiet_cli.nn.cost import parameters
        from datadiet_cli.nn.pruning.recovery import scale_dropout

        left, whole = weights_left(state), parameters(self._case.model).total
        if self._case.settings.adjust_dropout and left < whole:
            scale_dropout(model, left / whole, dense=self._case.model)

    def _teacher(self) -> Any:
        from datadiet_cli.nn.pruning.guides import Teacher

        settings = self._case.settings
        if not settings.distil:
            return None
        return Teacher(copy.deepcopy(self._case.model), settings.distil, settings.temperature)

    def _penalty(self, state: State) -> Any:
        from datadiet_cli.nn.pruning.guides import Penalty

        if self._case.settings.regularise != "group":
            return None
        groups = self._case.looked_at(state.model).structure.groups
        return Penalty(groups, strength_of(self._case))


def strength_of(case: Case) -> float:
    """The factor of the penalty that is asked for."""
    settings = case.settings
    return STRENGTHS[settings.regularise] if settings.strength is None else settings.strength


def own_recipe(case: Case) -> Recipe:
    """How the model is trained from fresh weights: as it was, where that is known, or as such models are by default.

    Raises:
        InputError: what is written of it is damaged.
    """
    settings = case.settings
    taught = dict(case.taught)
    if settings.optimiser not in ("auto", taught.get("optimiser")):
        # The rate and the decay that it was taught with were those of another optimiser.
        taught = {name: value for name, value in taught.items() if name in ("epochs", "augment")}
        taught["optimiser"] = settings.optimiser
    try:
        asked = Training(
            **taught, batch_size=settings.batch_size, precision=settings.precision, threads=settings.threads
        )
    except ValueError as error:
        raise InputError(f"{STEP}: {case.named}: the recipe in its description is damaged") from error
    return recipe_of(asked, case.spec, len(case.learned), case.context.device, STEP)


def gentle_recipe(case: Case, rounds: int = 1) -> Recipe | None:
    """How it is fine-tuned, in one of so many rounds; None for not at all."""
    settings, own = case.settings, own_recipe(case)
    if settings.fresh:
        passes = own.epochs if settings.epochs is None else settings.epochs
        rate = own.learning_rate if settings.learning_rate is None else settings.learning_rate
    else:
        passes = max(1, round(own.epochs / _GENTLE)) if settings.epochs is None else settings.epochs
        rate = own.learning_rate / _GENTLE if settings.learning_rate is None else settings.learning_rate
    if passes == 0:
        return None
    return replace(own, epochs=max(1, round(passes / rounds)), learning_rate=rate, freeze=settings.freeze)


def regularised(case: Case, healer: Healer, state: State) -> Healed | None:
    """Train towards small weights, units or scales first, if that is asked for."""
    from torch import nn

    settings = case.settings
    if settings.regularise == "none":
        return None
    if settings.regularise == "bn":
        norms = nn.modules.batchnorm._BatchNorm
        if not any(isinstance(module, norms) and module.affine for module in state.model.modules()):
            raise ConfigError(f"{STEP}: --regularise bn: {case.named} has no batch norms; take group or l1")
    own, strength = own_recipe(case), strength_of(case)
    recipe = replace(own, learning_rate=own.learning_rate / _GENTLE)
    if settings.regularise == "l1":
        recipe = replace(recipe, l1=strength)
    elif settings.regularise == "l2":
        recipe = replace(recipe, weight_decay=strength)
    elif settings.regularise == "bn":
        recipe = replace(recipe, slim=strength)
    return healer.trained(state, recipe, f"training with {settings.regularise}", number=1, penalty=True)
