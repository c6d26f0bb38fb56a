"""The engine: chunks, order, progress, errors, and how much is under way at a time."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.engine import EXECUTORS, Engine, Limits, default_workers
from datadiet_cli.errors import DatadietError, ExitCode


# Kernels are of this module, so that processes find them.
def doubled(items, by=2):
    return [by * item for item in items]


def slow_at_first(items):
    time.sleep(0.02 if items[0] < 10 else 0)
    return items


def fail_at_7(items):
    if 7 in items:
        raise ArithmeticError("seven")
    return items


def die_at_7(items):
    if 7 in items:
        os.kill(os.getpid(), signal.SIGKILL)
    return items


def say_and_sleep(items, folder):
    (folder / str(os.getpid())).touch()
    time.sleep(600)


def where(items):
    return os.getpid(), threading.get_ident()


class Counted:
    """A sequence that knows how often it was sliced."""

    def __init__(self, n):
        self.n, self.slices = n, []

    def __len__(self):
        return self.n

    def __getitem__(self, part):
        self.slices.append(part)
        return list(range(self.n))[part]


def bounds(results):
    return [(part.start, part.stop) for part, _ in results]


@pytest.fixture(params=[*EXECUTORS, "dask"])
def engine(request):
    """Each engine, with two workers."""
    with Engine(request.param, 2, Limits("inproc") if request.param == "dask" else None) as made:
        yield made


class TestEveryEngine:
    def test_results_in_order_with_their_slices(self, engine):
        results = list(engine.map(doubled, list(range(10)), 3, chunk=4))
        assert results == [
            (slice(0, 4), [0, 3, 6, 9]), (slice(4, 8), [12, 15, 18, 21]), (slice(8, 10), [24, 27]),
        ]  # fmt: skip

    def test_the_slow_are_waited_for(self, engine):
        found = [item for _, part in engine.map(slow_at_first, list(range(40)), chunk=5) for item in part]
        assert found == list(range(40))

    def test_arrays_are_cut_too(self, engine):
        results = list(engine.map(np.square, np.arange(5), chunk=2))
        assert np.concatenate([part for _, part in results]).tolist() == [0, 1, 4, 9, 16]

    def test_nothing_to_do(self, engine):
        told = []
        assert list(engine.map(doubled, [], chunk=3, progress=told.append)) == []
        assert sum(told) == 0

    def test_progress_adds_up(self, engine):
        told = []
        for part, _ in engine.map(doubled, list(range(23)), chunk=5, progress=told.append):
            assert sum(told) == part.stop
        assert sum(told) == 23

    def test_an_exception_of_a_kernel_comes_through(self, engine):
        results = engine.map(fail_at_7, list(range(100)), chunk=2)
        assert [next(results)[1] for _ in range(3)] == [[0, 1], [2, 3], [4, 5]]
        with pytest.raises(ArithmeticError, match="seven"):
            next(results)
        # The engine is none the worse for it.
        assert [part for _, part in engine.map(doubled, [1, 2], chunk=1)] == [[2], [4]]

    def test_few_chunks_are_under_way(self, engine):
        items = Counted(1000)
        results = engine.map(doubled, items, chunk=1)
        assert items.slices == []
        for taken in range(1, 4):
            next(results)
            assert len(items.slices) <= 3 * 2 + taken
        results.close()
        assert len(items.slices) < 10

    def test_two_maps_at_once(self, engine):
        one, two = (engine.map(doubled, list(range(6)), by, chunk=2) for by in (1, 10))
        found = [(a, b) for (_, a), (_, b) in zip(one, two, strict=True)]
        assert found == [([0, 1], [0, 10]), ([2, 3], [20, 30]), ([4, 5], [40, 50])]


@given(n=st.integers(0, 60), chunk=st.integers(1, 20), workers=st.sampled_from([None, 1, 2, 7]))
def test_bounds_depend_on_the_input_alone(n, chunk, workers):
    with Engine("threads", workers) as engine:
        results = list(engine.map(doubled, list(range(n)), chunk=chunk))
    assert bounds(results) == [(start, min(start + chunk, n)) for start in range(0, n, chunk)]
    assert [item for _, part in results for item in part] == [2 * item for item in range(n)]


def test_who_works():
    with Engine("serial") as engine:
        assert {found for _, found in engine.map(where, [1, 2, 3], chunk=1)} == {(os.getpid(), threading.get_ident())}
    with Engine("threads", 2) as engine:
        found = {found for _, found in engine.map(where, [1, 2, 3], chunk=1)}
    assert {process for process, _ in found} == {os.getpid()}
    assert threading.get_ident() not in {thread for _, thread in found}
    with Engine("processes", 1) as engine:
        found = {found for _, found in engine.map(where, [1, 2, 3], chunk=1)}
    assert len(found) == 1
    assert os.getpid() not in {process for process, _ in found}


def test_a_killed_worker_is_one_line():
    with Engine("processes", 2) as engine:
        for _ in range(2):  # and stays one
            with pytest.raises(DatadietError, match=r"a worker process was killed.*use fewer --workers") as caught:
                list(engine.map(die_at_7, list(range(20)), chunk=2))
            assert "\n" not in str(caught.value)
            assert caught.value.exit_code == ExitCode.USAGE
    with Engine("processes", 2) as engine:
        assert len(list(engine.map(doubled, [1, 2], chunk=1))) == 2


def interrupted_at_work(folder, other):
    with Engine("processes", 1) as engine:
        other.submit(next, engine.map(say_and_sleep, [1], folder, chunk=1))
        while not os.listdir(folder):
            time.sleep(0.01)
        raise KeyboardInterrupt


def test_whoever_interrupts_does_not_wait_for_processes(tmp_path):
    with ThreadPoolExecutor(1) as other, pytest.raises(KeyboardInterrupt):
        interrupted_at_work(tmp_path, other)
    with pytest.raises(ProcessLookupError):
        os.kill(int(os.listdir(tmp_path)[0]), 0)


def noted(items, folder):
    """How many are at work, this one among them."""
    mine = folder / f"{os.getpid()}-{threading.get_ident()}-{items[0]}"
    mine.touch()
    time.sleep(0.05)
    found = len(os.listdir(folder))
    mine.unlink()
    return found


@pytest.mark.parametrize(("threads", "most"), [(1, 4), (2, 2), (8, 1)])
def test_calls_that_take_several_threads_leave_room(threads, most, tmp_path):
    with Engine("threads", 4) as engine:
        found = [found for _, found in engine.map(noted, range(12), tmp_path, chunk=1, each_takes=threads)]
    assert max(found) <= most


def test_workers_are_ours_to_use():
    assert 1 <= default_workers() <= (os.cpu_count() or 1)
    assert Engine().workers == default_workers()
    assert Engine("threads", 3).workers == 3


def test_no_thread_outlives_the_engine():
    before = threading.active_count()
    with Engine("threads", 4) as engine:
        list(engine.map(doubled, list(range(20)), chunk=1))
        assert threading.active_count() > before
    assert threading.active_count() == before
