"""What each weight of a network is worth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from datadiet_cli.nn.batches import Samples, generator_of
from datadiet_cli.nn.pruning.base import Scores
from datadiet_cli.nn.pruning.statistics import gradient_sums, input_norms, output_means, weights_of, with_means

Kind = Literal["weights", "channels"]
NORMS = ("l1", "l2")


@dataclass(frozen=True)
class Criterion:
    """How weights or units are ranked.

    Attributes:
        told: in a line, what is worth most.
        paper: where it is from.
        data: whether it needs samples.
        labels: whether it needs their target too.
        batch_norms: whether it ranks only what goes through a batch norm.
        structures: what it can rank.
    """

    told: str
    paper: str
    data: bool = False
    labels: bool = False
    batch_norms: bool = False
    structures: tuple[Kind, ...] = ("weights", "channels")


CRITERIA: Mapping[str, Criterion] = {
    "random": Criterion("chance decides", "Blalock et al., What is the state of neural network pruning?, MLSys 2020"),
    "magnitude": Criterion(
        "weights far from 0", "Han et al., Learning both weights and connections, NeurIPS 2015; Li et al., ICLR 2017"
    ),
    "gradient": Criterion(
        "weight times gradient, absolute in each batch",
        "Molchanov et al., Importance estimation for neural network pruning, CVPR 2019",
        data=True,
        labels=True,
    ),
    "fisher": Criterion(
        "squares of weight times gradient in each batch",
        "Theis et al., Faster gaze prediction with dense networks and Fisher pruning, 2018",
        data=True,
        labels=True,
    ),
    "snip": Criterion(
        "weight times gradient over all samples", "Lee et al., SNIP, ICLR 2019, equation 5", data=True, labels=True
    ),
    "bn-scale": Criterion(
        "scales of batch norms",
        "Liu et al., Learning efficient convolutional networks through network slimming, ICCV 2017",
        batch_norms=True,
        structures=("channels",),
    ),
    "activation": Criterion(
        "outputs far from 0",
        "Molchanov et al., Pruning convolutional neural networks, ICLR 2017, section 2.2",
        data=True,
    ),
    "wanda": Criterion(
        "weights far from 0 that meet large inputs",
        "Sun et al., A simple and effective pruning approach for large language models, ICLR 2024",
        data=True,
    ),
    "lamp": Criterion(
        "squares among those of their layer that are not smaller",
        "Lee et al., Layer-adaptive sparsity for the magnitude-based pruning, ICLR 2021",
    ),
}
"""By name."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """What a criterion looks at.

    Attributes:
        criterion: its name.
        model: gives (n, K) logits or (n, 1) numbers; is moved to the device, and otherwise left as it was.
        samples: for criteria that need them.
        device: where to compute.
        seed: of chance.
        norm: of magnitudes of units: ``l1`` for sums of absolute weights, ``l2`` for sums of squares.
        batch: samples at a time at most.

    Raises:
        ValueError: there is no such criterion or norm, or it needs samples and there are none.
    """

    criterion: str
    model: nn.Module
    samples: Samples | None
    device: torch.device
    seed: int
    norm: str
    batch: int

    def __post_init__(self) -> None:
        if self.criterion not in CRITERIA:
            raise ValueError(f"there is no criterion {self.criterion!r}; there are {', '.join(CRITERIA)}")
        if self.norm not in NORMS:
            raise ValueError(f"there is no norm {self.norm!r}; there are {', '.join(NORMS)}")
        if self.batch < 1:
            raise ValueError(f"batches of {self.batch} samples are none")
        if CRITERIA[self.criterion].data and not self.samples:
            none = "a dataset" if self.samples is None else "samples, and the dataset has none"
            raise ValueError(f"the criterion {self.criterion} needs {none}")

    @property
    def given(self) -> Samples:
        """The samples, of a criterion that needs them."""
        if self.samples is None:
            raise ValueError(f"the criterion {self.criterion} needs a dataset")
        return self.samples


def weight_scores(
    criterion: str,
    model: nn.Module,
    names: Sequence[str],
    samples: Samples | None,
    *,
    device: torch.device,
    seed: int,
    norm: str = "l1",
    batch: int = 64,
) -> Scores:
    """What each weight is worth, by a criterion of `CRITERIA`.

    With w a weight and g the gradient of the mean loss of a batch:

    - ``random``: even from 0 to 1, from a stream for each tensor by the seed and its name.
    - ``magnitude``: abs(w); either norm ranks weights alike.
    - ``gradient``: the sum over batches of abs(w g). Absolute in each batch, for at the end of a training the sums of
      w g cancel (Molchanov et al., CVPR 2019, section 3.1, of single weights).
    - ``fisher``: the sum over batches of (w g)^2.
    - ``snip``: abs(sum over all samples of w g), divided by the sum of it over all weights named (Lee et al., ICLR
      2019, equation 5). It is meant for a model that is not trained; giving it first weights anew is up to the caller.
    - ``activation``: abs(w) times the mean absolute output of its row (of the output channel that it has a part in).
    - ``wanda``: abs(w) times the norm of its input over all samples; published to be compared within a row.
    - ``lamp``: w^2 divided by the sum of the squares in the same tensor that are not smaller; of equal ones, the one
      at the earlier position counts as smaller (Lee et al., ICLR 2021, equation 1).

    Criteria with data make one pass over the samples, in their order. Layers that do not tell their inputs or outputs
    are given the mean of those around them (see `statistics.input_norms`).

    Args:
        criterion: its name.
        model: gives (n, K) logits or (n, 1) numbers; is moved to the device. Its mode, its gradients and what of it is
            frozen are afterwards as before.
        names: of tensors among its parameters; the second name of a shared tensor will do.
        samples: for criteria that need them; others do not look at them.
        device: where to compute.
        seed: at least 0.
        norm: ``l1`` or ``l2``.
        batch: samples at a time at most.

    Returns:
        Finite scores, not below 0.

    Raises:
        ValueError: something of the above is not there or wrong, or scores are not finite.
        DatadietError: there is not enough memory.
    """
    ranking = Ranking(criterion, model, samples, device, seed, norm, batch)
    if "weights" not in CRITERIA[criterion].structures:
        raise ValueError(f"the criterion {criterion} ranks channels, and not single weights")
    found = elements(ranking, names)
    scores: Scores = {}
    for name in list(found):
        scores[name] = found.pop(name).to("cpu", torch.float32)
        refuse_infinite(criterion, name, scores[name])
    return scores


@torch.no_grad()
def elements(ranking: Ranking, names: Sequence[str]) -> dict[str, Tensor]:
    """As `weight_scores`, of any type and on the device, and not looked through for infinite ones."""
    ranking.model.to(ranking.device)
    weights = {name: weight.detach() for name, weight in weights_of(ranking.model, names).items()}
    if not weights:
        return {}
    match ranking.criterion:
        case "random":
            return {name: chance(ranking.seed, name, own.numel()).view_as(own) for name, own in weights.items()}
        case "magnitude":
            return {name: weight.to(torch.float32).abs() for name, weight in weights.items()}
        case "gradient" | "fisher" | "snip":
            return _by_gradient(ranking, names)
        case "wanda" | "activation":
            return _by_data(ranking, weights)
    return {name: _lamp(name, weight) for name, weight in weights.items()}


def _lamp(name: str, weight: Tensor) -> Tensor:
    refuse_infinite("lamp", name, weight)
    # CUDA adds up the squares in another order each time.
    return lamp(weight.to("cpu", torch.float64).square().flatten()).view_as(weight)


def _by_gradient(ranking: Ranking, names: Sequence[str]) -> dict[str, Tensor]:
    terms: dict[str, Callable[[Tensor], Tensor]] = {
        "gradient": torch.abs,
        "fisher": torch.square,
        "snip": torch.positive,
    }
    term = terms[ranking.criterion]
    found = gradient_sums(ranking.model, names, ranking.given, term, device=ranking.device, batch=ranking.batch)
    for name, values in found.items():
        if not torch.isfinite(values).all():
            raise ValueError(f"the gradients of {name} are no finite numbers")
    if ranking.criterion == "snip":
        unique = {id(values): values.abs_() for values in found.values()}
        total = float(sum(float(values.sum()) for values in unique.values())) or 1.0
        found = {name: values / total for name, values in found.items()}
    return found


def _by_data(ranking: Ranking, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names, model, device = list(weights), ranking.model, ranking.device
    if ranking.criterion == "wanda":
        factors = input_norms(model, names, ranking.given, device=device, batch=ranking.batch)
    else:
        known = output_means(model, names, ranking.given, device=device, batch=ranking.batch)
        factors = with_means(model, names, known)
    return {name: weight.abs() * factors[name] for name, weight in weights.items()}


def chance(seed: int, name: str, n: int) -> Tensor:
    """(n,) float32, even from 0 to 1, from a stream by the seed and a name."""
    return torch.rand(n, generator=generator_of(seed, int.from_bytes(name.encode(), "big")))


def lamp(squares: Tensor) -> Tensor:
    """Each of (n,) float64 divided by the sum of those that are not smaller; of equal ones the earlier is smaller."""
    values, order = squares.sort(stable=True)
    rest = values.flip(0).cumsum(0).flip(0)
    found = torch.empty_like(values)
    found[order] = torch.where(rest > 0, values / rest.where(rest > 0, 1.0), 0.0)
    return found


def refuse_infinite(criterion: str, name: str, scores: Tensor) -> None:
    """Look through scores.

    Raises:
        ValueError: some are not finite.
    """
    if not torch.isfinite(scores).all():
        raise ValueError(f"the scores of {name} by {criterion} are no finite numbers")
