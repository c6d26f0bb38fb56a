"""Silence for libraries that complain about the user's files on their own account."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what decoding libraries say of damaged files off stderr; our own words for it are better.

    Some of it is printed by C code, so the file descriptor itself is turned away. Python's own `sys.stderr` goes on
    only if it was opened on another descriptor, as the command line does.
    """
    spare = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.dup2(silence, 2)
            yield
    finally:
        os.dup2(spare, 2)
        os.close(spare)
        os.close(silence)


@contextmanager
def sound_parquet() -> Iterator[None]:
    """Reading a Parquet file of our own: a damaged one makes polars' Rust core panic, which prints before it raises.

    Raises:
        ValueError: it is damaged.
    """
    import polars as pl

    try:
        with quiet_libraries():
            yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValueError(str(error)) from error
