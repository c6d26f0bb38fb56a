"""The passes of a training one after another: of all samples, or of those that a sampler leaves in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from datadiet_cli.nn.batches import Samples, batches
from datadiet_cli.nn.device import to_device
from datadiet_cli.nn.dynamic import Turn, sampler_of
from datadiet_cli.nn.optimising import Plan
from datadiet_cli.nn.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Pass:
    """A pass that is to come.

    Attributes:
        parts: batches of positions.
        start: place of the first step in the schedule of the learning rate.
        stride: from one step to the next.
        weights: (n,) float32 on the device, what each sample counts; None: all alike.
        whole: whether it is not cut.
    """

    parts: Sequence[torch.Tensor]
    start: float
    stride: float
    weights: torch.Tensor | None
    whole: bool

    def __len__(self) -> int:
        return sum(map(len, self.parts))


class Turns:
    """Plans the passes of a training.

    With `Recipe.dynamic` a pass has as many steps as its samples need, and they are spread over the same part of the
    schedule as those of a full pass; so the learning rate ends at zero whatever is left out.

    Args:
        samples: to learn from.
        recipe: how.
        plan: how long.
        seed: of the training.
        device: where it is.
        weights: (n,) float32 on the device, what each sample counts; None: all alike.

    Raises:
        ValueError: the recipe's numbers for dynamic pruning are out of their range.
    """

    def __init__(
        self,
        samples: Samples,
        recipe: Recipe,
        plan: Plan,
        seed: int,
        device: torch.device,
        weights: torch.Tensor | None,
    ) -> None:
        self._n, self._recipe, self._plan, self._device, self._weights = len(samples), recipe, plan, device, weights
        self._told: list[torch.Tensor] = []
        self._regression = samples.regression
        self._sampler = None
        if recipe.dynamic is not None:
            self._sampler = sampler_of(
                recipe.dynamic,
                samples.target,
                epochs=recipe.epochs,
                share=recipe.dynamic_share,
                until=recipe.dynamic_until,
                seed=seed,
            )

    def ahead(self, epoch: int, steps: int, order: torch.Generator) -> Pass:
        """The pass of a number, from 0 on, after so many steps; in an order from a generator of the CPU."""
        size, each = self._recipe.batch_size, self._plan.per_pass
        if self._sampler is None:
            parts = batches(self._n, size, order)[: self._plan.steps - steps]
            return Pass(parts, steps, 1, self._weights, len(parts) == each)
        turn = self._sampler.plan(epoch)
        parts = tuple(turn.rows[places] for places in batches(len(turn.rows), size, order))
        return Pass(parts, epoch * each, each / len(parts), self._counting(turn), True)

    def observe(self, outputs: torch.Tensor, target: torch.Tensor, losses: torch.Tensor) -> None:
        """Take down what became of a batch, on the device; in the order of `Pass.parts`."""
        if self._sampler is None:
            return
        right = torch.zeros_like(losses) if self._regression else (outputs.argmax(1) == target).to(losses.dtype)
        self._told.append(torch.stack([losses, right]))

    def end(self, done: Pass) -> dict[str, float]:
        """Take in what became of a pass, with one wait for the device; give what the history says of it."""
        if self._sampler is None:
            return {}
        losses, right = torch.cat(self._told, 1).cpu()
        self._told.clear()
        self._sampler.observe(torch.cat(list(done.parts)), losses, None if self._regression else right > 0)
        return {"share_seen": len(done) / self._n}

    def state(self) -> dict[str, torch.Tensor]:
        """What `load` goes on from, for a checkpoint."""
        return {} if self._sampler is None else self._sampler.state_dict()

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        if self._sampler is not None:
            self._sampler.load_state_dict(state)

    def _counting(self, turn: Turn) -> torch.Tensor | None:
        """What each sample counts in a turn, beside what it counts anyway."""
        if turn.weights is None:
            return self._weights
        counts = torch.zeros(self._n).index_copy(0, turn.rows, turn.weights)
        (there,) = to_device((counts,), self._device)
        return there if self._weights is None else there * self._weights
