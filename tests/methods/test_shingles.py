"""Shingles against Python's own sets of substrings and word tuples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.methods.shingles import (
    MOST_SETS,
    SET_BITS,
    distinct_shingles,
    jaccard,
    ranges,
    set_digests,
    shingle_hashes,
)

TEXTS = st.lists(st.text("ab \U0001f600é", max_size=12).map(lambda text: " ".join(text.split())), max_size=8)
UNITS = st.sampled_from(["words", "characters"])


def hashed(texts, size, unit="characters"):
    points = np.array([ord(c) for text in texts for c in text], dtype=np.uint32)
    return shingle_hashes(points, np.array([len(text) for text in texts], dtype=np.int64), size, unit)


def plain(text, size, unit):
    """The shingles of a text, in order."""
    units = text.split() if unit == "words" else list(text)
    if not units:
        return []
    return [tuple(units[i : i + size]) for i in range(max(1, len(units) - size + 1))]


@given(texts=TEXTS, size=st.integers(1, 6), unit=UNITS)
def test_equal_hashes_for_equal_shingles_and_for_no_others(texts, size, unit):
    hashes, counts = hashed(texts, size, unit)
    expected = [plain(text, size, unit) for text in texts]
    assert counts.tolist() == [len(shingles) for shingles in expected]
    pairs = list(zip(hashes.tolist(), [s for shingles in expected for s in shingles], strict=True))
    assert len({h for h, _ in pairs}) == len({s for _, s in pairs}) == len(set(pairs))


@given(texts=TEXTS, size=st.integers(1, 6), unit=UNITS)
def test_the_company_of_a_text_is_no_matter(texts, size, unit):
    alone = [hashed([text], size, unit)[0] for text in texts]
    assert hashed(texts, size, unit)[0].tolist() == [h for hashes in alone for h in hashes.tolist()]


@given(texts=TEXTS, size=st.integers(1, 4), unit=UNITS, data=st.data())
def test_jaccard_is_that_of_python_s_sets(texts, size, unit, data):
    members, sizes = distinct_shingles(*hashed(texts, size, unit))
    sets = [set(plain(text, size, unit)) for text in texts]
    assert sizes.tolist() == [len(one) for one in sets]
    which = st.integers(0, len(texts) - 1) if texts else st.nothing()
    pairs = data.draw(st.lists(st.tuples(which, which), max_size=10 if texts else 0))
    a, b = (np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1))
    expected = [len(sets[i] & sets[j]) / len(sets[i] | sets[j]) if sets[i] | sets[j] else 1.0 for i, j in pairs]
    assert jaccard(members, sizes, a, b).tolist() == expected


@given(texts=TEXTS, size=st.integers(1, 4), unit=UNITS)
def test_a_digest_stands_for_a_set(texts, size, unit):
    members, sizes = distinct_shingles(*hashed(texts, size, unit))
    digests = [tuple(row) for row in set_digests(members, sizes).tolist()]
    sets = [frozenset(plain(text, size, unit)) for text in texts]
    assert len(set(digests)) == len(set(sets)) == len(set(zip(digests, sets, strict=True)))


def test_sets_are_sorted_and_without_repetition():
    members, sizes = distinct_shingles(*hashed(["aaaaaaaaaa", "", "abcabcabc"], 3))
    assert sizes.tolist() == [1, 0, 3]
    assert (np.diff(members[1:].astype(np.int64)) > 0).all()
    assert int(members.max()) < 2**SET_BITS


def test_more_sets_than_can_be_numbered():
    with pytest.raises(ValueError, match="more than"):
        distinct_shingles(np.empty(0, dtype=np.uint64), np.zeros(MOST_SETS + 1, dtype=np.int64))


def test_ranges():
    assert ranges(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]


def test_hashes_are_the_same_anywhere():
    """The pairs that MinHash proposes must not depend on the machine."""
    hashes, _ = hashed(["the quick brown fox"], 3, "words")
    assert hashes.tolist() == [0xAE043ECE5771A9D3, 0x086596504C44CD23]
