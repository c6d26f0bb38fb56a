"""Data from a seed: short texts and 64-bit hashes, with planted copies."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

COPIES = 20
"""One in so many samples is a near copy of another, and as many are equal to another."""
_WORDS = 50_000


def texts(path: Path, count: int) -> None:
    """Write a table of short texts, some 60 characters each; near copies differ in their last letters."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnoprstuvwyz"))
    words = np.array(["".join(rng.choice(letters, rng.integers(3, 10))) for _ in range(_WORDS)])
    near, equal = count // COPIES, count // COPIES
    first = count - near - equal
    drawn = words[rng.integers(0, _WORDS, (first, 9))]
    lines = pl.DataFrame(drawn.T.tolist(), schema=[str(i) for i in range(9)])
    whole = lines.select(pl.concat_str(pl.all(), separator=" ")).to_series()
    ends = pl.Series(words[rng.integers(0, 200, near)])
    copied = whole[rng.integers(0, first, near)] + " " + ends.str.slice(0, 3)
    again = whole[rng.integers(0, first, equal)]
    order = rng.permutation(count)
    pl.DataFrame({"text": pl.concat([whole, copied, again])[order]}).write_csv(path)


def hashes(count: int, radius: int) -> NDArray[np.uint64]:
    """Random hashes; the last of them are copies of others with up to `radius` bits turned."""
    rng = np.random.default_rng(0)
    made = rng.integers(0, 2**64, count, dtype=np.uint64)
    copies = 2 * count // COPIES
    copied = made[rng.integers(0, count - copies, copies)]
    flips = rng.integers(0, radius + 1, copies)
    for turn in range(radius):
        bit = np.uint64(1) << rng.integers(0, 64, copies, dtype=np.uint64)
        copied ^= np.where(turn < flips, bit, np.uint64(0))
    made[count - copies :] = copied
    return made
