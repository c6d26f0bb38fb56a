"""What a step decides about columns, and what it learned that new data can be treated by in the same way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ColumnVerdict:
    """What becomes of a column of a table, or of a dimension of samples' vectors.

    Attributes:
        column: its name; `image[17]` is a dimension.
        action: whether it stays, goes, or is made.
        reason: the method that decided, or a short code such as ``constant``.
        score: the higher the more worth keeping, in the unit that the step's metrics name; None without one.
        rank: 1 is the column most worth keeping; None without ranks.
        threshold: the limit the score was compared with, if there is one.
        witness: the column that makes this one redundant, if there is one.
        frequency: share of bootstraps that kept it, if there were any.
        detail: further words, or None.
    """

    column: str
    action: Literal["keep", "drop", "make"]
    reason: str
    score: float | None = None
    rank: int | None = None
    threshold: float | None = None
    witness: str | None = None
    frequency: float | None = None
    detail: str | None = None


@dataclass(frozen=True, eq=False)
class Transform:
    """What was learned from training samples, enough to do the same to new data.

    Attributes:
        document: JSON values; ``step`` names the step. With ``of: vectors`` it is about the vectors of samples, and the
            steps that follow use those it gives.
        arrays: numbers that are too many for JSON, by name.
    """

    document: Mapping[str, Any]
    arrays: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    @property
    def of_vectors(self) -> bool:
        """Whether it is about the vectors of samples rather than cells of a table."""
        return self.document.get("of") == "vectors"
