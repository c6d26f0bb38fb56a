"""SimHash against the definition, in plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.methods.hamming import distances
from datadiet_cli.methods.shingles import mixed
from datadiet_cli.methods.simhash import simhashes


def by_definition(hashes):
    """Charikar's votes: a bit is set where the sum of +1 and -1 is above zero."""
    votes = [sum(1 if h >> bit & 1 else -1 for h in hashes) for bit in range(64)]
    return sum(1 << bit for bit, vote in enumerate(votes) if vote > 0)


@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=9), max_size=6))
def test_the_definition(lists):
    hashes = np.array([h for one in lists for h in one], dtype=np.uint64)
    counts = np.array([len(one) for one in lists], dtype=np.int64)
    assert simhashes(hashes, counts).tolist() == [by_definition(one) for one in lists]


def test_long_texts():
    """More shingles than a byte can count, next to short texts."""
    counts = np.array([255, 256, 0, 510, 3000, 1], dtype=np.int64)
    hashes = mixed(np.arange(1, int(counts.sum()) + 1, dtype=np.uint64))
    hashes[: 255 + 256] |= np.uint64(1 << 63)
    parts = np.split(hashes, np.cumsum(counts)[:-1])
    assert simhashes(hashes, counts).tolist() == [by_definition(part.tolist()) for part in parts]


def test_the_angle_between_texts_shows_in_the_bits():
    """Of 64 bits, 64 * angle / pi differ on average (Charikar 2002, section 3)."""
    rng = np.random.default_rng(0)
    apart = []
    for _ in range(200):
        base = rng.integers(0, 2**64, 400, dtype=np.uint64)
        other = np.concatenate([base[:360], rng.integers(0, 2**64, 40, dtype=np.uint64)])
        pair = simhashes(np.concatenate([base, other]), np.array([400, 400]))
        apart.append(int(distances(pair[:1], pair[1:])[0]))
    assert abs(np.mean(apart) - 64 * np.arccos(0.9) / np.pi) < 0.7
