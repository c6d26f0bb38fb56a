"""What a text looks like, in numbers made by hand: its runs of characters, by latent semantic analysis."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIMILARITY = 0.95
DIMENSIONS = 256
BUCKETS = 1 << 18
LEARN = 8192
_AT_ONCE = 2048


def text_vectors(
    read: Callable[[NDArray[np.int64]], Sequence[str]],
    n: int,
    seed: int,
    progress: Callable[[int], None],
    *,
    learn: NDArray[np.int64] | None = None,
    dimensions: int = DIMENSIONS,
) -> NDArray[np.float32]:
    """Vectors of texts by their runs of 2 to 5 characters, which count the more the rarer they are.

    Deerwester et al., "Indexing by latent semantic analysis", JASIS 41(6), 1990, on tf-idf (Salton & Buckley 1988)
    of hashed runs; the directions are learned from 8,192 of the texts.

    Args:
        read: gives the normalised texts at some positions; asked for some of them twice.
        n: number of texts.
        seed: for the choice of the texts to learn from.
        progress: told of texts done.
        learn: (m,) int64, positions of the texts to learn from, in this order, instead of some drawn by the seed; of
            more than 8,192 the first.
        dimensions: the most there may be.

    Returns:
        (n, d) float32, d at most `dimensions`; zeros for a text of less than two characters.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer
    from threadpoolctl import threadpool_limits

    runs = hashing()
    if learn is None:
        learn = np.sort(np.random.default_rng(seed).choice(n, min(n, LEARN), replace=False)).astype(np.int64)
    sample = learn[:LEARN]
    # On one thread, for the last digits depend on how many there are.
    with threadpool_limits(1):
        weights = TfidfTransformer(sublinear_tf=True)
        learned = weights.fit_transform(runs.transform(read(sample)))
        used = np.unique(learned.indices)
        dimensions = min(dimensions, len(sample) - 1, len(used) - 1)
        if dimensions < 2:
            # Too little to learn from: the runs themselves tell the few texts apart.
            whole = weights.transform(runs.transform(read(np.arange(n))))
            return np.asarray(whole[:, used].toarray(), dtype=np.float32)
        # Texts that are all the same have no variance, by which it divides for figures that nobody asks for.
        with np.errstate(divide="ignore", invalid="ignore"):
            few = TruncatedSVD(dimensions, n_iter=4, random_state=seed).fit(learned[:, used])
        vectors = np.zeros((n, dimensions), dtype=np.float32)
        for start in range(0, n, _AT_ONCE):
            positions = np.arange(start, min(start + _AT_ONCE, n))
            part = weights.transform(runs.transform(read(positions)))[:, used]
            vectors[positions] = few.transform(part)
            progress(len(positions))
    return vectors


def hashing() -> Any:
    """What counts the runs of two to five characters of texts, in `BUCKETS` numbers; it learns nothing."""
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), n_features=BUCKETS, lowercase=False, norm=None, alternate_sign=False
    )
