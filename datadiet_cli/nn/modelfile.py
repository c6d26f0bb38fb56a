"""A model on disk: weights, what they are the weights of, and a program that runs without us.

`model.safetensors` holds the weights, `model.json` the `Spec` they belong to, and `model.pt2` the whole model as an
exported program that takes the same raw tensors. A model that came as a program has ``backbone.pt2`` beside them: the
program it was built from, without its last layer. Nothing is pickled by us.
"""

import io
import os
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datadiet_cli.errors import InputError, OutputError
from datadiet_cli.nn.description import DESCRIPTION, describe, document_in, shapes_in, spec_in
from datadiet_cli.nn.description import description_of as description_of
from datadiet_cli.nn.exporting import difference, in_a_line, on_cpu, two_at_least
from datadiet_cli.nn.exporting import exported as exported
from datadiet_cli.nn.exporting import quiet as quiet
from datadiet_cli.nn.loader import LOADER, loader_of
from datadiet_cli.nn.scan import checked
from datadiet_cli.nn.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor, fx
    from torch.export import ExportedProgram

    from datadiet_cli.nn.models import Model

WEIGHTS, PROGRAM, BACKBONE, ONNX = "model.safetensors", "model.pt2", "backbone.pt2", "model.onnx"


def save(
    folder: str,
    model: "Model",
    spec: Spec,
    *,
    examples: "Sequence[Tensor]",
    extra: Mapping[str, Any] | None = None,
    onnx: bool = False,
    loader: bool = False,
    fresh: bool = False,
) -> dict[str, Any]:
    """Write a model, read every file again, and compare what it answers with the model in memory.

    Args:
        folder: where to; it is made if it is not there.
        model: on any device, in any mode, with layers of any width; it is left as it is.
        spec: what it was built by.
        examples: a few raw samples, (n, ...) tensors with n >= 1, one per field, on the CPU.
        extra: JSON values to keep in the description.
        onnx: write ``model.onnx`` too.
        loader: write ``load_model.py`` too, which opens the files with torch alone.
        fresh: open the program (and the ONNX file) in a process of its own, too, which takes some seconds.

    Returns:
        What was written to ``model.json``; ``largest_difference`` is the largest of the ``differences``, which are by
        file.

    Raises:
        ValueError: the model cannot be exported.
        MissingExtraError: a package that `onnx` needs is not installed.
        InputError: the model cannot be built by its spec.
        OutputError: a file cannot be written, or answers otherwise than the model in memory.
    """
    from safetensors.torch import save_file

    ours, pair = on_cpu(model), two_at_least(examples)
    program = exported(ours, pair)
    # Weights that two layers share are written twice: the format has no place for that.
    state = {name: value.clone().contiguous() for name, value in ours.state_dict().items()}
    description = _description(folder, ours, spec, pair, extra)
    try:
        os.makedirs(folder, exist_ok=True)
        save_file(state, os.path.join(folder, WEIGHTS))
        _save_program(program, os.path.join(folder, PROGRAM))
        if spec.model == "program":
            _save_program(_backbone(ours, pair), os.path.join(folder, BACKBONE))
        if loader:
            with open(os.path.join(folder, LOADER), "w", encoding="utf-8") as file:
                file.write(loader_of(ours, description))
        describe(folder, description)
        differences: dict[str, float] = {}
        _compare(folder, ours, pair, differences)
        if onnx:
            from datadiet_cli.nn.onnxfile import write_onnx

            differences[ONNX] = write_onnx(ours, pair, os.path.join(folder, ONNX), program=program)
        if fresh:
            _reopen(folder, ours, pair, differences)
        description |= {"largest_difference": max(differences.values(), default=0.0), "differences": differences}
        describe(folder, description)
    except OSError as error:
        raise OutputError(f"{folder}: the model cannot be written: {error.strerror or error}") from None
    return description


