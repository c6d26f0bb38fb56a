"""`model.json` in the folder of a model: what it takes and gives, and the shapes of its weights."""

import json
import os
from collections.abc import Mapping
from typing import Any

from datadiet_cli.errors import InputError
from datadiet_cli.nn.spec import Spec

DESCRIPTION = "model.json"
_MOST_BYTES = 1 << 26


def describe(folder: str, description: Mapping[str, Any]) -> None:
    """Write it."""
    with open(os.path.join(folder, DESCRIPTION), "w", encoding="utf-8") as file:
        json.dump(description, file, indent=2, allow_nan=False)
        file.write("\n")


def description_of(folder: str) -> Spec:
    """What a model that `save` wrote takes and gives; nothing of it is built or imported.

    Raises:
        InputError: it is none, or damaged.
    """
    return spec_in(document_in(folder), folder)


def document_in(folder: str) -> dict[str, Any]:
    """What is written of a model.

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
        found = json.loads(data)
        if not isinstance(found, dict):
            raise TypeError("no object")
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(folder, error) from None
    return found


def spec_in(document: Mapping[str, Any], folder: str) -> Spec:
    """What a model takes and gives, of `document_in`.

    Raises:
        InputError: it is damaged.
    """
    try:
        return Spec.of(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, error) from None


def shapes_in(document: Mapping[str, Any], folder: str) -> dict[str, tuple[int, ...]]:
    """The shapes that tensors of a model have, by name, of `document_in`.

    Raises:
        InputError: it is damaged.
    """
    try:
        return {name: tuple(map(int, shape)) for name, shape in document["shapes"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, error) from None


def _damaged(folder: str, error: Exception) -> InputError:
    return InputError(f"{os.path.join(folder, DESCRIPTION)} is not a model's description, or is damaged: {error}")
