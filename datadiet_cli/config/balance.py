"""The settings of `balance`."""

from typing import Annotated, Literal

from pydantic import Field

from datadiet_cli.config.base import Names, Settings
from datadiet_cli.config.pairs import Size


class Balance(Settings):
    """How large each class shall be, which samples go and which are made, or how they are weighed instead."""

    target: Size = Field(
        "median", description="Samples of each class: min, median, mean, max, a number, or 'ratio 3:1' at the most."
    )
    group_by: Names = Field(
        None,
        description="Columns whose combinations are evened out, such as label and speaker; the label if not given.",
    )
    under: Literal["random", "cluster", "near-miss", "tomek", "enn", "hardness", "none"] = Field(
        "random", description="Which samples of too large classes go."
    )
    over: Literal["auto", "repeat", "augment", "smote", "borderline", "adasyn", "smote-nc", "none"] = Field(
        "auto",
        description="How small classes grow; auto: augment for files, smote or smote-nc for rows.",
    )
    weights: Literal["none", "class", "sample", "inverse-sqrt", "effective-number"] = Field(
        "none", description="Weigh samples instead, by a file beside the output; with it no sample goes or is made."
    )
    weight_column: str | None = Field(
        None, min_length=1, description="Name of a new column for the weights, in a table."
    )
    mark_column: str | None = Field(
        None, min_length=1, description="Name of a new column that says which rows were made, and of which, in a table."
    )
    augment: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="What may be done to a copy, such as rotate, crop, colour, noise; all but flip if not given."
    )
    neighbours: int = Field(5, ge=1, le=1000, description="Neighbours among which a new row is made.")
    columns: Names = Field(
        None,
        description="Columns that say which rows are near each other; all but the label, split and id if not given.",
    )
    encoder: str = Field(
        "auto",
        description="What turns samples into vectors: auto is classical; a pretrained one, or a .pt2 file.",
    )
    min_per_class: int = Field(1, ge=1, description="Training samples of a class that must stay, if it has them.")
    no_split: bool = Field(False, description="Balance all samples where nothing says which of them are for training.")

    def reads(self) -> list[str]:
        """Paths besides INPUT that a decision depends on."""
        return [self.encoder] if self.encoder.endswith(".pt2") else []
