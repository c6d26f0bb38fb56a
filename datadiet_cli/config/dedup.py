"""The settings of `dedup`."""

from typing import Annotated, Literal

from pydantic import Field

from datadiet_cli.config.base import Settings


class Dedup(Settings):
    """Which samples count as duplicates of each other, and which of them stays."""

    method: Literal["auto", "exact", "pixels", "phash", "dhash", "ahash", "whash", "colorhash", "near"] = Field(
        "auto",
        description="How duplicates are recognised; auto takes phash for images and exact for all else.",
    )
    max_distance: int = Field(
        6, ge=0, le=64, description="Largest distance between the hashes of two near-duplicates, in bits."
    )
    decode: Literal["fast", "full"] = Field(
        "fast",
        description="How JPEG files are read: fast in reduced size, full for the very hashes of imagehash.",
    )
    verify: bool = Field(True, description="Compare the pixels of pictures whose hashes match before one is removed.")
    min_correlation: float = Field(
        0.45,
        ge=0,
        le=1,
        description="Least correlation between the pixels of two pictures that verify lets pass.",
    )
    scope: Literal["within-class", "across-classes", "across-splits"] = Field(
        "across-splits",
        description="Where duplicates are looked for; each choice includes the ones before it.",
    )
    prefer: Literal["largest", "first", "newest", "sharpest"] = Field(
        "largest", description="Which of several duplicates stays."
    )
    conflicts: Literal["flag", "drop-all", "keep-majority"] = Field(
        "flag", description="What becomes of duplicates that bear different labels."
    )
    columns: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="Columns on which rows are compared; all but the label, split and id if not given."
    )
    tolerance: float = Field(
        1e-6,
        ge=0,
        le=0.5,
        description="Numbers this close count as equal under near, as a share of the larger of the two.",
    )
