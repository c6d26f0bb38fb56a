"""What a training is held to besides its samples: weights that stay zero, a teacher, and units that are to shrink."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from datadiet_cli.nn.pruning.base import Group, Masks


@dataclass(frozen=True, eq=False)
class Teacher:
    """A model whose answers are learned from, as well as the labels.

    (Hinton et al., "Distilling the knowledge in a neural network", 2015, section 2.)

    Attributes:
        model: takes and gives what the model in training does, and shares no weights with it.
        share: of the loss that is the distance to the teacher, from 0 to 1; the rest is that to the labels.
        temperature: above 0, that logits are divided by, so that classes that are wrong, but not very, count too.
            Numbers have none.
    """

    model: nn.Module
    share: float = 0.9
    temperature: float = 4.0


@dataclass(frozen=True, eq=False)
class Penalty:
    """A group lasso: whole units are drawn towards zero.

    A unit adds the root of the sum of the squares of all that it owns, times the root of how many numbers that is
    (Yuan & Lin, "Model selection and estimation in regression with grouped variables", JRSS B 68, 2006, equation 2.1;
    of channels, Wen et al., "Learning structured sparsity in deep neural networks", NeurIPS 2016, section 3). So
    weights of one size count as they would in a sum of absolute values. What lies in two units counts for both.
    Buffers, and weights that may not learn, do not count.

    Attributes:
        groups: of units, with tensors named as the model in training has them.
        factor: what the sum is multiplied with, from 0 on.
    """

    groups: Sequence[Group]
    factor: float


@dataclass(frozen=True, eq=False)
class Guides:
    """What a training is held to.

    Attributes:
        masks: which weights stay; all others of these parameters are zero before, in and after the training.
        teacher: to learn from.
        penalty: on units.
    """

    masks: Masks | None = None
    teacher: Teacher | None = None
    penalty: Penalty | None = None

    def check(self, model: nn.Module) -> None:
        """Check that they are of a model.

        Raises:
            ValueError: they are not; the message says which.
        """
        parameters = dict(model.named_parameters(remove_duplicate=False))
        for name, mask in (self.masks or {}).items():
            if name not in parameters:
                raise ValueError(f"there is a mask of {name}, and the model has no such parameter")
            if mask.dtype != torch.bool or mask.shape != parameters[name].shape:
                raise ValueError(
                    f"the mask of {name} is {tuple(mask.shape)} {mask.dtype}, not {tuple(parameters[name].shape)} bool"
                )
        if self.teacher is not None:
            _check_teacher(self.teacher, model)
        if self.penalty is not None:
            _check_penalty(self.penalty, model)

    def facts(self) -> list[object]:
        """JSON values that tell one from another, together with `tensors`."""
        facts: list[object] = []
        if self.teacher is not None:
            facts.append(["teacher", self.teacher.share, self.teacher.temperature])
        if self.penalty is not None:
            groups = [[group.name, group.units, [member[:2] for member in group.members]] for group in self._groups()]
            facts.append(["penalty", self.penalty.factor, groups])
        return facts

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Tensors by name that tell one from another, together with `facts`."""
        for name in sorted(self.masks or {}):
            yield f"/mask/{name}", (self.masks or {})[name]
        if self.teacher is not None:
            for name, tensor in self.teacher.model.state_dict().items():
                yield f"/teacher/{name}", tensor
        for group in self._groups():
            for number, member in enumerate(group.members):
                yield f"/penalty/{group.name}/{number}", torch.from_numpy(member.positions)
                yield f"/penalty/{group.name}/{number}/owners", torch.from_numpy(member.owners)

    def _groups(self) -> Sequence[Group]:
        return () if self.penalty is None else self.penalty.groups


def _check_teacher(teacher: Teacher, model: nn.Module) -> None:
    if not 0 <= teacher.share <= 1:
        raise ValueError(f"the teacher's share of the loss is {teacher.share:g}; it must be from 0 to 1")
    if not 0 < teacher.temperature < float("inf"):
        raise ValueError(f"the teacher's temperature is {teacher.temperature:g}; it must be above 0")
    own = {parameter.data_ptr() for parameter in model.parameters() if parameter.numel()}
    if any(parameter.data_ptr() in own for parameter in teacher.model.parameters() if parameter.numel()):
        raise ValueError("the teacher has weights of the model that it teaches; it must be a copy")


