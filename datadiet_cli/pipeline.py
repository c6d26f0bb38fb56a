"""The one way through: open, steps in order, gates, publish, report. A single command is a pipeline of one step."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import replace as copy_with
from functools import cache
from typing import Any

import numpy as np

from datadiet_cli.changes import Workshop
from datadiet_cli.checks import SCORES, check, check_device, check_reach, check_shared, report_of
from datadiet_cli.config.registry import spec_of
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.fingerprint import fingerprint
from datadiet_cli.data.mirror import exists, local, named
from datadiet_cli.data.open import open_dataset, state_of
from datadiet_cli.data.places import is_url
from datadiet_cli.data.publish import write_atomically
from datadiet_cli.data.scan import scan
from datadiet_cli.digests import Contents
from datadiet_cli.errors import ExitCode
from datadiet_cli.gates import Gate, evaluate
from datadiet_cli.outcome import Action
from datadiet_cli.outlet import Outlet
from datadiet_cli.publishing import Published, publish_beside, publish_dataset, publish_file, publish_folder
from datadiet_cli.recording import known_contents, recorded, write_record
from datadiet_cli.report.build import (
    Report,
    report_path,
    summarise,
    write_artefacts,
    write_report,
)
from datadiet_cli.report.frame import verdict_frame
from datadiet_cli.report.pages import forget_page, page_of, page_path, write_page
from datadiet_cli.report.streaming import json_chunks
from datadiet_cli.report.verdicts import StepResult
from datadiet_cli.request import Progress, Request, reading_of
from datadiet_cli.resume import key_of
from datadiet_cli.running import compute


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        exit_code: of the process.
        report: gives the report as JSON values.
        kept: gives the ids of the samples that remain.
        dropped: gives the ids of the samples that are gone.
        page: gives the report as a page for people.
        up_to_date: whether nothing had to be done.
    """

    exit_code: ExitCode
    report: Callable[[], dict[str, Any]]
    kept: Callable[[], list[str]]
    dropped: Callable[[], list[str]]
    page: Callable[[], bytes]
    up_to_date: bool = False


def execute(request: Request, progress: Progress) -> Result:
    """Run a pipeline from INPUT to OUTPUT and its report.

    Raises:
        DatadietError: the input, a setting or the output path is wrong; nothing was published.
        OSError: reading or writing failed; nothing was published.
    """
    with Workshop(request.common.shared_dir) as workshop:
        return _execute(request, workshop, progress)


def _execute(request: Request, workshop: Workshop, progress: Progress) -> Result:
    started = time.time()
    common = request.common
    check_device(common)
    check_reach(request)
    dataset = open_dataset(request.input, reading_of(common))
    read = [*common.reads(), *(path for step in request.steps for path in step.settings.reads())]
    check_shared(common, request.input, read)
    state = key_of(dataset.source.signature(), [state_of(path) for path in read])
    key = request.key(state)
    if request.output is not None:
        earlier = None if request.rerun or request.product == "report" else _up_to_date(request.output, key)
        if earlier is not None and all(exists(place) for place in request.intermediate):
            return _as_before(request, dataset, state, earlier, progress)
        check(request, request.output, read)
    outlet = None
    if request.output is not None and is_url(request.output):
        outlet = Outlet(request.output, request.intermediate)
        request = copy_with(request, stage=outlet.stage)
    results, engine = compute(request, dataset, state, workshop, progress)
    final = results[-1].after
    gates = _gates(request, len(dataset), summarise(dataset, final, results))
    gates += [Gate(b.name, b.limit, b.value, b.passed) for result in results for b in result.outcome.brakes]
    exit_code = _exit_code(gates, results)
    made = _made(request, results)
    report = Report(
        request.command,
        named(request.input),
        request.output,
        request.product,
        common,
        dataset,
        final,
        results,
        gates,
        made,
        engine,
    )
    published, record = None, {}
    if exit_code != ExitCode.GATE_FAILED:
        known = known_contents(request, dataset, final)
        published = _publish(request, results, report, known, outlet, progress)
        if published is not None:
            record = write_record(str(request.place), report, published.contents, known, progress)
    run = {"started": started, "seconds": time.time() - started, "key": key}

    @cache
    def document() -> dict[str, Any]:
        found = None if published is None else published.fingerprint
        return report.document(exit_code=exit_code, fingerprint=found, run=run, record=record)

    report_file = _write(request, document, dataset, complete=published is not None)
    if outlet is not None and report_file is not None:
        outlet.publish(report_file, progress, force=request.force or request.rerun)
    return Result(
        exit_code,
        document,
        kept=lambda: final.ids,
        dropped=lambda: _ids_gone(dataset, final),
        page=lambda: page_of(document(), verdict_frame(document(), report_file), report_file, dataset),
    )


