"""New samples from real ones: a recipe is drawn for each, and carried out on the bytes of one real file, its parent.

A new sample is a pure function of its parent's content and its recipe. Strengths are modest, so that labels keep their
meaning; what does not hold for some data (a mirrored digit is no digit) is left out by naming the `operations` wanted.

- image: ``flip`` left and right; ``rotate`` by 2 to 10 degrees either way; ``crop`` to 80 to 98 % of each side and
  enlarge again; ``colour``: brightness, contrast and saturation; ``noise``: Gaussian.
- audio: ``shift`` in a circle by 2 to 10 %; ``stretch``: 3 to 10 % faster or slower at the same pitch; ``gain``: 1 to
  6 decibels; ``noise``: white, 20 to 40 decibels below the sound.
- text: ``dropout`` of 5 to 15 % of the words; ``swap`` of 5 to 15 % of the words with the next one, as in Wei and Zou,
  "EDA: Easy Data Augmentation" (EMNLP 2019), section 2.
"""

import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from datadiet_cli.data.kinds import BY_KIND, suffix

Recipe = Mapping[str, Any]
"""JSON values: the ``kind``, the strength of each operation by its name, and a ``seed`` for noise and for words."""


class UnreadableError(Exception):
    """A parent cannot be read. The message says why in words.

    Attributes:
        cause: the same as a code: of `opening.CAUSES`, of `augment.sounds.CAUSES` or of `texts.CAUSES`.
    """

    def __init__(self, cause: str, words: str) -> None:
        super().__init__(words)
        self.cause = cause


class UnchangedError(Exception):
    """The recipe leaves this parent as it is: one colour only, silence, a text of a single word."""


class _Operation(NamedTuple):
    """How often an operation takes part, how its strength is drawn, and how that is told."""

    share: float
    draw: Callable[[np.random.Generator], Any]
    tell: Callable[[Any], str]


def _around(rng: np.random.Generator, least: float, most: float) -> float:
    """A strength of either sign that is not next to nothing."""
    return float(rng.uniform(least, most) * (1 if rng.random() < 0.5 else -1))


def _crop(rng: np.random.Generator) -> list[float]:
    """The left and upper edge and the size of what is kept, as parts of the sides."""
    size = float(rng.uniform(0.8, 0.98))
    left, top = (rng.random(2) * (1 - size)).tolist()
    return [round(left, 4), round(top, 4), round(size, 4)]


def _colour(rng: np.random.Generator) -> list[float]:
    """Factors of brightness, contrast and saturation."""
    return [round(1 + _around(rng, 0.05, most), 3) for most in (0.15, 0.15, 0.2)]


def _tell_colour(factors: list[float]) -> str:
    names = ("brightness", "contrast", "saturation")
    return ", ".join(f"{name} times {factor:g}" for name, factor in zip(names, factors, strict=True))


_OPERATIONS: dict[str, dict[str, _Operation]] = {
    "image": {
        "flip": _Operation(0.5, lambda rng: True, lambda strength: "mirrored"),
        "rotate": _Operation(
            0.7, lambda rng: round(_around(rng, 2, 10), 2), lambda strength: f"turned by {strength:+g} degrees"
        ),
        "crop": _Operation(0.7, _crop, lambda strength: f"cropped to {strength[2]:.0%} of its sides"),
        "colour": _Operation(0.7, _colour, _tell_colour),
        "noise": _Operation(
            0.5, lambda rng: round(rng.uniform(1, 6), 2), lambda strength: f"noise of {strength:g} levels of 255"
        ),
    },
    "audio": {
        "shift": _Operation(0.6, lambda rng: round(_around(rng, 0.02, 0.1), 4), "shifted by {:+.1%}".format),
        "stretch": _Operation(0.6, lambda rng: round(1 + _around(rng, 0.03, 0.1), 4), "{:g} times as fast".format),
        "gain": _Operation(
            0.6,
            lambda rng: round(_around(rng, 1, 6), 2),
            lambda strength: f"{strength:+g} dB" + (" (softer instead where that would clip)" if strength > 0 else ""),
        ),
        "noise": _Operation(0.6, lambda rng: round(rng.uniform(20, 40), 2), "noise {:g} dB below it".format),
    },
    "text": {
        "dropout": _Operation(
            0.7, lambda rng: round(rng.uniform(0.05, 0.15), 4), "{:.1%} of the words left out".format
        ),
        "swap": _Operation(
            0.7, lambda rng: round(rng.uniform(0.05, 0.15), 4), "{:.1%} of the words swapped with the next".format
        ),
    },
}
# One of each group takes part: whatever one group cannot change (the colour of a surface by turning it), another can.
_GROUPS = {
    "image": (("rotate", "crop"), ("colour", "noise")),
    "audio": (("shift", "stretch"), ("gain", "noise")),
    "text": (("dropout", "swap"),),
}

