"""Augmentation against all that it may give, made by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.nn.augment import augmented, check


def pictures(n, side, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, side, side), dtype=np.uint8))


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def windows(picture, pad):
    """Every window of a picture that is mirrored at its edges, and where it begins."""
    side = picture.shape[-1]
    wide = np.pad(picture.numpy(), ((0, 0), (pad, pad), (pad, pad)), mode="reflect")
    starts = [(y, x) for y in range(2 * pad + 1) for x in range(2 * pad + 1)]
    return {wide[:, y : y + side, x : x + side].tobytes(): (y, x) for y, x in starts}


def test_crops_are_windows_of_the_mirrored_picture():
    given_, side = pictures(200, 16), 16
    (made,) = augmented([given_], ["crop"], chance())
    places = [windows(one, side // 8).get(other.numpy().tobytes()) for one, other in zip(given_, made, strict=True)]
    assert None not in places
    assert len(set(places)) == 25  # every place there is


def test_about_half_are_mirrored():
    given_ = pictures(400, 8)
    (made,) = augmented([given_], ["flip"], chance())
    same, mirrored = ((made == other).all((1, 2, 3)) for other in (given_, given_.flip(3)))
    assert bool((same | mirrored).all())
    assert 160 < int(mirrored.sum()) < 240


def test_flip_and_crop_together():
    given_ = pictures(100, 16)
    (made,) = augmented([given_], ["crop", "flip"], chance())
    found = [
        made[i].numpy().tobytes() in windows(one, 2) or made[i].flip(2).numpy().tobytes() in windows(one, 2)
        for i, one in enumerate(given_)
    ]
    assert all(found)


def test_cutout_covers_a_square_in_the_mean_colour():
    given_ = pictures(300, 32)
    (made,) = augmented([given_], ["cutout"], chance())
    largest = 0
    for one, other in zip(given_.numpy(), made.numpy(), strict=True):
        mean = np.round(one.mean((1, 2), dtype=np.float64)).astype(np.uint8)
        changed = (one != other).any(0)
        rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
        square = np.s_[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (other[square] == mean[:, None, None]).all()
        assert np.ptp(rows) < 8
        assert np.ptp(columns) < 8
        outside = other.copy()
        outside[square] = one[square]
        assert (outside == one).all()
        largest = max(largest, int(changed.sum()))
    assert largest == 64


def test_shift_moves_sounds_and_lets_silence_in():
    given_ = torch.arange(1, 101, dtype=torch.int16).repeat(300, 1)
    (made,) = augmented([given_], ["shift"], chance())
    offsets = set()
    for row in made.numpy():
        there = np.flatnonzero(row)
        offset = int(there[0]) - int(row[there[0]]) + 1
        moved = np.zeros(100, np.int16)
        moved[max(offset, 0) : 100 + min(offset, 0)] = np.arange(1 + max(-offset, 0), 101 - max(offset, 0))
        assert (row == moved).all()
        offsets.add(offset)
    assert offsets == set(range(-10, 11))


@given(st.integers(1, 4), st.integers(1, 12), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_any_size_of_picture_and_sound(n, side, seed):
    given_ = [pictures(n, side), torch.ones(n, side, dtype=torch.int16), torch.zeros(n, 2)]
    before = [tensor.clone() for tensor in given_]
    names = ["flip", "crop", "cutout", "shift"]
    made = augmented(given_, names, chance(seed))
    again = augmented(given_, names[::-1], chance(seed))
    for old, kept, new, same in zip(given_, before, made, again, strict=True):
        assert torch.equal(old, kept)
        assert (new.shape, new.dtype) == (old.shape, old.dtype)
        assert torch.equal(new, same)
    assert made[2] is given_[2]


@pytest.mark.parametrize(
    ("name", "message"), [("mirror", "no augmentation 'mirror'"), ("flip", "for pictures"), ("shift", "for sounds")]
)
def test_nothing_to_work_on(name, message):
    with pytest.raises(ValueError, match=message):
        check([name], [torch.zeros(2, 3)])
