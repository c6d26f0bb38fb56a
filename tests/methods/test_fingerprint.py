"""Fingerprints against plain loops, and the search against comparing all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.methods.fingerprint import (
    BITS,
    HOP,
    RATE,
    bit_error_rates,
    content_span,
    sub_fingerprints,
    telling,
    waveform_agreement,
)
from datadiet_cli.methods.fingerprint_search import LONGEST_SHIFT, comparable, likely_pairs, longest_shifts


def melody(seed, seconds=3.0):
    """Notes that fade, over a little noise."""
    rng = np.random.default_rng(seed)
    moments = np.arange(int(seconds * RATE)) / RATE
    sound = rng.normal(0, 0.002, len(moments))
    for begin in np.arange(0, seconds, 0.2):
        since = moments - begin
        note = np.sin(2 * np.pi * rng.uniform(200, 1500) * since) * np.exp(-6 * np.maximum(since, 0))
        sound += 0.2 * note * (since >= 0)
    return sound.astype(np.float32)


def joined(parts):
    starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return np.concatenate([*parts, np.empty(0, dtype=np.uint32)]), starts


def words_at_random(rng, count):
    return rng.integers(0, 2**BITS, count, dtype=np.uint64).astype(np.uint32)


def with_errors(rng, words, rate):
    flips = np.packbits(rng.random((len(words), BITS)) < rate, axis=1).view(">u4").ravel().astype(np.uint32)
    return words ^ flips


def plain_rate(x, y, shift):
    """The least share of differing bits, one word at a time."""
    found = []
    for size in range(shift + 1):
        for trial in dict.fromkeys((size, -size)):
            pairs = [(int(x[i]), int(y[i - trial])) for i in range(len(x)) if 0 <= i - trial < len(y)]
            if pairs:
                rate = sum((one ^ other).bit_count() for one, other in pairs) / (BITS * len(pairs))
                found.append((rate, size, -trial))
    rate, _, trial = min(found)
    return rate, -trial


@given(seed=st.integers(0, 10_000), pairs=st.integers(1, 4))
def test_bit_error_rate_is_that_of_a_plain_loop(seed, pairs):
    rng = np.random.default_rng(seed)
    parts = [words_at_random(rng, int(count)) for count in rng.integers(1, 12, 5)]
    parts[1] = with_errors(rng, parts[0], 0.1)
    words, starts = joined(parts)
    a, b = rng.integers(0, 5, (2, pairs))
    shifts = rng.integers(0, 6, pairs)
    rates, found = bit_error_rates(words, starts, a, b, shifts)
    for k in range(pairs):
        rate, shift = plain_rate(parts[a[k]], parts[b[k]], int(shifts[k]))
        assert rates[k] == pytest.approx(rate)
        assert found[k] == shift
    back, turned = bit_error_rates(words, starts, b, a, shifts)
    np.testing.assert_array_equal(back, rates)
    distinct_best = rates > 0
    assert (np.abs(turned) == np.abs(found))[distinct_best].all()


def test_the_shift_says_how_much_later_the_same_is():
    rng = np.random.default_rng(0)
    whole = words_at_random(rng, 50)
    words, starts = joined([whole, whole[7:]])
    rates, shifts = bit_error_rates(words, starts, np.array([0, 1]), np.array([1, 0]), np.array([10, 10]))
    assert rates.tolist() == [0, 0]
    assert shifts.tolist() == [7, -7]


@settings(max_examples=20)
@given(seed=st.integers(0, 50), gain=st.floats(0.01, 20))
def test_the_volume_does_not_matter(seed, gain):
    sound = melody(seed, 1.0)
    words, louder = sub_fingerprints(sound), sub_fingerprints(sound * np.float32(gain))
    assert np.bitwise_count(words ^ louder).mean() / BITS < 0.002
    assert content_span(sound * np.float32(gain)) == content_span(sound)


@pytest.mark.parametrize("length", [0, 1, 79, 80, 127, 128, 1023, 1024, 5000])
def test_a_word_for_every_hop(length):
    words = sub_fingerprints(melody(1)[:length])
    assert words.dtype == np.uint32
    assert len(words) == length // HOP + 1


def test_silence_around_a_sound_is_left_out():
    sound = melody(2)
    begin, end = content_span(np.concatenate([np.zeros(800), sound, np.zeros(4000)]).astype(np.float32))
    inner = content_span(sound)
    assert (begin - 800, end - 800) == inner
    assert content_span(np.zeros(5000, dtype=np.float32)) == (0, 0)
    assert content_span(np.full(5000, 1e-5, dtype=np.float32)) == (0, 0)
    assert content_span(np.empty(0, dtype=np.float32)) == (0, 0)


def test_what_is_even_tells_nothing():
    hum = np.sin(2 * np.pi * 440 * np.arange(RATE * 2) / RATE).astype(np.float32)
    assert not telling(sub_fingerprints(np.zeros(RATE, dtype=np.float32)))
    assert not telling(sub_fingerprints(melody(0)[:400]))
    assert telling(sub_fingerprints(melody(0)))
    assert np.bitwise_count(sub_fingerprints(hum))[20:-20].max() == 0, "only its ends say anything"


def test_noise_leaves_most_bits_and_another_sound_leaves_few():
    rng = np.random.default_rng(1)
    sound, other = melody(3), melody(4)
    noisy = sound + rng.normal(0, 0.1 * sound.std(), len(sound)).astype(np.float32)
    words, starts = joined([sub_fingerprints(part) for part in (sound, noisy, other)])
    rates, _ = bit_error_rates(words, starts, np.array([0, 0]), np.array([1, 2]), np.array([20, 20]))
    assert rates[0] < 0.1
    assert rates[1] > 0.2


@settings(max_examples=12)
@given(seed=st.integers(0, 1000), even=st.booleans())
def test_every_pair_of_copies_is_a_candidate(seed, even):
    """All pairs that comparing everything finds, up to well beyond the default threshold of 0.2."""
    rng = np.random.default_rng(seed)
    parts = [words_at_random(rng, 40 if even else int(rng.integers(30, 120))) for _ in range(6)]
    parts += [with_errors(rng, part, rate) for part, rate in zip(parts, (0, 0.02, 0.05, 0.08, 0.1, 0.12), strict=True)]
    parts += [part[3:] for part in parts[:3]]
    words, starts = joined(parts)
    seconds = np.diff(starts) * HOP / RATE
    found = likely_pairs(words, starts, seconds, 0.8)
    a, b = np.triu_indices(len(parts), 1)
    rates, _ = bit_error_rates(words, starts, a, b, longest_shifts(starts, 0.8, a, b))
    expected = (rates <= 0.15) & comparable(seconds, 0.8, a, b)
    assert expected.sum() >= 6
    assert set(zip(a[expected].tolist(), b[expected].tolist(), strict=True)) <= set(map(tuple, found.tolist()))
    assert (found[:, 0] < found[:, 1]).all()


def test_long_sounds_are_found_at_any_shift():
    rng = np.random.default_rng(5)
    whole = words_at_random(rng, 2600)
    for shift in (0, 1, 10, 33, 400, LONGEST_SHIFT - 1):
        words, starts = joined([whole, with_errors(rng, whole[shift:], 0.08), words_at_random(rng, 2500)])
        assert likely_pairs(words, starts, np.full(3, 40.0), 0.8).tolist() == [[0, 1]]


def test_lengths_must_agree():
    rng = np.random.default_rng(6)
    whole = words_at_random(rng, 200)
    words, starts = joined([whole, whole[:100]])
    assert len(likely_pairs(words, starts, np.array([3.2, 1.6]), 0.8)) == 0
    assert len(likely_pairs(words, starts, np.array([3.2, 1.6]), 0.5)) == 1


def test_what_is_everywhere_does_not_go_quadratic(monkeypatch):
    import datadiet_cli.methods.fingerprint_search as search

    monkeypatch.setattr(search, "_MEETINGS", 1)
    same = words_at_random(np.random.default_rng(7), 5)
    words, starts = joined([same] * 2000)
    found = likely_pairs(words, starts, np.ones(2000), 0.8)
    assert 0 < len(found) <= 2000 * 5 * 8 * 4


@pytest.mark.parametrize("parts", [[], [[]], [[], []]])
def test_nothing_to_search(parts):
    words, starts = joined([np.array(part, dtype=np.uint32) for part in parts])
    assert likely_pairs(words, starts, np.zeros(len(parts)), 0.8).shape == (0, 2)
    rates, shifts = bit_error_rates(words, starts, *np.empty((3, 0), dtype=np.int64))
    assert len(rates) == len(shifts) == 0


def test_waveforms_of_copies_agree_and_those_of_others_do_not():
    sound, other = melody(8, 12.0), melody(9, 12.0)
    rng = np.random.default_rng(0)
    noisy = sound + rng.normal(0, 0.03 * sound.std(), len(sound)).astype(np.float32)
    assert waveform_agreement(sound, sound, 0) == pytest.approx(1)
    assert waveform_agreement(sound, -0.1 * sound, 0) == pytest.approx(1)
    assert waveform_agreement(sound, noisy, 0) > 0.8
    assert waveform_agreement(sound, sound[10 * HOP + 50 :], 10) > 0.99
    assert waveform_agreement(sound[10 * HOP + 50 :], sound, -10) > 0.99
    assert waveform_agreement(sound, other, 0) < 0.3
    assert waveform_agreement(sound, np.zeros(100, dtype=np.float32), 0) == 0
    assert waveform_agreement(sound, np.zeros_like(sound), 0) <= 0.1
