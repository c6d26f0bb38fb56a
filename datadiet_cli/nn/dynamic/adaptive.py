"""Leave out as much as the model has learned, and of the classes that it knows."""

from collections.abc import Mapping

import torch

from datadiet_cli.nn.dynamic.base import LEAST, Course, Unbiased, below_mean, filled, whole
from datadiet_cli.nn.dynamic.rcap import classes_of

_DECAY = 0.5
_FLOOR = 0.5


class Adaptive(Unbiased):
    """What is left out follows the model: how much its loss, of which class its recall, of which samples their loss.

    - How much: r_t = r clamp(1 - M_t / M_1, 0, 1), with r the `share`. M_t is an exponential moving average (of decay
      0.5) of the mean of the last losses of all samples; M_1 that of the first pass. As long as nothing is learned
      nothing is left out, and when the loss rises again, less is.
    - Of which class: half of the (1 - r_t) n samples are shared out evenly; the other half in proportion to
      n_c (1 - recall_c), as Vysogorets et al., "DRoP: distributionally robust data pruning", ICLR 2025, set the
      densities of classes, with what one has no room for going to the others. The recall is of the last time that
      each sample of the class had its turn.
    - Of which samples: those of the class whose last loss is below its mean (as InfoBatch, Qin et al., ICLR 2024), but
      none with a chance to stay of less than half of that of its class, but for rounding.

    A sample that stays with chance P counts 1 / P. From `until` of the passes on all learn. Numbers are one class.
    """

    def __init__(self, course: Course) -> None:
        super().__init__(course)
        self._classes, self._sizes = classes_of(course)
        self._correct = torch.zeros(len(self), dtype=torch.bool)
        self._mean = torch.full((2,), torch.nan, dtype=torch.float64)

    @property
    def share(self) -> float:
        """r_t, of the pass that comes next."""
        start, now = self._mean.tolist()
        return self.course.share * min(max(1 - now / start, 0.0), 1.0) if start > 0 else 0.0

    def prunes(self, epoch: int) -> bool:
        """Whether a pass, from 0 on, leaves samples out."""
        return super().prunes(epoch) and self._budget() < len(self)

    def observe(self, rows: torch.Tensor, losses: torch.Tensor, correct: torch.Tensor | None = None) -> None:
        """As for `Sampler.observe`."""
        super().observe(rows, losses, correct)
        if correct is not None:
            self._correct[rows] = correct
        mean = self.losses.nanmean(dtype=torch.float64)
        start, now = self._mean.clone()
        self._mean = torch.stack([mean, mean] if start.isnan() else [start, _DECAY * now + (1 - _DECAY) * mean])

    def recall(self) -> torch.Tensor:
        """(C,) float64, share of each class that was right when it last had its turn; 0 for numbers."""
        right = torch.bincount(self._classes[self._correct], minlength=len(self._sizes))
        return right / self._sizes.clamp(min=1).to(torch.float64)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """As for `Sampler.state_dict`."""
        return {**super().state_dict(), "correct": self._correct.clone(), "mean": self._mean.clone()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """As for `Sampler.load_state_dict`."""
        super().load_state_dict(state)
        self._correct, self._mean = state["correct"].clone(), state["mean"].clone()

    def _budget(self) -> int:
        return max(LEAST, len(self) - int(self.share * len(self) + 1e-9))

    def _groups(self, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Two groups a class: of losses from the mean on, and below."""
        count, budget = len(self._sizes), self._budget()
        low = below_mean(self.losses, self._classes, count)
        groups = 2 * self._classes + low
        sizes = torch.bincount(groups, minlength=2 * count).to(torch.float64).reshape(count, 2)
        wanted = _within(self._densities(budget) * self._sizes, sizes)
        least = (sizes > 0).to(torch.float64).flatten()
        budget = max(budget, int(least.sum()))
        return groups, whole(wanted.flatten(), least, sizes.flatten(), budget)

    def _densities(self, budget: int) -> torch.Tensor:
        """(C,) float64, the share of each class that stays."""
        sizes = self._sizes.to(torch.float64)
        even = _FLOOR * budget / len(self)
        more = filled(sizes * (1 - self.recall()), sizes * (1 - even), budget - even * len(self))
        return even + more / sizes.clamp(min=1)


def _within(kept: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """How many stay of both groups of a class.

    Args:
        kept: (C,) float64, how many stay of the class.
        sizes: (C, 2) float64, of the groups: hard, easy.

    Returns:
        (C, 2) float64.
    """
    hard, easy = sizes.T
    least = _FLOOR * easy * kept / (hard + easy).clamp(min=1)
    of_easy = torch.maximum(least, kept - hard).clamp(max=easy)
    return torch.stack([kept - of_easy, of_easy], dim=1)
