"""The settings of `denoise`."""

from typing import Literal

from pydantic import Field

from datadiet_cli.config.base import Names, Settings, Share
from datadiet_cli.config.pairs import Allowed, Limits, Ranges

Detector = Literal[
    "auto",
    "zscore",
    "mad",
    "iqr",
    "isolation-forest",
    "lof",
    "knn",
    "ecod",
    "hbos",
    "mahalanobis",
    "none",
]


class Denoise(Settings):
    """What counts as noise, how it is recognised, and what becomes of it. Four families, each may be switched off."""

    invalid: Literal["auto", "none"] = Field(
        "auto", description="Whether to look for broken files, missing cells and impossible values."
    )
    invalid_action: Literal["drop", "flag"] = Field(
        "drop", description="What becomes of broken files, and of rows with impossible values or too little in them."
    )
    missing: Literal["keep", "drop", "median", "mean", "mode", "knn"] = Field(
        "keep", description="What becomes of missing cells: they stay, their rows go, or a value is put in."
    )
    max_missing: Share = Field(
        0.5,
        description="Rows with a larger share of missing cells are noise; columns with a larger one are left out.",
    )
    ranges: Ranges = Field(None, description="Values that are possible in columns of numbers, such as age=0..120.")
    allowed: Allowed = Field(None, description="All values that are possible in columns, such as sex=male|female.")
    standardise: Literal["none", "zscore", "minmax", "robust"] = Field(
        "none", description="How columns of numbers are scaled; what training rows need is applied to all rows."
    )
    quality: Literal["auto", "none"] = Field(
        "auto", description="Whether to look for poor pictures, sounds and texts: blurred, silent, too short, ..."
    )
    quality_action: Literal["drop", "flag"] = Field("flag", description="What becomes of poor samples.")
    checks: Names = Field(None, description="Checks of quality to make; all that the kind of data has if not given.")
    limits: Limits = Field(None, description="Other limits for checks of quality, such as blurred=0.2.")
    outliers: Detector = Field(
        "auto", description="How odd samples are found; auto: by a global, a marginal and a local detector."
    )
    outliers_action: Literal["drop", "flag"] = Field("flag", description="What becomes of odd samples.")
    false_flags: Share = Field(
        0.01,
        description="Share of sound samples that may be taken for outliers; how many are is found out.",
    )
    per_class: bool = Field(
        False, description="Whether a sample is odd among those of its class rather than among all."
    )
    labels: Literal["auto", "confident-learning", "knn", "self-confidence", "normalised-margin", "none"] = Field(
        "auto", description="How wrong labels are found; auto is confident-learning."
    )
    labels_action: Literal["drop", "flag", "relabel", "weigh"] = Field(
        "drop", description="What becomes of wrongly labelled samples; relabel gives them the likely label."
    )
    task: Literal["auto", "classification", "regression"] = Field(
        "auto", description="Whether labels name classes or are numbers to predict; auto finds out."
    )
    separator: str | None = Field(
        None, min_length=1, description="What stands between the classes in a label that names several."
    )
    pred_probs: str | None = Field(
        None, description="File of probabilities, .npy or a table with a column for each class, to judge labels by."
    )
    folds: int = Field(5, ge=2, le=50, description="Parts of the data that are predicted from the others.")
    columns: Names = Field(
        None, description="Columns that describe a sample; all but the label, split and id if not given."
    )
    encoder: str = Field(
        "auto",
        description="What turns samples into vectors: auto is classical; a pretrained one, or a .pt2 file.",
    )
    min_trust: Share = Field(
        0.67,
        description="How well features must tell classes apart; below it wrong labels are flagged only.",
    )
    max_dropped: Share | None = Field(
        0.2, description="Brake: the largest share of readable training samples that may go as noise."
    )
    max_dropped_per_class: Share | None = Field(
        None, description="Brake: the largest share of the training samples of any class that may go as noise."
    )
    min_per_class: int = Field(
        1, ge=1, description="Brake: training samples of a class that must stay, if it has them."
    )
    on_limit: Literal["fail", "cap"] = Field(
        "fail", description="What a brake does: fail and publish nothing, or let only the surest go."
    )

    def reads(self) -> list[str]:
        """Paths besides INPUT that a decision depends on."""
        exported = [self.encoder] if self.encoder.endswith(".pt2") else []
        return exported + ([self.pred_probs] if self.pred_probs is not None else [])
