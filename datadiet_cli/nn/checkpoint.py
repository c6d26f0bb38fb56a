"""Where a training stands, on disk, so that one that was cut off goes on as if it had not been."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import xxhash
from torch import nn

from datadiet_cli.data.publish import write_atomically
from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.pruning.guides import Guides
from datadiet_cli.nn.recipe import Recipe

_VERSION = 1
_NAME = "checkpoint.safetensors"


@dataclass(frozen=True, eq=False)
class State:
    """What a training goes on from.

    Attributes:
        facts: JSON values.
        tensors: by name, on the CPU.
    """

    facts: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]


class Checkpoint:
    """One file, ``checkpoint.safetensors``: tensors, and JSON beside them; nothing in it can run.

    Args:
        folder: where it is; made if it is not there.
        key: of all that the training depends on; a file of another key is as good as none.
    """

    def __init__(self, folder: str, key: str) -> None:
        self._folder, self._key = folder, key

    @property
    def path(self) -> str:
        """The file."""
        return os.path.join(self._folder, _NAME)

    def save(self, state: State) -> None:
        """Replace what was saved; whoever reads finds the one or the other, whole.

        Raises:
            OSError: it cannot be written.
        """
        from safetensors.torch import save

        # Copies: tensors of one model may share memory, and may lie in an order of their own.
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.tensors.items()}
        facts = json.dumps(state.facts)
        metadata = {"key": self._key, "facts": facts, "digest": _digest(facts, tensors), "version": str(_VERSION)}
        os.makedirs(self._folder, exist_ok=True)
        write_atomically(self.path, save(tensors, metadata))

    def load(self) -> State | None:
        """What was saved last; None if there is nothing, or it is of another key, or damaged."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("version") != str(_VERSION) or metadata.get("key") != self._key:
                    return None
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return None
        facts = metadata.get("facts", "")
        if metadata.get("digest") != _digest(facts, tensors):
            return None
        return State(json.loads(facts), tensors)

    def clear(self) -> None:
        """Remove it: the training is done."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def training_key(
    model: nn.Module,
    samples: Samples,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    weights: torch.Tensor | None,
    observed: Samples | None = None,
    guides: Guides | None = None,
) -> str:
    """Digest of what `training.fit` begins with, as far as it is cheap to read: all but the inputs."""
    facts: list[object] = [recipe.as_json(), seed, device.type, [list(tensor.shape) for tensor in samples.inputs]]
    facts += [] if guides is None else guides.facts()
    hasher = xxhash.xxh3_128(json.dumps(facts, sort_keys=True).encode())
    tensors = {**model.state_dict(), "/target": samples.target, "/weights": weights}
    if observed is not None:
        tensors |= {"/observed": observed.index, "/observed target": observed.target}
    if guides is not None:
        tensors |= guides.tensors()
    for name, tensor in tensors.items():
        if tensor is not None:
            hasher.update(name.encode())
            hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def _digest(facts: str, tensors: Mapping[str, torch.Tensor]) -> str:
    hasher = xxhash.xxh3_128(facts.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        hasher.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()
