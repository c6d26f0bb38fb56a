"""The faults that are planted, by kind of data: what each does, and which findings rightly name it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from datadiet_cli.calibrating import cells, texts
from datadiet_cli.calibrating.content import copied, emptied
from datadiet_cli.outcome import FIGURES

Part = Literal["copies", "broken", "quality", "outliers", "labels"]
"""What a fault is planted for: `dedup`, or a family of `denoise`."""

COPY = frozenset({"duplicate", "conflict", "conflict-minority"})
BROKEN = frozenset({"unreadable", "empty", "too-short", *FIGURES["invalid"]})
POOR = frozenset(FIGURES["poor"])
REASONS: Mapping[Part, frozenset[str]] = {
    "copies": COPY,
    "broken": frozenset({"unreadable", *FIGURES["invalid"]}),
    "quality": POOR,
    "outliers": frozenset({"outlier"}),
    "labels": frozenset({"wrong-label"}),
}
"""The findings of each part: on samples that nothing was done to, these are what is counted as false."""


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        part: what it is planted for.
        words: what is done, for people.
        reasons: the reasons of verdicts that rightly name it.
        make: of files, `Content` and a generator -> `Made`; of rows, `cells.Record` and a generator -> new cells; None
            where nothing but the label changes.
        relabelled: whether it bears the label of another class.
    """

    part: Part
    words: str
    reasons: frozenset[str]
    make: Callable[[Any, Any], Any] | None = None
    relabelled: bool = False


def _copy(words: str, make: Callable[[Any, Any], Any], *, relabelled: bool = False) -> Fault:
    return Fault("copies", words, COPY, make, relabelled)


def _poor(words: str, make: Callable[[Any, Any], Any], *reasons: str) -> Fault:
    return Fault("quality", words, frozenset(reasons), make)


def _odd(words: str, make: Callable[[Any, Any], Any], *more: str) -> Fault:
    return Fault("outliers", words, frozenset({"outlier", *more}), make)


_FLIP = Fault("labels", "moved to another class", frozenset({"wrong-label"}), None, relabelled=True)


def faults_of(kind: str) -> Mapping[str, Fault]:
    """All faults of a kind of data, by name, in the order in which they are told.

    Raises:
        MissingExtraError: what reads such files is not installed.
    """
    return _MAKERS[kind]()


def _image() -> dict[str, Fault]:
    from datadiet_cli.calibrating import pictures as p

    return {
        "exact-copy": _copy("the same bytes", copied),
        "half-size": _copy("both sides halved", p.edited(p.resized(0.5))),
        "double-size": _copy("both sides doubled", p.edited(p.resized(2.0))),
        "jpeg-50": _copy("written as JPEG of quality 50", p.edited(p.same, ".jpg", quality=50)),
        "webp": _copy("written as WebP of quality 80", p.edited(p.same, ".webp", quality=80)),
        "other-format": _copy("PNG written as JPEG, all else as PNG", p.other_format),
        "crop-5": _copy("5 % of each side gone", p.edited(p.cropped(0.05))),
        "crop-15": _copy("15 % of each side gone", p.edited(p.cropped(0.15))),
        "flip": _copy("left and right changed", p.edited(p.flipped)),
        "rotate-90": _copy("turned by a quarter", p.edited(p.rotated)),
        "tones": _copy("brightness and contrast a fifth higher or lower", p.edited(p.toned)),
        "soft": _copy("blurred by 1 % of the shorter side", p.edited(p.blurred(0.01))),
        "watermark": _copy("a band of a tenth of the height, half transparent", p.edited(p.marked)),
        "other-label": _copy("the same bytes in another class", copied, relabelled=True),
        "truncated": Fault("broken", "the first half of the bytes", BROKEN, p.cut_off),
        "empty": Fault("broken", "no byte", BROKEN, emptied),
        "blurred": _poor("blurred by 6 % of the shorter side", p.edited(p.blurred(0.06)), "blurred", "flat"),
        "dark": _poor("a tenth of the light", p.edited(p.darkened), "dark", "washed-out", "flat"),
        "noise": _odd("noise in its place", p.edited(p.noise)),
        "scrambled": _odd("negative, sixteen parts in another order", p.edited(p.scrambled)),
        "label-flip": _FLIP,
    }


