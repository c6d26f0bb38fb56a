"""Weights of samples as a file beside OUTPUT, for whoever trains on it: a row for each training sample."""

import csv
import io
from collections.abc import Iterable, Sequence

ENDING = ".weights.csv"


def weights_csv(ids: Sequence[str], weights: Iterable[float]) -> bytes:
    """The file, with columns ``id`` and ``weight``.

    Args:
        ids: of the training samples.
        weights: one each.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "weight"])
    writer.writerows((name, shown(value)) for name, value in zip(ids, weights, strict=True))
    return text.getvalue().encode("utf-8", "surrogateescape")


def shown(weight: float) -> str:
    """A weight as it is written, to six digits."""
    return f"{weight:.6g}"
