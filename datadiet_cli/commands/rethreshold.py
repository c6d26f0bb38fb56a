"""`datadiet rethreshold REPORT [OUTPUT]`: decide again by another threshold, on what the report says was compared."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from datadiet_cli.commands.manner import Manner
from datadiet_cli.commands.reading import dataset_of, read_report, rows_by_name, undamaged
from datadiet_cli.commands.step import carry_out
from datadiet_cli.config.dedup import THRESHOLDS
from datadiet_cli.config.load import flag_of, load_step
from datadiet_cli.config.pipeline import Step
from datadiet_cli.data.open import open_dataset
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.outcome import Action, Outcome, Verdicts
from datadiet_cli.report.comparisons import restored
from datadiet_cli.report.streaming import each_verdict, pair_rows
from datadiet_cli.request import Request, reading_of


def rethreshold(report: str, output: str | None, flags: Mapping[str, Any], manner: Manner) -> int:
    """Decide again and give the exit code. No sample is read; with OUTPUT the kept files are copied.

    Args:
        report: a report of `dedup`.
        output: OUTPUT, or None to write nothing.
        flags: thresholds and common settings given as flags, by field name.
        manner: how the run goes.

    Raises:
        ConfigError: the report cannot be replayed, or not by this threshold.
        InputError: the report is none, or INPUT has changed since.
        DatadietError: as `execute`.
    """
    document = _read(report)
    with undamaged(report):
        comparisons = document["comparisons"]
        if comparisons is None:
            raise ConfigError(
                f"{report}: has no comparisons to decide by: a report of a single dedup has them, unless only equality "
                "counted, it made clusters, or there were very many pairs; run dedup again"
            )
        if not comparisons["complete"]:
            raise ConfigError(
                f"{report}: that run compared only the pairs that its own decision hung on, for there were very many; "
                "run dedup again, which reads no sample that is remembered"
            )
        movable = {comparisons["threshold_name"], comparisons["floor_name"]}
        for name in flags:
            if name in THRESHOLDS and name not in movable:
                fitting = " and ".join(sorted(map(flag_of, movable - {""})))
                raise ConfigError(f"{flag_of(name)}: did not decide this run; {fitting} did")
        before = {**document["settings"], **document["steps"][-1]["settings"]}
        common, settings = load_step("dedup", None, {**before, **flags}, {})
    path, dataset = document["input"]["path"], dataset_of(report, document)
    for other, state in document["steps"][-1]["metrics"].get("against", {}).items():
        if open_dataset(other, reading_of(common).of_another()).source.fingerprint() != state:
            raise InputError(f"{other}: has changed since {report} was written; run dedup again")
    row_of = rows_by_name(dataset)
    past = _past(document, report, row_of)
    request = Request(
        command="rethreshold",
        input=path,
        output=None if manner.dry_run or manner.check else output,
        common=common,
        steps=[Step("dedup", settings)],
        check=manner.check,
        force=manner.force,
        rerun=manner.rerun,
        environment=dict(os.environ),
        replay=past,
    )
    return carry_out(request, manner)


def _read(report: str) -> dict[str, Any]:
    document = read_report(report)
    if document["command"] == "rethreshold":
        raise ConfigError(f"{report}: is of a rethreshold; name the report of the dedup that it was made from")
    names = [step["name"] for step in document["steps"]]
    if names != ["open", "dedup"]:
        raise ConfigError(f"{report}: tells of {', '.join(names[1:])}; only a report of a single dedup can be replayed")
    return document


def _past(document: Mapping[str, Any], report: str, row_of: Mapping[str, int]) -> Outcome:
    """What the report says was compared, and what could not be read.

    Raises:
        InputError: the report is damaged, or a file beside it.
    """
    with undamaged(report):
        past = restored(document["comparisons"], list(pair_rows(document, report)), row_of)
        return replace(past, verdicts=_unreadable(document, report, row_of))


def _unreadable(document: Mapping[str, Any], report: str, row_of: Mapping[str, int]) -> Verdicts:
    """What could not be read then cannot be read now."""
    rows = [v for v in each_verdict(document, report) if v["reason"] == "unreadable" and v["step_number"] == 1]
    samples = np.array([row_of[v["id"]] for v in rows], dtype=np.int64)
    return Verdicts.of(samples, Action.FLAG, "unreadable", detail=[v["detail"] for v in rows])
