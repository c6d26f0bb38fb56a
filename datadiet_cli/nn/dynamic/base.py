"""What all ways to leave samples out of a pass have in common."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from datadiet_cli.nn.batches import generator_of

STREAM = 4
"""Stream of chance of the samplers; those before it are of `passes`."""
LEAST = 2
"""Samples of a pass at least: batch norm has no spread of one."""


@dataclass(frozen=True, eq=False)
class Course:
    """What a sampler is made for.

    Attributes:
        target: (n,) int64 classes from 0 on, or float32 numbers, which count as one class.
        epochs: passes of the training.
        share: of the samples that is left out, from 0 to below 1; of which samples, each sampler says.
        until: part of the passes after which pruning ends, above 0 to 1.
        seed: of the training, at least 0.
    """

    target: torch.Tensor
    epochs: int
    share: float
    until: float
    seed: int

    def __post_init__(self) -> None:
        if len(self.target) < LEAST:
            raise ValueError(f"dynamic pruning takes at least {LEAST} samples, and there are {len(self.target)}")
        if not 0 <= self.share < 1:
            raise ValueError(f"the share left out is {self.share}; it must be from 0 to below 1")
        if not 0 < self.until <= 1:
            raise ValueError(
                f"samples are left out until {self.until} of the passes; it must be above 0, and at most 1"
            )
        if self.epochs < 1 or self.seed < 0:
            raise ValueError("there is at least one pass, and the seed is at least 0")

    @property
    def end(self) -> int:
        """The first pass, from 0 on, that is annealed: at `until` of all, rounded down."""
        return math.floor(self.until * self.epochs + 1e-9)

    @property
    def budget(self) -> int:
        """Samples of a pass that leaves out `share` of them."""
        return max(LEAST, round((1 - self.share) * len(self.target)))

    def chance(self, number: int) -> torch.Generator:
        """Where the draws of a pass come from: of seed and number alone, so there is no state to keep."""
        return generator_of(self.seed, STREAM, number)


@dataclass(frozen=True, eq=False)
class Turn:
    """Which samples a pass learns from.

    Attributes:
        rows: (m,) int64 positions, ascending, all different, at least 2.
        weights: (m,) float32, what each counts in the loss; None: 1 each.
    """

    rows: torch.Tensor
    weights: torch.Tensor | None = None


class Sampler(ABC):
    """Says before each pass which samples it learns from, and is told after it what became of them.

    What it plans depends on the course, on the number of the pass, and on what it was told; it draws from no stream of
    chance but its own, and needs no state of that.

    Args:
        course: what it is made for.

    Attributes:
        counts: (n,) int64, passes that each sample took part in.
    """

    def __init__(self, course: Course) -> None:
        self.course = course
        self.counts = torch.zeros(len(course.target), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.counts)

    def prunes(self, epoch: int) -> bool:
        """Whether a pass, from 0 on, leaves samples out."""
        return epoch < self.course.end and self.course.share > 0

    def plan(self, epoch: int) -> Turn:
        """The samples of a pass, from 0 on. To ask again changes nothing."""
        return self._cut(epoch) if self.prunes(epoch) else Turn(torch.arange(len(self)))

    def observe(self, rows: torch.Tensor, losses: torch.Tensor, correct: torch.Tensor | None = None) -> None:
        """Take in what became of a pass.

        Args:
            rows: (m,) int64, the samples of its `Turn`, in any order.
            losses: (m,) float32, before the step that each was learned by, without weights; finite.
            correct: (m,) bool, whether the class was right then; None for numbers.
        """
        self.counts[rows] += 1

    def state_dict(self) -> dict[str, torch.Tensor]:
        """All that `plan` and `counts` depend on besides the course."""
        return {"counts": self.counts.clone()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            ValueError: it is of another sampler.
        """
        own = self.state_dict()
        if {name: tensor.shape for name, tensor in own.items()} != {name: held.shape for name, held in state.items()}:
            raise ValueError("the state is of another sampler, or of one for other samples")
        self.counts = state["counts"].clone()

    @abstractmethod
    def _cut(self, epoch: int) -> Turn:
        """The samples of a pass that leaves some out."""


