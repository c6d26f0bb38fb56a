"""Who looks like whom: the ways of `dedup` to recognise a copy, one function for each kind of evidence."""

from contextlib import ExitStack

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.config.registry import load
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.errors import ConfigError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import Finder, Likeness

__all__ = ["FINDERS", "find"]

_PICTURES = "datadiet_cli.steps.likeness.pictures:by_picture"
_CONTENT = "datadiet_cli.steps.likeness.files:by_content"
FINDERS: dict[str, dict[str, str]] = {
    "image": {
        "phash": _PICTURES,
        "dhash": _PICTURES,
        "ahash": _PICTURES,
        "whash": _PICTURES,
        "colorhash": _PICTURES,
        "pixels": _PICTURES,
        "exact": _CONTENT,
    },
    "text": {"exact": _CONTENT},
    "audio": {"exact": _CONTENT},
    "file": {"exact": _CONTENT},
    "row": {
        "exact": "datadiet_cli.steps.likeness.rows:by_cells",
        "near": "datadiet_cli.steps.likeness.rows:by_values",
    },
}
"""Kind of data -> method -> its function, loaded when it runs. The first method of a kind is what `auto` means."""


def find(dataset: Dataset, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Look for copies with the method that the settings name.

    Raises:
        ConfigError: the method or the preference does not fit the kind of data.
    """
    finders = FINDERS[dataset.kind]
    method = settings.method if settings.method != "auto" else next(iter(finders))
    if method not in finders:
        raise ConfigError(
            f"dedup: method {method} does not work on {dataset.kind} data; choose one of {', '.join(finders)}"
        )
    if settings.prefer == "sharpest" and (dataset.kind != "image" or method == "exact"):
        raise ConfigError("dedup: prefer sharpest needs images and a method that decodes them, such as phash")
    if settings.prefer == "newest" and dataset.kind == "row":
        raise ConfigError("dedup: prefer newest needs files, rows have no time; choose first or largest")
    finder: Finder = load(finders[method])
    return finder(dataset, settings.model_copy(update={"method": method}), context, stack)
