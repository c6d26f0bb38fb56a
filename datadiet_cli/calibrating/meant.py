"""Which faults a configuration is meant to find; the others are planted as well, and told apart."""

from collections.abc import Mapping

from datadiet_cli.calibrating.faults import Fault
from datadiet_cli.config.dedup import Dedup
from datadiet_cli.config.denoise import Denoise
from datadiet_cli.methods.quality import CHECKS

_SAME = frozenset({"exact-copy", "other-label"})
_BY_METHOD: Mapping[str, frozenset[str]] = {
    "exact": _SAME,
    "pixels": _SAME,
    "samples": _SAME | {"other-format"},
    "normalised": _SAME | {"case-space"},
    "near": _SAME | {"case-space", "noise-1e-6"},
}
"""Methods for which equality counts, and what is equal to them; all others are meant to find whatever is alike."""
_TURNED = {"flip": ("flips", "all"), "rotate-90": ("rotations", "all")}
_FAR = frozenset({"crop-15"})
"""What only the thorough level is meant to find."""
HASHES = frozenset({"phash", "dhash", "ahash", "whash", "colorhash"})


def by_dedup(settings: Dedup, method: str, faults: Mapping[str, Fault]) -> list[str]:
    """Names of the faults that `dedup` is meant to find.

    Args:
        settings: of the step.
        method: the one that its `method` stands for.
        faults: by name.
    """
    names = [name for name in faults if name in _BY_METHOD.get(method, faults)]
    if settings.scope == "within-class":
        names = [name for name in names if name != "other-label"]
    if method in HASHES:
        turned = [name for name, ways in _TURNED.items() if settings.invariance not in ways]
        far = () if method == "phash" and settings.level == "thorough" else _FAR
        names = [name for name in names if name not in turned and name not in far]
    return names


def by_denoise(settings: Denoise, kind: str, faults: Mapping[str, Fault]) -> list[str]:
    """Names of the faults that `denoise` is meant to find.

    Args:
        settings: of the step.
        kind: of the data.
        faults: by name.
    """
    known = CHECKS.get("text" if kind == "row" else kind, {})
    wanted = set(known if settings.checks is None else settings.checks)

    def is_meant(name: str, fault: Fault) -> bool:
        if name == "missing":
            return settings.missing != "keep"
        return fault.part != "quality" or bool(fault.reasons & wanted)

    return [name for name, fault in faults.items() if is_meant(name, fault)]