def _text() -> dict[str, Fault]:
    def of(edit: texts.Edit) -> Callable[[Any, Any], Any]:
        return texts.edited(edit)

    return {
        "exact-copy": _copy("the same bytes", copied),
        **_wordings(of),
        "other-label": _copy("the same bytes in another class", copied, relabelled=True),
        "empty": Fault("broken", "no byte", BROKEN, emptied),
        **_poor_wordings(of),
        "label-flip": _FLIP,
    }


def _wordings(of: Callable[[texts.Edit], Callable[[Any, Any], Any]]) -> dict[str, Fault]:
    return {
        "case-space": _copy("other case, blanks doubled", of(texts.respaced)),
        "typos": _copy("a wrong letter for every 50 characters", of(texts.mistyped)),
        "sentence-gone": _copy("one sentence of three or more left out", of(texts.sentence_dropped)),
        "words-swapped": _copy("one word of 20 swapped with the next", of(texts.swapped)),
        "truncated": _copy("the last fifth gone", of(texts.truncated)),
    }


def _poor_wordings(of: Callable[[texts.Edit], Callable[[Any, Any], Any]]) -> dict[str, Fault]:
    return {
        "garbled": _poor("one letter of 10 broken by a wrong encoding", of(texts.garbled), "bad-encoding"),
        "blank": _poor("nothing but a blank", of(texts.emptied), "empty", "too-short", "unreadable", "too-empty"),
        "repeated": _poor("the same line ten times", of(texts.repeated), "repeated-lines", "repeated-phrases"),
        "foreign": _poor("letters of another alphabet", of(texts.foreign), "wrong-script", "outlier"),
        "shuffled": _odd("its characters in another order", of(texts.shuffled)),
    }


def _audio() -> dict[str, Fault]:
    from datadiet_cli.calibrating import sounds as s
    from datadiet_cli.calibrating.pictures import cut_off

    return {
        "exact-copy": _copy("the same bytes", copied),
        "other-format": _copy("WAV written as FLAC, all else as WAV", s.edited(s.same, other_format=True)),
        "softer": _copy("6 dB less", s.edited(s.softer)),
        "noisy-copy": _copy("noise 30 dB below it", s.edited(s.noisy(30.0))),
        "delayed": _copy("a twentieth of a second of silence before it", s.edited(s.delayed)),
        "trimmed": _copy("a twentieth gone at either end", s.edited(s.trimmed)),
        "other-label": _copy("the same bytes in another class", copied, relabelled=True),
        "truncated": Fault("broken", "the first half of the bytes", BROKEN, cut_off),
        "empty": Fault("broken", "no byte", BROKEN, emptied),
        "clipped": _poor("every tenth sample cut off", s.edited(s.clipped), "clipped"),
        "silent": _poor("nothing to be heard", s.edited(s.silenced), "silent", "mostly-silence"),
        "noisy": _poor("as much noise as sound", s.edited(s.noisy(0.0)), "low-snr"),
        "hiss": _odd("noise in its place", s.edited(s.hiss), "low-snr"),
        "label-flip": _FLIP,
    }


def _file() -> dict[str, Fault]:
    return {
        "exact-copy": _copy("the same bytes", copied),
        "other-label": _copy("the same bytes in another class", copied, relabelled=True),
        "empty": Fault("broken", "no byte", BROKEN, emptied),
    }


def _row() -> dict[str, Fault]:
    return {
        "exact-copy": _copy("the same cells", cells.same),
        "noise-1e-6": _copy("numbers off by a millionth", cells.noisy(1e-6)),
        "noise-1e-3": _copy("numbers off by a thousandth", cells.noisy(1e-3)),
        "cell-gone": _copy("one cell of ten emptied, one at least", cells.lacking(0.1)),
        **_wordings(cells.worded),
        "other-label": _copy("the same cells under another label", cells.same, relabelled=True),
        "missing": Fault("broken", "one cell of ten emptied, one at least", BROKEN | {"missing"}, cells.lacking(0.1)),
        "mostly-missing": Fault("broken", "three cells of five emptied", BROKEN | {"missing"}, cells.lacking(0.6)),
        **_poor_wordings(partial(cells.worded, free=True)),
        "tenfold": _odd("a third of the numbers ten times as large", cells.tenfold, "impossible"),
        "columns-swapped": _odd("the numbers of two columns exchanged", cells.exchanged, "impossible"),
        "label-flip": _FLIP,
    }


_MAKERS: dict[str, Callable[[], dict[str, Fault]]] = {
    "image": _image,
    "text": _text,
    "audio": _audio,
    "file": _file,
    "row": _row,
}

LIKE_CLASSES = frozenset({"other-label", "label-flip"})
"""Faults that need two classes."""
