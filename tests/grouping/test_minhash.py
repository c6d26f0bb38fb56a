"""Likely pairs of sets: in memory, through files and on every engine the answer of the plain sequential rule."""

import os
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.engine import Engine, Exchange, Limits
from datadiet_cli.errors import DatadietError
from datadiet_cli.grouping import minhash as through_files
from datadiet_cli.methods import minhash_pairs, minhash_survey
from datadiet_cli.methods.minhash import Bands
from datadiet_cli.methods.minhash_room import ROOM

CROWD = 5
"""Of the tests, so that few sets are crowds."""


@pytest.fixture(scope="module")
def serial():
    with Engine("serial") as engine:
        yield engine


@contextmanager
def small():
    """Small sizes of all that is cut, so that a few dozen sets are cut in many places."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minhash_survey, "CROWD", CROWD)
        patch.setattr(minhash_pairs, "CROWD", CROWD)
        patch.setattr(minhash_pairs, "_PAIRS", 16)
        patch.setattr(minhash_pairs, "_SMALL", 0)
        patch.setattr(minhash_survey, "_TOGETHER", 10)
        patch.setattr(minhash_survey, "_SURVEYED", 20)
        patch.setattr(through_files, "OF_A_FILE", 20)
        yield


class Sequential:
    """The rule as it is told: band after band, first its crowds, then its other buckets, a few pairs at a time."""

    def __init__(self, keys, traces, bands, rank, group):
        self.keys, self.traces, self.bands, self.group = keys, traces, bands, group
        self.order = np.argsort(rank)
        self.found, self.left = set(), set()
        self.taken = np.zeros((2, len(keys)), dtype=int)
        self.crowded = np.zeros(keys.shape, dtype=bool)

    def run(self):
        for band in range(self.bands.count):
            buckets = {}
            for i in self.order.tolist():
                buckets.setdefault(int(self.keys[i, band]), []).append(i)
            buckets = [buckets[key] for key in sorted(buckets)]
            for members in buckets:
                if len(members) > CROWD:
                    self.crowded[members, band] = True
                    self.hubs(members)
            few = [members for members in buckets if len(members) <= CROWD]
            for block in self.blocks(few):
                self.add([pair for pair in block if not self.met(*pair, band)])
        return sorted(self.found), len(self.left)

    def blocks(self, few):
        """A new block begins with the first member after which another 16 pairs are full."""
        blocks, pairs = {}, 0
        for members in few:
            for place, i in enumerate(members):
                later = members[place + 1 :]
                pairs += len(later)
                blocks.setdefault(pairs // minhash_pairs._PAIRS, []).extend((i, j) for j in later)
        return blocks.values()

    def met(self, i, j, band):
        return any(self.keys[i, b] == self.keys[j, b] and not self.crowded[i, b] for b in range(band))

    def add(self, pairs, *, hub=False):
        likely = []
        same = [int((self.traces[i] == self.traces[j]).sum()) for i, j in pairs]
        for number in (0, 1):
            before = self.taken[number].copy()
            for (i, j), equal in zip(pairs, same, strict=True):
                is_likely = equal >= self.bands.threshold * self.bands.hashes
                if equal < self.bands.least or is_likely == bool(number):
                    continue
                if is_likely:
                    likely.append(j)
                if (hub and is_likely) or before[i] < ROOM[number] or before[j] < ROOM[number]:
                    self.found.add((min(i, j), max(i, j)))
                    self.taken[number, [i, j]] += 1
                else:
                    self.left |= {i, j}
        return likely

    def hubs(self, members):
        waiting, fruitless = list(members), 0
        for _ in range(64):
            if not waiting or fruitless == 4:
                break
            hub = waiting[0]
            likely = self.add([(hub, other) for other in members if other != hub], hub=True)
            covered = {other for other in likely if self.group[other] == self.group[hub]}
            fruitless = 0 if covered & set(waiting) else fruitless + 1
            waiting = [other for other in waiting if other != hub and other not in covered]
        self.left.update(waiting)


def texts(seed, n, prototypes, noise, values, threshold=0.7):
    """Sketches of n sets that come from a few, bands of two hashes of few values: buckets of all sizes."""
    rng = np.random.default_rng(seed)
    bands = Bands(threshold, 7, 2)
    origin = rng.integers(0, 256, (prototypes, bands.hashes), dtype=np.uint8)
    traces = origin[rng.integers(0, prototypes, n)]
    changed = rng.random(traces.shape) < noise
    traces[changed] = rng.integers(0, values, int(changed.sum()))
    parts = traces.reshape(n, bands.count, bands.rows).astype(np.uint32)
    keys = (parts[:, :, 0] * np.uint32(256) + parts[:, :, 1]) * np.uint32(0x9E3779B1)
    return keys, traces, bands, rng.permutation(n), rng.integers(0, 2, n)


def plain(found):
    pairs, left = found
    assert pairs.shape == (len(pairs), 2)
    assert pairs.dtype == np.int64
    return [tuple(pair) for pair in pairs.tolist()], left


def in_files(keys, traces, bands, rank, group, engine, *, others=0):
    """The same sets in files, among other texts that are not to be looked at."""
    n = len(keys)
    chosen = np.sort(np.random.default_rng(n).choice(n + others, n, replace=False))
    all_keys = np.zeros((n + others, bands.count), dtype=np.uint32)
    all_traces = np.zeros((n + others, bands.hashes), dtype=np.uint8)
    all_keys[chosen], all_traces[chosen] = keys, traces
    files = through_files.SketchFiles(engine.exchange("sketches", bands.count), n + others)
    for piece in range(files.pieces):
        rows = files.rows(piece)
        files.write(piece, all_keys[rows], {"traces": all_traces[rows]})
    return through_files.likely_pairs(files, bands, chosen, rank, group, engine)


sketches = st.builds(
    texts,
    st.integers(0, 2**32),
    st.integers(0, 50),
    st.sampled_from([1, 4, 30]),
    st.sampled_from([0.0, 0.1, 0.3, 0.6]),
    st.sampled_from([1, 2, 256]),
    st.sampled_from([0.3, 0.7, 1.0]),
)


@given(sketches, st.integers(0, 40))
@settings(max_examples=30)
def test_pairs_are_those_of_the_sequential_rule(serial, case, others):
    with small():
        expected = Sequential(*case).run()
        assert plain(minhash_pairs.likely_pairs(*case)) == expected
        assert plain(in_files(*case, serial, others=others)) == expected


def test_room_and_crowds_take_part_in_it(serial):
    """The cases above have few sets: here there is no room for many, and buckets of both kinds."""
    # Of a template: all of them meet, most somewhat below the threshold.
    case = texts(3, 200, 2, 0.25, 3)
    with small():
        pairs, left = expected = Sequential(*case).run()
        assert left > 0
        assert len(pairs) > 260
        with Engine("threads", 2) as threads:
            assert plain(minhash_pairs.likely_pairs(*case, threads)) == expected
        assert plain(in_files(*case, serial)) == expected


@pytest.mark.parametrize("name", ["threads", "processes", "dask"])
def test_every_engine(name, monkeypatch):
    keys, traces, bands, rank, group = texts(1, 300, 40, 0.1, 256)
    monkeypatch.setattr(minhash_pairs, "_SMALL", 0)
    expected = plain(minhash_pairs.likely_pairs(keys, traces, bands, rank, group))
    assert expected[0]
    with Engine(name, 2, Limits(scheduler="inproc") if name == "dask" else None) as engine:
        assert plain(minhash_pairs.likely_pairs(keys, traces, bands, rank, group, engine)) == expected
        for waves in (0, 10):
            monkeypatch.setattr(through_files, "_DEALT", waves)
            assert plain(in_files(keys, traces, bands, rank, group, engine, others=50)) == expected


def test_only_what_a_wave_needs_is_read_and_few_files_are_made(serial, monkeypatch):
    """A file is opened once for its keys up to the last band of a wave, and dealt out with others to one."""
    monkeypatch.setattr(through_files, "OF_A_FILE", 20)
    monkeypatch.setattr(through_files, "_DEALT", 0)
    read, written = [], []
    some, write = Exchange.read_some, Exchange.write

    def reading(exchange, buckets, piece):
        if "sketches-" in exchange.folder and piece % 2 == 0:
            read.append(list(buckets))
        return some(exchange, buckets, piece)

    def writing(exchange, piece, *rest):
        written.extend([piece] if "met-" in exchange.folder else [])
        write(exchange, piece, *rest)

    monkeypatch.setattr(Exchange, "read_some", reading)
    monkeypatch.setattr(Exchange, "write", writing)
    in_files(*texts(1, 400, 5, 0.1, 256), serial)
    assert read == [[band] for band in range(7) for _ in range(20)] + [
        list(range(band + 1)) for band in range(7) for _ in range(20)
    ]
    assert written == [0, 16] * 7


def test_files_are_gone_when_pairs_are_found(serial):
    before = set(os.listdir(serial._scratch.folder))
    in_files(*texts(0, 50, 3, 0.1, 256), serial)
    made = set(os.listdir(serial._scratch.folder)) - before
    assert [name.split("-")[0] for name in made] == ["sketches"], "what was dealt out is not needed any more"


def test_a_damaged_file_is_one_line(serial):
    keys, traces, bands, rank, group = texts(0, 50, 3, 0.1, 256)
    exchange = serial.exchange("sketches", bands.count)
    files = through_files.SketchFiles(exchange, len(keys))
    for piece in range(files.pieces):
        files.write(piece, keys[files.rows(piece)], {"traces": traces[files.rows(piece)]})
    victim = os.path.join(exchange.folder, sorted(os.listdir(exchange.folder))[0])
    with open(victim, "r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
    with pytest.raises(DatadietError, match="missing or damaged"):
        through_files.likely_pairs(files, bands, np.arange(len(keys)), rank, group, serial)
