"""Close rows, against every pair compared with `math.isclose`."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datadiet_cli.methods.rows import close_pairs, relative_gap

VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.05, -1.0, -1.04, 100.0, 104.0, math.nan, 1e-300, math.inf]),
    st.floats(-10, 10, allow_nan=False),
)


def tables(rows=12, columns=3):
    shape = st.tuples(st.integers(0, rows), st.integers(0, columns))
    return shape.flatmap(lambda s: arrays(np.float64, s, elements=VALUES))


def is_close(a, b, tolerance):
    return all(
        (math.isnan(x) and math.isnan(y)) or math.isclose(x, y, rel_tol=tolerance)
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    )


@given(tables(), st.sampled_from([0.0, 1e-9, 0.05, 0.5]), st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_pairs_are_those_of_brute_force(numbers, tolerance, blocks):
    block = (np.arange(len(numbers)) % blocks).astype(np.int64)
    expected = [
        [i, j]
        for i in range(len(numbers))
        for j in range(i + 1, len(numbers))
        if block[i] == block[j] and is_close(numbers[i], numbers[j], tolerance)
    ]
    assert close_pairs(numbers, block, tolerance).tolist() == expected


def test_relative_gap_of_equal_missing_and_infinite_values():
    a = np.array([[1.0, math.nan], [1.0, math.nan], [0.0, math.inf]])
    b = np.array([[1.1, math.nan], [1.0, 3.0], [0.0, math.inf]])
    gaps = relative_gap(a, b)
    assert math.isclose(gaps[0], 0.1 / 1.1)
    assert gaps[1] == math.inf
    assert gaps[2] == 0
