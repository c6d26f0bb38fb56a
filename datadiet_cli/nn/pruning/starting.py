"""A network with first weights drawn anew: the same widths, and nothing learned."""

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from datadiet_cli.nn.models.parts import Dropout, Encoder, seeded

_Network = TypeVar("_Network", bound=nn.Module)
_SPREAD = 0.02
"""Of weights that nobody knows how to start, as of the tokens and places of transformers (Dosovitskiy et al., ICLR
2021, and those before it)."""
_ONES = ("weight", "scale", "gamma")
_ZEROS = ("bias", "beta", "shift")


def fresh(model: _Network, seed: int) -> _Network:
    """A copy of a network with its first weights drawn anew, whatever its widths.

    Layers draw as they do when they are built, in the same order: a copy of what `models.build` gave from one seed is
    to the last bit, but for the units of fields and target, what it gives from another. Statistics of batch norms
    begin anew, as do streams of dropout. All other buffers stay, such as means and scales that inputs are
    standardised by, and so does which weights may learn.

    Weights that no layer starts (see `without_start`) are drawn from a normal distribution with a spread of 0.02; but
    a vector called weight, scale or gamma is set to 1, and one called bias, beta or shift to 0, as norms have them.

    Args:
        model: it is not changed.
        seed: at least 0. Torch's own stream of chance stays as it was.

    Returns:
        The copy, in evaluation mode, on the CPU.

    Raises:
        ValueError: a layer fails to draw its weights; it is named.
    """
    made, left = _started(model, seed)
    with seeded(seed + 1), torch.no_grad():
        for name, parameter in left.items():
            last = name.rpartition(".")[2]
            if parameter.ndim <= 1 and last in (*_ONES, *_ZEROS):
                parameter.fill_(float(last in _ONES))
            elif parameter.is_floating_point():
                parameter.normal_(0, _SPREAD)
    return made.eval()


def without_start(model: nn.Module) -> tuple[str, ...]:
    """Names of the parameters that none of a network's layers knows how to draw, such as a class token.

    Raises:
        ValueError: a layer fails to draw its weights; it is named.
    """
    return tuple(_started(model, 0)[1])


def _started(model: _Network, seed: int) -> tuple[_Network, dict[str, nn.Parameter]]:
    """A copy whose layers drew their weights, and the parameters that none of them drew."""
    made = copy.deepcopy(model).cpu()
    made.zero_grad(set_to_none=True)
    versions = {name: parameter._version for name, parameter in made.named_parameters()}
    with seeded(seed), torch.no_grad():
        _start(made, "", seed)
    old = dict(model.named_parameters())
    # Drawing counts as a change of the tensor, unless it was written to by way of `data`; then values differ.
    left = {
        name: parameter
        for name, parameter in made.named_parameters()
        if parameter._version == versions[name] and torch.equal(parameter, old[name].cpu())
    }
    return made, left


def _start(module: nn.Module, name: str, seed: int) -> None:
    """Let a module draw after those that it consists of, as when they are built."""
    for child, own in module.named_children():
        _start(own, f"{name}.{child}".removeprefix("."), seed)
    if isinstance(module, Encoder):
        module.start()
    elif isinstance(module, Dropout):
        module.reseed(seed)
    for way in ("reset_parameters", "_reset_parameters"):
        draw: Callable[[], object] | None = getattr(module, way, None)
        if callable(draw):
            try:
                draw()
            except Exception as error:  # of somebody else's code
                told = f"{type(error).__name__}: {error}".strip().splitlines()[0][:300]
                raise ValueError(f"{name or 'the network'} cannot draw its weights anew: {told}") from error
            break
