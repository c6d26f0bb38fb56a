"""Who looks like whom: the ways of `dedup` to recognise a copy, one function for each kind of evidence."""

from contextlib import ExitStack
from dataclasses import replace

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.config.registry import load
from datadiet_cli.errors import ConfigError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import Finder, Likeness
from datadiet_cli.steps.likeness.pool import Pool

__all__ = ["FINDERS", "find"]

_HERE = "datadiet_cli.steps.likeness"
_PICTURES = f"{_HERE}.pictures:by_picture"
_CONTENT = f"{_HERE}.files:by_content"
_NORMALISED = f"{_HERE}.texts:by_normalised"
_MINHASH = f"{_HERE}.texts:by_minhash"
_SIMHASH = f"{_HERE}.texts:by_simhash"
_EMBEDDING = f"{_HERE}.vectors:by_embedding"
_CLUSTER = f"{_HERE}.vectors:by_cluster"
FINDERS: dict[str, dict[str, str]] = {
    "image": {
        "phash": _PICTURES,
        "dhash": _PICTURES,
        "ahash": _PICTURES,
        "whash": _PICTURES,
        "colorhash": _PICTURES,
        "pixels": _PICTURES,
        "exact": _CONTENT,
        "embedding": _EMBEDDING,
        "cluster": _CLUSTER,
    },
    "text": {
        "minhash": _MINHASH,
        "simhash": _SIMHASH,
        "normalised": _NORMALISED,
        "exact": _CONTENT,
        "embedding": _EMBEDDING,
        "cluster": _CLUSTER,
    },
    "audio": {
        "exact": _CONTENT,
        "samples": f"{_HERE}.sounds:by_samples",
        "fingerprint": f"{_HERE}.sounds:by_fingerprint",
        "embedding": _EMBEDDING,
        "cluster": _CLUSTER,
    },
    "file": {"exact": _CONTENT},
    "row": {
        "exact": f"{_HERE}.rows:by_cells",
        "near": f"{_HERE}.rows:by_values",
        "sorted-neighbourhood": f"{_HERE}.linkage:by_sorted_neighbourhood",
        "normalised": _NORMALISED,
        "minhash": _MINHASH,
        "simhash": _SIMHASH,
        "embedding": _EMBEDDING,
        "cluster": _CLUSTER,
    },
}
"""Kind of data -> method -> its function, loaded when it runs. The first method of a kind is what `auto` means."""


_HASHES = {"phash", "dhash", "ahash", "whash", "colorhash"}
_SHINGLED = {"minhash", "simhash"}
_VECTORS = {"embedding", "cluster"}
HEEDED = {
    "max_distance": _HASHES | {"simhash"},
    "min_correlation": _HASHES,
    "level": {"phash"},
    "invariance": _HASHES,
    "decode": _HASHES,
    "verify": _HASHES | {"simhash", "fingerprint"},
    "similarity": _SHINGLED | _VECTORS | {"sorted-neighbourhood", "fingerprint"},
    "shingles": _SHINGLED,
    "shingle_size": _SHINGLED,
    "sort_by": {"sorted-neighbourhood"},
    "window": {"sorted-neighbourhood"},
    "encoder": _VECTORS,
    "clustering": {"cluster"},
    "tolerance": {"near"},
}
"""Settings that only some methods heed; a report says of a setting that was given in vain."""


def find(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Look for copies with the method that the settings name.

    Raises:
        ConfigError: the method or the preference does not fit the kind of data.
    """
    finders = FINDERS[pool.kind]
    method = settings.method if settings.method != "auto" else next(iter(finders))
    if method not in finders:
        raise ConfigError(
            f"dedup: method {method} does not work on {pool.kind} data; choose one of {', '.join(finders)}"
        )
    if settings.prefer == "sharpest" and finders[method] != _PICTURES:
        raise ConfigError("dedup: prefer sharpest needs images and a method that hashes them, such as phash")
    if settings.prefer == "newest" and pool.kind == "row":
        raise ConfigError("dedup: prefer newest needs files, rows have no time; choose first or largest")
    finder: Finder = load(finders[method])
    likeness = finder(pool, settings.model_copy(update={"method": method}), context, stack)
    idle = [name for name in sorted(settings.model_fields_set) if not _heeded(settings, name, method)]
    if not idle:
        return likeness
    return replace(likeness, metrics={**likeness.metrics, "without_effect": {"method": method, "settings": idle}})


def _heeded(settings: Dedup, name: str, method: str) -> bool:
    """Whether a setting that was given changes anything, or is as it would be anyway."""
    is_default = getattr(settings, name) == Dedup.model_fields[name].default
    return is_default or name not in HEEDED or method in HEEDED[name]
