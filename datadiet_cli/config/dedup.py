"""The settings of `dedup`."""

from typing import Annotated, Literal

from pydantic import Field

from datadiet_cli.config.base import Settings

Method = Literal[
    "auto",
    "exact",
    "pixels",
    "phash",
    "dhash",
    "ahash",
    "whash",
    "colorhash",
    "normalised",
    "minhash",
    "simhash",
    "near",
    "sorted-neighbourhood",
    "samples",
    "fingerprint",
    "embedding",
    "cluster",
]


THRESHOLDS = frozenset({"max_distance", "min_correlation", "similarity", "tolerance"})
"""The settings that say from where on two samples are copies; a report may be decided again by another one."""


class Dedup(Settings):
    """Which samples count as duplicates of each other, and which of them stays."""

    method: Method = Field(
        "auto",
        description="How duplicates are recognised; auto: phash for images, minhash for texts, exact for all else.",
    )
    level: Literal["fast", "thorough"] = Field(
        "fast",
        description="How hard phash looks: thorough also finds larger crops, small rotations and heavy overlays.",
    )
    invariance: Literal["none", "exif", "flips", "rotations", "all"] = Field(
        "all",
        description="Which orientations phash takes for the same picture: as stored, as EXIF says, mirrored, turned.",
    )
    max_distance: int | None = Field(
        None,
        ge=0,
        le=64,
        description="Largest distance of two hashes of near-duplicates, in bits; 12, or 10 for simhash, if not given.",
    )
    decode: Literal["fast", "full"] = Field(
        "fast",
        description="How JPEG files are read: fast in reduced size, full for the very hashes of imagehash.",
    )
    verify: bool = Field(
        True, description="Look at what hashes stand for before a sample goes: pixels, shingles, or waveforms."
    )
    min_correlation: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Least correlation between the detail of two pictures that verify lets pass.",
    )
    similarity: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Least similarity of near-duplicates, 1 for the same; each method has its own default.",
    )
    shingles: Literal["words", "characters"] = Field(
        "characters", description="What minhash and simhash cut texts into: runs of words, or of characters."
    )
    shingle_size: int | None = Field(
        None, ge=1, le=50, description="Words or characters of a shingle; 3 words or 5 characters if not given."
    )
    sort_by: Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="Columns that sorted-neighbourhood sorts by, one pass each; the most telling ones if not given.",
    )
    window: int = Field(
        10, ge=2, le=1000, description="How many rows that follow each other are compared by sorted-neighbourhood."
    )
    encoder: str = Field(
        "auto",
        description="What turns samples into vectors for embedding and cluster: auto, classical, a pretrained one, "
        "or a .pt2 file.",
    )
    clustering: Literal["dbscan", "agglomerative"] = Field("dbscan", description="How cluster groups vectors.")
    against: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="Other datasets; training samples that are copies of theirs go too, as contamination."
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

    @property
    def distance(self) -> int:
        """The largest distance of hashes: as given, or the method's own."""
        own = 10 if self.method == "simhash" else 12
        return own if self.max_distance is None else self.max_distance

    def reads(self) -> list[str]:
        """Paths besides INPUT that a decision depends on."""
        return [*(self.against or ()), *([self.encoder] if self.encoder.endswith(".pt2") else ())]
