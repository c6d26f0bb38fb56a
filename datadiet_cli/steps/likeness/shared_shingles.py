"""How much of their shingles pairs of texts share, counted by workers, and looked up by pairs of samples."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.texts import Documents, taken
from datadiet_cli.methods.duplicates import ALONE, Ints
from datadiet_cli.methods.shingles import jaccard
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.sketches import Recipe, shingle_sets

_SHINGLES = 1 << 18
"""Shingles of texts that are compared at a time: each takes some fifty bytes meanwhile."""


class SharedShingles:
    """What pairs of nodes share, looked up by pairs of samples."""

    def __init__(self, node: Ints, edges: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        self.node, self.edges, self.value = node, edges, value
        self.width = int(node.max(initial=ALONE)) + 1
        self.keys = edges[:, 0] * self.width + edges[:, 1]

    def above(self, least: float) -> "SharedShingles":
        """Without the pairs that share less."""
        kept = self.value >= least
        return SharedShingles(self.node, self.edges[kept], self.value[kept])

    def of(self, a: Ints, b: Ints) -> NDArray[np.float64]:
        """(k,) float64: 1 within a node, NaN for nodes without an edge."""
        one, other = self.node[a], self.node[b]
        result = np.where((one == other) & (one != ALONE), 1.0, np.nan)
        if len(self.keys):
            wanted = np.minimum(one, other) * self.width + np.maximum(one, other)
            place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            there = (self.keys[place] == wanted) & (one != other)
            result[there] = self.value[place[there]]
        return result


def jaccards(
    items: Documents, edges: NDArray[np.int64], first: Ints, sizes: Ints, recipe: Recipe, context: Context
) -> NDArray[np.float64]:
    """Count what each pair of nodes shares; the texts are read again, for their shingles take more room than they.

    Args:
        items: all texts.
        edges: (e, 2) int64 pairs of nodes.
        first: (nodes,) int64, the text that stands for each node.
        sizes: (nodes,) int64, its shingles.
        recipe: how they are made.
        context: the run.

    Returns:
        (e,) float64 Jaccard similarities.
    """
    found = np.zeros(len(edges))
    tell = context.progress("comparing texts", len(edges))
    blocks = list(_blocks(edges, sizes))
    pieces = (_piece(items, edges[part], first) for part in blocks)
    for part, shares in zip(blocks, context.engine.each(count_shared, recipe, pieces), strict=True):
        found[part] = shares
        tell(len(part))
    return found


def _piece(items: Documents, edges: NDArray[np.int64], first: Ints) -> tuple[Documents, Ints]:
    """The texts of some pairs, and the pairs as places among them."""
    chosen, back = np.unique(edges, return_inverse=True)
    return taken(items, first[chosen]), back.reshape(-1, 2)


def count_shared(recipe: Recipe, piece: tuple[Documents, Ints]) -> NDArray[np.float64]:
    """Count what pairs of texts share: nothing where one cannot be read any more, for blank texts make no pairs."""
    items, pairs = piece
    members, sizes = shingle_sets(items, recipe)
    shares = jaccard(members, sizes, pairs[:, 0], pairs[:, 1])
    return np.where((sizes[pairs] > 0).all(axis=1), shares, 0.0)


def _blocks(edges: NDArray[np.int64], sizes: Ints) -> Iterator[Ints]:
    """Cut the edges into blocks of few shingles, those of texts that hang together near each other."""
    if not len(edges):
        return
    # The least neighbour of the least neighbour stands for the group; it need not be exact.
    near = np.arange(len(sizes))
    for _ in range(2):
        np.minimum.at(near, edges.ravel(), near[edges[:, ::-1]].ravel())
    order = np.lexsort((edges[:, 1], edges[:, 0], near[edges[:, 0]]))
    ordered = edges[order]
    # A text is read once for all its pairs in a block; so count the first of its edges only.
    new = np.append(True, ordered[1:, 0] != ordered[:-1, 0])
    load = np.cumsum(np.where(new, sizes[ordered[:, 0]], 0) + sizes[ordered[:, 1]])
    cut = np.flatnonzero(np.diff(load // _SHINGLES, prepend=0))
    yield from (part for part in np.split(order, cut) if len(part))
