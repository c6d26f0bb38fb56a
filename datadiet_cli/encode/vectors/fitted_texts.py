"""Texts -> vectors by what was learned from some texts once, so that new texts get the vectors they would have had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.vectors.classical_texts import BUCKETS, DIMENSIONS, LEARN, hashing

_USED = 1 << 14
"""Runs that count, at most: those that most texts have. The directions take 4 bytes for each and dimension."""
_ARRAYS = ("used", "weights", "directions")


@dataclass(frozen=True, eq=False)
class FittedTexts:
    """Latent semantic analysis of the runs of 2 to 5 characters in a text, which count the more the rarer they are.

    Deerwester et al., "Indexing by latent semantic analysis", JASIS 41(6), 1990, on tf-idf (Salton & Buckley 1988) of
    hashed runs, as `classical_texts` has it; but what was learned is at hand, and small enough to be written down.

    Attributes:
        used: (u,) int64, sorted hashes of the runs that count.
        weights: (u,) float32, what each counts.
        directions: (u, d) float32, d at most 256; (u, 0) where there was too little to learn from, and the runs
            themselves are the dimensions.
    """

    used: NDArray[np.int64]
    weights: NDArray[np.float32]
    directions: NDArray[np.float32]

    @property
    def dimensions(self) -> int:
        """Of the vectors."""
        return self.directions.shape[1] or len(self.used)

    @classmethod
    def fit(cls, texts: Sequence[str], seed: int) -> "FittedTexts":
        """Learn from at most 8,192 normalised texts. Their order counts: let it depend on what they say.

        Args:
            texts: of more than 8,192 the first.
            seed: of the search for directions.
        """
        from sklearn.decomposition import TruncatedSVD
        from threadpoolctl import threadpool_limits

        counts = hashing().transform(texts[:LEARN])
        frequency = np.bincount(counts.indices, minlength=BUCKETS)
        order = np.lexsort((np.arange(BUCKETS), -frequency))
        used = np.sort(order[: min(_USED, int((frequency > 1).sum()))])
        d = min(DIMENSIONS, counts.shape[0] - 1, len(used) - 1)
        if d < 2:
            used = np.sort(order[: max(1, min(DIMENSIONS, int((frequency > 0).sum())))])
        weights = (np.log((1 + counts.shape[0]) / (1 + frequency[used])) + 1).astype(np.float32)
        whole = cls(used.astype(np.int64), weights, np.empty((len(used), 0), dtype=np.float32))
        if d < 2:
            return whole
        # On one thread, for the last digits depend on how many there are. Texts that are all the same have no
        # variance, by which it divides for figures that nobody asks for.
        with threadpool_limits(1), np.errstate(divide="ignore", invalid="ignore"):
            few = TruncatedSVD(d, n_iter=4, random_state=seed).fit(whole._weighted(counts))
        return cls(whole.used, weights, np.ascontiguousarray(few.components_.T, dtype=np.float32))

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode k normalised texts as (k, d) vectors; zeros for one without any run that counts.

        A text's vector depends on no other text: sparse products add up row by row.
        """
        weighted = self._weighted(hashing().transform(texts))
        made = weighted @ self.directions if self.directions.shape[1] else weighted.toarray()
        return np.asarray(made, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What to write down."""
        return {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "FittedTexts":
        """What was written down.

        Raises:
            ValueError: it is not.
        """
        try:
            used, weights, directions = (np.asarray(arrays[name]) for name in _ARRAYS)
        except KeyError as error:
            raise ValueError(f"there is no array {error}") from None
        shapes = used.ndim == weights.ndim == 1 and directions.ndim == 2
        if not shapes or not len(used) == len(weights) == len(directions) > 0:
            raise ValueError("the arrays of the texts do not go together")
        if used.min() < 0 or used.max() >= BUCKETS:
            raise ValueError("there are no such runs of characters")
        return cls(used.astype(np.int64), weights.astype(np.float32), directions.astype(np.float32))

    def _weighted(self, counts: Any) -> Any:
        """(k, u) sparse float32 of unit length: the runs that count, by their weight."""
        from sklearn.preprocessing import normalize

        some = counts[:, self.used].astype(np.float32)
        np.log(some.data, out=some.data)
        some.data += 1
        some.data *= self.weights[some.indices]
        return normalize(some, copy=False)
