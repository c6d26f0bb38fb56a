"""InfoBatch: leave out some of the samples that are learned already, and let the others of them count more."""

import math

import torch

from datadiet_cli.nn.dynamic.base import Unbiased, below_mean


class InfoBatch(Unbiased):
    """Qin et al., "InfoBatch: lossless training speed up by unbiased dynamic data pruning", ICLR 2024, section 3.

    The score of a sample is its last loss. A sample whose score is below the mean of all is left out with probability
    r, the `share`; one that stays counts 1 / (1 - r), so that the gradient is the same in expectation. From `until` of
    the passes on all learn ("annealing"). Where all losses are equal nothing is left out.

    Of L samples below the mean, k = ceil((1 - r) L) are drawn, and count L / k: r is met to one sample, and never is
    none of them left.
    """

    def _groups(self, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        low = below_mean(self.losses, torch.zeros(len(self), dtype=torch.int64), 1)
        many = int(low.sum())
        kept = max(1, math.ceil(round((1 - self.course.share) * many, 6))) if many else 0
        return low.to(torch.int64), torch.tensor([len(self) - many, kept], dtype=torch.float64)
