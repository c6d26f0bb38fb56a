"""Text files -> texts for a page, and where two of them differ."""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from markupsafe import Markup, escape

from datadiet_cli.encode.texts import UnreadableError, decode, meanings
from datadiet_cli.report.terminal import printable

LARGEST = 1 << 17
"""Bytes of a file that are read."""
SHOWN = 420
"""Characters of a text that are shown."""
COMPARED = 200
"""Words of each text, from a few before the first difference on, that are compared."""
_BEFORE = 8
_AROUND = 5
"""Equal words that are shown on either side of a difference."""
# Scripts that put no blanks between words are taken letter by letter; nothing is a word of more than forty letters.
_WORD = re.compile(r"\s+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W_]{1,40}|.", re.DOTALL)
_GAP = Markup('<span class="gap"> … </span>')


@dataclass(frozen=True)
class Text:
    """A text, or why there is none.

    Attributes:
        text: as it is written; None where it cannot be read.
        words: how much there is of it; or why it cannot be read.
    """

    text: str | None
    words: str


def read_texts(paths: Sequence[str], codec: str, encoding: str | None) -> list[Text]:
    """Read the beginning of text files. Never raises for a file: what is wrong with it is told in words.

    Args:
        paths: the files.
        codec: of those without a byte order mark.
        encoding: that the user named, for messages.
    """
    texts = []
    for path in paths:
        try:
            texts.append(_read(path, codec))
        except OSError:
            texts.append(Text(None, meanings(encoding)["unreachable"]))
        except UnreadableError as error:
            texts.append(Text(None, meanings(encoding)[str(error)]))
    return texts


def _read(path: str, codec: str) -> Text:
    with open(path, "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) <= LARGEST:
        text = decode(data, codec)
        return Text(text, f"{len(text):,} characters")
    return Text(_beginning(data[:LARGEST], codec), f"the first {LARGEST >> 10} KiB of it")


def _beginning(data: bytes, codec: str) -> str:
    """The text of bytes that may end in the middle of a character, of at most four bytes.

    Raises:
        UnreadableError: they are no text.
    """
    for cut in range(4):
        try:
            return decode(data[: len(data) - cut], codec)
        except UnreadableError:
            if cut == 3 or not (codec == "utf-8" or data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))):
                raise
    raise AssertionError  # pragma: no cover - the last turn returns or raises


def excerpt(text: str, most: int = SHOWN) -> Markup:
    """The beginning of a text: white space as blanks, control characters as escapes."""
    begin = " ".join(text[: 2 * most].split())
    if len(begin) <= most and len(text) <= 2 * most:
        return escape(printable(begin))
    # To the end of a word, where one ends near.
    cut = begin[:most]
    cut = cut[: cut.rfind(" ")] if cut.rfind(" ") > most - 40 else cut
    return escape(printable(cut)) + Markup('… <span class="gap">({:,} characters)</span>').format(len(text))


def difference(one: str, other: str, most: int = SHOWN) -> tuple[Markup, Markup, str]:
    """Two texts with what differs in them marked, word by word.

    Args:
        one: a text.
        other: another.
        most: about how many characters of each are shown.

    Returns:
        HTML of each, and words about what is shown of them.
    """
    words, others = _WORD.findall(one), _WORD.findall(other)
    pairs = enumerate(zip(words, others, strict=False))
    same = next((i for i, (a, b) in pairs if a != b), min(len(words), len(others)))
    if same == len(words) == len(others):
        return excerpt(one, most), excerpt(other, most), "the same, letter by letter"
    start = max(0, same - 2 * _BEFORE) if same > 4 * COMPARED // 5 else 0
    # Words and the blanks between them.
    left, right = (part[start : start + 2 * COMPARED] for part in (words, others))
    cut = max(len(words), len(others)) > start + 2 * COMPARED
    shown, far = _marked(left, right, most)
    before = _GAP if start else Markup()
    after = _GAP if cut or far else Markup()
    place = len("".join(words[:start])) + 1
    told = [f"from character {place:,} on" if start else "", f"{COMPARED} words are compared" if cut else ""]
    said = "; ".join(part for part in told if part)
    return before + shown[0] + after, before + shown[1] + after, said


def _marked(left: Sequence[str], right: Sequence[str], most: int) -> tuple[tuple[Markup, Markup], bool]:
    """Both with what differs marked, long agreement left out; and whether they were cut."""
    pieces: tuple[list[Markup], list[Markup]] = ([], [])
    lengths = [0, 0]
    turns = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    for turn, (kind, a, b, c, d) in enumerate(turns):
        if max(lengths) > most:
            return (Markup().join(pieces[0]), Markup().join(pieces[1])), True
        for side, run in enumerate((left[a:b], right[c:d])):
            room = max(most - lengths[side], 60)
            made = _agreed(run, turn == 0, turn == len(turns) - 1) if kind == "equal" else _mark(run, room)
            pieces[side].append(made)
            lengths[side] += len(made.striptags())
    return (Markup().join(pieces[0]), Markup().join(pieces[1])), False


def _mark(run: Sequence[str], room: int) -> Markup:
    if not run:
        return Markup()
    text = "".join(run)
    # Where it is blanks that differ they must be seen.
    shown = printable(text[:room]) if text.strip() else printable(text[:room]).replace(" ", "␣")
    more = f"… ({len(text):,} characters)" if len(text) > room else ""
    return Markup("<mark>{}</mark>{}").format(shown, more)


def _agreed(run: Sequence[str], first: bool, last: bool) -> Markup:
    """A run of words that both have; of a long one its ends, where differences are."""
    around = 2 * _AROUND
    head = [] if first else list(run[:around])
    tail = [] if last and not first else list(run[-2 * _BEFORE if first else -around :])
    if last and not first:
        head = list(run[: 4 * _BEFORE])
    if len(head) + len(tail) >= len(run):
        return _plain(run)
    return _plain(head) + _GAP + _plain(tail)


def _plain(run: Sequence[str]) -> Markup:
    return escape("".join(" " if word.isspace() else printable(word) for word in run))
