"""The settings every command shares, and the types that settings are made of."""

import re
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.fields import FieldInfo

from datadiet_cli.config.words import shown

PERCENTAGE = r"(?:[0-9]{1,3}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})%"
SHARE_PATTERN = rf"^({PERCENTAGE}|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)$"
LARGEST_SEED = 2**32 - 1


class Settings(BaseModel):
    """The base of all settings: unknown keys are errors, and no value is bent into another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def reads(self) -> list[str]:
        """Paths besides INPUT that a decision by these settings depends on."""
        return []

    def given(self) -> list[str]:
        """Names of settings where a decision depends on whether they were given, besides on their values."""
        return []


def parse_percentage(text: str) -> float:
    """Turn a percentage into the share nearest to it: `"0.1%"` into 0.001, without a second rounding."""
    return float(text.removesuffix("%") + "e-2")


def percentage(share: float) -> str:
    """Write a share as a percentage that reads back as the same share."""
    return f"{share * 100:.9f}".rstrip("0").rstrip(".") + "%"


def parse_share(value: object) -> float:
    """Read a share: `"1%"`, `"0.01"` and 0.01 are the same; 1 and `"1"`, without a %, are all of it.

    Raises:
        ValueError: if it is neither a number from 0 to 1 nor a percentage from 0% to 100%.
    """
    share = -1.0
    if isinstance(value, str) and re.fullmatch(SHARE_PATTERN, value):
        share = parse_percentage(value) if value.endswith("%") else float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        share = float(value)
    if not 0 <= share <= 1:
        raise ValueError(f"must be a percentage such as 5%, or a number from 0 to 1, not {shown(value)}")
    return share


SHARE = BeforeValidator(parse_share)
Share = Annotated[
    float,
    SHARE,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": SHARE_PATTERN},
            ]
        }
    ),
]
"""A share of something, a float in [0, 1]. `1%` and `0.01` are the same; `1` is all, not one per cent."""


SIZE_PATTERN = r"^([0-9]+(?:\.[0-9]+)?) ?([kMGT]i?|)B$"
_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def parse_size(text: str) -> int:
    """Read a number of bytes: `"2GB"` is 2,000,000,000 and `"2GiB"` 2,147,483,648; a bare number is refused.

    Raises:
        ValueError: it is no such size, or less than a byte.
    """
    found = re.fullmatch(SIZE_PATTERN, text)
    size = int(float(found[1]) * _SIZES[found[2]]) if found else 0
    if not size:
        raise ValueError(f"must be a size such as 2GB or 512MiB, not {shown(text)}")
    return size


def _size(value: str) -> str:
    parse_size(value)
    return value


Size = Annotated[str, AfterValidator(_size), WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN})]
"""A number of bytes, written with its unit; `parse_size` reads it."""


def _delimiter(value: str) -> str:
    """A tab is hard to type on a command line, so its names are taken too."""
    text = "\t" if value in ("tab", "\\t") else value
    if len(text) != 1 or text in '"\r\n':
        raise ValueError(f"must be one character, or 'tab', not {shown(value)}")
    return text


def _encoding(value: str) -> str:
    try:
        "a".encode(value)
    except (LookupError, ValueError):
        message = f"must be a text encoding such as utf-8, latin-1 or cp1252, not {shown(value)}"
        raise ValueError(message) from None
    return value


Delimiter = Annotated[
    str,
    AfterValidator(_delimiter),
    WithJsonSchema({"type": "string", "pattern": r'^([^"\r\n]|tab|\\t)$'}),
]


def _pattern(value: str) -> str:
    try:
        groups = re.compile(value).groups
    except re.error as error:
        raise ValueError(f"must be a regular expression; {shown(value)} is none: {error}") from None
    if not groups:
        raise ValueError(f"must have a group in parentheses, such as '([0-9])_', not {shown(value)}")
    return value


Encoding = Annotated[str, AfterValidator(_encoding)]
Names = Annotated[list[str], Field(min_length=1)] | None
"""Names of columns, or of other things; None for those that a command takes by itself."""
Pattern = Annotated[str, AfterValidator(_pattern)]


class Common(Settings):
    """The settings of every command that works on a dataset, and of a pipeline as a whole."""

    seed: int = Field(
        0, ge=0, le=LARGEST_SEED, description="Start of every random choice; the same seed, the same result."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where neural networks run; auto takes a GPU if there is one."
    )
    engine: Literal["threads", "processes", "serial", "dask"] = Field(
        "threads", description="What shares out the work: threads, processes, or the workers of a Dask cluster."
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="How many threads or processes work at once; as many as there are cores if not given.",
    )
    scheduler: str | None = Field(
        None, description="Dask scheduler, tcp://host:port or its file; a cluster on this machine if not given."
    )
    shared_dir: str | None = Field(
        None, description="Folder for temporary files that all workers see; the system's own if not given."
    )
    memory_limit: Size | None = Field(
        None, description="Memory to stay within, such as 2GB: what needs more is grouped through files on disk."
    )
    label: str | None = Field(
        None, description="Name of the column that holds the labels, of a table or of a table of labels."
    )
    label_pattern: Pattern | None = Field(
        None, description="Regular expression whose first group is the label in a file's path, such as '([0-9])_'."
    )
    split: str | None = Field(
        None,
        description="Column that says train, validation or test; if not given, one named split that does is taken.",
    )
    id_column: str | None = Field(
        None, description="Name of the column that names each sample; rows are numbered if not given."
    )
    encoding: Encoding | None = Field(None, description="Text encoding of tables and text files; UTF-8 if not given.")
    delimiter: Delimiter | None = Field(
        None, description="Character between the cells of a table, or tab; found out if not given."
    )
    header: Literal["auto", "first-row", "none"] = Field(
        "auto", description="Whether the first row of a table names its columns; auto finds out."
    )
    max_pixels: int = Field(
        89_478_485, ge=1, description="Pictures with more pixels than this are taken for decompression bombs."
    )
    unreadable: Literal["keep", "drop"] = Field(
        "keep", description="What becomes of samples that cannot be read; they are named either way."
    )
    follow_symlinks: bool = Field(False, description="Read what symbolic links inside the input point at.")
    link: Literal["copy", "hardlink", "symlink"] = Field(
        "copy",
        description="How kept files get into the output; copies share disk space where the file system can.",
    )
    max_removed: Share | None = Field(
        None, description="Gate: fail, and publish nothing, if more than this share of the samples would go."
    )
    baseline: str | None = Field(
        None, description="File of accepted findings, as `datadiet baseline` writes it: they are left alone."
    )
    html: bool = Field(True, description="Write OUTPUT.report.html too: the report as a page for people.")
    cache: bool = Field(True, description="Remember what each step decided, for the next run on the same input.")

    def reads(self) -> list[str]:
        """Paths besides INPUT that a decision depends on."""
        return [] if self.baseline is None else [self.baseline]


@dataclass(frozen=True)
class Form:
    """The shape of one setting, as a command-line flag or an environment variable needs it.

    Attributes:
        type: bool, int, float, str or a Literal of strings; str for a share, text until parsed.
        many: whether the setting is a list of these.
        lowest: the least number allowed, or None.
        highest: the greatest number allowed, or None.
        is_share: whether it is a share.
    """

    type: Any
    many: bool
    lowest: float | None
    highest: float | None
    is_share: bool


def form_of(field: FieldInfo) -> Form:
    """Find out the shape of a model's field."""
    annotation, metadata, many = field.annotation, list(field.metadata), False
    while (origin := get_origin(annotation)) in (Annotated, Union, UnionType, list):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        for extra in inner[1:] if origin is Annotated else []:
            metadata += extra.metadata if isinstance(extra, FieldInfo) else [extra]
        many = many or origin is list
        annotation = inner[0]
    is_share = SHARE in metadata
    return Form(
        type=str if is_share else annotation,
        many=many,
        lowest=next((m.ge for m in metadata if hasattr(m, "ge")), None),
        highest=next((m.le for m in metadata if hasattr(m, "le")), None),
        is_share=is_share,
    )
