"""Methods that rank columns by what models make of them."""

from collections.abc import Callable

from datadiet_cli.methods.selection.base import Ranking
from datadiet_cli.methods.selection.boruta import boruta
from datadiet_cli.methods.selection.elimination import rfe
from datadiet_cli.methods.selection.forest import forest
from datadiet_cli.methods.selection.l1 import l1
from datadiet_cli.methods.selection.permutation import permutation

__all__ = ["WRAPPERS"]

WRAPPERS: dict[str, Callable[..., Ranking]] = {
    "rfe": rfe,
    "permutation": permutation,
    "l1": l1,
    "forest": forest,
    "boruta": boruta,
}
"""By name: `rank(columns, target, *, keep=None, threshold=None, seed=0, workers=1, budget=120.0)`."""
