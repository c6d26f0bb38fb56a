"""What faults are made of: one file's content in, another one out."""

from dataclasses import dataclass

import numpy as np

from datadiet_cli.data.kinds import suffix


class UnfitError(Exception):
    """This sample cannot bear this fault: too small, of one word, unreadable. Another one is taken."""


@dataclass(frozen=True)
class Content:
    """The file of an original.

    Attributes:
        path: of the file.
        max_pixels: larger pictures are taken for decompression bombs.
        encoding: of text files without a byte order mark; UTF-8 for None.
    """

    path: str
    max_pixels: int
    encoding: str | None

    @property
    def suffix(self) -> str:
        """How the file's name ends."""
        return suffix(self.path)


@dataclass(frozen=True)
class Made:
    """A file that was made.

    Attributes:
        data: its bytes.
        suffix: how its name is to end, with the dot.
    """

    data: bytes
    suffix: str


def copied(content: Content, rng: np.random.Generator) -> Made:
    """The very same bytes."""
    del rng
    try:
        with open(content.path, "rb") as file:
            return Made(file.read(), content.suffix)
    except OSError as error:
        raise UnfitError("cannot be read") from error


def emptied(content: Content, rng: np.random.Generator) -> Made:
    """A file without a byte."""
    del rng
    return Made(b"", content.suffix)