def _check_penalty(penalty: Penalty, model: nn.Module) -> None:
    if not 0 <= penalty.factor < float("inf"):
        raise ValueError(f"the factor of the penalty is {penalty.factor:g}; it must be from 0 on")
    sizes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for group in penalty.groups:
        for member in group.members:
            shape = sizes.get(member.tensor, ())
            if member.dim >= len(shape) or member.positions.max(initial=-1) >= shape[member.dim]:
                raise ValueError(f"{group.name} has units in {member.tensor}, and the model has not")


class Held:
    """Weights that are kept at zero.

    Args:
        model: on its device; its masked weights are set to zero.
        masks: which stay, as for `Guides`. A weight that goes by several names stays if all their masks have it.
    """

    def __init__(self, model: nn.Module, masks: Masks) -> None:
        parameters = dict(model.named_parameters(remove_duplicate=False))
        self._held: list[tuple[str, nn.Parameter, torch.Tensor]] = []
        known: dict[int, torch.Tensor] = {}
        for name, mask in masks.items():
            parameter = parameters[name]
            # In the order in memory that the weights have.
            gone = torch.empty_like(parameter, dtype=torch.bool, requires_grad=False).copy_(~mask)
            if id(parameter) in known:
                known[id(parameter)].logical_or_(gone)
            elif not bool(mask.all()):
                known[id(parameter)] = gone
                self._held.append((name, parameter, gone))
        self.after()

    @torch.no_grad()
    def before(self) -> None:
        """Before the optimiser's step: what does not learn leaves no momentum."""
        for _, parameter, gone in self._held:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(gone, 0)

    @torch.no_grad()
    def after(self) -> None:
        """After the optimiser's step: whatever it did, they are zero. Not by a product, which keeps signs and NaN."""
        for _, parameter, gone in self._held:
            parameter.masked_fill_(gone, 0)

    @torch.no_grad()
    def check(self) -> None:
        """Check that all are zero.

        Raises:
            ValueError: some are not.
        """
        for name, parameter, gone in self._held:
            back = int(torch.count_nonzero(parameter[gone]))
            if back:
                raise ValueError(
                    f"{back} of the {int(gone.sum())} weights of {name} that were pruned came back in training; "
                    "the model changes its weights by itself"
                )


class GroupLasso:
    """The subgradient of a `Penalty`, of all groups at once.

    Args:
        model: on its device.
        penalty: what for.

    Raises:
        ValueError: nothing in its units may learn.
    """

    def __init__(self, model: nn.Module, penalty: Penalty) -> None:
        parameters = dict(model.named_parameters(remove_duplicate=False))
        units = sum(group.units for group in penalty.groups)
        # One more, which nothing belongs to that has no unit.
        self._size = torch.zeros(units + 1, dtype=torch.float64)
        self._places: list[tuple[nn.Parameter, int, torch.Tensor]] = []
        first = 0
        for group in penalty.groups:
            for tensor, dim, positions, owners, _ in group.members:
                parameter = parameters.get(tensor)
                if parameter is None or not parameter.requires_grad:
                    continue
                owner = torch.full((parameter.shape[dim],), units)
                owner[torch.from_numpy(positions)] = torch.from_numpy(owners) + first
                each = torch.full((len(owner),), parameter.numel() / len(owner), dtype=torch.float64)
                self._size.index_add_(0, owner, each)
                self._places.append((parameter, dim, owner.to(parameter.device)))
            first += group.units
        if not self._places:
            raise ValueError("the penalty is on units of which nothing can learn")
        self._size[-1] = 0
        self._weight = self._size.sqrt().mul_(penalty.factor).to(torch.float32).to(self._places[0][0].device)

    @torch.no_grad()
    def add(self) -> None:
        """Add it to the gradients. It is 0 for a unit that is 0, which so may stay."""
        norms = self._norms()
        pull = torch.where(norms > 0, self._weight / norms, 0)
        for parameter, dim, owner in self._places:
            if parameter.grad is not None:
                parameter.grad.addcmul_(parameter, pull[owner].view(_along(parameter, dim)))

    @torch.no_grad()
    def value(self) -> float:
        """The penalty itself."""
        return float((self._weight * self._norms()).sum(dtype=torch.float64))

    def _norms(self) -> torch.Tensor:
        squares = torch.zeros_like(self._weight)
        for parameter, dim, owner in self._places:
            others = [other for other in range(parameter.ndim) if other != dim]
            own = parameter.square()
            squares.index_add_(0, owner, (own.sum(others) if others else own).to(squares.dtype))
        return squares.sqrt_()


def _along(tensor: torch.Tensor, dim: int) -> list[int]:
    """The shape of a vector along one dimension of a tensor."""
    return [-1 if own == dim else 1 for own in range(tensor.ndim)]
