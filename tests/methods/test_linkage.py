"""Record linkage against plain Python: windows by a double loop, strings and evidence by their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datadiet_cli.methods.linkage import CONTRADICTION, MARGIN, NEARLY_ALL, Agreement, Field, agreement, own_bits
from datadiet_cli.methods.neighbourhood import second_hand, sorted_order, window_pairs
from datadiet_cli.methods.strings import CONTAINED, UNLIKE, Texts, code_similarity, date_similarity

WORDS = st.text("abc é", max_size=8)
PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=12)


def strings(words):
    made = np.empty(len(words), dtype=object)
    made[:] = words
    return made


def aligned(a, b):
    """Optimal string alignment: insertions, deletions, substitutions, swaps of neighbours."""
    d = {(i, j): i + j for i in range(len(a) + 1) for j in range(len(b) + 1) if not i * j}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                d[i, j] = min(d[i, j], d[i - 2, j - 2] + 1)
    return d[len(a), len(b)]


def share(a, b):
    return 1 - aligned(a, b) / max(len(a), len(b)) if a or b else 1.0


def field(kind, cells):
    """A column of cells, None for missing."""
    values = sorted({cell for cell in cells if cell is not None})
    code = np.array([-1 if cell is None else values.index(cell) for cell in cells], dtype=np.int64)
    numbers = np.array(values, dtype=np.float64) if kind == "quantity" else np.empty(0)
    return Field(kind, code, strings([str(value) for value in values]), numbers)


class TestWindows:
    @given(st.data(), st.integers(0, 12), st.integers(1, 3), st.integers(2, 6), st.sampled_from([-1.0, 1.0, 2.0]))
    def test_pairs_are_those_of_a_double_loop(self, data, n, d, window, least):
        codes = data.draw(arrays(np.int64, (d, n), elements=st.integers(-1, 2)))
        bits = np.where(codes >= 0, 1 + codes % 2, 0).astype(np.float32)
        order = np.array(data.draw(st.permutations(range(n))), dtype=np.int64)
        expected = {
            (order[i], order[j])
            for i in range(n)
            for j in range(i + 1, min(i + window, n))
            if bits[codes[:, order[i]] == codes[:, order[j]], order[i]].sum() >= least
        }
        found = [tuple(p) for part in window_pairs(codes, bits, order, least, window) for p in part.tolist()]
        assert len(found) == len(set(found))
        assert set(found) == expected

    @given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), max_size=10))
    def test_the_order_is_that_of_python(self, rows):
        keys = [np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1)]
        expected = [i for i in sorted(range(len(rows)), key=lambda i: rows[i]) if rows[i][0] >= 0]
        assert sorted_order(keys).tolist() == expected

    @given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda e: e[0] < e[1]), max_size=12))
    def test_second_hand_pairs_share_a_neighbour(self, edges):
        around = {node: {b if a == node else a for a, b in edges if node in (a, b)} for node in range(8)}
        expected = {
            (i, j) for i in range(8) for j in range(i + 1, 8)
            if (i, j) not in edges and any(len(around[k]) <= 3 for k in around[i] & around[j])
        }  # fmt: skip
        pairs = second_hand(np.array(sorted(edges), dtype=np.int64).reshape(-1, 2), 3)
        assert [tuple(pair) for pair in pairs.tolist()] == sorted(expected)


class TestStrings:
    @given(PAIRS)
    def test_texts_by_letters_or_by_words_in_order(self, pairs):
        pairs = [tuple(" ".join(text.split()) for text in pair) for pair in pairs]
        texts = Texts(strings([text for pair in pairs for text in pair]))
        a = np.arange(0, 2 * len(pairs), 2)
        alike = texts.similarity(a, a + 1)
        for (x, y), found in zip(pairs, alike.tolist(), strict=True):
            best = max(share(x, y), share(" ".join(sorted(x.split())), " ".join(sorted(y.split()))))
            expected = max(0.0, (best - UNLIKE) / (1 - UNLIKE))
            words = sorted([set(x.split()), set(y.split())], key=len)
            if words[0] and words[0] <= words[1] and x != y:
                expected = max(expected, CONTAINED)
            assert math.isclose(found, expected, abs_tol=1e-9)
        assert alike.tolist() == texts.similarity(a + 1, a, 3).tolist()

    @given(st.lists(st.tuples(st.text("0123", max_size=7), st.text("0123", max_size=7)), max_size=12))
    def test_codes_by_one_slip(self, pairs):
        a, b = (strings([pair[i] for pair in pairs]) for i in (0, 1))
        alike = code_similarity(a, b)
        expected = [aligned(x, y) == 1 and max(len(x), len(y)) >= 4 for x, y in pairs]
        assert (alike > 0).tolist() == expected
        assert alike.max(initial=0) < 1
        assert alike.tolist() == code_similarity(b, a).tolist()

    def test_codes_and_days(self):
        a = strings(["4011", "7988048", "12", "19650713", "4011"])
        b = strings(["4021", "7980848", "13", "19650731", "1104"])
        assert code_similarity(a, b).round(3).tolist() == [0.375, 0.643, 0.0, 0.688, 0.0]
        a = strings(["19650713", "19650713", "19650713", "19650713", "19650307"])
        b = strings(["19650731", "19650722", "19800301", "19650714", "19650703"])
        assert date_similarity(a, b).tolist() == [0.7, 0.4, 0.0, 0.7, 0.7]

    def test_nothing_to_compare(self):
        nothing = strings([])
        for alike in (code_similarity, date_similarity):
            assert alike(nothing, nothing).shape == (0,)
        assert Texts(nothing).similarity(np.arange(0), np.arange(0)).shape == (0,)


class TestAgreement:
    CELLS = st.sampled_from([None, "anna", "anne", "maria anna", "anna maria", "zoe", "12345", "12354"])

    @given(st.lists(st.tuples(CELLS, CELLS, st.sampled_from([None, 1.0, 1.001, 2.0, 50.0])), min_size=2, max_size=9))
    def test_symmetric_bounded_and_one_for_equals_only(self, rows):
        fields = [field(kind, cells) for kind, cells in zip(("text", "code", "quantity"), zip(*rows), strict=True)]  # noqa: B905
        a, b = (places.ravel() for places in np.indices((len(rows), len(rows))))
        one, other = agreement(fields, a, b), agreement(fields, b, a, workers=2)
        for x, y in zip(one, other, strict=True):
            assert x.tolist() == y.tolist()
        assert ((one.similarity >= 0) & (one.similarity <= 1 + 1e-12) & (one.strict <= one.similarity + 1e-12)).all()
        own = own_bits(fields)
        for i, j, similarity, evidence in zip(a, b, one.similarity, one.evidence, strict=True):
            shared = [(x, y) for x, y in zip(rows[i], rows[j], strict=True) if None not in (x, y)]
            if not shared:
                assert similarity == 0
            elif all(x == y for x, y in shared):
                assert similarity == 1
            assert evidence <= max(own[i], own[j]) + 1e-9

    def test_the_sums_of_fellegi_and_sunter(self):
        """By hand: agreement is worth its rarity, contradiction costs the same anywhere, missing cells nothing."""
        names = ["smith"] * 4 + ["zoltan"] * 2 + ["jones", "brown"]
        states = ["nsw", "nsw", "vic", None, "vic", "vic", "nsw", "vic"]
        fields = [field("text", names), field("category", states)]
        found = agreement(fields, np.array([0, 0, 0, 4]), np.array([1, 2, 3, 5]))
        smith, zoltan, nsw, vic = -math.log2(3 / 7), -math.log2(1 / 7), -math.log2(2 / 6), -math.log2(3 / 6)
        lone = -math.log2(0.5 / 7)
        assert np.allclose(found.evidence, [smith + nsw, smith - CONTRADICTION, smith, zoltan + vic])
        assert np.allclose(found.identity, [smith + nsw / 2, smith - CONTRADICTION / 2, smith, zoltan + vic / 2])
        mean = (3 * nsw + 4 * vic) / 7
        assert np.allclose(found.similarity, [1, smith / (smith + mean), 1, 1])
        assert np.allclose(found.strict, [1, smith / (smith + mean), smith / (smith + mean), 1])
        assert math.isclose(fields[0].mean_bits, (4 * smith + 2 * zoltan + 2 * lone) / 8)

    def test_quantities_are_alike_within_a_hundredth_and_a_twentieth_of_the_spread(self):
        price = field("quantity", [100.0, 100.5, 102.0, 110.0, 500.0, 900.0])
        crowd = field("quantity", [1000.0 + i / 100 for i in range(100)])
        alike, worth = price.compare(np.array([0, 0, 3]), np.array([1, 2, 4]))
        assert alike.round(3).tolist() == [0.502, 0.0, 0.0]
        assert worth[0] == -math.log2(1 / 5)
        alike, worth = crowd.compare(np.array([50, 50]), np.array([51, 99]))
        assert 0 < alike[0] < 1
        assert alike[1] == 0, "a thousandth of the value, half of the spread"
        assert worth[0] == -math.log2(2 / 99), "three rows are so near"

    def test_enough(self):
        def told(strict, evidence, identity, *, opposed=False, contradicted=False):
            values = (1.0, strict, evidence, identity, opposed, contradicted)
            return Agreement(*(np.array([value]) for value in values)).enough(1024)[0]

        assert told(0.5, 0.0, 10 + MARGIN)
        assert not told(0.9, 100.0, 9.0)
        assert told(NEARLY_ALL, 19.0, 0.0)
        assert not told(NEARLY_ALL, 18.0, 0.0)
        assert told(0.5, 0.0, 10 + MARGIN, contradicted=True)
        assert not told(0.9, 100.0, 10 + MARGIN, opposed=True)
        assert not told(NEARLY_ALL, 100.0, 0.0, contradicted=True)
        assert told(NEARLY_ALL, 100.0, 0.0, opposed=True)

    def test_cells_that_name_a_thing(self):
        """Two of them, known in both rows and quite unlike, oppose each other; one alone, or one that is alike, not."""
        rows = [
            ("one", "1001", "x"),
            ("two", "2002", "x"),
            ("one", "3003", "x"),
            ("six", None, "x"),
            ("sixt", "4004", "x"),
        ]
        fields = [field(kind, cells) for kind, cells in zip(("text", "code", "text"), zip(*rows), strict=True)]  # noqa: B905
        assert [one.telling for one in fields] == [True, True, False]
        others = [field("text", [*"xy"] * 32), field("quantity", [float(i) for i in range(64)])]
        assert [one.telling for one in others] == [False, False]
        found = agreement(fields[:2], np.array([0, 0, 0, 3]), np.array([1, 2, 3, 4]))
        assert found.opposed.tolist() == [True, False, False, False]
        assert found.contradicted.tolist() == [True, True, True, False]

    @pytest.mark.parametrize("cells", [[None, None], ["a", None], ["a", "a"]])
    def test_cells_that_tell_nothing(self, cells):
        found = agreement([field("text", cells)], np.array([0]), np.array([1]))
        assert found.evidence.tolist() == [0.0]
        assert not found.enough(2)[0]