ALLOWED: dict[str, tuple[str, ...]] = {kind: tuple(operations) for kind, operations in _OPERATIONS.items()}
"""The names of the operations that each kind of sample has."""

_WRITABLE = {
    "image": {".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"},
    "audio": {".wav"},
    "text": BY_KIND["text"],
}
_OTHERWISE = {"image": ".png", "audio": ".wav", "text": ".txt"}


def recipe(kind: str, seed: int, number: int, operations: Collection[str] | None = None) -> dict[str, Any]:
    """Draw the operations and their strengths for a new sample.

    Recipes of different numbers differ, but for those of ``flip`` alone, of which there is only one. Leaving operations
    out does not change the strengths of the others.

    Args:
        kind: ``image``, ``audio`` or ``text``.
        seed: of the whole run, not negative.
        number: which new sample it is, not negative.
        operations: those wanted, of `ALLOWED`; None for all.

    Raises:
        ValueError: there is no such kind or operation, none is wanted, or a number is negative.
    """
    known = _known(kind)
    wanted = set(known if operations is None else operations)
    if not wanted or not wanted <= set(known):
        wrong = ", ".join(map(repr, sorted(wanted - set(known)))) or "none"
        raise ValueError(f"augment: {wrong}; the operations on {kind} samples are {', '.join(known)}")
    if seed < 0 or number < 0:
        raise ValueError("augment: the seed and the number of a sample must not be negative")
    rng = np.random.default_rng([seed, number, zlib.crc32(kind.encode())])
    strengths = {name: operation.draw(rng) for name, operation in known.items()}
    lots = dict(zip(known, rng.random(len(known)).tolist(), strict=True))
    own_seed = int(rng.integers(2**32))
    taking_part = {name for name in wanted if lots[name] < known[name].share}
    for group in _GROUPS[kind]:
        possible = [name for name in group if name in wanted]
        if possible and not taking_part & set(possible):
            taking_part.add(min(possible, key=lambda name: lots[name]))
    taking_part = taking_part or wanted
    return {"kind": kind, **{name: strengths[name] for name in known if name in taking_part}, "seed": own_seed}


def describe(recipe: Recipe) -> str:
    """Say what a recipe does: ``mirrored, turned by -7.2 degrees``.

    Raises:
        ValueError: it is of no known kind.
    """
    return ", ".join(
        operation.tell(recipe[name]) for name, operation in _known(recipe.get("kind")).items() if name in recipe
    )


def suffix_of(path: str) -> str:
    """The suffix that a new file wants: its parent's where that format is written, or else .png, .wav or .txt.

    Raises:
        ValueError: the suffix is that of no image, sound or text.
    """
    own = suffix(path)
    kind = next((kind for kind, suffixes in BY_KIND.items() if own in suffixes), None)
    if kind is None:
        raise ValueError(f"augment: {path}: neither an image nor a sound nor a text by its name")
    return path[-len(own) :] if own in _WRITABLE[kind] else _OTHERWISE[kind]


def augment(kind: str, path: str, recipe: Recipe, max_pixels: int, encoding: str | None = None) -> bytes:
    """Make a new file of a real one, in the format that `suffix_of` names.

    Args:
        kind: ``image``, ``audio`` (which needs the extra) or ``text``.
        path: the parent.
        recipe: of the same kind.
        max_pixels: larger pictures are taken for decompression bombs.
        encoding: of text files without a byte order mark; UTF-8 for None.

    Returns:
        the same bytes for the same content, suffix and recipe; what they show differs from what the parent shows.

    Raises:
        UnreadableError: the parent cannot be read.
        UnchangedError: the recipe does not change this parent.
        ConfigError: there is no such encoding.
        ValueError: there is no such kind, or the recipe is of another.
    """
    _known(kind)
    _suits(recipe, kind)
    if kind == "image":
        from datadiet_cli.encode.augment.pictures import augment_picture

        return augment_picture(path, recipe, max_pixels)
    if kind == "audio":
        from datadiet_cli.encode.augment.sounds import augment_sound

        return augment_sound(path, recipe)
    from datadiet_cli.encode.augment.texts import augment_text

    return augment_text(path, recipe, encoding)


def text_cell(text: str, recipe: Recipe) -> str:
    """Carry out a recipe for text on a cell of a table.

    Returns:
        The new text; the same one where there is nothing to leave out or to swap.

    Raises:
        ValueError: the recipe is of another kind.
    """
    _suits(recipe, "text")
    from datadiet_cli.encode.augment.texts import changed

    return changed(text, recipe)


def _known(kind: str | None) -> dict[str, _Operation]:
    if kind is None or kind not in _OPERATIONS:
        raise ValueError(f"augment: no kind {kind!r}; there are {', '.join(_OPERATIONS)}")
    return _OPERATIONS[kind]


def _suits(recipe: Recipe, kind: str) -> None:
    if recipe.get("kind") != kind:
        raise ValueError(f"augment: a recipe for {recipe.get('kind')} does not suit {kind}")
