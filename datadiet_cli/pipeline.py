"""The one way through: open, steps in order, gates, publish, report. A single command is a pipeline of one step."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as copy_with
from functools import cache
from typing import Any

import numpy as np

from datadiet_cli import __version__
from datadiet_cli.baseline import accepted, read_baseline
from datadiet_cli.changes import Workshop
from datadiet_cli.config.base import Common
from datadiet_cli.config.pipeline import Expectation, Step
from datadiet_cli.config.registry import STEPS, load
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.fingerprint import fingerprint
from datadiet_cli.data.open import open_dataset, state_of
from datadiet_cli.data.publish import Stage, check_apart, check_output
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.scan import UNCOPYABLE
from datadiet_cli.data.tables import TableFormat
from datadiet_cli.encode.cache import Cache, NoCache, cache_folder
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ConfigError, ExitCode, OutputError
from datadiet_cli.gates import Gate, evaluate
from datadiet_cli.outcome import Action, Outcome, Verdicts
from datadiet_cli.report.build import (
    Report,
    forget_report,
    report_path,
    summarise,
    write_artefacts,
    write_report,
)
from datadiet_cli.report.verdicts import StepResult
from datadiet_cli.resume import Memory, key_of
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.safeguard import keep_classes

# What a decision does not depend on, though it is a common setting.
_WITHOUT_EFFECT = {"engine", "workers", "link", "max_removed", "cache"}


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        command: the subcommand.
        input: INPUT.
        output: OUTPUT, or None to write nothing.
        common: the common settings.
        steps: the steps in order.
        expect: gates over the final figures.
        check: whether removing anything (or more than `max_removed`) fails.
        force: whether an existing OUTPUT is replaced.
        rerun: whether everything is computed again.
        keep_intermediate: whether the dataset after each step but the last is written too.
        environment: environment variables.
        replay: an earlier outcome of the only step, by whose comparisons it decides again.
    """

    command: str
    input: str
    output: str | None
    common: Common
    steps: list[Step]
    expect: Mapping[str, Expectation] = field(default_factory=dict)
    check: bool = False
    force: bool = False
    rerun: bool = False
    keep_intermediate: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    replay: Outcome | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        exit_code: of the process.
        report: gives the report as JSON values.
        kept: gives the ids of the samples that remain.
        dropped: gives the ids of the samples that are gone.
        up_to_date: whether nothing had to be done.
    """

    exit_code: ExitCode
    report: Callable[[], dict[str, Any]]
    kept: Callable[[], list[str]]
    dropped: Callable[[], list[str]]
    up_to_date: bool = False


Progress = Callable[[str, int], Callable[[int], None]]


def execute(request: Request, progress: Progress) -> Result:
    """Run a pipeline from INPUT to OUTPUT and its report.

    Raises:
        DatadietError: the input, a setting or the output path is wrong; nothing was published.
        OSError: reading or writing failed; nothing was published.
    """
    with Workshop() as workshop:
        return _execute(request, workshop, progress)


def _execute(request: Request, workshop: Workshop, progress: Progress) -> Result:
    started = time.time()
    common = request.common
    _check_device(common.device)
    dataset = open_dataset(request.input, reading_of(common))
    read = [*common.reads(), *(path for step in request.steps for path in step.settings.reads())]
    state = key_of(dataset.source.signature(), [state_of(path) for path in read])
    key = _key(request, state)
    if request.output is not None:
        earlier = None if request.rerun else _up_to_date(request.output, key)
        if earlier is not None and all(os.path.lexists(place) for place in _intermediate(request)):
            return _as_before(request, dataset, state, earlier, progress)
        for place in (*_intermediate(request), request.output):
            check_output(request.input, place, force=request.force or _ours(request))
            for path in read:
                check_apart(path, place, path)
        _check_suffix(request)
    results = _compute(request, dataset, state, workshop, progress)
    final = results[-1].after
    gates = _gates(request, len(dataset), summarise(dataset, final, results))
    gates += [Gate(brake.name, brake.limit, brake.value, passed=False) for r in results for brake in r.outcome.brakes]
    exit_code = _exit_code(gates, results)
    report = Report(request.command, request.input, request.output, common, dataset, final, results, gates)
    published = None
    if request.output is not None and exit_code != ExitCode.GATE_FAILED:
        for number, place in enumerate(_intermediate(request), 1):
            _publish(request, place, results[number].after, progress)
        published = _publish(request, request.output, final, progress)
        write_artefacts(request.output, report.artefacts)
    run = {"started": started, "seconds": time.time() - started, "key": key}

    @cache
    def document() -> dict[str, Any]:
        return report.document(exit_code=exit_code, fingerprint=published, run=run)

    if published is not None and request.output is not None:
        write_report(request.output, document())
    return Result(exit_code, document, lambda: final.ids, lambda: _ids_gone(dataset, final))


def _check_device(device: str) -> None:
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ConfigError("--device cuda: there is no CUDA device here; use auto or cpu")


def reading_of(common: Common) -> Reading:
    """How INPUT is to be read."""
    return Reading(
        label=common.label,
        split=common.split,
        id_column=common.id_column,
        follow_symlinks=common.follow_symlinks,
        table=TableFormat(common.encoding, common.delimiter, common.header),
    )


def _key(request: Request, state: str) -> str:
    """Digest all that a run depends on; `state` is the signature of INPUT."""
    settings = request.common.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
    place = os.path.realpath(request.input)
    replayed = request.replay is not None
    return key_of(__version__, place, state, settings, request.common.link, _chain(request.steps), replayed)


def _chain(steps: list[Step]) -> list[tuple[str, Any]]:
    return [(step.name, step.settings.model_dump(mode="json")) for step in steps]


def _up_to_date(output: str, key: str) -> dict[str, Any] | None:
    """The report of the run that made OUTPUT, if it was this very run and OUTPUT is still what it wrote."""
    try:
        with open(report_path(output), "rb") as file:
            document = json.load(file)
        if document["run"]["key"] != key or document["output"]["fingerprint"] != fingerprint(output):
            return None
        if not all(os.path.exists(output.rstrip("/") + ending) for ending in document["artefacts"]):
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

    @cache
    def final() -> Dataset:
        with Workshop() as workshop:
            return _compute(copy_with(request, output=None), dataset, state, workshop, progress)[-1].after

    return Result(
        exit_code,
        lambda: document,
        kept=lambda: final().ids,
        dropped=lambda: _ids_gone(dataset, final()),
        up_to_date=exit_code != ExitCode.GATE_FAILED,
    )


def _compute(
    request: Request, dataset: Dataset, state: str, workshop: Workshop, progress: Progress
) -> list[StepResult]:
    common = request.common
    remembered = Cache(request.environment) if _remembers(request) else NoCache()
    with Engine(common.engine, common.workers) as engine, remembered as cache:
        context = Context(
            engine,
            common.seed,
            common.device,
            common.max_pixels,
            progress,
            cache=cache,
            reading=reading_of(common),
            replay=request.replay,
        )
        return _steps(request, dataset, state, workshop, context)


def _remembers(request: Request) -> bool:
    """Whether to use the cache: not if it lies in INPUT, which is never written to."""
    folder, source = (os.path.realpath(p) for p in (cache_folder(request.environment), request.input))
    return request.common.cache and not (folder + os.sep).startswith(source.rstrip(os.sep) + os.sep)


def _ids_gone(before: Dataset, after: Dataset) -> list[str]:
    return before.source.ids(np.setdiff1d(before.rows, after.rows, assume_unique=True))


def _ours(request: Request) -> bool:
    return request.rerun and request.output is not None and os.path.exists(report_path(request.output))


def _check_suffix(request: Request) -> None:
    given, wanted = (os.path.splitext(str(path).rstrip("/"))[1].lower() for path in (request.output, request.input))
    if not os.path.isdir(request.input) and given != wanted:
        raise OutputError(f"{request.output}: OUTPUT keeps the format of INPUT; give it a name that ends in {wanted}")
    if not os.path.isdir(request.input) and request.common.link != "copy":
        raise ConfigError(f"--link {request.common.link}: a table is written anew and cannot be a link; use copy")


def _steps(request: Request, dataset: Dataset, state: str, workshop: Workshop, context: Context) -> list[StepResult]:
    common = request.common
    memory = Memory(request.environment, enabled=_remembers(request) and request.replay is None)
    known = frozenset() if common.baseline is None else read_baseline(common.baseline)
    opened = _opening(dataset)
    results = [StepResult("open", {}, len(dataset), opened, 0.0, dataset.without(opened.verdicts.dropped()))]
    for number, step in enumerate(request.steps, 1):
        begun = time.perf_counter()
        current = results[-1].after
        step_key = _key(copy_with(request, steps=request.steps[:number]), state)
        outcome = None if request.rerun else memory.recall(step_key)
        resumed = outcome is not None
        if outcome is None:
            outcome = load(STEPS[step.name].run)(current, step.settings, context)
            memory.store(step_key, outcome)
        outcome = accepted(_apply_unreadable(outcome, current, common), current, known)
        encoding = context.reading.table.encoding
        changed = workshop.apply(
            current, outcome.changes, context.engine, context.max_pixels, encoding, context.progress
        )
        after = changed.without(outcome.verdicts.dropped())
        settings = step.settings.model_dump(mode="json")
        seconds = time.perf_counter() - begun
        results.append(StepResult(step.name, settings, len(current), outcome, seconds, after, resumed))
    return results


def _opening(dataset: Dataset) -> Outcome:
    """What cannot be carried over at all is dropped before the first step, with its reason."""
    causes = dataset.source.causes()
    rows = sorted(causes)
    words = [f"{causes[row]}: {UNCOPYABLE[causes[row]]}" for row in rows]
    return Outcome(Verdicts.of(rows, Action.DROP, "unreadable", detail=words))


def _apply_unreadable(outcome: Outcome, dataset: Dataset, common: Common) -> Outcome:
    """Steps flag what they cannot read; dropping it is the user's choice, and never done to evaluation data."""
    if common.unreadable == "keep":
        return outcome
    verdicts = outcome.verdicts
    training = np.isin(verdicts.sample, dataset.rows[dataset.training])
    action = verdicts.action.copy()
    action[(verdicts.reason == "unreadable") & training] = Action.DROP
    rank = np.arange(int(dataset.rows.max(initial=-1)) + 1)
    return copy_with(outcome, verdicts=keep_classes(dataset, copy_with(verdicts, action=action), rank))