def _description(
    folder: str, model: "Model", spec: Spec, examples: "Sequence[Tensor]", extra: Mapping[str, Any] | None
) -> dict[str, Any]:
    import torch

    from datadiet_cli.nn.resize import shapes_of

    shapes, place = shapes_of(model), getattr(model.encoder, "place", None)
    # A program is exported anew as wide as it is; any other model is built by its spec, as wide as that says.
    resized = spec.model != "program" and shapes_of(_built(folder, spec)) != shapes
    return {
        **spec.as_json(),
        "parameters": sum(value.numel() for value in model.parameters()),
        "shapes": {name: list(shape) for name, shape in shapes.items()},
        **({"resized": True} if resized else {}),
        **({"head": place} if place is not None else {}),
        "inputs": [{"shape": ["n", *given.shape[1:]], "dtype": str(given.dtype)[6:]} for given in examples],
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "extra": dict(extra or {}),
    }


def load(folder: str) -> "tuple[Model, Spec]":
    """Read a model that `save` wrote; one whose layers were made narrower too.

    Returns:
        The model, in evaluation mode, on the CPU; and what it was built by.

    Raises:
        InputError: files are missing, damaged, or do not belong together.
    """
    from datadiet_cli.nn.resize import resize_to, shapes_of

    document = document_in(folder)
    spec = spec_in(document, folder)
    model = _built(folder, spec)
    if spec.model == "program" and isinstance(document.get("head"), str):
        model.encoder.place = document["head"]
    path = os.path.join(folder, WEIGHTS)
    state = _weights_in(path)
    resized = document.get("resized") is True
    there = shapes_in(document, folder) if resized else shapes_of(model)
    found = {name: tuple(value.shape) for name, value in state.items()}
    if wrong := sorted(name for name in there.keys() | found.keys() if there.get(name) != found.get(name)):
        raise InputError(
            f"{path} does not belong to {DESCRIPTION} beside it: {wrong[0]} has shape {found.get(wrong[0])}, "
            f"not {there.get(wrong[0])}"
        )
    try:
        resize_to(model, state)
    except ValueError as error:
        raise InputError(f"{path} does not belong to {DESCRIPTION} beside it: {error}") from error
    model.encoder.width = model.head.in_features
    return model.eval(), spec


def from_weights(path: str, spec: Spec) -> "Model":
    """Give a network of the user's own the weights of a file.

    Args:
        path: a .safetensors file with the tensors of the module that the factory makes, by the names in its
            `state_dict`, of any widths.
        spec: of model ``factory``; with ``options["raw"]`` true for a network that takes samples that were not brought
            to scale by units learned from a dataset, as is so of whatever was not trained here.

    Returns:
        The model, in evaluation mode, on the CPU.

    Raises:
        InputError: the file cannot be read.
        ValueError: the network cannot be made, or these are not its weights; the message names the first tensor.
    """
    from datadiet_cli.nn.models.wrapped import from_factory

    state = _weights_in(path)
    try:
        return from_factory(spec, 0, state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _built(folder: str, spec: Spec) -> "Model":
    """The model before it has its weights."""
    from datadiet_cli.nn.models import build

    try:
        return _program_model(folder, spec) if spec.model == "program" else build(spec)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: the model cannot be built again: {error}") from error


def _weights_in(path: str) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        raise InputError(f"{path} is damaged: {error}") from None


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


def _compare(folder: str, model: "Model", examples: "Sequence[Tensor]", differences: dict[str, float]) -> None:
    """Note by file the largest difference between what it and the model in memory answer."""
    import torch

    again, _ = load(folder)
    program = _read_program(os.path.join(folder, PROGRAM)).module()
    with torch.inference_mode():
        expected = model(*examples)
        # A batch of one goes other ways in some libraries, and a program may have lost its free size.
        for rows in (slice(None), slice(0, 1)):
            given = [part[rows] for part in examples]
            for name, reader in ((WEIGHTS, again), (PROGRAM, program)):
                path = os.path.join(folder, name)
                try:
                    found = reader(*given)
                except Exception as error:
                    raise OutputError(f"{path} fails where the model in memory answers: {in_a_line(error)}") from error
                apart = difference(path, found, expected[rows])
                differences[name] = max(differences.get(name, 0.0), apart)


def _reopen(folder: str, model: "Model", examples: "Sequence[Tensor]", differences: dict[str, float]) -> None:
    """Compare again in another process; what is larger there counts."""
    from datadiet_cli.nn.reopening import reopened

    onnx = os.path.join(folder, ONNX) if ONNX in differences else None
    for path, apart in reopened(model, examples, os.path.join(folder, PROGRAM), onnx).items():
        name = os.path.basename(path)
        differences[name] = max(differences[name], apart)