def _write(request: Request, document: Callable[[], dict[str, Any]], dataset: Dataset, *, complete: bool) -> str | None:
    """Write the report, then its page; give the report's file, None if there is none.

    Args:
        request: what was asked for.
        document: gives the report.
        dataset: INPUT.
        complete: whether OUTPUT was written.
    """
    # A report that is asked for says why a gate failed, too.
    place = request.place
    if place is None or not (complete or request.product == "report"):
        return None
    path = report_of(request, place)
    if request.product == "report":
        forget_page(path)
        write_atomically(path, json_chunks(document(), None))
    else:
        write_report(place, document())
    if request.common.html:
        write_page(document(), path, dataset)
    return path


def _made(request: Request, results: list[StepResult]) -> dict[str, int]:
    """The size of OUTPUT, where it is a model or scores."""
    if request.product == "scores":
        return {"bytes": len(results[-1].outcome.artefacts[SCORES])}
    if request.product != "model":
        return {}
    return {"bytes": sum(entry.size for entry in scan(_folder(request, results)).entries)}


def _folder(request: Request, results: list[StepResult]) -> str:
    """Where the only step made its model."""
    return results[-1].outcome.folders[str(spec_of(request.command).folder)]


def _publish(
    request: Request,
    results: list[StepResult],
    report: Report,
    known: Contents,
    outlet: Outlet | None,
    progress: Progress,
) -> Published | None:
    """Write OUTPUT and what stands beside it; say what OUTPUT holds."""
    output = request.place
    if output is None or request.product == "report":
        return None
    for number, place in enumerate(request.staged, 1):
        between = publish_dataset(request, place, results[number].after, progress, None)
        if outlet is not None:
            outlet.leave(place, between.left)
    if request.product == "model":
        made = publish_folder(request, output, _folder(request, results), progress)
        write_artefacts(output, report.artefacts)
        return made
    if request.product == "scores":
        return publish_file(request, output, results[-1].outcome.artefacts[SCORES], progress)
    published = publish_dataset(request, output, results[-1].after, progress, known)
    if outlet is not None:
        outlet.leave(output, published.left)
    write_artefacts(output, report.artefacts)
    publish_beside(output, report.folders)
    return published


def _up_to_date(output: str, key: str) -> dict[str, Any] | None:
    """The report of the run that made OUTPUT, if it was this very run and OUTPUT is still what it wrote."""
    try:
        with open(local(report_path(output)), "rb") as file:
            document = json.load(file)
        if document["run"]["key"] != key or document["output"]["fingerprint"] != fingerprint(output):
            return None
        beside = [output.rstrip("/") + ending for ending in document["artefacts"]]
        if not all(map(exists, [*beside, *recorded(document, output)])):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(document)


def _as_before(request: Request, dataset: Dataset, state: str, document: dict[str, Any], progress: Progress) -> Result:
    """The result of the run that made OUTPUT; only gates, which may be new, are looked at again."""
    gates = _gates(request, document["input"]["samples"], document["figures"])
    exit_code = ExitCode(document["exit_code"])
    if not all(gate.passed for gate in gates):
        exit_code = ExitCode.GATE_FAILED
        document = {**document, "exit_code": exit_code, "gates": [gate.as_json() for gate in gates]}

    report = report_path(str(request.output))
    if request.common.html and exit_code != ExitCode.GATE_FAILED and not (is_url(report) or exists(page_path(report))):
        write_page(document, report, dataset)

    @cache
    def final() -> Dataset:
        with Workshop(request.common.shared_dir) as workshop:
            return compute(copy_with(request, output=None), dataset, state, workshop, progress).results[-1].after

    return Result(
        exit_code,
        lambda: document,
        kept=lambda: final().ids,
        dropped=lambda: _ids_gone(dataset, final()),
        page=lambda: page_of(document, verdict_frame(document, report), report, dataset),
        up_to_date=exit_code != ExitCode.GATE_FAILED,
    )


def _ids_gone(before: Dataset, after: Dataset) -> list[str]:
    return before.source.ids(np.setdiff1d(before.rows, after.rows, assume_unique=True))


def _gates(request: Request, total: int, figures: Mapping[str, float]) -> list[Gate]:
    limit = request.common.max_removed
    return evaluate(figures, total, max_removed=limit, check=request.check, expect=request.expect)


def _exit_code(gates: list[Gate], results: list[StepResult]) -> ExitCode:
    if not all(gate.passed for gate in gates):
        return ExitCode.GATE_FAILED
    verdicts = [result.outcome.verdicts for result in results]
    if any(((v.reason == "unreadable") & (v.action != Action.ACCEPT)).any() for v in verdicts):
        return ExitCode.UNREADABLE
    return ExitCode.DONE
