"""Texts -> numbers of hashed words and pairs of words, as an embedding bag takes them.

Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009; words and pairs of words as in
Joulin et al., "Bag of tricks for efficient text classification", EACL 2017, section 2.1.
"""

import re
import tempfile
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.encode.inputs.reading import Causes, Room, read, zeros
from datadiet_cli.encode.texts import Documents, read_documents, taken
from datadiet_cli.engine import Engine

AT_ONCE = 256
MOST_BUCKETS, FEWEST_BUCKETS = 1 << 15, 1 << 11
MOST_WORDS, FEWEST = 512, 8
"""Words of a text that count at most, and numbers of the shortest form."""
SHARE = 0.98
"""Share of the texts to learn from that are read whole."""
_SEED = 20_090_614
_LONG_WORD = 100
"""Characters of a word on average that no text exceeds but one that is none."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)

_MARKS = r"!-/:-@\[-`{-~\u00a1\u00a7\u00ab\u00b6\u00b7\u00bb\u00bf\u2010-\u2027\u2030-\u205e\u3001-\u303f"
# Chinese, Japanese, Thai, Lao, Burmese and Khmer put no blanks between words: each character stands for itself.
_ALONE = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
# What is left are words, with the accents and vowel signs that `\w` would break them at.
_WORD = re.compile(rf"[{_ALONE}]|[{_MARKS}]+|[^\s{_MARKS}{_ALONE}]+")


def buckets_for(texts: int) -> int:
    """How many different numbers words shall have: as many as there are texts to learn from, within 2,048 and 32,768.

    Words that share a number cost less than a table of weights that hardly any text uses.
    """
    return min(max(1 << (texts - 1).bit_length(), FEWEST_BUCKETS), MOST_BUCKETS)


def read_texts(
    items: Documents,
    length: int,
    buckets: int,
    encoding: str | None,
    *,
    engine: Engine,
    progress: Callable[[int], None] = lambda _: None,
    room: Room = tempfile.gettempdir,
) -> tuple[NDArray[np.int32], Causes]:
    """Numbers of the words of texts.

    Args:
        items: a list of n paths, None for no file; or a frame of texts.
        length: numbers of a text.
        buckets: how many different numbers there are.
        encoding: of files without a byte order mark; UTF-8 for None.
        engine: runs the kernel.
        progress: told of texts done.
        room: gives the folder of a large array.

    Returns:
        (n, length) int32, and (n,) object; as `hash_texts` gives them.
    """
    args = (length, buckets, encoding)
    if isinstance(items, list):
        return read(
            cast(Sequence[str | None], items),
            hash_texts,
            *args,
            row=(length,),
            dtype=np.int32,
            engine=engine,
            chunk=AT_ONCE,
            progress=progress,
            room=room,
        )
    out, causes = zeros((len(items), length), np.int32, room), np.full(len(items), None, dtype=object)
    for part, (rows, _) in engine.map(hash_texts, items, *args, chunk=AT_ONCE, progress=progress):
        out[part] = rows
    return out, causes


def length_for(items: Documents, encoding: str | None, engine: Engine) -> int:
    """Numbers that are enough for most texts: of words, and of the pairs between them.

    Args:
        items: the texts to learn from, as for `read_texts`.
        encoding: likewise.
        engine: reads them.
    """
    if isinstance(items, list):
        items = taken(items, np.array([i for i, path in enumerate(items) if path is not None], dtype=np.int64))
    counts = np.zeros(len(items), dtype=np.int64)
    for part, some in engine.map(_counted, items, encoding, chunk=AT_ONCE):
        counts[part] = some
    known = counts[counts > 0]
    usual = int(np.quantile(known, SHARE, method="higher")) if len(known) else 1
    return max(FEWEST, 2 * usual - 1)


def _counted(items: Documents, encoding: str | None) -> NDArray[np.int64]:
    """(k,) words, `MOST_WORDS` at most; 0 for a document that cannot be read."""
    found = read_documents(items, encoding)
    return np.array([0 if isinstance(cells, str) else len(_words(cells, MOST_WORDS)) for cells in found], np.int64)


def hash_texts(
    items: Documents, length: int, buckets: int, encoding: str | None
) -> tuple[NDArray[np.int32], list[str | None]]:
    """Number the words and the pairs of words of each document, in turns, from its start.

    Words are runs of letters and digits, runs of punctuation marks, and single characters of scripts without blanks;
    in one case, after compatibility normalisation.

    Args:
        items: k paths, or a frame of texts, the cells of a row put together.
        length: numbers of a document; longer ones are cut.
        buckets: how many different numbers there are.
        encoding: of files without a byte order mark; UTF-8 for None.

    Returns:
        (k, length) int32 from 1 to `buckets`, zeros after the end; and k codes of `texts.CAUSES`, or None.
    """
    documents: list[list[str]] = []
    causes: list[str | None] = []
    for found in read_documents(items, encoding):
        causes.append(found if isinstance(found, str) else None)
        documents.append([] if isinstance(found, str) else _words(found, length // 2 + 1))
    return _numbered(documents, length, buckets), causes


def _words(cells: Sequence[str], most: int) -> list[str]:
    text = " ".join(cell for cell in cells if cell)
    return _WORD.findall(text[: most * _LONG_WORD])[:most]


def _numbered(documents: Sequence[Sequence[str]], length: int, buckets: int) -> NDArray[np.int32]:
    made = np.zeros((len(documents), length), dtype=np.int32)
    counts = np.fromiter(map(len, documents), dtype=np.int64, count=len(documents))
    words = [word for document in documents for word in document]
    if not words:
        return made
    table = {
        word: xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"), _SEED) for word in dict.fromkeys(words)
    }
    hashes = np.fromiter((table[word] for word in words), dtype=np.uint64, count=len(words))
    row = np.repeat(np.arange(len(documents)), counts)
    column = 2 * (np.arange(len(words)) - np.repeat(np.cumsum(counts) - counts, counts))
    paired = np.flatnonzero(row[1:] == row[:-1])
    pairs = (hashes[paired] * _ODD + hashes[paired + 1]) * _MIX
    pairs ^= pairs >> np.uint64(32)
    for rows, columns, values in ((row, column, hashes), (row[paired], column[paired] + 1, pairs)):
        inside = columns < length
        made[rows[inside], columns[inside]] = (values[inside] % np.uint64(buckets)).astype(np.int32) + 1
    return made
