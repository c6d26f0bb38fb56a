"""What a pass over samples tells about the weights of a network: their gradients, and what its layers take and give."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from datadiet_cli.nn.batches import Samples, Source
from datadiet_cli.nn.device import computing, memory_in_words
from datadiet_cli.nn.optimising import losses_of, scale_of
from datadiet_cli.nn.pruning import layerwise

Weights = Mapping[str, nn.Parameter]
"""By name; two names may stand for one weight."""
_WORDS = "there is not enough memory for scores of all weights; take smaller batches, or a machine with more"


def weights_of(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Parameter]:
    """Weights of a network by name, also by the second name of those that two layers share.

    Raises:
        ValueError: there is none of a name, or it does not hold real numbers.
    """
    known = dict(model.named_parameters(remove_duplicate=False))
    found: dict[str, nn.Parameter] = {}
    for name in names:
        if name not in known:
            raise ValueError(f"the model has no weights {name}")
        if not known[name].is_floating_point():
            raise ValueError(f"the weights {name} are no real numbers")
        found[name] = known[name]
    return found


def gradient_sums(
    model: nn.Module,
    names: Sequence[str],
    samples: Samples,
    term: Callable[[Tensor], Tensor],
    *,
    device: torch.device,
    batch: int,
) -> dict[str, Tensor]:
    """Sums over batches of something made of weight times gradient.

    The gradient is that of the mean loss of a batch: batches are the samples in their order, cut into parts whose
    sizes differ by at most 1, and where they do, each counts by its size. The model is in eval mode. Frozen weights
    get a gradient too; no gradient stays behind.

    Args:
        model: gives (m, K) logits or (m, 1) numbers; is moved to the device.
        names: of weights.
        samples: at least one.
        term: of a batch's weight times gradient, float64 of the weight's shape; gives the same shape.
        device: where to compute.
        batch: samples at a time at most.

    Returns:
        By name, float64 of the weight's shape, on the device.

    Raises:
        ValueError: no gradient reaches the weights, or the target has classes that the model does not know.
        DatadietError: there is not enough memory.
    """
    with memory_in_words(_WORDS), _quiet(model, device):
        weights = weights_of(model, names)
        own = list({id(weight): weight for weight in weights.values()}.values())
        source, scale = Source(samples, device), scale_of(model, samples.target)
        parts = _parts(len(samples), batch)
        sums = [torch.zeros_like(weight, dtype=torch.float64, requires_grad=False) for weight in own]
        with _learning(own), sdpa_kernel(SDPBackend.MATH), _recurrent(model):
            for rows in parts:
                inputs, target, _ = source.batch(rows)
                found = _gradients(model, own, inputs, target, scale, len(parts) / len(samples))
                for total, weight, gradient in zip(sums, own, found, strict=True):
                    if gradient is not None:
                        total += term(weight.detach().to(torch.float64) * gradient)
    by_weight = {id(weight): total for weight, total in zip(own, sums, strict=True)}
    return {name: by_weight[id(weight)] for name, weight in weights.items()}


def _gradients(
    model: nn.Module,
    weights: Sequence[nn.Parameter],
    inputs: Sequence[Tensor],
    target: Tensor,
    scale: Tensor | float,
    share: float,
) -> tuple[Tensor | None, ...]:
    with torch.enable_grad():
        outputs = model(*inputs)
        most = -1 if target.is_floating_point() else int(target.max())
        if most >= outputs.shape[1]:
            raise ValueError(f"the target has class {most}, and the model knows {outputs.shape[1]} classes")
        loss = losses_of(outputs, target, scale).sum() * share
    if not loss.requires_grad:
        raise ValueError("no gradient reaches the weights: the model computes its answer without them")
    return torch.autograd.grad(loss, weights, allow_unused=True)


def input_norms(
    model: nn.Module, names: Sequence[str], samples: Samples, *, device: torch.device, batch: int
) -> dict[str, Tensor]:
    """The norm of what each weight is multiplied with, over all samples and places.

    (||x_j||_2 of Sun et al., "A simple and effective pruning approach for large language models", ICLR 2024, equation
    1.) Which layers tell it, see `layerwise.inputs_of`. For all other weights it is taken as the mean of the norms in
    the smallest module around them that has some; 1 if there is none.

    Args:
        model: is moved to the device.
        names: of weights.
        samples: at least one; their target is not looked at.
        device: where to compute.
        batch: samples at a time at most.

    Returns:
        By name, float64 on the device, of a shape that can be multiplied with the weights.
    """
    seen = _watched(model, names, samples, layerwise.inputs_of, device=device, batch=batch)
    return _filled(model, names, {key: total.sqrt() for key, (total, _) in seen.items()})


def output_means(
    model: nn.Module, names: Sequence[str], samples: Samples, *, device: torch.device, batch: int
) -> dict[str, Tensor]:
    """The mean absolute output that each weight has a part in, over all samples and places.

    Which layers tell it, see `layerwise.outputs_of`; weights of others are left out. Arguments as of `input_norms`.

    Returns:
        By name, float64 on the device, of a shape that can be multiplied with the weights.
    """
    seen = _watched(model, names, samples, layerwise.outputs_of, device=device, batch=batch)
    weights = weights_of(model, names)
    known = {key: total / count for key, (total, count) in seen.items()}
    return {name: known[id(weight)] for name, weight in weights.items() if id(weight) in known}


def with_means(model: nn.Module, names: Sequence[str], known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give weights that something is not known of the mean of it in the smallest module around that has some.

    Args:
        model: that they are of.
        names: of all weights.
        known: of some.
    """
    weights = weights_of(model, names)
    return _filled(model, names, {id(weights[name]): value for name, value in known.items()})


