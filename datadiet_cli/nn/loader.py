"""The file beside a model that opens it without us."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datadiet_cli.nn.models import Model

LOADER = "load_model.py"
_USE = '''"""Opens the model in this folder with torch alone; load() needs safetensors, too.

    from load_model import load, load_program

    program = load_program()
    answer = program({inputs})
    network = load(factory)  # factory() builds {network}

{inputs_told}.
The answer is {answer}.
{note}
"""
'''
_THEIRS = "your network, with the arguments that it was made with before"
_OURS = "the network whose weights these are, at its old widths"
_RAW = "The program brings raw samples to scale itself."
_STANDARDISED = (
    "The program brings raw samples to scale itself. The network takes them standardised, as it did in training:\n"
    "the tensors of the file that begin with encoder.enter are the units."
)
_UNITS = {
    "uint8": "pixels from 0 to 255",
    "int16": "a wave",
    "int32": "numbers of hashed words, 0 for none",
    "int64": "numbers of categories, 0 for none",
}


def loader_of(model: "Model", description: Mapping[str, Any]) -> str:
    """The text of a file for the folder of a model.

    Args:
        model: what the folder holds.
        description: of it, as ``model.json`` has it.
    """
    from datadiet_cli.nn import standalone
    from datadiet_cli.nn.models.wrapped import Wrapped

    inner = model.encoder if isinstance(model.encoder, Wrapped) else None
    place = None if inner is None else inner.place
    parts = {"": ""} if place is None else {"encoder.body.": "", "head.": f"{place}." if place else ""}
    inputs, classes = description["inputs"], description["classes"]
    names = [f"input_{number}" for number in range(len(inputs))]
    units = inner is not None and place is not None and next(inner.enter.buffers(), None) is not None
    use = _USE.format(
        inputs=", ".join(names),
        network=_THEIRS if place is not None else _OURS,
        inputs_told=";\n".join(_told(name, given) for name, given in zip(names, inputs, strict=True)),
        answer=f"(n, {len(classes)}) float32 logits of the classes of model.json" if classes else "(n, 1) float32",
        note=_STANDARDISED if units else _RAW,
    )
    code = inspect.getsource(standalone).split('"""', 2)[2]
    return use + "\n" + code.replace('PARTS = {"": ""}', f"PARTS = {parts!r}").lstrip()


def _told(name: str, given: Mapping[str, Any]) -> str:
    shape = ", ".join(map(str, given["shape"]))
    units = _UNITS.get(given["dtype"])
    return f"{name} is ({shape}) {given['dtype']}{f', {units}' if units else ''}, for any n"
