"""Random samples, new ones in each pass."""

import torch

from datadiet_cli.nn.dynamic.base import LEAST, Course, Sampler, Turn


class Anew(Sampler):
    """RS2: Okanovic et al., "Repeated random sampling for minimizing the time-to-accuracy of learning", ICLR 2024.

    Without replacement across passes: the passes walk through a random order of all samples, and when that is through,
    through another one. So no sample has its second turn before all had their first. All count alike.

    The passes up to `until` learn from round((1 - share) n e) samples in all, e their number, and differ by one sample
    at most. In a pass that ends one order and begins the next, what the one gives comes last in the other, so that no
    sample is in a pass twice.
    """

    def __init__(self, course: Course) -> None:
        super().__init__(course)
        self._passes = max(1, course.end)
        wanted = round((1 - course.share) * len(self) * self._passes)
        self._total = max(LEAST * self._passes, wanted)
        self._held = (-1, torch.empty(0, dtype=torch.int64))

    def _cut(self, epoch: int) -> Turn:
        start, end = self._place(epoch), self._place(epoch + 1)
        number, n = start // len(self), len(self)
        rows = self._order(number)[start - number * n : end - number * n]
        if end > (number + 1) * n:
            rows = torch.cat([rows, self._order(number + 1)[: end - (number + 1) * n]])
        return Turn(rows.sort().values)

    def _place(self, epoch: int) -> int:
        """How far the passes before this one have walked."""
        return epoch * self._total // self._passes

    def _order(self, number: int) -> torch.Tensor:
        """(n,) int64, the order of this number. Each hangs on the one before, so the last one is held."""
        known, order = self._held
        if known > number:
            known, order = -1, order[:0]
        while known < number:
            known += 1
            fresh = torch.randperm(len(self), generator=self.course.chance(known))
            late = torch.zeros(len(self), dtype=torch.bool)
            late[order[self._last_start(known) - (known - 1) * len(self) :]] = True
            order = torch.cat([fresh[~late[fresh]], fresh[late[fresh]]])
        self._held = (known, order)
        return order

    def _last_start(self, number: int) -> int:
        """Where the last pass begins that begins before the order of this number does."""
        border = number * len(self)
        # The largest e with floor(e total / passes) < border.
        epoch = -(-border * self._passes // self._total) - 1
        return self._place(max(epoch, 0))
