"""A model as a program of torch: what every file of it that runs without its class is made from."""

import copy
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING, TypeVar

from datadiet_cli.errors import OutputError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

TOLERANCE = 1e-4
"""Largest difference from the model in memory, as a share of its largest answer."""
_Network = TypeVar("_Network", bound="nn.Module")


def exported(model: "nn.Module", examples: "Sequence[Tensor]") -> "ExportedProgram":
    """Export a model for any number of samples.

    Args:
        model: on the CPU, in evaluation mode.
        examples: at least two raw samples, one tensor per field.

    Raises:
        ValueError: it cannot be exported; the message says why.
    """
    import torch

    batch = torch.export.Dim("batch", min=1, max=1 << 30)
    # One inner tuple per tensor, for a model's forward takes *inputs.
    sizes = (tuple({0: batch} for _ in examples),) if _takes_any(model) else tuple({0: batch} for _ in examples)
    with quiet(), redirect_stderr(io.StringIO()):  # where torch prints the graph of what it cannot export
        try:
            # Guards would be code of our own in the file; as assertions they are part of the graph.
            program = torch.export.export(
                model,
                tuple(torch.zeros_like(given) for given in examples),  # the file keeps them, and is not for data
                dynamic_shapes=sizes,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
        except Exception as error:
            raise ValueError(f"the model cannot be exported by torch.export: {in_a_line(error)}") from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # which line of whose file it stems from
    return program


def in_a_line(error: Exception) -> str:
    """An error of somebody else's code in one line."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:300]


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch logs and warns of its own code: what goes wrong is told in a line of ours."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def on_cpu(model: _Network) -> _Network:
    """A copy on the CPU, in evaluation mode."""
    found: _Network = copy.deepcopy(model).to("cpu").eval()
    return found


def two_at_least(examples: "Sequence[Tensor]") -> "tuple[Tensor, ...]":
    """Raw samples as `exported` needs them; a single one is taken twice."""
    import torch

    return tuple(torch.cat([given, given])[: max(len(given), 2)] for given in examples)


def other_sizes(examples: "Sequence[Tensor]") -> "list[list[Tensor]]":
    """The samples, one of them, and three more of them than there are.

    A batch of one goes other ways in some libraries, and a program may have lost its free size.
    """
    import torch

    count = len(examples[0])
    more = torch.arange(count + 3) % count
    return [list(examples), [given[:1] for given in examples], [given[more] for given in examples]]


def difference(path: str, found: "Tensor", expected: "Tensor") -> float:
    """Largest difference between what a file and the model in memory answer.

    Raises:
        OutputError: it is more than the order of sums explains.
    """
    if found.shape != expected.shape:
        raise OutputError(f"{path} answers in shape {tuple(found.shape)}, not {tuple(expected.shape)}")
    largest = (found - expected).abs().max()
    if not largest <= TOLERANCE * expected.abs().max().clamp(min=1):
        raise OutputError(f"{path} answers otherwise than the model in memory, by {float(largest):.3g}")
    return float(largest)


def _takes_any(model: "nn.Module") -> bool:
    from datadiet_cli.nn.models import Encoder, Model

    return isinstance(model, Model | Encoder)
