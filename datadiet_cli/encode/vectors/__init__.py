"""A sample -> a vector, by one of several encoders. What is alike to an encoder has a small angle between its vectors.

An encoder is a class, made of the name of a device. Every one has

- `similarity`: the cosine from which on two samples count as copies, unless the user says otherwise;
- `dimensions`: of its vectors.

and is called with what its kind of data was turned into:

- image: (k, height, width, 3) uint8 pictures of the `size` (width, height) it wants -> (k, d) floats;
- text: k normalised texts -> (k, d) floats;
- audio: one sound -> (d,) floats.

Encoders that learn from all samples together (`classical` for text and row) have functions of their own.
"""

import importlib
from typing import Any

from datadiet_cli.errors import ConfigError

_HERE = "datadiet_cli.encode.vectors"
ENCODERS: dict[str, dict[str, str]] = {
    "image": {
        "efficientnet-lite0": f"{_HERE}.pretrained_images:EfficientNetLite0",
        "classical": f"{_HERE}.classical_images:ClassicalImages",
    },
    "text": {
        "minilm": f"{_HERE}.pretrained_texts:MiniLM",
        "classical": f"{_HERE}.classical_texts:TextVectors",
    },
    "audio": {
        "classical": f"{_HERE}.classical_sounds:ClassicalSounds",
        "mfcc": f"{_HERE}.mfcc:Mfcc",
    },
    "row": {
        "classical": f"{_HERE}.classical_rows:row_vectors",
        "minilm": f"{_HERE}.pretrained_texts:MiniLM",
    },
}
"""Kind of data -> encoder -> its class or function, loaded when it runs. The first of a kind is what `auto` means,
whatever is installed: a decision must not depend on that."""

NETWORKS = frozenset({"efficientnet-lite0", "minilm"})
"""Encoders that compute on a GPU where there is one, as files do that hold one."""

EXPORTED = ".pt2"
"""How the name of a file ends that holds an encoder."""


def choose(kind: str, name: str, step: str = "dedup") -> str:
    """The name of an encoder: that of the kind's first for ``auto``.

    Args:
        kind: of the data.
        name: as the user gave it.
        step: who asks, for the message.

    Raises:
        ConfigError: there is none of this name for this kind of data.
    """
    encoders = ENCODERS[kind]
    if name == "auto":
        return next(iter(encoders))
    if name in encoders or (name.endswith(EXPORTED) and kind == "image"):
        return name
    files = ", or a .pt2 file" if kind == "image" else ""
    raise ConfigError(f"{step}: encoder {name} does not work on {kind} data; choose {' or '.join(encoders)}{files}")


def load(kind: str, name: str) -> Any:
    """The class or function of an encoder."""
    module, _, attribute = ENCODERS[kind][name].partition(":")
    return getattr(importlib.import_module(module), attribute)
