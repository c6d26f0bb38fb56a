"""Known edits of a text, be it a file or a cell."""

import re
from collections.abc import Callable

import numpy as np

from datadiet_cli.calibrating.content import Content, Made, UnfitError
from datadiet_cli.data.encoding import text_codec
from datadiet_cli.encode.texts import UnreadableError, read_text

Edit = Callable[[str, np.random.Generator], str]

_LETTERS = "etaoinshrdlu"
_SENTENCE = re.compile(r"(?<=[.!?…。])\s+")
_FOREIGN = {ord(a): b for a, b in zip("abcdefghijklmnopqrstuvwxyz", "абцдефгхийклмнопярстувшзыж", strict=True)}
_EVERY = 50
"""Characters to each typing error."""


def edited(edit: Edit) -> Callable[[Content, np.random.Generator], Made]:
    """An edit of a text as one of files."""

    def make(content: Content, rng: np.random.Generator) -> Made:
        codec = text_codec(content.encoding)
        try:
            text = read_text(content.path, codec)
        except UnreadableError as error:
            raise UnfitError("cannot be read") from error
        new = changed(edit, text, rng)
        try:
            return Made(new.encode(codec), content.suffix)
        except UnicodeEncodeError:
            # With a byte order mark it is read as what it is, whatever the encoding of the others.
            return Made(new.encode("utf-8-sig", "replace"), content.suffix)

    return make


def changed(edit: Edit, text: str, rng: np.random.Generator) -> str:
    """The text edited.

    Raises:
        UnfitError: the edit changes nothing of it.
    """
    new = edit(text, rng)
    if new == text:
        raise UnfitError("nothing to change")
    return new


def respaced(text: str, rng: np.random.Generator) -> str:
    """All in capitals or all in small letters, blanks doubled."""
    cased = text.upper() if rng.random() < 0.5 else text.lower()
    return cased.replace(" ", "  ") + " \n"


def mistyped(text: str, rng: np.random.Generator) -> str:
    """A wrong letter for every fifty characters, one at least."""
    places = [i for i, character in enumerate(text) if character.isalpha()]
    if len(places) < 3:
        raise UnfitError("hardly a letter")
    letters = list(text)
    for place in rng.choice(len(places), max(1, len(places) // _EVERY), replace=False).tolist():
        there = letters[places[place]]
        others = [letter for letter in _LETTERS if letter != there.lower()]
        letters[places[place]] = others[int(rng.integers(len(others)))]
    return "".join(letters)


def sentence_dropped(text: str, rng: np.random.Generator) -> str:
    """One sentence of three or more left out."""
    parts = _SENTENCE.split(text)
    if len(parts) < 3:
        raise UnfitError("fewer than three sentences")
    gone = int(rng.integers(len(parts)))
    return " ".join(parts[:gone] + parts[gone + 1 :])


def swapped(text: str, rng: np.random.Generator) -> str:
    """One word of twenty, and one at least, changes places with the next."""
    words = text.split(" ")
    if len(words) < 4:
        raise UnfitError("fewer than four words")
    for place in rng.choice(len(words) - 1, max(1, len(words) // 20), replace=False).tolist():
        words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


def truncated(text: str, rng: np.random.Generator) -> str:
    """The last fifth gone."""
    del rng
    if len(text) < 20:
        raise UnfitError("shorter than twenty characters")
    return text[: len(text) * 4 // 5]


def garbled(text: str, rng: np.random.Generator) -> str:
    """One letter of ten became what a wrong encoding makes of it, one at least."""
    places = [i for i, character in enumerate(text) if character.isalpha()]
    if len(places) < 5:
        raise UnfitError("hardly a letter")
    letters = list(text)
    for place in rng.choice(len(places), max(1, len(places) // 10), replace=False).tolist():
        letters[places[place]] = "Ã©" if rng.random() < 0.5 else "\ufffd"
    return "".join(letters)


def emptied(text: str, rng: np.random.Generator) -> str:
    """Nothing is left but a blank."""
    del text, rng
    return " "


def repeated(text: str, rng: np.random.Generator) -> str:
    """The same line ten times."""
    del rng
    if len(text.split()) < 3:
        raise UnfitError("fewer than three words")
    return "\n".join([" ".join(text.split())] * 10)


def shuffled(text: str, rng: np.random.Generator) -> str:
    """The same characters in another order."""
    if len(text) < 10:
        raise UnfitError("shorter than ten characters")
    return "".join(np.array(list(text), dtype=object)[rng.permutation(len(text))].tolist())


def foreign(text: str, rng: np.random.Generator) -> str:
    """Latin letters became those of another alphabet; a text that has few of them is foreign to Latin itself."""
    del rng
    small = text.lower()
    letters = [letter for letter in small if letter.isalpha()]
    if 2 * sum(ord(letter) in _FOREIGN for letter in letters) < max(len(letters), 1):
        raise UnfitError("hardly a Latin letter")
    return small.translate(_FOREIGN)
