"""SimHash: 64 bits of which similar texts share many.

Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002, section 3; for near-duplicate pages:
Manku, Jain & Sarma, "Detecting near-duplicates for web crawling", WWW 2007, section 2.
"""

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.shingles import Hashes, Ints, ranges

BITS = 64
_LANE = 255
"""So many ones can be added up within a byte."""


def simhashes(hashes: Hashes, counts: Ints) -> NDArray[np.uint64]:
    """Let every shingle vote on every bit, as often as the text has it.

    Args:
        hashes: (s,) uint64 hashes of the shingles, repeated where a shingle is, text after text.
        counts: (n,) int64 shingles of each text.

    Returns:
        (n,) uint64; bit i is set where more than half of the text's hashes have it set.
    """
    filled = np.flatnonzero(counts)
    result = np.zeros(len(counts), dtype=np.uint64)
    if not len(filled):
        return result
    pieces = -(-counts[filled] // _LANE)
    first = np.cumsum(pieces) - pieces
    begin = (np.cumsum(counts) - counts)[filled]
    starts = np.repeat(begin, pieces) + ranges(np.zeros(len(pieces), dtype=np.int64), pieces) * _LANE
    ones = np.empty((len(filled), BITS), dtype=np.int64)
    spread = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").view("<u8").ravel()
    little = np.ascontiguousarray(hashes).astype("<u8", copy=False).view(np.uint8).reshape(-1, 8)
    for byte in range(8):
        # Eight counters of a byte each in one number, added up for at most 255 hashes.
        lanes = np.add.reduceat(spread[little[:, byte]], starts).astype("<u8").view(np.uint8).reshape(-1, 8)
        ones[:, 8 * byte : 8 * byte + 8] = np.add.reduceat(lanes, first, axis=0, dtype=np.int64)
    bits = (2 * ones > counts[filled, None]).astype(np.uint8)
    result[filled] = np.packbits(bits, axis=1, bitorder="little").view("<u8").ravel()
    return result
