"""What a text looks like, in numbers made by hand: its runs of characters, by latent semantic analysis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.vectors.grid import MOST_DIMENSIONS

SIMILARITY = 0.95
DIMENSIONS = 256
BUCKETS = 1 << 18
LEARN = 8192


@dataclass(frozen=True, eq=False)
class TextVectors:
    """Vectors of texts by their runs of 2 to 5 characters, which count the more the rarer they are.

    Deerwester et al., "Indexing by latent semantic analysis", JASIS 41(6), 1990, on tf-idf (Salton & Buckley 1988)
    of hashed runs. A text's vector depends on no other text but those that were learned from.

    Attributes:
        weights: what weighs the runs, a transformer of scikit-learn.
        used: (u,) int64, sorted hashes of the runs that count.
        directions: (u, d) float64; None where there was too little to learn from, and the runs themselves tell the few
            texts apart. Where these are too many, the directions are those of one or two texts: whatever is made of
            such texts has the very cosines that their runs have.
    """

    weights: Any
    used: NDArray[np.int64]
    directions: NDArray[np.float64] | None

    @property
    def dimensions(self) -> int:
        """Of the vectors."""
        return len(self.used) if self.directions is None else self.directions.shape[1]

    @classmethod
    def learn(
        cls, texts: Sequence[str], seed: int, dimensions: int = DIMENSIONS, runs: int = MOST_DIMENSIONS
    ) -> "TextVectors":
        """Learn from some texts.

        Args:
            texts: normalised; of more than 8,192 the first. Their order counts.
            seed: of the search for directions.
            dimensions: the most there may be, 2 or more.
            runs: so many runs of one or two texts may be dimensions themselves, 2 or more.
        """
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfTransformer
        from threadpoolctl import threadpool_limits

        sample = texts[:LEARN]
        # On one thread, for the last digits depend on how many there are.
        with threadpool_limits(1):
            weights = TfidfTransformer(sublinear_tf=True)
            learned = weights.fit_transform(hashing().transform(sample))
            used = np.unique(learned.indices).astype(np.int64)
            dimensions = min(dimensions, len(sample) - 1, len(used) - 1)
            if dimensions < 2:
                return cls(weights, used, None if len(used) <= runs else _spanned(learned[:, used]))
            # Texts that are all the same have no variance, by which it divides for figures that nobody asks for.
            with np.errstate(divide="ignore", invalid="ignore"):
                few = TruncatedSVD(dimensions, n_iter=4, random_state=seed).fit(learned[:, used])
        # In the order in which a sparse product goes through them, or it would be put into it again each time.
        return cls(weights, used, np.ascontiguousarray(few.components_.T))

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode k normalised texts as (k, d) vectors; zeros for a text of less than two characters."""
        weighted = self.weights.transform(hashing().transform(texts))[:, self.used]
        made = weighted.toarray() if self.directions is None else weighted @ self.directions
        return np.asarray(made, dtype=np.float32)


def _spanned(learned: Any) -> NDArray[np.float64]:
    """(u, 2) orthonormal directions that one or two (sparse) rows of u numbers lie in."""
    rows = np.zeros((learned.shape[1], 2))
    rows[:, : learned.shape[0]] = learned.toarray().T
    # Rows that are (nearly) equal leave a second direction that nothing lies in.
    return np.ascontiguousarray(np.linalg.qr(rows)[0])


def hashing() -> Any:
    """What counts the runs of two to five characters of texts, in `BUCKETS` numbers; it learns nothing."""
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), n_features=BUCKETS, lowercase=False, norm=None, alternate_sign=False
    )
