"""The contract of every hash there is; a new one joins by being registered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.methods.hashes import HASHES, to_hex

ALL = pytest.mark.parametrize("method", HASHES.values(), ids=HASHES)


def shape(method, n):
    width, height = method.size
    return (n, height, width, *([3] if method.mode == "RGB" else []))


def pictures(method, n=20, seed=0):
    """Noise, slopes and flat pictures."""
    rng = np.random.default_rng(seed)
    stack = rng.integers(0, 256, shape(method, n), dtype=np.uint8)
    stack[::3] = np.sort(stack[::3], axis=1 + seed % 2)
    stack[::7] = rng.integers(0, 256)
    return stack


@ALL
def test_a_number_for_each_picture(method):
    for n in (0, 1, 20):
        stack = pictures(method, n)
        before = stack.copy()
        hashes = method.function(stack)
        assert hashes.dtype == np.uint64
        assert hashes.shape == (n,)
        assert (stack == before).all()


@ALL
@given(seed=st.integers(0, 1000))
def test_the_same_whenever_and_however_many_at_once(method, seed):
    stack = pictures(method, seed=seed)
    hashes = method.function(stack)
    assert (method.function(stack.copy()) == hashes).all()
    assert (np.concatenate([method.function(stack[i : i + 1]) for i in range(len(stack))]) == hashes).all()
    order = np.random.default_rng(seed).permutation(len(stack))
    assert (method.function(stack[order]) == hashes[order]).all()


@ALL
def test_memory_layout_is_no_matter(method):
    stack = pictures(method)
    hashes = method.function(stack)
    assert (method.function(stack[::2]) == hashes[::2]).all()
    assert (method.function(np.asfortranarray(stack)) == hashes).all()
    frozen = stack.copy()
    frozen.flags.writeable = False
    assert (method.function(frozen) == hashes).all()


@ALL
@given(data=st.data())
def test_only_the_bits_it_says(method, data):
    stack = data.draw(hnp.arrays(np.uint8, shape(method, 2), fill=st.integers(0, 255)))
    hashes = method.function(stack)
    assert 0 < method.bits <= 64
    assert all(value < 2**method.bits for value in hashes.tolist())
    assert [int(text, 16) for text in to_hex(hashes, method.bits)] == hashes.tolist()


@ALL
def test_every_bit_is_of_use(method):
    """A bit that were the same for all pictures would make them look more alike than they are."""
    rng = np.random.default_rng(1)
    parts = [pictures(method, 300, seed) for seed in range(4)]
    # Few colours, some of them dark or gray: what colour hashes tell apart.
    palette = rng.integers(0, 256, (400, 3, 3), dtype=np.uint8) // rng.integers(1, 12, (400, 1, 1), dtype=np.uint8)
    choice = rng.integers(0, 3, (400, *shape(method, 1)[1:3])) * (rng.random((400, 1, 1)) < 0.8)
    colours = np.take_along_axis(palette, choice.reshape(400, -1, 1), axis=1).reshape(*choice.shape, 3)
    parts.append(colours if method.mode == "RGB" else colours[..., 0])
    hashes = method.function(np.concatenate(parts))
    assert int(np.bitwise_or.reduce(hashes)) == 2**method.bits - 1
    assert int(np.bitwise_and.reduce(hashes)) == 0


@ALL
@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_flat_pictures_have_one_hash(method, level):
    hashes = method.function(np.full(shape(method, 5), level, dtype=np.uint8))
    assert len(set(hashes.tolist())) == 1


def test_each_can_be_asked_for():
    assert all(Dedup(method=name).method == name for name in HASHES)
