"""Grouping of what no single memory holds: the answers of the methods, through bucket files and on workers."""

from datadiet_cli.engine import Engine

_PART = 16
"""A bucket takes at most this part of the memory limit, since several workers of a machine hold one each."""


def portions(size: int, engine: Engine) -> int:
    """In how many buckets to deal out what takes so many bytes of memory together."""
    room = max((engine.limits.memory or size) // _PART, 1)
    return max(-(-size // room), 1)
