"""A model on disk: weights, what they are the weights of, and a program that runs without us.

`model.safetensors` holds the weights, `model.json` the `Spec` they belong to, and `model.pt2` the whole model as an
exported program that takes the same raw tensors. A model that came as a program has ``backbone.pt2`` beside them: the
program it was built from, without its last layer. Nothing is pickled by us.
"""

import io
import json
import logging
import os
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING, Any

from datadiet_cli.errors import InputError, OutputError
from datadiet_cli.nn.scan import checked
from datadiet_cli.nn.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor, fx, nn
    from torch.export import ExportedProgram

    from datadiet_cli.nn.models import Model

WEIGHTS, DESCRIPTION, PROGRAM, BACKBONE = "model.safetensors", "model.json", "model.pt2", "backbone.pt2"
_TOLERANCE = 1e-4
"""Largest difference from the model in memory, as a share of its largest answer."""
_MOST_BYTES = 1 << 26
"""Of a description."""


def save(
    folder: str, model: "Model", spec: Spec, *, examples: "Sequence[Tensor]", extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write a model, read every file again, and compare what it answers with the model in memory.

    Args:
        folder: where to; it is made if it is not there.
        model: on any device, in any mode; it is left as it is.
        spec: what it was built by.
        examples: a few raw samples, (n, ...) tensors with n >= 1, one per field, on the CPU.
        extra: JSON values to keep in the description.

    Returns:
        What was written to ``model.json``.

    Raises:
        ValueError: the model cannot be exported.
        OutputError: a file cannot be written, or answers otherwise than the model in memory.
    """
    import torch
    from safetensors.torch import save_file

    ours = _on_cpu(model)
    pair = tuple(torch.cat([given, given])[: max(len(given), 2)] for given in examples)
    program = exported(ours, pair)
    # Weights that two layers share are written twice: the format has no place for that.
    state = {name: value.clone().contiguous() for name, value in ours.state_dict().items()}
    description = {
        **spec.as_json(),
        "parameters": sum(value.numel() for value in ours.parameters()),
        "shapes": {name: list(value.shape) for name, value in state.items()},
        "inputs": [{"shape": ["n", *given.shape[1:]], "dtype": str(given.dtype)[6:]} for given in pair],
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "extra": dict(extra or {}),
    }
    try:
        os.makedirs(folder, exist_ok=True)
        save_file(state, os.path.join(folder, WEIGHTS))
        _save_program(program, os.path.join(folder, PROGRAM))
        if spec.model == "program":
            _save_program(_backbone(ours, pair), os.path.join(folder, BACKBONE))
        _describe(folder, description)
        description["largest_difference"] = _compare(folder, ours, pair)
        _describe(folder, description)
    except OSError as error:
        raise OutputError(f"{folder}: the model cannot be written: {error.strerror or error}") from None
    return description


def load(folder: str) -> "tuple[Model, Spec]":
    """Read a model that `save` wrote.

    Returns:
        The model, in evaluation mode, on the CPU; and what it was built by.

    Raises:
        InputError: files are missing, damaged, or do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from datadiet_cli.nn.models import build

    spec = description_of(folder)
    try:
        model = _program_model(folder, spec) if spec.model == "program" else build(spec)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: the model cannot be built again: {error}") from error
    path = os.path.join(folder, WEIGHTS)
    try:
        state = load_file(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    there = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    if wrong := sorted(name for name in there.keys() | found.keys() if there.get(name) != found.get(name)):
        raise InputError(
            f"{path} does not belong to {DESCRIPTION} beside it: {wrong[0]} has shape {found.get(wrong[0])}, "
            f"not {there.get(wrong[0])}"
        )
    model.load_state_dict(state)
    return model.eval(), spec


def load_program(path: str) -> "fx.GraphModule":
    """Read a .pt2 file as a network of real layers, as `rehydrate.rehydrate` gives it.

    Raises:
        InputError: the file may not be loaded, is damaged, or holds what cannot be turned into layers.
    """
    from datadiet_cli.nn.rehydrate import rehydrate

    program = _read_program(path)
    try:
        return rehydrate(program)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


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
            return torch.export.export(
                model,
                tuple(torch.zeros_like(given) for given in examples),  # the file keeps them, and is not for data
                dynamic_shapes=sizes,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
        except Exception as error:
            told = f"{type(error).__name__}: {error}".strip().splitlines()[0][:300]
            raise ValueError(f"the model cannot be exported by torch.export: {told}") from error


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


def _takes_any(model: "nn.Module") -> bool:
    from datadiet_cli.nn.models import Encoder, Model

    return isinstance(model, Model | Encoder)


def _on_cpu(model: "Model") -> "Model":
    """A copy on the CPU, in evaluation mode."""
    import copy

    return copy.deepcopy(model).to("cpu").eval()


def _save_program(program: "ExportedProgram", path: str) -> None:
    import torch

    with quiet():
        torch.export.save(program, path)


def _read_program(path: str) -> "ExportedProgram":
    data = checked(path)
    import torch

    with quiet():
        try:
            return torch.export.load(io.BytesIO(data))
        except Exception as error:
            raise InputError(f"{path} cannot be loaded by torch {torch.__version__}") from error


def _backbone(model: "Model", examples: "Sequence[Tensor]") -> "ExportedProgram":
    """The program that a model was built from, without its head."""
    import torch

    from datadiet_cli.nn.models.wrapped import Wrapped

    encoder = model.encoder
    if not isinstance(encoder, Wrapped):
        raise ValueError("the model was not built from a program")
    with torch.no_grad():
        return exported(encoder.body, [encoder.enter(examples[0])])


def _program_model(folder: str, spec: Spec) -> "Model":
    from datadiet_cli.nn.models.wrapped import from_backbone

    return from_backbone(spec, load_program(os.path.join(folder, BACKBONE)))


def _describe(folder: str, description: Mapping[str, Any]) -> None:
    with open(os.path.join(folder, DESCRIPTION), "w", encoding="utf-8") as file:
        json.dump(description, file, indent=2, allow_nan=False)
        file.write("\n")


def description_of(folder: str) -> Spec:
    """What a model that `save` wrote takes and gives; nothing of it is built or imported.

    Raises:
        InputError: it is none, or damaged.
    """
    path = os.path.join(folder, DESCRIPTION)
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{folder} is not a folder that datadiet train wrote: it has no {DESCRIPTION}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError("too large")
        return Spec.of(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is not a model's description, or is damaged: {error}") from None


def _compare(folder: str, model: "Model", examples: "Sequence[Tensor]") -> float:
    """Largest difference between what the files and the model in memory answer."""
    import torch

    again, _ = load(folder)
    program = _read_program(os.path.join(folder, PROGRAM)).module()
    largest = 0.0
    with torch.inference_mode():
        expected = model(*examples)
        # A batch of one goes other ways in some libraries, and a program may have lost its free size.
        for rows in (slice(None), slice(0, 1)):
            given = [part[rows] for part in examples]
            for name, reader in ((WEIGHTS, again), (PROGRAM, program)):
                found = (reader(*given) - expected[rows]).abs().max()
                if not found <= _TOLERANCE * expected.abs().max().clamp(min=1):
                    path = os.path.join(folder, name)
                    raise OutputError(
                        f"{path} answers otherwise than the model that was trained, by {float(found):.3g}"
                    )
                largest = max(largest, float(found))
    return largest
