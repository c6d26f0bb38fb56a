"""One step of training: the loss, its gradient, and what the optimiser does with it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from datadiet_cli.nn.batches import steps_of
from datadiet_cli.nn.predicting import autocast
from datadiet_cli.nn.pruning.guides import GroupLasso, Guides, Held, Teacher
from datadiet_cli.nn.recipe import Recipe

_WARM = 0.05
_MOMENTUM = 0.9
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_WEIGHTED = (nn.Linear, nn.Embedding, nn.EmbeddingBag, nn.Bilinear, *_CONVOLUTIONS)
_MATRICES = re.compile(r"(in|[qkv])_proj_weight|weight_[ih]h(_l[0-9]+(_reverse)?)?")
"""Names of weights of attention and recurrent layers."""
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Plan:
    """How long a training is.

    Attributes:
        per_pass: steps of a whole pass over the samples.
        passes: passes, of which the last may be cut.
        whole: passes that are not cut; the record has a row for each of them.
        steps: steps in all.
    """

    per_pass: int
    passes: int
    whole: int
    steps: int


def plan(recipe: Recipe, samples: int) -> Plan:
    """How long a training by this recipe on so many samples is."""
    per_pass = steps_of(samples, recipe.batch_size)
    steps = per_pass * recipe.epochs if recipe.iterations is None else recipe.iterations
    return Plan(per_pass, math.ceil(steps / per_pass), steps // per_pass, steps)


def rate(step: float, steps: int) -> float:
    """Share of the highest learning rate at a step, from 0 on, of so many.

    It rises evenly for the first 5 % of the steps (at least one), then falls by half a cosine, and would be 0 one step
    after the last, so that no step is for nothing. A step may lie between two numbers, where a pass has fewer.
    """
    warm = max(1, round(_WARM * steps))
    if step < warm:
        return min(1.0, (step + 1) / warm)
    return 0.5 * (1 + math.cos(math.pi * (step - warm + 1) / (steps - warm + 1)))


def losses_of(outputs: torch.Tensor, target: torch.Tensor, scale: torch.Tensor | float) -> torch.Tensor:
    """The loss of each sample.

    Args:
        outputs: (m, K) logits, or (m, 1) numbers in the unit of the label.
        target: (m,) int64 classes, or float32 numbers.
        scale: of the target; the squared error is taken in units of it, so that it has none.

    Returns:
        (m,) float32: cross-entropy in nats, or squared errors.
    """
    if target.is_floating_point():
        return ((outputs[:, 0].to(torch.float32) - target) / scale).square()
    return nn.functional.cross_entropy(outputs.to(torch.float32), target, reduction="none")


def distilled(
    losses: torch.Tensor, outputs: torch.Tensor, answers: torch.Tensor, teacher: Teacher, scale: torch.Tensor | float
) -> torch.Tensor:
    """The loss of each sample that has labels and a teacher.

    Args:
        losses: (m,) to the labels, by `losses_of`.
        outputs: of the model that learns, as for `losses_of`.
        answers: the teacher's to the same batch, of the same shape.
        teacher: how much they count, and at which temperature T.
        scale: of a numeric target.

    Returns:
        (m,) float32: of classes, (1 - share) * losses + share * T^2 * KL(teacher || model); of numbers, the squared
        error to the teacher's in the place of the divergence.
    """
    if outputs.shape[1] == 1:
        apart = losses_of(outputs, answers[:, 0].to(torch.float32), scale)
    else:
        mine, taught = (
            torch.log_softmax(logits.to(torch.float32) / teacher.temperature, 1) for logits in (outputs, answers)
        )
        apart = nn.functional.kl_div(mine, taught, reduction="none", log_target=True).sum(1) * teacher.temperature**2
    return (1 - teacher.share) * losses + teacher.share * apart


def quality_of(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """How many samples are right, or the sum of the absolute errors of numbers, in their unit. As for `losses_of`."""
    if target.is_floating_point():
        return (outputs[:, 0].to(torch.float32) - target).abs().sum(dtype=torch.float64)
    return (outputs.argmax(1) == target).sum()


def scale_of(model: nn.Module, target: torch.Tensor) -> torch.Tensor | float:
    """The unit of squared errors: the model's own, or else the spread of what it learns; 1 for classes."""
    if not target.is_floating_point():
        return 1.0
    own = getattr(model, "target_scale", None)
    if isinstance(own, torch.Tensor):
        return own.detach().clone()
    return float(target.to(torch.float64).std(correction=0)) or 1.0


