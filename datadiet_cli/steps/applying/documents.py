"""What a transform may say, checked before anything is done by it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from datadiet_cli.columns import Transform
from datadiet_cli.errors import InputError

Index = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Projection = Literal["pca", "lda", "random-projection"]


def _different(names: Sequence[str]) -> Sequence[str]:
    if len(set(names)) < len(names):
        raise ValueError("a name stands there twice")
    return names


Names = Annotated[list[str], AfterValidator(_different)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Imputed(_Part):
    """What goes into the missing cells of a column: ``value``, and how it was found."""

    kind: Literal["number", "category"]
    by: str
    value: Finite | str | None
    otherwise: str | None = None


class Scaled(_Part):
    """What is done to the numbers of a column: (x - centre) / scale."""

    centre: Finite
    scale: Annotated[Finite, Field(gt=0)]


class Scales(_Part):
    """The columns of numbers that get another scale."""

    kind: str
    columns: dict[str, Scaled]


class OfCells(_Part):
    """Cells that change."""

    step: str
    of: Literal["cells"]
    impute: dict[str, Imputed]
    scale: Scales


class Input(_Part):
    """A column that new ones are made of; see `encode.known_cells`."""

    name: str
    form: Literal["", "real", "whole", "date", "time", "day", "span"]
    values: list[str]


class OfColumns(_Part):
    """Columns that go, and perhaps new ones that are made of them."""

    step: str
    of: Literal["columns"]
    kept: Names
    dropped: Names
    aside: list[str] = []
    projection: Projection | None = None
    inputs: list[Input] = []
    design: dict[str, Any] = {}
    outputs: Names = []


class OfVectors(_Part):
    """Vectors of samples, and what is left of them or made of them."""

    step: str
    of: Literal["vectors"]
    kind: Literal["image", "audio", "text"]
    encoder: str
    column: str | None
    files: bool
    digest: str
    dimensions: Annotated[list[Index], Field(min_length=1)] | None
    projection: Projection | None = None
    outputs: Names = []


Document = OfCells | OfColumns | OfVectors
_DOCUMENT: TypeAdapter[Document] = TypeAdapter(Annotated[Document, Field(discriminator="of")])


def document_of(transform: Transform, path: str) -> Document:
    """What a transform says.

    Args:
        transform: as it was read.
        path: where, for the message.

    Raises:
        InputError: it says something else.
    """
    try:
        return _DOCUMENT.validate_python(dict(transform.document))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "a step"
        raise InputError(f"{path}: is damaged: {where}: {first['msg']}; make it anew") from error
