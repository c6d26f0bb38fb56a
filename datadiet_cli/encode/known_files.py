"""The digests of files that are remembered, as long as the files are what they were: nothing is read."""

from collections.abc import Sequence

import numpy as np

from datadiet_cli.encode.cache import Cache, NoCache
from datadiet_cli.encode.filestates import FILES, file_keys, file_states
from datadiet_cli.engine import Engine

_AT_ONCE = 2048


def known_digests(paths: Sequence[str], cache: Cache | NoCache, engine: Engine) -> list[str | None]:
    """The digests of files, 32 hexadecimal digits each; None for one that is unknown, or whose `stat` has changed.

    Args:
        paths: of the files.
        cache: where steps remember digests; call this in its thread.
        engine: asks the file system.
    """
    digests: list[str | None] = []
    if not cache.enabled:
        return [None] * len(paths)
    for part, states in engine.map(file_states, paths, chunk=_AT_ONCE):
        known, entries = cache.recall(FILES, file_keys(paths[part]), 32)
        same = known & (entries[:, :16] == states.stamps).all(axis=1)
        digits = np.ascontiguousarray(entries[:, 16:]).tobytes().hex()
        digests += [digits[32 * i : 32 * i + 32] if sure else None for i, sure in enumerate(same.tolist())]
    return digests