class Stepper:
    """A model with its optimiser.

    Args:
        model: on the device. With `Recipe.freeze`, only its `head` may learn.
        recipe: how.
        steps: in all, for the schedule.
        device: that everything is on.
        scale: of a numeric target.
        guides: what it is held to; the teacher is on the device and in eval mode.

    Raises:
        ValueError: nothing of the model, or of the units of a penalty, can learn, or it has no head to be the only one
            that does.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        steps: int,
        device: torch.device,
        scale: torch.Tensor | float = 1.0,
        guides: Guides | None = None,
    ) -> None:
        guides = guides or Guides()
        self.model, self.recipe, self.scale = model, recipe, scale
        self._steps, self._device = steps, device
        learning = head_of(model) if recipe.freeze else model
        self._weights, others = _parameters(learning)
        self._scales = _scales(learning)
        self._teacher = guides.teacher
        self._lasso = None if guides.penalty is None else GroupLasso(model, guides.penalty)
        self.held = Held(model, guides.masks or {})
        groups = [
            {"params": self._weights, "weight_decay": recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        if not groups:
            raise ValueError("the model has no weights that can learn")
        self.optimiser: torch.optim.Optimizer
        if recipe.optimiser == "sgd":
            self.optimiser = torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=_MOMENTUM, nesterov=True)
        else:
            self.optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate)

    def learn(self) -> None:
        """Put what learns into training mode, and the rest, whose statistics must not move, into eval mode."""
        self.model.train(not self.recipe.freeze)
        if self.recipe.freeze:
            head_of(self.model).train()

    def step(
        self, number: float, inputs: Sequence[torch.Tensor], target: torch.Tensor, weights: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Learn from a batch.

        Args:
            number: of the step, from 0 on: its place in the schedule.
            inputs: the model's raw tensors.
            target: (m,).
            weights: (m,) float32, what each sample counts, 1 on average over all samples of the training, which a pass
                that leaves some out has fewer of; None: all alike. Penalties do not count by them.

        Returns:
            The outputs (m, K) before the step, and the samples' losses (m,) to their labels, without weights, penalties
            and what a teacher says.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * rate(number, self._steps)
        with autocast(self._device, self.recipe.precision):
            outputs = self.model(*inputs)
        losses = losses_of(outputs, target, self.scale)
        self.optimiser.zero_grad(set_to_none=True)
        whole = self._taught(inputs, outputs, losses)
        (whole if weights is None else whole * weights).mean().backward()  # type: ignore[no-untyped-call]
        _penalise(self._weights, self.recipe.l1)
        _penalise(self._scales, self.recipe.slim)
        if self._lasso is not None:
            self._lasso.add()
        self.held.before()
        self.optimiser.step()
        self.held.after()
        return outputs.detach(), losses.detach()

    def _taught(self, inputs: Sequence[torch.Tensor], outputs: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """The losses, with a teacher those to what it says too."""
        if self._teacher is None:
            return losses
        with torch.no_grad(), autocast(self._device, self.recipe.precision):
            answers = self._teacher.model(*inputs)
        return distilled(losses, outputs, answers, self._teacher, self.scale)

    def state(self) -> dict[str, torch.Tensor]:
        """What the optimiser holds, by number of the parameter and name: ``3/momentum_buffer``."""
        held = self.optimiser.state_dict()["state"]
        return {f"{number}/{name}": tensor for number, own in held.items() for name, tensor in own.items()}

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        optimiser = self.optimiser
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        held: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            number, _, quantity = name.partition("/")
            parameter = parameters[int(number)]
            if tensor.shape == parameter.shape:
                # In the order in memory that the parameter has.
                tensor = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)
            held.setdefault(int(number), {})[quantity] = tensor
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": held, "param_groups": groups})


def head_of(model: nn.Module) -> nn.Module:
    """The last layer of a model.

    Raises:
        ValueError: the model does not tell which that is.
    """
    head = getattr(model, "head", None)
    if not isinstance(head, nn.Module):
        raise ValueError("the model has no `head`, so there is nothing to train while the rest is frozen")
    return head


def _parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Matrices and kernels that something is multiplied with, and all the others; only those that may learn.

    They are those of linear layers, convolutions, embeddings, recurrent layers and attention.
    """
    owned = {id(module.weight) for module in model.modules() if isinstance(module, _WEIGHTED)}
    named = ((name.rpartition(".")[2], own) for name, own in model.named_parameters(remove_duplicate=False))
    owned |= {id(own) for name, own in named if own.dim() >= 2 and _MATRICES.fullmatch(name)}
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    weights = [parameter for parameter in learning if id(parameter) in owned]
    return weights, [parameter for parameter in learning if id(parameter) not in owned]


def _scales(model: nn.Module) -> list[nn.Parameter]:
    norms = [module for module in model.modules() if isinstance(module, _NORMS)]
    return [norm.weight for norm in norms if norm.weight is not None and norm.weight.requires_grad]


@torch.no_grad()
def _penalise(parameters: Sequence[nn.Parameter], factor: float) -> None:
    """Add the subgradient of a factor times the sum of absolute values, as Liu et al. 2017 do."""
    if factor:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.add_(parameter.sign(), alpha=factor)
