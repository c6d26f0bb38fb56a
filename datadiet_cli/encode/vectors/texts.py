"""Texts -> vectors: files through what is remembered of them, rows by their cells."""

from collections.abc import Callable, Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.encode.cached import Made
from datadiet_cli.encode.texts import CAUSES, Documents, read_documents
from datadiet_cli.encode.vectors.grid import on_grid
from datadiet_cli.encode.vectors.making import Choice, as_rows

CODES = CAUSES
AT_ONCE = 64
RUNS_AT_ONCE = 256


def namespace(encoding: str | None) -> str:
    """What a vector depends on beside the encoder."""
    return f"text/2/{encoding}"


def encode_texts(items: Documents, choice: Choice, encoding: str | None) -> Made:
    """Read texts and encode them. One without a vector has a plain key; what is wrong with a file is its cause."""
    texts, causes = read_texts(items, encoding)
    vectors = np.asarray(choice.make()(texts))
    known = np.asarray(vectors.any(axis=1), dtype=np.bool_)
    return as_rows(vectors, causes, plain_keys(texts, known), CODES)


def plain_keys(texts: Sequence[str], known: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """(k,) uint64 digests of the normalised texts that have no vector, for they may still be equal; 0 for the others.

    Args:
        texts: k texts.
        known: (k,) bool, those that have one. Those without any character take no part either.
    """
    keys = np.zeros(len(texts), dtype=np.uint64)
    for i in np.flatnonzero(~known).tolist():
        if texts[i]:
            # A lone surrogate has no bytes of its own in UTF-8.
            keys[i] = xxhash.xxh3_64_intdigest(texts[i].encode("utf-8", "surrogatepass")) | 1
    return keys


def read_texts(items: Documents, encoding: str | None) -> tuple[list[str], list[str | None]]:
    """Read and normalise texts, the cells of a row put together.

    Returns:
        k texts, and k codes of `CODES` or None; the text is empty where there is a cause.
    """
    texts: list[str] = []
    causes: list[str | None] = []
    for found in read_documents(items, encoding):
        texts.append("" if isinstance(found, str) else " ".join(cell for cell in found if cell))
        causes.append(found if isinstance(found, str) else None)
    return texts, causes


def encode_rows_of_text(items: Documents, choice: Choice) -> tuple[NDArray[np.int16], NDArray[np.uint64]]:
    """Encode rows of texts, on the grid; and their plain keys."""
    texts, _ = read_texts(items, None)
    grid = on_grid(choice.make()(texts))
    known = np.asarray(grid.any(axis=1), dtype=np.bool_)
    return grid, plain_keys(texts, known)


def encode_by(
    items: Documents, encoder: Callable[[Sequence[str]], NDArray[np.floating]], encoding: str | None
) -> tuple[NDArray[np.int16], list[str | None], NDArray[np.uint64]]:
    """Read texts and encode them by what has learned: vectors on the grid, causes, and plain keys."""
    texts, causes = read_texts(items, encoding)
    grid = on_grid(encoder(texts))
    return grid, causes, plain_keys(texts, np.asarray(grid.any(axis=1), dtype=np.bool_))
