"""Texts -> vectors: files through what is remembered of them, rows by their cells."""

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.cached import Made
from datadiet_cli.encode.texts import CAUSES, Documents, read_documents
from datadiet_cli.encode.vectors.grid import on_grid
from datadiet_cli.encode.vectors.making import Choice, as_rows

CODES = CAUSES
AT_ONCE = 64


def namespace(encoding: str | None) -> str:
    """What a vector depends on beside the encoder."""
    return f"text/1/{encoding}"


def encode_texts(items: Documents, choice: Choice, encoding: str | None) -> Made:
    """Read texts and encode them. A text without a word has no vector; what is wrong with a file is its cause."""
    texts, causes = read_texts(items, encoding)
    vectors = np.asarray(choice.make()(texts))
    return as_rows(vectors, causes, np.zeros(len(texts), dtype=np.uint64), CODES)


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


def encode_rows_of_text(items: Documents, choice: Choice) -> NDArray[np.int16]:
    """Encode rows of texts, on the grid."""
    texts, _ = read_texts(items, None)
    return on_grid(choice.make()(texts))
