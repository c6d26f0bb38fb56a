"""What a worker must have before it takes part: the same versions, and a view of the same files."""

import os
import platform
import secrets
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version

from datadiet_cli import __version__

_PACKAGES = (
    "dask", "distributed", "imagehash", "msgpack", "numpy", "pillow", "polars", "rapidfuzz", "scikit-learn", "scipy",
    "soundfile", "tokenizers", "torch", "xxhash",
)  # fmt: skip
"""What results, or the talk between machines, may depend on."""


@dataclass(frozen=True)
class Badge:
    """What all who take part have in common.

    Attributes:
        versions: of everything that results may depend on.
        inputs: files that everybody must see.
        shared: a folder that everybody must be able to write to; None if none is needed.
        token: what a file in that folder holds.
    """

    versions: tuple[tuple[str, str], ...]
    inputs: tuple[str, ...] = ()
    shared: str | None = None
    token: str = ""


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """Of everything here that results may depend on; a package that is not installed is left out.

    Of one version what it was built for is left out (the `+cpu` of a laptop's torch, the `+cu128` of a GPU's).
    """
    found = {"datadiet": __version__, "python": ".".join(platform.python_version_tuple()[:2])}
    for package in _PACKAGES:
        try:
            found[package] = version(package).partition("+")[0]
        except PackageNotFoundError:
            continue
    return tuple(sorted(found.items()))


def mark(folder: str) -> str:
    """Write into a folder what others are to find there; give it."""
    token = secrets.token_hex(8)
    with open(os.path.join(folder, f"{token}.mark"), "x") as file:
        file.write(token)
    return token


@lru_cache(maxsize=8)
def fault(badge: Badge) -> str:
    """What is wrong here, and what to do about it; nothing if all is well."""
    if versions() != badge.versions:
        return f"{_unlike(dict(badge.versions))}; results might differ: install the same versions everywhere"
    unseen = [path for path in badge.inputs if not os.path.exists(path)]
    if unseen:
        return (
            f"it does not see {unseen[0]}: put INPUT on a file system that all machines mount at the same place, or "
            "name it by an URL"
        )
    return "" if badge.shared is None or _can_share(badge.shared, badge.token) else _unshared(badge.shared)


def _unlike(known: dict[str, str]) -> str:
    """In what this machine differs from the one that asks."""
    own = dict(versions())
    names = [name for name in sorted(own.keys() | known.keys()) if own.get(name) != known.get(name)]
    return ", ".join(f"it has {name} {own.get(name, 'missing')} (here {known.get(name, 'missing')})" for name in names)


def _can_share(folder: str, token: str) -> bool:
    mine = os.path.join(folder, f"{secrets.token_hex(8)}.probe")
    try:
        with open(os.path.join(folder, f"{token}.mark")) as file:
            seen = file.read() == token
        with open(mine, "x"):
            os.unlink(mine)
    except OSError:
        return False
    return seen


def _unshared(folder: str) -> str:
    return (
        f"it cannot write to {os.path.dirname(folder)}, where this machine put files for it: name a folder that all "
        "machines share, at the same place, with --shared-dir"
    )
