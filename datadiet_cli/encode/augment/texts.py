"""A text -> the same with some words left out and some neighbours swapped.

Lines stay lines, with what is white between words and around them. In scripts that are written without blanks, Han and
kana, a character counts as a word.
"""

import codecs
import re

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.encoding import text_codec
from datadiet_cli.encode import texts
from datadiet_cli.encode.augment import Recipe, UnchangedError, UnreadableError

_DENSE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_DENSE}]|[^\s{_DENSE}]+")
_LINE_END = re.compile(r"[\n\r]")


def augment_text(path: str, recipe: Recipe, encoding: str | None) -> bytes:
    """Carry out a recipe on a text file; see `augment.augment`.

    The new file is in the encoding that the files are read in, so that it is read like the others; one whose parent
    says by a mark that it is in another, and has characters that this one has not, is in UTF-8 with a mark.
    """
    codec = text_codec(encoding)
    try:
        text = texts.read_text(path, codec)
    except texts.UnreadableError as error:
        cause = str(error)
        raise UnreadableError(cause, texts.meanings(encoding)[cause]) from error
    new = changed(text, recipe)
    if new == text:
        raise UnchangedError(f"{path}: no word to leave out or to swap")
    try:
        return new.encode(codec)
    except UnicodeEncodeError:
        return codecs.BOM_UTF8 + new.encode()


def changed(text: str, recipe: Recipe) -> str:
    """The text with words left out and swapped; the same one where there is no line of two different words.

    No line that has words loses them all. Words are swapped within lines.
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    if len(spans) < 2:
        return text
    words = [text[begin:end] for begin, end in spans]
    # blanks[i] stands before word i, the last one after all words.
    ends = [0, *(end for _, end in spans)]
    begins = [*(begin for begin, _ in spans), len(text)]
    blanks = [text[end:begin] for end, begin in zip(ends, begins, strict=True)]
    lines = np.cumsum([0, *(_LINE_END.search(blank) is not None for blank in blanks[1:-1])])
    rng = np.random.default_rng(recipe["seed"])
    order, pairs = rng.permutation(len(words)), rng.permutation(len(words) - 1)
    kept = _dropped_out(lines, order, recipe["dropout"]) if "dropout" in recipe else np.arange(len(words))
    arranged = [words[i] for i in kept]
    if "swap" in recipe:
        _swap(arranged, lines[kept], pairs, recipe["swap"])
    return _joined(arranged, blanks, lines, kept)


def _dropped_out(lines: NDArray[np.int64], order: NDArray[np.int64], rate: float) -> NDArray[np.int64]:
    """The positions of the words that stay, those to go chosen in an order; the first of each line in it stays."""
    _, firsts = np.unique(lines[order], return_index=True)
    candidates = np.delete(order, firsts)
    stays = np.ones(len(lines), dtype=bool)
    stays[candidates[: max(1, round(rate * len(lines)))]] = False
    return np.flatnonzero(stays)


def _swap(words: list[str], lines: NDArray[np.int64], order: NDArray[np.int64], rate: float) -> None:
    """Swap some neighbours of one line that differ, no word twice."""
    left = max(1, round(rate * len(words)))
    moved = bytearray(len(words))
    same_line = (lines[1:] == lines[:-1]).tolist()
    for i in order[order < len(words) - 1].tolist():
        if same_line[i] and not moved[i] and not moved[i + 1] and words[i] != words[i + 1]:
            words[i], words[i + 1] = words[i + 1], words[i]
            moved[i] = moved[i + 1] = 1
            left -= 1
            if not left:
                return


def _joined(words: list[str], blanks: list[str], lines: NDArray[np.int64], kept: NDArray[np.int64]) -> str:
    """Put blanks between the words again: at the beginning of a line those that stood there."""
    begins = np.searchsorted(lines, lines[kept])
    first = np.diff(lines[kept], prepend=-1) > 0
    before = np.where(first, begins, kept).tolist()
    return "".join(blanks[i] + word for i, word in zip(before, words, strict=True)) + blanks[-1]
