"""Networks for rows of numbers, categories and vectors."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from datadiet_cli.nn.models.parts import SMALLEST, Encoder
from datadiet_cli.nn.spec import Field, Spec

_FEW = 16
"""A column of categories with more values than this is embedded instead of given one number per value."""
_EMBEDDING = 8
_FARTHEST = 10.0
"""No standardised number is farther from 0 than this."""
_HIDDEN = (128, 128)


class Numbers(Encoder):
    """(n, d) float32 with NaN for missing cells to (n, 2 d): each number in units of its column, then what is missing.

    The unit is a robust one: the median is taken off, and the distance of the quartiles brought to that of a normal
    distribution; of the standard deviation where the quartiles are equal. A missing cell gets the median.

    Args:
        field: of kind ``numbers``.
        smooth: squeeze what is far off, x / sqrt(1 + (x / 3)^2), instead of only cutting it at 10 (Holzmueller et al.,
            "Better by default: strong pre-tuned MLPs and boosted trees on tabular data", NeurIPS 2024, section 3).
    """

    median: Tensor
    scale: Tensor

    def __init__(self, field: Field, smooth: bool) -> None:
        super().__init__()
        columns = len(field.options["columns"])
        self._smooth = smooth
        self.width = 2 * columns
        self.register_buffer("median", torch.zeros(columns))
        self.register_buffer("scale", torch.ones(columns))

    def fit(self, *samples: Tensor) -> None:
        """Learn median and scale of each column."""
        values = samples[0].numpy().astype(np.float64)
        values[~np.isfinite(values)] = np.nan
        ordered = np.sort(values, axis=0)  # NaN comes last
        low, median, high = (_quantile(ordered, share) for share in (0.25, 0.5, 0.75))
        spread = (high - low) / 1.349
        there = ~np.isnan(values)
        off = np.where(there, values - median, 0.0)
        deviation = np.sqrt(np.square(off).sum(axis=0) / np.maximum(there.sum(axis=0), 1))
        least = SMALLEST * np.maximum(np.abs(median), SMALLEST)
        spread = np.where(spread > least, spread, np.where(deviation > least, deviation, 1.0))
        self.median.copy_(torch.from_numpy(median))
        self.scale.copy_(torch.from_numpy(spread).clamp(max=torch.finfo(torch.float32).max))

    def forward(self, numbers: Tensor) -> Tensor:
        """Standardise."""
        missing = ~torch.isfinite(numbers)
        x = ((torch.where(missing, self.median, numbers) - self.median) / self.scale).clamp(-100, 100)
        x = x * torch.rsqrt(1 + (x / 3).square()) if self._smooth else x.clamp(-_FARTHEST, _FARTHEST)
        return torch.cat([x, missing.float()], dim=1)


def _quantile(ordered: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """A quantile of each column of (n, d) numbers in order, NaN last; 0 for a column without any."""
    if not len(ordered):
        return np.zeros(ordered.shape[1])
    place = np.maximum((~np.isnan(ordered)).sum(axis=0) - 1, 0) * share
    below = np.floor(place).astype(np.int64)
    above = np.ceil(place).astype(np.int64)
    low, high = (np.take_along_axis(ordered, at[None], axis=0)[0] for at in (below, above))
    found: NDArray[np.float64] = np.nan_to_num(low + (place - below) * (high - low))
    return found


class Categories(Encoder):
    """(n, c) int64 to one number per value of columns of few values, and embeddings of the others.

    A missing or unknown value, 0, is all zeros.

    Args:
        field: of kind ``categories``.
        embed: whether columns of more than 16 values are embedded.
    """

    column: Tensor
    value: Tensor
    wide: Tensor
    offset: Tensor
    most: Tensor

    def __init__(self, field: Field, embed: bool) -> None:
        super().__init__()
        counts = [len(values) for values in field.options["values"]]
        few = [i for i, count in enumerate(counts) if not embed or count <= _FEW]
        wide = [i for i, count in enumerate(counts) if embed and count > _FEW]
        self._few, self._wide = bool(few), bool(wide)
        if few:
            self._index("column", [i for i in few for _ in range(counts[i])])
            self._index("value", [value + 1 for i in few for value in range(counts[i])])
        if wide:
            sizes = [counts[i] for i in wide]
            self._index("wide", wide)
            self._index("most", sizes)
            self._index("offset", [sum(sizes[:i]) for i in range(len(sizes))])
            self.embedding = nn.Embedding(sum(sizes) + 1, _EMBEDDING)
        self.width = sum(counts[i] for i in few) + _EMBEDDING * len(wide)

    def _index(self, name: str, values: Sequence[int]) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.int64), persistent=False)

    def forward(self, categories: Tensor) -> Tensor:
        """Encode."""
        parts = []
        if self._few:
            parts.append((categories.index_select(1, self.column) == self.value).float())
        if self._wide:
            at = categories.index_select(1, self.wide)
            known = (at > 0) & (at <= self.most)
            found = self.embedding(torch.where(known, at + self.offset, 0))
            parts.append((found * known.unsqueeze(2)).flatten(1))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


class Vector(Encoder):
    """(n, d) float32 to the same with a mean of 0 in each dimension, and a spread of 1 over all of them.

    One scale for all: an encoder's dimensions that hardly vary say little. Were each brought to a spread of 1, as many
    dimensions as samples would be whitened, and whitened points are all equally far apart.

    Args:
        field: of kind ``vector``.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.width = int(field.options["dimensions"])
        self.register_buffer("mean", torch.zeros(self.width))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, *samples: Tensor) -> None:
        """Learn the mean of each dimension, and their scale."""
        values = samples[0].numpy().astype(np.float64)
        mean = values.mean(axis=0) if len(values) else np.zeros(self.width)
        spread = float(np.sqrt(np.square(values - mean).mean())) if values.size else 0.0
        self.mean.copy_(torch.from_numpy(mean.astype(np.float32)))
        self.scale.fill_(spread if spread > SMALLEST * max(float(np.abs(mean).max(initial=0.0)), SMALLEST) else 1.0)

    def forward(self, vector: Tensor) -> Tensor:
        """Standardise."""
        return ((vector - self.mean) / self.scale).clamp(-_FARTHEST, _FARTHEST)


