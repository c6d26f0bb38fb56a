"""Take units out of a model: what can go, and the smaller model."""

import copy
import os
import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.export import ExportedProgram

from datadiet_cli.nn.exporting import exported
from datadiet_cli.nn.models import Model
from datadiet_cli.nn.models.wrapped import Wrapped
from datadiet_cli.nn.pruning.base import Kept, Structure, cut, slices_of
from datadiet_cli.nn.pruning.rewriting import rewritten
from datadiet_cli.nn.pruning.tracing import structure_of
from datadiet_cli.nn.rehydrate import rehydrate
from datadiet_cli.nn.resize import resize_to
from datadiet_cli.nn.spec import Spec

_BODY, _HEAD = "encoder.body.", "head"
_TOLERANCE = 1e-4
"""Largest difference of two ways to the same model, as a share of its largest answer."""


@dataclass(frozen=True, eq=False)
class Examined:
    """A model that was looked at.

    Attributes:
        model: it, on the CPU, in evaluation mode; not to be changed from now on.
        spec: what it was built by.
        examples: raw samples, at least two, one tensor per field.
        program: its graph; of a model that came as a program the graph of that, without its last layer.
        structure: which of its units can go.
    """

    model: Model
    spec: Spec
    examples: Sequence[Tensor]
    program: ExportedProgram
    structure: Structure


def examined(model: Model, spec: Spec, examples: Sequence[Tensor], *, protected: Collection[str] = ()) -> Examined:
    """Find out which units of a model can go.

    Args:
        model: on the CPU, in evaluation mode.
        spec: what it was built by.
        examples: raw samples, at least two, one tensor per field.
        protected: names of layers of which nothing may go.

    Raises:
        ValueError: the model cannot be exported; the message says why.
    """
    if spec.model == "program":
        # Its own graph is what is to be rewritten.
        program = _body(model, examples)
        heads = {f"{_HEAD}.{name}": tensor for name, tensor in model.head.state_dict().items()}
        found = structure_of(program, prefix=_BODY, head=heads, protected=protected)
    else:
        program = exported(model, examples)
        found = structure_of(program, protected=protected, whole_heads=False)
    return Examined(model, spec, examples, program, found)


def shrunk(known: Examined, kept: Kept, *, check: bool = True) -> Model:
    """A smaller copy of a model, without some of its units.

    Args:
        known: the model.
        kept: the units that stay.
        check: whether to see that the smaller network computes what its graph does without these units.

    Returns:
        The copy, in evaluation mode.

    Raises:
        ValueError: the model cannot be made smaller so: its forward has widths written into it.
    """
    state = cut(known.model.state_dict(), slices_of(known.structure, kept))
    if known.spec.model == "program":
        return _program(known, kept, state)
    made = copy.deepcopy(known.model)
    try:
        resize_to(made, state).eval()
        if check:
            _check_agreement(made, known, kept)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"it cannot be made smaller: {_told(error)}{_where(error)}; {_ADVICE}") from error
    return made


_ADVICE = (
    "where its forward has widths written into it, write -1 or read them from the weights, or name the layers in "
    "--keep-layers, or export it as a .pt2 and prune that"
)


def _body(model: Model, examples: Sequence[Tensor]) -> ExportedProgram:
    assert isinstance(model.encoder, Wrapped)  # noqa: S101 - programs are wrapped
    with torch.no_grad():
        return exported(model.encoder.body, [model.encoder.enter(examples[0])])


def _program(known: Examined, kept: Kept, state: dict[str, Tensor]) -> Model:
    body = rehydrate(rewritten(known.program, known.structure, kept, prefix=_BODY))
    encoder = known.model.encoder
    assert isinstance(encoder, Wrapped)  # noqa: S101 - programs are wrapped
    # All but the body is copied; that is made anew.
    made = copy.deepcopy(known.model, {id(encoder.body): body})
    resize_to(made.head, {name: state[f"{_HEAD}.{name}"] for name in made.head.state_dict()})
    assert isinstance(made.encoder, Wrapped)  # noqa: S101 - it is a copy
    made.encoder.width = made.head.in_features
    made.load_state_dict(state)
    return made.eval()


def _check_agreement(made: Model, known: Examined, kept: Kept) -> None:
    """The smaller network must answer as its smaller graph does: a forward may cut a width into other parts."""
    program = rewritten(known.program, known.structure, kept).module()
    with torch.no_grad():
        found, expected = made(*known.examples), program(*known.examples)
    apart = (found - expected).abs().max()
    if not apart <= _TOLERANCE * expected.abs().max().clamp(min=1):
        raise ValueError(f"it then computes something else, by {float(apart):.3g}")


def _where(error: Exception) -> str:
    """The last line of the user's own code that was on the way, if there is one."""
    ours = (os.path.dirname(torch.__file__), os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    lines = [
        f" ({os.path.basename(frame.filename)}, line {frame.lineno})"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*ours, "<"))
    ]
    return lines[-1] if lines else ""


def _told(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
