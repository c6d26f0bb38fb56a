"""Read a report that was written before, and open the dataset that it speaks of."""

import json
from collections.abc import Mapping
from typing import Any

from datadiet_cli.config.base import Common
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.open import open_dataset
from datadiet_cli.errors import InputError
from datadiet_cli.report.build import REPORT_VERSION
from datadiet_cli.request import reading_of


def read_report(path: str) -> dict[str, Any]:
    """Read a report.

    Raises:
        InputError: it cannot be read, is no report, or of another version.
    """
    try:
        with open(path, "rb") as file:
            document = json.load(file)
        known = document["report_version"] == REPORT_VERSION
        document["steps"], document["verdicts"], document["input"]["fingerprint"]
        Common.model_validate(document["settings"])
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no report of datadiet; name the .report.json beside an OUTPUT") from error
    if not known:
        raise InputError(f"{path}: is a report of another version; run the command again")
    return dict(document)


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
