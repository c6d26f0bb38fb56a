"""Files -> what their quality is judged by: one decoding each, a number for every measure.

`methods.quality` names the measures and says which values are faults.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Measures:
    """What was measured of n samples.

    Attributes:
        causes: (n,) object, why a sample could not be read (a code of the module that opens its kind), or None.
        values: (n,) float64 for each measure; NaN where it has no meaning, and for a sample with a cause.
    """

    causes: NDArray[np.object_]
    values: dict[str, NDArray[np.float64]]

    @classmethod
    def blank(cls, n: int, names: tuple[str, ...]) -> "Measures":
        """Rows to fill."""
        return cls(np.full(n, None, dtype=object), {name: np.full(n, np.nan) for name in names})
