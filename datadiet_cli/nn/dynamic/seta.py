"""SeTa: a window that slides from easy samples to hard ones."""

import math

import torch

from datadiet_cli.nn.dynamic.base import Course, Informed, Turn

_GROUPS = 10


class SeTa(Informed):
    """Zhou et al., "Scale efficient training for large datasets", CVPR 2025, section 3.

    Three cuts: samples left out at random, for they repeat each other; what remains put in order by its last loss, in
    G = 10 groups; and a window of w neighbouring groups, which moves on by one with each pass, from the easiest to the
    hardest, and then begins anew. From `until` of the passes on the window is gone, and the random cut stays ("partial
    annealing"). All count alike.

    Here the groups are of one size (the paper has k-means of the losses), so that the share r left out is met to the
    sample in each pass with a window: m = (1 - r) n stay, by both cuts about evenly. With w = ceil(G sqrt(1 - r)),
    but less than G, the random cut leaves m G / w samples, and the window m of those.
    """

    def __init__(self, course: Course) -> None:
        super().__init__(course)
        # At least one group is outside of the window, or there would be none.
        self._width = min(_GROUPS - (course.share > 0), math.ceil(_GROUPS * math.sqrt(1 - course.share)))
        self._drawn = min(len(self), round(course.budget * _GROUPS / self._width))

    def plan(self, epoch: int) -> Turn:
        """The samples of a pass, from 0 on. To ask again changes nothing."""
        if epoch > 0 and epoch >= self.course.end and self.course.share > 0:
            return Turn(self._some(epoch).sort().values)
        return super().plan(epoch)

    def _cut(self, epoch: int) -> Turn:
        # Equal losses stay in random order.
        some = self._some(epoch)
        some = some[self.losses[some].argsort(stable=True)]
        steps = _GROUPS - self._width
        start = (epoch - 1) % (steps + 1) * (len(some) - self.course.budget) // max(1, steps)
        return Turn(some[start : start + self.course.budget].sort().values)

    def _some(self, epoch: int) -> torch.Tensor:
        return torch.randperm(len(self), generator=self.course.chance(epoch))[: self._drawn]
