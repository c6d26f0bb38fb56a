"""RCAP: more of the classes that are hard, and of each its hard samples."""

import torch

from datadiet_cli.nn.dynamic.base import Course, Informed, Turn, filled, first, whole

_CLIP = 0.95
_TEMPERATURE = 1.0


class RCAP(Informed):
    """Hassan et al., "RCAP: robust, class-aware, probabilistic dynamic dataset pruning", UAI 2025.

    Class c gets a part of the (1 - share) n samples in proportion to sqrt(loss_c prior_c): its mean last loss and its
    share of the samples. What a class has no room for goes to the others, so that the budget is met to the sample; a
    class keeps one sample at least, where the budget has one for each. Within a class samples are drawn without
    replacement, with chances in proportion to exp(loss / 1), where losses above the 95 % quantile of the class count as
    that, so that a few wrong labels do not take all. (Drawn as the largest of loss + Gumbel noise: Efraimidis and
    Spirakis, 2006.) All count alike. Numbers are one class.
    """

    def __init__(self, course: Course) -> None:
        super().__init__(course)
        self._classes, self._sizes = classes_of(course)

    def _cut(self, epoch: int) -> Turn:
        keys = self._noise(epoch) - self._clipped() / _TEMPERATURE
        return Turn(first(self._classes, keys, self.quotas()))

    def quotas(self) -> torch.Tensor:
        """(C,) float64 whole numbers: how many samples of each class take part; they sum to the budget."""
        sums = torch.zeros(len(self._sizes), dtype=torch.float64).index_add_(
            0, self._classes, self.losses.to(torch.float64)
        )
        # mean loss times prior is the sum over n.
        pull = (sums / len(self)).clamp(min=0).sqrt()
        sizes, budget = self._sizes.to(torch.float64), self.course.budget
        some = (sizes > 0).to(torch.float64)
        least = some if float(some.sum()) <= budget else torch.zeros_like(some)
        return whole(filled(pull, sizes, budget), least, sizes, budget)

    def _clipped(self) -> torch.Tensor:
        order = self.losses.argsort(stable=True)
        order = order[self._classes[order].argsort(stable=True)]
        starts = self._sizes.cumsum(0) - self._sizes
        places = starts + (_CLIP * (self._sizes - 1).clamp(min=0)).to(torch.int64)
        limits = self.losses[order][places.clamp(max=len(self) - 1)]
        return torch.minimum(self.losses, limits[self._classes]).to(torch.float64)

    def _noise(self, epoch: int) -> torch.Tensor:
        """(n,) float64, drawn from a Gumbel distribution, with the sign turned: the smallest key is taken first."""
        even = torch.rand(len(self), generator=self.course.chance(epoch), dtype=torch.float64)
        return (-even.clamp(min=torch.finfo(torch.float64).tiny).log()).log()


def classes_of(course: Course) -> tuple[torch.Tensor, torch.Tensor]:
    """(n,) int64, the class of each sample, all 0 for numbers; and (C,) int64, their sizes."""
    target = course.target
    classes = torch.zeros(len(target), dtype=torch.int64) if target.is_floating_point() else target.cpu()
    return classes, torch.bincount(classes)