def _gates(request: Request, total: int, figures: Mapping[str, int]) -> list[Gate]:
    limit = request.common.max_removed
    return evaluate(figures, total, max_removed=limit, check=request.check, expect=request.expect)


def _exit_code(gates: list[Gate], results: list[StepResult]) -> ExitCode:
    if not all(gate.passed for gate in gates):
        return ExitCode.GATE_FAILED
    verdicts = [result.outcome.verdicts for result in results]
    if any(((v.reason == "unreadable") & (v.action != Action.ACCEPT)).any() for v in verdicts):
        return ExitCode.UNREADABLE
    return ExitCode.DONE


def _intermediate(request: Request) -> list[str]:
    """Where the dataset after each step but the last goes, if that was asked for."""
    if not request.keep_intermediate or request.output is None:
        return []
    suffix = "" if os.path.isdir(request.input) else os.path.splitext(request.input)[1]
    base = request.output.rstrip("/")
    return [f"{base}.after-{number}-{step.name}{suffix}" for number, step in enumerate(request.steps[:-1], 1)]


def _publish(request: Request, output: str, dataset: Dataset, progress: Progress) -> str:
    """Write a dataset to OUTPUT, whole or not at all, and give its fingerprint."""
    progress("writing", 0)
    force = request.force or request.rerun
    try:
        with Stage(output, directory=os.path.isdir(request.input)) as stage:
            dataset.source.write(dataset.rows, stage.path, request.common.link)
            digest = fingerprint(stage.path)
            stage.sync()
            if not force:
                stage.check_free()
            # From here until the new report is there, nothing may claim that OUTPUT is complete.
            forget_report(output)
            stage.commit(force=force)
    except OSError as error:
        # A full disk has no name of its own, and that of the stage means nothing to anybody.
        raise OSError(error.errno, error.strerror, error.filename or output) from error
    return digest
