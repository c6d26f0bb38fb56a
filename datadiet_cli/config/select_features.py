"""The settings of `select-features`."""

from typing import Literal

from pydantic import Field

from datadiet_cli.config.base import Names, Settings, Share
from datadiet_cli.config.pairs import Keep

FeatureMethod = Literal[
    "variance", "missing", "constant", "pearson", "spearman", "mutual-information", "anova", "chi2", "relief", "mrmr",
    "collinearity", "rfe", "permutation", "l1", "forest", "boruta", "pca", "lda", "random-projection",
]  # fmt: skip


class SelectFeatures(Settings):
    """Which columns of a table stay, or which dimensions of samples' vectors, or what they are compressed to."""

    method: FeatureMethod = Field("forest", description="How columns are ranked, or compressed.")
    keep: Keep = Field(
        "auto",
        description="Columns to keep: a number, a share, or auto: the fewest that predict about as well as all.",
    )
    max_accuracy_drop: Share = Field(0.01, description="What keep: auto may lose: of accuracy; of a regression's R2.")
    folds: int = Field(5, ge=2, le=20, description="Folds of the cross-validation behind keep: auto.")
    stability: int = Field(
        0, ge=0, le=1000, description="Bootstraps to rank by: columns are kept by how often they are; 0 for none."
    )
    max_missing: Share = Field(0.5, description="Share of missing cells from which on method missing drops a column.")
    max_correlation: Share = Field(
        0.95, description="Correlation from which on method collinearity drops one of two columns."
    )
    min_variance: float = Field(
        0.0, ge=0, description="Method variance drops columns of numbers that vary less, by their own unit squared."
    )
    columns: Names = Field(
        None, description="Columns to choose from; all but the label, split and id if not given. Others stay."
    )
    always_keep: Names = Field(None, description="Columns that are never dropped.")
    encoder: str = Field("auto", description="What turns files and texts into vectors: auto is classical.")
    budget: float = Field(
        120.0, gt=0, description="Seconds that methods by a model may take, by estimate; else they do less, and say so."
    )

    def reads(self) -> list[str]:
        """Paths besides INPUT that a decision depends on."""
        return [self.encoder] if self.encoder.endswith(".pt2") else []
