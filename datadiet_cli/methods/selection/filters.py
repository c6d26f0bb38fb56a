"""Every filter there is: it ranks columns by what they say of the target, or of each other, without a model."""

from collections.abc import Callable

from datadiet_cli.methods.selection.base import Ranking
from datadiet_cli.methods.selection.collinearity import collinearity
from datadiet_cli.methods.selection.information import mutual_information
from datadiet_cli.methods.selection.mrmr import mrmr
from datadiet_cli.methods.selection.plain import constant, missing, variance
from datadiet_cli.methods.selection.relevance import anova, chi2, pearson, spearman
from datadiet_cli.methods.selection.relief import relief

FILTERS: dict[str, Callable[..., Ranking]] = {
    "constant": constant,
    "missing": missing,
    "variance": variance,
    "pearson": pearson,
    "spearman": spearman,
    "mutual-information": mutual_information,
    "anova": anova,
    "chi2": chi2,
    "relief": relief,
    "mrmr": mrmr,
    "collinearity": collinearity,
}
"""All take `(columns, target, *, keep, threshold, seed, workers)`, and leave aside what they do not need."""
UNSUPERVISED = frozenset({"constant", "missing", "variance", "collinearity"})
"""These need no target."""
