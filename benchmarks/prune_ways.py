"""The rows of the tables of `bench_prune.py`: by what, and ranked with what, weights and channels go."""

from dataclasses import dataclass

from datadiet_cli.nn.pruning.masks import Limits, Scope

NO_LIMITS = Limits(per_row=0)
"""As the independent implementation has none."""


@dataclass(frozen=True)
class Way:
    """How a row of the tables chooses.

    Attributes:
        criterion: of datadiet.
        scope: what is ranked together.
        start: the network that it begins with: ``plain``, ``l1`` or ``slim``.
        limits: what stays in any case.
        whole: whether gradients are those of all samples at once.
        peer: whether there is a peer to compare with.
    """

    criterion: str
    scope: Scope
    start: str = "plain"
    limits: Limits = NO_LIMITS
    whole: bool = False
    peer: bool = False


WEIGHTS = {
    "random, global": Way("random", "global", peer=True),
    "magnitude, global": Way("magnitude", "global", peer=True),
    "magnitude, layer": Way("magnitude", "layer", peer=True),
    "magnitude, global, L1-trained": Way("magnitude", "global", start="l1"),
    "gradient, global": Way("gradient", "global"),
    "snip, global": Way("snip", "global"),
    "fisher, global": Way("fisher", "global"),
    "wanda, row": Way("wanda", "row", limits=Limits()),
    "activation, global": Way("activation", "global"),
    "lamp, global": Way("lamp", "global"),
}
CHANNELS = {
    f"{name}, {scope}{', slimmed' if start == 'slim' else ''}": Way(criterion, scope, start, whole=whole, peer=peer)
    for scope in ("layer", "global")
    for name, criterion, start, whole, peer in (
        ("random", "random", "plain", False, True),
        ("magnitude", "magnitude", "plain", False, True),
        ("gradient in one batch", "gradient", "plain", True, True),
        ("bn-scale", "bn-scale", "plain", False, True),
        ("bn-scale", "bn-scale", "slim", False, True),
        ("gradient", "gradient", "plain", False, False),
        ("fisher", "fisher", "plain", False, False),
        ("activation", "activation", "plain", False, False),
        ("wanda", "wanda", "plain", False, False),
    )
}