class Rows(Encoder):
    """Everything that is known of a row, side by side.

    Args:
        fields: of kinds ``numbers``, ``categories`` and ``vector``.
        linear: as a linear model needs it: nothing embedded, nothing squeezed.
    """

    def __init__(self, fields: Sequence[Field], linear: bool = False) -> None:
        super().__init__()
        self.parts = nn.ModuleList(_part(field, linear) for field in fields)
        self.width = sum(part.width for part in self._parts())

    def _parts(self) -> list[Encoder]:
        return [part for part in self.parts if isinstance(part, Encoder)]

    def fit(self, *samples: Tensor) -> None:
        """Learn the units of all parts."""
        for part, sample in zip(self._parts(), samples, strict=True):
            part.fit(sample)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Encode."""
        return torch.cat([part(given) for part, given in zip(self.parts, inputs, strict=True)], dim=1)


def _part(field: Field, linear: bool) -> Encoder:
    if field.kind == "numbers":
        return Numbers(field, smooth=not linear)
    return Categories(field, embed=not linear) if field.kind == "categories" else Vector(field)


class Mlp(Encoder):
    """Rows through hidden layers, each with batch norm.

    Args:
        fields: as for `Rows`.
        hidden: widths of the layers.
    """

    def __init__(self, fields: Sequence[Field], hidden: Sequence[int] = _HIDDEN) -> None:
        super().__init__()
        self.rows = Rows(fields)
        layers: list[nn.Module] = []
        before = self.rows.width
        for after in hidden:
            layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
            before = after
        self.layers = nn.Sequential(*layers)
        self.width = before

    def fit(self, *samples: Tensor) -> None:
        """Learn the units of all fields."""
        self.rows.fit(*samples)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Encode."""
        found: Tensor = self.layers(self.rows(*inputs))
        return found


def hidden_of(spec: Spec) -> tuple[int, ...]:
    """Widths of the hidden layers that a model is built with.

    Raises:
        ValueError: they are none.
    """
    given = spec.options.get("hidden", _HIDDEN)
    widths = [given] if isinstance(given, int) else given
    if not isinstance(widths, list | tuple) or not widths:
        raise ValueError(f"hidden is {given!r}; it must be a width, or a list of widths")
    if any(not isinstance(width, int) or isinstance(width, bool) or width < 1 for width in widths):
        raise ValueError(f"hidden is {given!r}; widths must be whole numbers of at least 1")
    return tuple(widths)