class Informed(Sampler):
    """One that goes by the losses. It learns from all samples in the first pass, for nothing is known before.

    Attributes:
        losses: (n,) float32, of each sample in the last pass that it took part in; NaN before.
    """

    def __init__(self, course: Course) -> None:
        super().__init__(course)
        self.losses = torch.full((len(self),), torch.nan)

    def prunes(self, epoch: int) -> bool:
        """Whether a pass, from 0 on, leaves samples out: not before every sample has had its turn."""
        return super().prunes(epoch) and epoch > 0 and not bool(self.losses.isnan().any())

    def observe(self, rows: torch.Tensor, losses: torch.Tensor, correct: torch.Tensor | None = None) -> None:
        """As for `Sampler.observe`."""
        super().observe(rows, losses, correct)
        self.losses[rows] = losses.to(torch.float32)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """As for `Sampler.state_dict`."""
        return {**super().state_dict(), "losses": self.losses.clone()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """As for `Sampler.load_state_dict`."""
        super().load_state_dict(state)
        self.losses = state["losses"].clone()


class Unbiased(Informed):
    """One whose weights make up for what is left out: a sample that stays with chance P counts 1 / P when it does.

    So each sample counts 1 in expectation, and the gradients of a pass sum to those of a full pass in expectation. The
    samples fall into groups; of a group of s samples k are drawn, without replacement, and P is k / s, exactly. The
    weights of a pass therefore sum to n always, and not only in expectation.
    """

    def chances(self, epoch: int) -> torch.Tensor:
        """(n,) float64, P of each sample in a pass, above 0."""
        if not self.prunes(epoch):
            return torch.ones(len(self), dtype=torch.float64)
        return _even(*self._groups(epoch))

    def _cut(self, epoch: int) -> Turn:
        groups, kept = self._groups(epoch)
        rows = drawn(groups, kept, self.course.chance(epoch))
        return Turn(rows, (1 / _even(groups, kept)[rows]).to(torch.float32))

    @abstractmethod
    def _groups(self, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(n,) int64, the group of each sample, and (G,) float64 whole numbers: how many stay, 1 at least."""


def _even(groups: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """(n,) float64, the chance of each sample where so many of each group are drawn."""
    return (kept / torch.bincount(groups, minlength=len(kept)).clamp(min=1))[groups]


def drawn(groups: torch.Tensor, kept: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw samples from each group, all with the same chance.

    Args:
        groups: (n,) int64, the group of each sample.
        kept: (G,), how many to draw of each.
        generator: of the CPU.

    Returns:
        (m,) int64 positions, ascending.
    """
    return first(groups, torch.rand(len(groups), generator=generator, dtype=torch.float64), kept)


def first(groups: torch.Tensor, keys: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The samples with the smallest keys of each group, so many of each; (m,) int64 positions, ascending."""
    order = keys.argsort(stable=True)
    order = order[groups[order].argsort(stable=True)]
    own = groups[order]
    sizes = torch.bincount(groups, minlength=len(kept))
    rank = torch.arange(len(groups)) - (sizes.cumsum(0) - sizes)[own]
    return order[rank < kept[own]].sort().values


def below_mean(losses: torch.Tensor, groups: torch.Tensor, count: int) -> torch.Tensor:
    """(n,) bool, which losses lie below the mean of their group; of equal ones none does, whatever the rounding.

    A float32 times a number of samples is exact in double precision, and so is what is compared here: a loss times the
    size of its group with the sum of the group, which `math.fsum` rounds once.
    """
    exact = losses.to(torch.float64)
    sizes = torch.bincount(groups, minlength=count)
    ordered = exact if count == 1 else exact[groups.argsort(stable=True)]
    parts = torch.split(ordered, sizes.tolist())
    sums = torch.tensor([math.fsum(part.tolist()) for part in parts], dtype=torch.float64)
    return exact * sizes[groups] < sums[groups]


def filled(pull: torch.Tensor, room: torch.Tensor, total: float) -> torch.Tensor:
    """Share out a total in proportion to pulls, but none gets more than it has room for.

    Args:
        pull: (G,) float64, from 0 on.
        room: (G,) float64, from 0 on.
        total: from 0 to the sum of the room.

    Returns:
        (G,) float64 that sum to the total: min(room, f * pull) with one f for all; what those with a pull have no room
        for goes to the others, in proportion to their room.
    """
    given = torch.zeros_like(room)
    for weights in (pull, torch.where(pull > 0, 0.0, room)):
        left = max(total - float(given.sum()), 0.0)
        active = weights > 0
        # Each round fills at least one, or is the last.
        while left > 0 and bool(active.any()):
            factor = left / float(weights[active].sum())
            over = active & (factor * weights >= room)
            if not bool(over.any()):
                given = torch.where(active, factor * weights, given)
                break
            given = torch.where(over, room, given)
            left = max(left - float(room[over].sum()), 0.0)
            active &= ~over
    return given


def whole(wanted: torch.Tensor, least: torch.Tensor, most: torch.Tensor, total: int) -> torch.Tensor:
    """Round numbers such that they sum to a total exactly: by the largest remainders (Hamilton's method).

    Args:
        wanted: (G,) float64.
        least: (G,) float64 whole numbers, which sum to the total at most.
        most: (G,) float64 whole numbers, which sum to the total at least.
        total: what they are to sum to.

    Returns:
        (G,) float64 whole numbers, from `least` to `most`.
    """
    made = torch.minimum(torch.maximum(wanted.floor(), least), most)
    while off := int(total - made.sum()):
        sign = 1 if off > 0 else -1
        room = most - made if off > 0 else made - least
        able = int((room > 0).sum())
        # The farthest from what it wants comes first; many at a time where there is more to shift than one each.
        order = torch.where(room > 0, sign * (wanted - made), -torch.inf).argsort(descending=True, stable=True)
        chosen = order[: min(abs(off), able)]
        made[chosen] += sign * room[chosen].clamp(max=max(1, abs(off) // able))
    return made