def _watched(
    model: nn.Module,
    names: Sequence[str],
    samples: Samples,
    told_by: Callable[..., Iterator[layerwise.Told]],
    *,
    device: torch.device,
    batch: int,
) -> dict[int, tuple[Tensor, Tensor]]:
    """Totals and counts by identity of the weight, of all that a layer tells when it is called."""
    with memory_in_words(_WORDS), _quiet(model, device), contextlib.ExitStack() as stack:
        weights_of(model, names)
        found: dict[int, tuple[Tensor, Tensor]] = {}

        def note(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            for told in told_by(layer, args, kwargs, output):
                key = id(layer.get_parameter(told.weight))
                total, count = found.get(key, (torch.zeros((), device=device), torch.zeros((), device=device)))
                found[key] = (total + told.total.to(torch.float64), count + told.number)

        for layer in model.modules():
            if layerwise.tells(layer):
                stack.callback(layer.register_forward_hook(note, with_kwargs=True).remove)
        source = Source(samples, device)
        with torch.no_grad(), _plain_attention():
            for rows in _parts(len(samples), batch):
                model(*source.batch(rows)[0])
    return found


def _filled(model: nn.Module, names: Sequence[str], known: Mapping[int, Tensor]) -> dict[str, Tensor]:
    weights = weights_of(model, names)
    means = {
        name: known[id(weight)].mean()
        for name, weight in model.named_parameters(remove_duplicate=False)
        if id(weight) in known
    }

    def around(name: str) -> Tensor:
        place = name
        while place:
            place = place.rpartition(".")[0]
            near = [mean for other, mean in means.items() if not place or other.startswith(f"{place}.")]
            if near:
                return torch.stack(near).mean()
        return torch.ones((), dtype=torch.float64, device=weights[name].device)

    return {name: known[id(weight)] if id(weight) in known else around(name) for name, weight in weights.items()}


def _parts(n: int, batch: int) -> tuple[Tensor, ...]:
    return torch.tensor_split(torch.arange(n), math.ceil(n / batch))


@contextlib.contextmanager
def _quiet(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Eval mode on a device, with one thread: more would change the last digits, and with them which of two goes.

    The mode of each module is as before afterwards.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.to(device).eval()
    try:
        with computing(device, 1):
            yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextlib.contextmanager
def _learning(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """Let frozen weights have gradients for a while."""
    frozen = [weight for weight in weights if not weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for weight in frozen:
            weight.requires_grad_(False)


@contextlib.contextmanager
def _plain_attention() -> Iterator[None]:
    """Let `nn.TransformerEncoderLayer` call its layers, which it does not in eval mode where it can go a faster way."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _recurrent(model: nn.Module) -> contextlib.AbstractContextManager[Any]:
    """The cuDNN library knows no way backward through a recurrent layer in eval mode."""
    there = any(isinstance(module, nn.RNNBase) for module in model.modules())
    return torch.backends.cudnn.flags(enabled=False) if there else contextlib.nullcontext()
