"""How alike two strings are that may be one string with a slip of the pen."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

Ints = NDArray[np.int64]
Strings = NDArray[np.object_]
Floats = NDArray[np.float64]

UNLIKE = 0.6
"""Words that share no more than this share of their letters, in order, are two words: brown and bruhn have 0.6."""
LONGEST = 256
"""Aligning takes time by the product of the lengths."""
CONTAINED = 0.5
"""How alike a text is to one that has all of its words and more."""
SHORTEST_CODE = 4
"""A slip in a shorter code makes another code as likely as not."""


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts to compare in pairs.

    Attributes:
        values: (m,) object, strings; of long ones the first `LONGEST` letters count.
    """

    values: Strings

    @cached_property
    def begun(self) -> Strings:
        """(m,) object, the texts as far as they count."""
        return _strings([text[:LONGEST] for text in self.values])

    @cached_property
    def in_order(self) -> Strings:
        """(m,) object, the words of each text in sorted order."""
        return _strings([" ".join(sorted(text.split(" "))) for text in self.begun])

    @cached_property
    def several(self) -> NDArray[np.bool_]:
        """(m,) bool, texts of several words."""
        return np.array([" " in text for text in self.begun], dtype=bool)

    def similarity(self, a: Ints, b: Ints, workers: int = 1) -> Floats:
        """How alike texts are: by letters, or by letters with the words in sorted order, whichever is more.

        Letters by optimal string alignment (Damerau, "A technique for computer detection and correction of spelling
        errors", CACM 1964: insertions, deletions, substitutions and swaps of neighbours) as a share of the longer
        text, stretched so that `UNLIKE` is 0. A text whose words are all in the other has `CONTAINED` at least.

        Args:
            a: (k,) int64, places in `values`.
            b: (k,) int64.
            workers: threads.

        Returns:
            (k,) float64 in [0, 1], symmetric in a and b, 1 only for strings with the same words,
            or the same `LONGEST` first letters.
        """
        alike = _aligned(self.begun[a], self.begun[b], workers)
        some = np.flatnonzero((self.several[a] | self.several[b]) & (alike < 1.0))
        alike[some] = np.maximum(alike[some], _aligned(self.in_order[a[some]], self.in_order[b[some]], workers))
        alike = np.clip((alike - UNLIKE) / (1.0 - UNLIKE), 0.0, 1.0)
        some = some[alike[some] < CONTAINED]
        one, other = self.begun[a[some]].tolist(), self.begun[b[some]].tolist()
        inside = process.cpdist(one, other, scorer=fuzz.token_set_ratio, score_cutoff=100, workers=workers)
        alike[some[np.asarray(inside) == 100]] = CONTAINED
        return alike


def code_similarity(a: Strings, b: Strings, workers: int = 1) -> Floats:
    """How alike codes are: one slip of the pen in at least `SHORTEST_CODE` characters, or not at all.

    Args:
        a: (k,) object, strings.
        b: (k,) object, strings.
        workers: threads.

    Returns:
        (k,) float64 in [0, 1): 0.375 for one slip in four characters, 0.75 in ten, 0 for two.
    """
    alike = np.zeros(len(a))
    one = process.cpdist(a.tolist(), b.tolist(), scorer=OSA.distance, score_cutoff=1, dtype=np.int64, workers=workers)
    close = np.flatnonzero(np.asarray(one) == 1)
    longer = np.array([max(len(x), len(y)) for x, y in zip(a[close], b[close], strict=True)], dtype=np.int64)
    share = np.where(longer >= SHORTEST_CODE, 1.0 - 1.0 / np.maximum(longer, 1), 0.0)
    alike[close] = np.clip((share - UNLIKE) / (1.0 - UNLIKE), 0.0, 1.0)
    return alike


def date_similarity(a: Strings, b: Strings, workers: int = 1) -> Floats:
    """How alike days are, written yyyymmdd: a slip of the pen, day and month changed round, or one part different.

    Args:
        a: (k,) object, strings.
        b: (k,) object, strings.
        workers: threads.

    Returns:
        (k,) float64: 0.7 for a slip or a change round, 0.4 where only year, month or day is another, else 0.
    """
    alike = np.where(code_similarity(a, b, workers) > 0, 0.7, 0.0)
    if len(alike):
        parts = [np.array([(d[:4], d[4:6], d[6:]) for d in days], dtype=np.str_) for days in (a, b)]
        same = parts[0] == parts[1]
        alike = np.maximum(alike, np.where(same.sum(axis=1) == 2, 0.4, 0.0))
        round_about = same[:, 0] & (parts[0][:, 1] == parts[1][:, 2]) & (parts[0][:, 2] == parts[1][:, 1])
        alike = np.maximum(alike, np.where(round_about, 0.7, 0.0))
    return alike


def _aligned(a: Strings, b: Strings, workers: int) -> Floats:
    alike: Floats = process.cpdist(
        a.tolist(),
        b.tolist(),
        scorer=OSA.normalized_similarity,
        score_cutoff=UNLIKE,
        dtype=np.float64,
        workers=workers,
    )
    return alike


def _strings(texts: list[str]) -> Strings:
    made = np.empty(len(texts), dtype=object)
    made[:] = texts
    return made
