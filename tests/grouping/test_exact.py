"""Equal keys through bucket files get the very numbers that they get in memory."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.engine import Engine, Exchange, Limits
from datadiet_cli.errors import DatadietError
from datadiet_cli.grouping import exact
from datadiet_cli.methods.duplicates import distinct


@pytest.fixture(scope="module")
def serial():
    with Engine("serial") as engine:
        yield engine


@st.composite
def keys(draw):
    """Few or many different keys, of the kinds that are numbered: sizes, hashes, digests, cells."""
    n = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    many = draw(st.sampled_from([1, 3, 40, 10**9]))
    kind = draw(st.sampled_from(["sizes", "hashes", "digests", "nodes", "cells"]))
    plain = rng.integers(-many, many, (n, 3))
    return {
        "sizes": plain[:, 0],
        "hashes": plain[:, 0].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        "digests": plain.view(np.uint8)[:, :16],
        "nodes": plain.astype(np.uint64),
        "cells": plain / 4.0,
    }[kind]


@given(keys(), st.integers(1, 6), st.booleans())
@settings(max_examples=60)
def test_equals_sorting_in_memory(serial, keys, buckets, shared_only):
    expected = distinct(keys, shared_only=shared_only)
    found = exact.in_buckets(keys, serial, buckets, shared_only=shared_only)
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["threads", "processes", "dask"])
def test_every_engine(name, monkeypatch):
    monkeypatch.setattr(exact, "_AT_ONCE", 700)
    keys = np.random.default_rng(0).integers(0, 40, (3000, 2), dtype=np.uint8)
    limits = Limits(scheduler="inproc", memory=1 << 16) if name == "dask" else Limits(memory=1 << 16)
    with Engine(name, 2, limits) as engine:
        assert engine.too_large(len(keys) * exact.bytes_needed(keys))
        for shared_only in (False, True):
            found = exact.numbered(keys, engine, shared_only=shared_only)
            assert np.array_equal(found, distinct(keys, shared_only=shared_only))


@pytest.mark.parametrize("kind", [np.int64, np.dtype("V8")])
def test_however_many_are_equal_no_bucket_is_large(serial, monkeypatch, kind):
    """Two keys that most have are told as they are counted: nobody reads all of them, or sorts any."""
    monkeypatch.setattr(exact, "_AT_ONCE", 500)
    rng = np.random.default_rng(0)
    keys = np.where(rng.random(20_000) < 0.9, rng.integers(0, 2, 20_000) * 5000, rng.integers(0, 10_000, 20_000))
    keys = keys[:, None].view(np.uint8) if kind != np.int64 else keys
    read = []
    once = Exchange.read
    monkeypatch.setattr(Exchange, "read", lambda *args: read.append(once(*args)) or read[-1])
    for shared_only in (False, True):
        found = exact.in_buckets(keys, serial, 20, shared_only=shared_only)
        np.testing.assert_array_equal(found, distinct(keys, shared_only=shared_only))
    assert max(len(part["rows"]) for part in read) <= 2 * 1000


def test_without_a_limit_nothing_is_written(serial, monkeypatch):
    monkeypatch.setattr(exact, "in_buckets", None)
    assert exact.numbered(np.array([7, 5, 7]), serial).tolist() == [1, 0, 1]


def test_a_missing_bucket_is_noticed(serial, monkeypatch):
    def lost(how, portion):
        done = once(how, portion)
        os.unlink(how.exchange._path(portion.number))
        return done

    once = exact.deal
    monkeypatch.setattr(exact, "deal", lost)
    with pytest.raises(DatadietError, match="missing or damaged"):
        exact.in_buckets(np.arange(9), serial, 2)
