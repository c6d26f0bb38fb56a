"""Whoever compares vectors, and wherever: the same answer to the last bit."""

import os
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from datadiet_cli.encode.vectors.grid import on_grid
from datadiet_cli.encode.vectors.reduced import reduced
from datadiet_cli.engine import Engine, Limits
from datadiet_cli.methods import leaders, nearest, neighbours
from datadiet_cli.methods.crew import ALONE
from datadiet_cli.methods.leaders import led_by, nearest_of
from datadiet_cli.methods.neighbours import TooManyPairsError, pairs_above
from datadiet_cli.methods.oversampling import oversample
from datadiet_cli.methods.pieces import one_thread
from datadiet_cli.methods.samples import facility, graph
from datadiet_cli.methods.samples.base import Graph
from datadiet_cli.methods.samples.facility import facility_location
from datadiet_cli.methods.samples.graph import knn_graph, nearest_kept
from datadiet_cli.methods.undersampling import undersample


@pytest.fixture(scope="module", params=["threads", "processes", "dask"])
def crew(request):
    limits = Limits(scheduler="inproc" if request.param == "dask" else None, memory=1 << 20)
    with Engine(request.param, 2, limits) as engine:
        yield engine


def blobs(n, d, spread, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(12, d))[rng.integers(0, 12, n)] + spread * rng.normal(size=(n, d))).astype(np.float32)


@pytest.fixture(scope="module")
def few():
    """Samples that have equal ones, so that there are ties to be settled."""
    x = blobs(1500, 6, 0.5)
    x[700:900] = x[100:300]
    return x


GRID = on_grid(blobs(3000, 40, 0.35))
GROUP = np.random.default_rng(1).integers(0, 9, 1500)


def searched(crew, x, buckets_from):
    room = crew.zeros if isinstance(crew, Engine) else np.zeros
    return pairs_above(GRID, 0.85, crew=crew, room=room, buckets_from=buckets_from)


def near(crew, x, known):
    rows = np.random.default_rng(0).permutation(1500)[:1100]
    return nearest.nearest(x, rows, np.arange(0, 1500, 2), 4, known, crew=crew)


def under(crew, x, method):
    return undersample(x, GROUP, np.where(np.arange(9) < 4, 60, 400), method, crew=crew)


WAYS = {
    "pairs, each with each": partial(searched, buckets_from=10**9),
    "pairs by buckets": partial(searched, buckets_from=2),
    "leaders": lambda crew, x: led_by(GRID, 0.8, np.arange(3000), crew=crew),
    "nearest vectors": lambda crew, x: nearest_of(GRID, 0.8, np.arange(0, 900), np.arange(900, 3000), crew=crew),
    "graph of groups": lambda crew, x: knn_graph(x, 5, group=GROUP, crew=crew),
    "graph by cells": lambda crew, x: knn_graph(x, 5, crew=crew),
    "kept": lambda crew, x: nearest_kept(x, np.arange(1500) % 3 > 0, group=GROUP // 4, crew=crew),
    "nearest": partial(near, known=None),
    "nearest, with cells missing": lambda crew, x: near(crew, x, np.random.default_rng(2).random(x.shape) < 0.8),
    "facility location": lambda crew, x: facility_location(x, 40, 0, crew),
    "oversampling": lambda crew, x: oversample(
        x, np.empty((1500, 0), dtype=int), GROUP, np.full(9, 260), "adasyn", crew=crew
    ),
    "tomek": partial(under, method="tomek"),
    "near-miss": partial(under, method="near-miss"),
    "components": lambda crew, x: reduced(GRID, np.ones(3000, dtype=bool), balanced=True, crew=crew),
}


def same(expected, found):
    whole = (expected, found) if isinstance(expected, tuple) else ((expected,), (found,))
    for one, other in zip(*whole, strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.asarray(one).dtype == np.asarray(other).dtype


@pytest.fixture
def small_pieces(monkeypatch):
    """So that there are many of everything."""
    sizes = {
        neighbours: {"_TILE": 128, "_WORTH": 6, "_ACROSS": 3},
        leaders: {"_BLOCK": 256, "_WIDE": 3, "_ACROSS": 2},
        graph: {"EXACT": 1000, "_LOOK": 300, "_PIECE": 1 << 15},
        nearest: {"_PIECE": 256, "_WORTH": 0},
        facility: {"DENSE": 100},
    }
    for module, values in sizes.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_answer_is_that_of_one_alone(way, crew, few, small_pieces):
    same(way(ALONE, few), way(crew, few))


def test_pieces_do_not_matter(few, monkeypatch, small_pieces):
    """What is cut into many pieces is what is found in one, ties and all."""
    made = {name: way(ALONE, few) for name, way in WAYS.items() if name.startswith(("nearest", "graph of", "pairs"))}
    monkeypatch.undo()
    for name, parts in made.items():
        same(WAYS[name](ALONE, few), parts)


def test_too_many_pairs_are_given_up_wherever_they_are_found(crew):
    with pytest.raises(TooManyPairsError, match="more than 500 pairs"):
        pairs_above(GRID, 0.3, limit=500, crew=crew)


def test_a_graph_is_a_graph(crew, few):
    assert isinstance(knn_graph(few, 3, crew=crew), Graph)


def test_whoever_comes_first_and_whoever_leaves_last():
    """The limit is that of all, and the last takes it back, though another thread set it."""
    entered, leave, seen = threading.Event(), threading.Event(), []

    def first():
        with one_thread():
            entered.set()
            leave.wait(60)
        seen.append(threads_of_blas())
        last.wait(60)

    last = threading.Event()
    thread = threading.Thread(target=first)
    with threadpool_limits(2):
        thread.start()
        entered.wait(60)
        with one_thread():
            leave.set()
            while not seen:
                time.sleep(0.001)
            assert threads_of_blas() == seen[0] == {1}
        assert threads_of_blas() == {2}
        last.set()
        thread.join()
    with threadpool_limits(1):
        assert threads_of_blas() == {1}


def threads_of_blas():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_a_library_that_comes_late_is_limited_as_well():
    """It brings threads of its own, while somebody is at work on one thread."""
    program = """
import threading, numpy
from threadpoolctl import threadpool_info
from datadiet_cli.methods.pieces import one_thread

def threads():
    return {each["filepath"]: each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

def other():
    with one_thread():
        seen.append(threads())

seen = []
before = threads()
with one_thread():
    import scipy.linalg
    late = threads()
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    with one_thread():
        seen.append(threads())
    seen.append(threads())
after = threads()
assert all(number == 1 for found in seen for number in found.values()), seen
assert set(after) == set(late)
assert all(after[path] == before.get(path, late[path]) for path in after), (before, late, after)
"""
    subprocess.run([sys.executable, "-c", program], check=True, env=dict(os.environ, OPENBLAS_NUM_THREADS="2"))
