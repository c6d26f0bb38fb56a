"""What steps learned, as files: ``.transform.json``, and ``.transform.safetensors`` for its arrays. No pickle."""

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from datadiet_cli import __version__
from datadiet_cli.columns import Transform
from datadiet_cli.errors import InputError

VERSION = 2
JSON_ENDING, ARRAYS_ENDING = ".transform.json", ".transform.safetensors"


def arrays_path(path: str) -> str:
    """Where the arrays of a ``.transform.json`` stand."""
    return path.removesuffix(JSON_ENDING) + ARRAYS_ENDING


def transform_files(transforms: Sequence[Transform], kind: str) -> dict[str, bytes]:
    """The files, by the ends of their names; none without a transform.

    Args:
        transforms: in the order of the steps.
        kind: of the data that they were learned from.
    """
    if not transforms:
        return {}
    document = {
        "datadiet_transform": VERSION,
        "datadiet": __version__,
        "kind": kind,
        "arrays": any(transform.arrays for transform in transforms),
        "steps": [dict(transform.document) for transform in transforms],
    }
    files = {JSON_ENDING: json.dumps(document, indent=1).encode("ascii") + b"\n"}
    arrays = {
        f"{number}.{name}": np.ascontiguousarray(values)
        for number, transform in enumerate(transforms)
        for name, values in transform.arrays.items()
    }
    if arrays:
        from safetensors.numpy import save

        files[ARRAYS_ENDING] = save(arrays)
    return files


def read_transforms(path: str) -> tuple[list[Transform], str]:
    """Read a ``.transform.json`` and the arrays that stand beside it.

    Returns:
        The transforms in order, and the kind of data that they were learned from.

    Raises:
        InputError: it cannot be read, is damaged or of another version, or its arrays are not there.
    """
    try:
        with open(path, "rb") as file:
            document = json.load(file)
        version, steps, kind = document["datadiet_transform"], document["steps"], str(document["kind"])
        names = [str(step["step"]) for step in steps]
        with_arrays = bool(document["arrays"]) if version == VERSION else False
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no transform; name the .transform.json beside an OUTPUT") from error
    if version != VERSION:
        raise InputError(f"{path}: is a transform of another version; make it anew")
    arrays = _arrays(arrays_path(path)) if with_arrays else {}
    found = []
    for number in range(len(names)):
        own = {name: values for name, values in arrays.items() if name.startswith(f"{number}.")}
        found.append(Transform(steps[number], {name.partition(".")[2]: values for name, values in own.items()}))
    return found, kind


def _arrays(path: str) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not os.path.exists(path):
        raise InputError(f"{path}: is missing; it belongs to the .transform.json beside it")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: is damaged; make it anew") from error
