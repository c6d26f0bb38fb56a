"""Texts -> length, symbols, script, repetition and broken encoding, from one reading each."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.encoding import text_codec
from datadiet_cli.encode import texts
from datadiet_cli.encode.quality import Measures
from datadiet_cli.encode.texts import Documents, UnreadableError
from datadiet_cli.engine import Engine

MEASURES = ("characters", "length", "symbols", "foreign", "repeated_lines", "repeated_phrases", "broken")
LONGEST = 1 << 20
"""Characters of a text that are looked at, from its start."""
PHRASE = 5
"""Words of a phrase."""
NEARLY_ALL = 0.95
"""Share of the texts whose script must be the same before another one is foreign."""

_TEXTS_AT_ONCE = 256
_SCRIPTS = 3
"""Scripts of a text that are counted; what stands in a fourth is a quarter of it at most."""
_EAST_ASIAN = frozenset({"BOPOMOFO", "CJK", "HIRAGANA", "IDEOGRAPHIC", "KATAKANA", "KATAKANA-HIRAGANA"})
"""Written side by side in one text."""
_NO_SCRIPT = frozenset({"FEMININE", "MASCULINE", "MODIFIER", "SCRIPT"})

# What the bytes 0x80 to 0xBF of UTF-8 become where they are read as cp1252 or Latin-1.
_TAIL = "".join(dict.fromkeys(bytes([i]).decode("cp1252", "ignore") for i in range(0x80, 0xC0)))
_TAIL = re.escape("".join(map(chr, range(0x80, 0xC0))) + _TAIL)
# Signs that follow a capital with an accent in good text as well: a closing quotation mark, a dash, an ellipsis.
_FOLLOWING = re.escape("\xa0\xbb\u2019\u201d\u2013\u2014\u2026\u203a")
_BROKEN = re.compile(
    f"\ufffd|[\x80-\x84\x86-\x9f]|[\xc2\xc3][{_TAIL}]|(?![\xc4-\xdf][{_FOLLOWING}])[\xc4-\xdf][{_TAIL}]"
    f"|[\xe0-\xef][{_TAIL}]{{2}}|[\xf0-\xf4][{_TAIL}]{{3}}"
)


class _Read(NamedTuple):
    """What was measured of k texts.

    Attributes:
        causes: (k,) object.
        values: (k, measures) float64; `foreign` is not known yet.
        scripts: the scripts of each text with the letters in it, most letters first, `_SCRIPTS` at most.
        letters: (k,) int64, all of them.
    """

    causes: NDArray[np.object_]
    values: NDArray[np.float64]
    scripts: list[tuple[tuple[str, int], ...]]
    letters: NDArray[np.int64]


def measure_texts(
    items: Documents,
    encoding: str | None,
    *,
    engine: Engine,
    progress: Callable[[int], None] = lambda _: None,
) -> Measures:
    """Measure every text, as it stands: nothing is normalised. Never raises for a file.

    Of a long text the first `LONGEST` characters are measured.

    Args:
        items: paths of text files, or a polars frame of String columns with a text in each row, a cell a line of it.
        encoding: of files without a byte order mark; UTF-8 for None.
        engine: runs the work.
        progress: told of texts done.

    Returns:
        the causes, of `encode.texts.CAUSES`, and these values, NaN (but for ``characters``) for an empty text:

        * ``characters``: those that are no white space; 0 for an empty file and an empty or missing cell.
        * ``length``: the same.
        * ``symbols``: share of them that are no letters, marks (accents) or digits.
        * ``foreign``: share of the letters that are not of the script in which nearly all texts have most of theirs;
          NaN without letters, and where no script is that of nearly all.
        * ``repeated_lines``: share of the lines that stood before; NaN for one line.
        * ``repeated_phrases``: share of the letters of words that are in a phrase of five words that stood before.
        * ``broken``: share of the characters that are U+FFFD, control characters or UTF-8 read as another encoding.

    Raises:
        ConfigError: there is no such encoding.
    """
    codec = text_codec(encoding)
    measures = Measures.blank(len(items), MEASURES)
    scripts: list[tuple[tuple[str, int], ...]] = []
    letters = np.zeros(len(items), dtype=np.int64)
    for part, found in engine.map(_read_some, items, codec, chunk=_TEXTS_AT_ONCE, progress=progress):
        measures.causes[part], letters[part] = found.causes, found.letters
        scripts += found.scripts
        for column, name in enumerate(MEASURES):
            measures.values[name][part] = found.values[:, column]
    usual = _usual_script(scripts)
    if usual is not None:
        written = np.flatnonzero(letters)
        own = np.array([dict(scripts[i]).get(usual, 0) for i in written.tolist()], dtype=np.float64)
        measures.values["foreign"][written] = 1 - own / letters[written]
    return measures


def _usual_script(scripts: list[tuple[tuple[str, int], ...]]) -> str | None:
    first = Counter(some[0][0] for some in scripts if some)
    if not first:
        return None
    # Of two that are as common neither is that of nearly all, so which comes first does not matter.
    name, count = first.most_common(1)[0]
    return name if count >= NEARLY_ALL * first.total() else None


def _read_some(items: Documents, codec: str) -> _Read:
    n = len(items)
    values = np.full((n, len(MEASURES)), np.nan)
    found = _Read(np.full(n, None, dtype=object), values, [], np.zeros(n, dtype=np.int64))
    for i, (text, found.causes[i]) in enumerate(_contents(items, codec)):
        scripts: Counter[str] = Counter()
        if text is not None:
            values[i], scripts = _measure(text[:LONGEST])
        found.letters[i] = scripts.total()
        found.scripts.append(tuple(sorted(scripts.items(), key=lambda item: (-item[1], item[0]))[:_SCRIPTS]))
    return found


def _contents(items: Documents, codec: str) -> Iterator[tuple[str | None, str | None]]:
    """The text of each document, or why there is none."""
    if not isinstance(items, list):
        import polars as pl

        for row in cast(pl.DataFrame, items).iter_rows():
            yield "\n".join(cell for cell in row if cell is not None), None
        return
    for path in items:
        try:
            yield texts.read_text(path, codec), None
        except UnreadableError as error:
            # Nothing but white space and nothing at all are one fault.
            yield ("", None) if str(error) == "empty" else (None, str(error))


def _measure(text: str) -> tuple[tuple[float, ...], Counter[str]]:
    kinds: Counter[str] = Counter()
    scripts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        kind, script = _class_of(character)
        kinds[kind] += count
        if script:
            scripts[script] += count
    characters = kinds.total() - kinds["space"]
    if not characters:
        return (0.0,) + (np.nan,) * (len(MEASURES) - 1), scripts
    broken = sum(map(len, _BROKEN.findall(text)))
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    repeated = 1 - len(set(lines)) / len(lines) if len(lines) > 1 else np.nan
    values = characters, characters, kinds["symbol"] / characters, np.nan, repeated, _in_repeated_phrases(text.split())
    return (*values, broken / characters), scripts


@lru_cache(maxsize=1 << 16)
def _class_of(character: str) -> tuple[str, str]:
    """``space``, ``word`` or ``symbol``; and the script of a letter."""
    kind = unicodedata.category(character)
    if character.isspace() or kind in ("Cf", "Zs"):
        return "space", ""
    if kind[0] not in "LMN":
        return "symbol", ""
    # Letters of other forms, wide or mathematical ones, are of the script that they are a form of.
    plain = unicodedata.normalize("NFKD", character)[0]
    name = unicodedata.name(plain, "").partition(" ")[0]
    if kind[0] != "L" or not name or name in _NO_SCRIPT:
        return "word", ""
    return "word", "EAST ASIAN" if name in _EAST_ASIAN else name


def _in_repeated_phrases(words: list[str]) -> float:
    """The share of the letters of all words that are in the second or a later occurrence of a phrase."""
    phrases = len(words) - PHRASE + 1
    if phrases < 2:
        return 0.0
    hashes = np.fromiter(map(hash, words), dtype=np.int64, count=len(words)).view(np.uint64)
    together = np.zeros(phrases, dtype=np.uint64)
    for offset in range(PHRASE):
        together = together * np.uint64(0x9E3779B97F4A7C15) + hashes[offset : offset + phrases]
    _, first = np.unique(together, return_index=True)
    if len(first) == phrases:
        return 0.0
    again = np.ones(phrases, dtype=bool)
    again[first] = False
    inside = np.zeros(len(words), dtype=bool)
    for offset in range(PHRASE):
        inside[offset : offset + phrases] |= again
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    return float(lengths[inside].sum() / lengths.sum())
