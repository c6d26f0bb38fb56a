"""The training record: what a model thought of every sample in every epoch.

Sample scores come out of it without another training. `recorder` says how each quantity is computed.

On disk, a folder of ``record.json`` and one folder a model, ``model-000`` and so on, each with ``part.json`` and one
.npy file a quantity: (epochs, samples) float16, ``correct`` bool, which numpy maps into memory. Values beyond 65504,
the largest float16, are cut to it. A sample that took no part is NaN, and not correct. Models may be trained anywhere:
the folders of the models of one record are put side by side, and `Record.open` sees whether they belong together.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.data.publish import write_atomically
from datadiet_cli.errors import InputError

VERSION = 1
CLASSES = ("probability", "margin", "loss", "error", "entropy", "correct")
"""Quantities of every classification."""
GRADIENT, DIVERGENCE = "gradient", "divergence"
"""Quantities that a record of a classification may have besides, in this order."""
NUMBERS = ("loss", "error")
"""Quantities of a regression."""
_KNOWN = (NUMBERS, CLASSES, *((*CLASSES, *more) for more in ((GRADIENT,), (DIVERGENCE,), (GRADIENT, DIVERGENCE))))
_MOST = float(np.finfo(np.float16).max)
_FACTS = {
    "samples": int,
    "epochs": int,
    "models": int,
    "how": str,
    "quantities": list,
    "seeds": list,
    "fingerprint": str,
    "labels": str,
    "spec": dict,
    "recipe": dict,
}


@dataclass(frozen=True)
class Facts:
    """What a record is of.

    Attributes:
        samples: rows for samples, n.
        epochs: rows for epochs at most; a training that stops early fills fewer.
        seeds: of the models, one each.
        how: ``batch``: by the logits that a sample was trained by, augmented as it was; ``epoch``: by a look at all
            samples at the end of each epoch.
        quantities: `CLASSES`, which `GRADIENT`, `DIVERGENCE` or both may follow, or `NUMBERS`.
        fingerprint: of the dataset.
        labels: digest of the samples' ids and labels, in the order of the rows.
        spec: `Spec.as_json` of the model.
        recipe: `Recipe.as_json`.
    """

    samples: int
    epochs: int
    seeds: tuple[int, ...]
    how: str
    quantities: tuple[str, ...]
    fingerprint: str
    labels: str
    spec: Mapping[str, Any]
    recipe: Mapping[str, Any]

    @property
    def models(self) -> int:
        """How many models there are, or are to be."""
        return len(self.seeds)

    def as_json(self) -> dict[str, Any]:
        """For ``record.json``."""
        own = {name: getattr(self, name) for name in _FACTS}
        return {"datadiet_record": VERSION, **own, "seeds": list(self.seeds), "quantities": list(self.quantities)}

    @property
    def key(self) -> str:
        """Digest of all of it."""
        return xxhash.xxh3_128_hexdigest(json.dumps(self.as_json(), sort_keys=True).encode())

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Facts":
        """Read what `as_json` gave.

        Raises:
            ValueError: it is of another version, or damaged.
        """
        if document.get("datadiet_record") != VERSION:
            raise ValueError(f"of version {document.get('datadiet_record')!r}, not {VERSION}")
        facts: dict[str, Any] = {name: document.get(name) for name in _FACTS}
        for name, kind in _FACTS.items():
            if not isinstance(facts[name], kind):
                raise ValueError(f"without a good {name!r}")
        facts |= {name: tuple(facts[name]) for name in ("seeds", "quantities")}
        if facts["quantities"] not in _KNOWN or facts.pop("models") != len(facts["seeds"]):
            raise ValueError("without good quantities and seeds")
        return cls(**facts)


class Record:
    """A training record on disk. Made by `create` or `open`."""

    def __init__(self, folder: str, facts: Facts) -> None:
        self.folder = folder
        self.facts = facts

    @classmethod
    def create(cls, folder: str, facts: Facts) -> "Record":
        """Begin a record, or go on with the one that is there.

        Args:
            folder: is made; its parent must be there.
            facts: what it is to be of.

        Raises:
            InputError: there is a record of something else.
            ValueError: the facts are of no record: no samples, seeds or quantities.
        """
        if facts.how not in ("batch", "epoch") or facts.quantities not in _KNOWN:
            raise ValueError(f"a record is made by batch or epoch, of CLASSES or NUMBERS, not {facts.how}")
        if min(facts.samples, facts.models, facts.epochs) < 1:
            raise ValueError("a record needs a sample, a model and a whole epoch")
        if os.path.exists(os.path.join(folder, "record.json")):
            return cls.open(folder, facts)
        os.makedirs(folder, exist_ok=True)
        _write(os.path.join(folder, "record.json"), facts.as_json())
        return cls(folder, facts)

    @classmethod
    def open(cls, folder: str, facts: Facts | None = None, *, fingerprint: str | None = None) -> "Record":
        """Open a record, and check that its parts belong together.

        Args:
            folder: of the record.
            facts: what it must be of, if that is known.
            fingerprint: of the dataset that it must be of, if only that is known.

        Raises:
            InputError: it is no record, is damaged, is of another dataset or training, or a part is of another record.
        """
        path = os.path.join(folder, "record.json")
        try:
            found = Facts.of(_read(path))
        except OSError as error:
            raise InputError(f"{folder} is no training record: {path} cannot be read ({error.strerror})") from None
        except (ValueError, AttributeError) as error:
            raise InputError(f"{path} is of no training record that can be read: {error}") from None
        wanted = facts.fingerprint if facts else fingerprint
        if wanted is not None and found.fingerprint != wanted:
            raise InputError(f"{folder} is the training record of another dataset; train again, or name that dataset")
        if facts and facts.key != found.key:
            raise InputError(f"{folder} is the record of {_differing(facts, found)}; take another folder, or remove it")
        record = cls(folder, found)
        for model in range(found.models):
            record._check(model)
        return record

    def epochs(self, model: int) -> int:
        """How many epochs of a model are written."""
        part = self._part(model)
        return int(part["epochs"]) if part else 0

    def finished(self, model: int) -> bool:
        """Whether a model's training has come to its end."""
        part = self._part(model)
        return bool(part and part["finished"])

    def missing(self) -> list[tuple[int, int]]:
        """Which epochs of which models are not there: (model, epoch), both from 0 on."""
        return [
            (model, epoch)
            for model in range(self.facts.models)
            if not self.finished(model)
            for epoch in range(self.epochs(model), self.facts.epochs)
        ]

    def read(self, quantity: str, model: int) -> NDArray[Any]:
        """A quantity of one model: (epochs written, samples) float16, or bool for ``correct``; mapped, read-only.

        Raises:
            ValueError: the record has no such quantity, or nothing of that model yet.
        """
        epochs = self.epochs(model) if quantity in self.facts.quantities else 0
        if not epochs:
            raise ValueError(f"{self.folder} has no {quantity} of model {model}")
        held: NDArray[Any] = np.load(self.path(quantity, model), mmap_mode="r", allow_pickle=False)
        return held[:epochs]

    def path(self, quantity: str, model: int) -> str:
        """The file of a quantity of one model."""
        return os.path.join(self._of(model), f"{quantity}.npy")

    def begin(self, model: int, epoch: int) -> None:
        """Make room for a model's training that goes on with this epoch; what it wrote of later ones is void."""
        os.makedirs(self._of(model), exist_ok=True)
        # Without its part a model is as good as absent, until its files are as the part will say.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._of(model), "part.json"))
        for quantity in self.facts.quantities:
            if not (epoch and os.path.exists(self.path(quantity, model))):
                self._allocate(quantity, model, epoch)
        self.mark(model, epoch, finished=False)

    def write(self, model: int, epoch: int, rows: NDArray[np.int64], values: Mapping[str, NDArray[Any]]) -> None:
        """Write an epoch of a model.

        Args:
            model: from 0 on.
            epoch: from 0 on.
            rows: (m,) int64, all different: the samples that took part.
            values: (m,) numbers for each quantity.
        """
        for quantity in self.facts.quantities:
            held = np.load(self.path(quantity, model), mmap_mode="r+", allow_pickle=False)
            row = np.full(held.shape[1], False if quantity == "correct" else np.nan, held.dtype)
            own = values[quantity]
            row[rows] = own if quantity == "correct" else np.clip(own, -_MOST, _MOST)
            held[epoch] = row
            held.flush()

    def mark(self, model: int, epochs: int, *, finished: bool) -> None:
        """Write down how many epochs of a model are written, and whether its training has come to its end."""
        if finished and epochs < self.facts.epochs:
            # Zeros would look like numbers.
            for quantity in self.facts.quantities:
                held = np.load(self.path(quantity, model), mmap_mode="r+", allow_pickle=False)
                held[epochs:] = False if quantity == "correct" else np.nan
                held.flush()
        part = {"datadiet_record": VERSION, "key": self.facts.key, "epochs": epochs, "finished": finished}
        _write(os.path.join(self._of(model), "part.json"), {**part, "model": model, "seed": self.facts.seeds[model]})

    def _of(self, model: int) -> str:
        return os.path.join(self.folder, f"model-{model:03d}")

    def _part(self, model: int) -> dict[str, Any] | None:
        try:
            return _read(os.path.join(self._of(model), "part.json"))
        except FileNotFoundError:
            return None

    def _allocate(self, quantity: str, model: int, epoch: int) -> None:
        dtype = np.bool_ if quantity == "correct" else np.float16
        shape = (self.facts.epochs, self.facts.samples)
        held = np.lib.format.open_memmap(self.path(quantity, model), mode="w+", dtype=dtype, shape=shape)
        # Earlier epochs whose file is gone; zeros would look like numbers.
        held[:epoch] = False if quantity == "correct" else np.nan

    def _check(self, model: int) -> None:
        folder = self._of(model)
        try:
            part = self._part(model)
            if part is None:
                return
            epochs, key = int(part["epochs"]), part["key"]
            shapes = {
                np.load(self.path(quantity, model), mmap_mode="r", allow_pickle=False).shape
                for quantity in self.facts.quantities
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder} is damaged ({error}); remove it and train that model again") from None
        if key != self.facts.key or part["model"] != model:
            raise InputError(f"{folder} is of another training than {self.folder}{os.sep}record.json says")
        if shapes != {(self.facts.epochs, self.facts.samples)} or epochs > self.facts.epochs:
            raise InputError(f"{folder} is damaged: its files do not have the shape that record.json says")


def _differing(wanted: Facts, found: Facts) -> str:
    one, other = wanted.as_json(), found.as_json()
    return "another " + ", ".join(name for name in one if one[name] != other[name])


def _write(path: str, document: Mapping[str, Any]) -> None:
    write_atomically(path, (json.dumps(document, indent=2, sort_keys=True) + "\n").encode())


def _read(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        document = json.load(file)
    if not isinstance(document, dict):
        raise ValueError("no JSON object")
    return document
