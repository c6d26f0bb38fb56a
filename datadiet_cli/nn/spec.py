"""What a model takes and gives: enough to build it again, and to bring new samples into its form."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

VERSION = 1


@dataclass(frozen=True)
class Field:
    """One tensor that a model takes; the first dimension is the batch.

    Attributes:
        name: ``image``, ``audio``, ``text``, ``numbers``, ``categories`` or ``vector``; of a table's column that names
            files or holds texts, the kind and the column: ``image:photo``.
        kind: which of these it is.

            - ``image``: (n, 3, size, size) uint8, RGB.
            - ``audio``: (n, samples) int16, mono at `rate`, zeros after the end.
            - ``text``: (n, length) int32, numbers of hashed words and pairs of words from 1 to `buckets`; 0 for none.
            - ``numbers``: (n, d) float32, NaN for a missing cell.
            - ``categories``: (n, c) int64, 0 for a missing cell or an unknown value, i + 1 for the i-th of `values`.
            - ``vector``: (n, d) float32, as an encoder gives it.
        options: JSON values, by kind: image ``size``; audio ``rate``, ``samples``; text ``buckets``, ``length``;
            numbers ``columns`` and their ``forms`` (how each is written: real, whole, date, time, day, span), and only
            where float32 needs it ``centres``, which are subtracted, and ``scales``, multiplied by then; categories
            ``columns``, ``values`` (a list for each column); vector ``dimensions``, ``encoder``. A column of a table
            has its ``column`` too, and one that names text files ``files``.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Spec:
    """A model, but for its weights.

    Attributes:
        model: its name in `models.MODELS`; ``factory`` for a user's own, ``program`` for one that came as a .pt2 file.
        fields: what it takes, in the order of the arguments of its `forward`.
        classes: names of the classes that its outputs stand for, (n, K) logits; empty for a regression: (n, 1) numbers
            in the unit of the label.
        options: JSON values that the model is built with: ``dropout``, ``hidden``, ``factory``, ``arguments``.
        label: the column that it predicts, if there is one.
    """

    model: str
    fields: tuple[Field, ...]
    classes: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str | None = None

    @property
    def outputs(self) -> int:
        """Width of what the model gives."""
        return len(self.classes) or 1

    def as_json(self) -> dict[str, Any]:
        """For ``model.json``."""
        return {"datadiet_model": VERSION, **asdict(self)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Spec":
        """Read what `as_json` gave.

        Raises:
            ValueError: it is of another version.
            KeyError, TypeError: it is damaged.
        """
        if document["datadiet_model"] != VERSION:
            raise ValueError(f"of version {document['datadiet_model']!r}, not {VERSION}")
        fields = tuple(Field(part["name"], part["kind"], dict(part["options"])) for part in document["fields"])
        classes: Sequence[str] = document["classes"]
        if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
            raise ValueError("its classes are no names")
        return cls(document["model"], fields, tuple(classes), dict(document["options"]), document["label"])
