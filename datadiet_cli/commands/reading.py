"""Read a report that was written before, and open the dataset that it speaks of."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from datadiet_cli.config.base import Common
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.mirror import local
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.data.wording import escaped
from datadiet_cli.errors import InputError
from datadiet_cli.report.build import REPORT_VERSION
from datadiet_cli.report.frame import verdict_frame
from datadiet_cli.request import reading_of

if TYPE_CHECKING:
    import polars as pl

_NAMED = ("step", "id", "action", "reason")
"""What every verdict has, in words."""


def read_report(path: str) -> dict[str, Any]:
    """Read a report.

    Raises:
        InputError: it cannot be read, is no report, damaged, or of another version.
    """
    try:
        with open(local(path), "rb") as file:
            document = json.load(file)
        if document["report_version"] != REPORT_VERSION:
            raise InputError(f"{path}: is a report of another version; run the command again")
        Common.model_validate(document["settings"])
        whole = _has_form(document)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: is no report of datadiet, or was cut off; name the .report.json beside an OUTPUT"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: is no report of datadiet; name the .report.json beside an OUTPUT") from error
    if not whole:
        raise InputError(f"{path}: is damaged, or a file beside it; run the command again")
    return dict(document)


def _has_form(document: Mapping[str, Any]) -> bool:
    """Whether a document has what every command goes by."""
    given, steps, rows, file = (document[key] for key in ("input", "steps", "verdicts", "verdicts_file"))
    return (
        all(isinstance(given[key], str) for key in ("path", "fingerprint"))
        and (file is None or isinstance(file, str))
        and isinstance(steps, list)
        and all(isinstance(step, dict) and isinstance(step.get("name"), str) for step in steps)
        and isinstance(rows, list)
        and all(isinstance(row, dict) and all(isinstance(row.get(key), str) for key in _NAMED) for row in rows)
    )


@contextmanager
def undamaged(report: str) -> Iterator[None]:
    """Whatever goes wrong within, as a report or a file beside it is not what it was, ends in one line.

    Raises:
        InputError: something did.
    """
    import polars as pl

    try:
        # A damaged file makes the library's Rust core panic, which prints before it raises.
        with quiet_libraries():
            yield
    except OSError as error:
        raise InputError(
            f"{error.filename or report}: cannot be read: {error.strerror or error}; it belongs to {report}"
        ) from error
    except (
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
    ) as error:
        raise InputError(f"{report}: is damaged, or a file beside it; run the command again") from error


def each_undamaged(chunks: Iterable[bytes], report: str) -> Iterator[bytes]:
    """What is made of a report, piece by piece, where only the making may say that it is damaged, not the writing."""
    with undamaged(report):
        yield from chunks


def verdicts_of(document: Mapping[str, Any], report: str) -> "pl.DataFrame":
    """The verdicts of a report that was read, as `verdict_frame` gives them.

    Raises:
        InputError: they are damaged, or the file beside the report that has them cannot be read.
    """
    with undamaged(report):
        return verdict_frame(document, report)


def rows_by_name(dataset: Dataset) -> dict[str, int]:
    """The row of every sample, by its id as it is and as the tables beside a report have it."""
    found: dict[str, int] = {}
    for row, name in zip(dataset.rows.tolist(), dataset.ids, strict=True):
        found[escaped(name)] = found[name] = row
    return found


def dataset_of(report: str, document: Mapping[str, Any]) -> Dataset:
    """The dataset that a report speaks of, as it was.

    Raises:
        InputError: it is gone, or has changed since.
    """
    path = document["input"]["path"]
    dataset = open_dataset(path, reading_of(Common.model_validate(document["settings"])))
    if dataset.source.fingerprint() != document["input"]["fingerprint"]:
        raise InputError(f"{path}: has changed since {report} was written; run the command again")
    return dataset
