"""`datadiet STEP INPUT OUTPUT` and `datadiet run PIPELINE.yaml`: settings together, pipeline through, results out."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datadiet_cli.commands.manner import Manner
from datadiet_cli.commands.printing import deliver, printed
from datadiet_cli.config.base import Common
from datadiet_cli.config.evaluate import PIPELINE, TRAINED, Evaluate
from datadiet_cli.config.load import load_pipeline, load_step
from datadiet_cli.config.pipeline import RATES, Pipeline, Step
from datadiet_cli.config.prune_model import PruneModel
from datadiet_cli.config.registry import spec_of
from datadiet_cli.errors import ConfigError, ExitCode
from datadiet_cli.pipeline import Result, execute
from datadiet_cli.report.build import report_path
from datadiet_cli.report.frame import verdict_frame
from datadiet_cli.report.streaming import each_verdict
from datadiet_cli.report.terminal import printable, progress_bars, say, summary, verdict_line
from datadiet_cli.request import Request

_NAMES = {"dataset": "OUTPUT", "model": "MODEL_DIR", "scores": "OUTPUT.scores.parquet"}
NAMED = 10
"""Unreadable samples that are named on the terminal; the report names all."""


def run_step(
    name: str,
    input: str | None,
    output: str | None,
    config: Path | None,
    flags: Mapping[str, Any],
    manner: Manner,
) -> int:
    """Run a single step from INPUT to OUTPUT and give the exit code.

    Raises:
        DatadietError: as `execute` and `load_step`.
    """
    common, settings = load_step(name, config, flags, os.environ)
    product = spec_of(name).product if getattr(settings, "shard", None) is None else "scores"
    if isinstance(settings, Evaluate):
        input, output = _judged(input, output, settings)
    elif isinstance(settings, PruneModel):
        input, settings = _to_prune(input, settings)
    if input is None:
        raise ConfigError("INPUT is missing; name the dataset")
    request = Request(
        command=name,
        input=input,
        output=_report(output, manner)
        if product == "report"
        else _output(output, manner, f"{_NAMES[product]} is missing"),
        common=common,
        steps=[Step(name, settings)],
        product=product,
        check=manner.check,
        force=manner.force,
        rerun=manner.rerun,
        environment=dict(os.environ),
    )
    return carry_out(request, manner)


def _to_prune(model: str | None, settings: PruneModel) -> tuple[str, PruneModel]:
    """The dataset and the settings of `prune-model`, whose first argument is the model."""
    if model is not None and settings.model is not None:
        raise ConfigError(f"{model} and --model {settings.model} both name the model; give one of them")
    model = settings.model if model is None else model
    if model is None:
        raise ConfigError("MODEL is missing; name a MODEL_DIR of train, a .pt2, or a .safetensors with --factory")
    if settings.data is None:
        raise ConfigError("--data is missing; name the dataset that the model is pruned for and judged by")
    return settings.data, settings.model_copy(update={"model": model})


def _report(output: str | None, manner: Manner) -> str | None:
    """Where the report goes, if it is to be written at all."""
    return None if manner.dry_run or manner.check else output


def _judged(input: str | None, output: str | None, settings: Evaluate) -> tuple[str, str | None]:
    """The dataset and the report of `evaluate`: two models are compared on test data, and no dataset is named."""
    if settings.against_model is None:
        if settings.against == PIPELINE:
            raise ConfigError(
                f"--against {PIPELINE}: in a pipeline that is the dataset it began with; here name a path, such as "
                f"./{PIPELINE}"
            )
        if input is None:
            raise ConfigError("AFTER is missing; name the dataset as it is now, and --against the one it was")
        return input, output
    if settings.against_model == TRAINED:
        raise ConfigError(
            f"--against-model {TRAINED}: in a pipeline that is the model that train made; here name a path, such as "
            f"./{TRAINED}"
        )
    if settings.test is None:
        raise ConfigError("--against-model: two models are compared on test data; name it with --test")
    if output is not None:
        raise ConfigError(f"{input}: two models are compared on --test {settings.test}; name only a report")
    return settings.test, input


def run_pipeline(path: Path, overrides: Mapping[str, Any], manner: Manner, *, keep_intermediate: bool) -> int:
    """Run the pipeline of a YAML file and give the exit code.

    Raises:
        DatadietError: as `execute` and `load_pipeline`.
    """
    pipeline = load_pipeline(path, overrides, os.environ)
    if pipeline.input is None:
        raise ConfigError(f"{path}: no input; write input: in the file or pass --input")
    for number, step in enumerate(pipeline.steps):
        one = step.settings
        if isinstance(one, Evaluate) and one.against is None and one.against_model is None:
            raise ConfigError(
                f"{path}: steps[{number}].evaluate: nothing to compare with; add against: {PIPELINE}, the dataset that "
                "the pipeline begins with, or another one"
            )
        if isinstance(one, Evaluate) and one.against_model == TRAINED:
            made = [step.name for step in pipeline.steps[:number] if spec_of(step.name).product == "model"]
            if "train" not in made or (one.model == "auto" and made[-1] == "train"):
                raise ConfigError(
                    f"{path}: steps[{number}].evaluate.against_model: {TRAINED}: there must be a train before it, and "
                    "a prune-model between"
                )
        if isinstance(one, PruneModel):
            _check_place(path, pipeline, number)
        if getattr(one, "shard", None) is not None:
            raise ConfigError(
                f"{path}: steps[{number}].{step.name}.shard: is for the command alone; it gives no dataset"
            )
    wanted = [metric for metric in pipeline.expect if metric in RATES]
    if wanted and all(step.name not in ("evaluate", "prune-model") for step in pipeline.steps):
        raise ConfigError(f"{path}: expect.{wanted[0]}: nothing measures it; add the step evaluate")
    request = Request(
        command="run",
        input=pipeline.input,
        output=_output(pipeline.output, manner, f"{path}: no output; write output: in the file or pass --output"),
        common=_common(pipeline),
        steps=pipeline.steps,
        expect={str(metric): expectation for metric, expectation in pipeline.expect.items()},
        check=manner.check,
        force=manner.force,
        rerun=manner.rerun,
        keep_intermediate=keep_intermediate,
        environment=dict(os.environ),
    )
    return carry_out(request, manner)


def _check_place(path: Path, pipeline: Pipeline, number: int) -> None:
    """In a pipeline `prune-model` prunes what was trained before it, for the data that are there."""
    one = pipeline.steps[number].settings
    assert isinstance(one, PruneModel)  # noqa: S101 - asked for such only
    place = f"{path}: steps[{number}].prune-model"
    if one.data is not None:
        raise ConfigError(f"{place}.data: is for the command alone; in a pipeline it is what the steps before left")
    if one.model is None and all(spec_of(step.name).product != "model" for step in pipeline.steps[:number]):
        raise ConfigError(f"{place}: no model; let train come before it, or name one with model:")


def _common(pipeline: Pipeline) -> Common:
    return Common.model_validate({name: getattr(pipeline, name) for name in Common.model_fields})


def _output(output: str | None, manner: Manner, missing: str) -> str | None:
    if manner.dry_run or manner.check:
        return None
    if output is None:
        raise ConfigError(f"{missing}; or pass --dry-run or --check to write nothing")
    return output


def carry_out(request: Request, manner: Manner) -> int:
    """Run a pipeline, tell people and programs what came of it, and give the exit code.

    Raises:
        DatadietError: as `execute`.
    """
    if manner.format and manner.listing:
        named = "--json (--format json)" if manner.format == "json" else f"--format {manner.format}"
        raise ConfigError(f"{named} and --list both print to stdout; choose one")
    with progress_bars(quiet=manner.quiet) as progress:
        result = execute(request, progress)
    _tell_people(result, request, manner)
    if manner.format:
        document, report = result.report(), _beside(request)
        told = printed(manner.format, document, report, lambda: verdict_frame(document, report), result.page)
        deliver(told, manner.format, request.environment)
    elif manner.listing:
        _print_ids(result, manner)
    return result.exit_code


def _beside(request: Request) -> str | None:
    """The report beside which very many verdicts are, if it was read again."""
    return None if request.output is None else report_path(request.output)


def _tell_people(result: Result, request: Request, manner: Manner) -> None:
    if manner.quiet:
        return
    if result.up_to_date:
        say(f"{printable(str(request.output))}: up to date (--rerun to compute and write it again)")
        return
    if manner.verbose:
        for row in each_verdict(result.report(), _beside(request)):
            say(verdict_line(row))
    say(summary(result.report()))
    if result.exit_code == ExitCode.UNREADABLE and not manner.verbose:
        found = [row for row in each_verdict(result.report(), _beside(request)) if row["reason"] == "unreadable"]
        # Of what several steps say of a sample, the last holds.
        rows = list({row["id"]: row for row in found}.values())
        for row in rows[:NAMED]:
            say(verdict_line(row))
        if len(rows) > NAMED:
            say(f"  and {len(rows) - NAMED:,} more, named in the report")


def _print_ids(result: Result, manner: Manner) -> None:
    ids = result.kept() if manner.listing == "kept" else result.dropped()
    end = b"\0" if manner.null else b"\n"
    # Names go out as the bytes they are on disk.
    sys.stdout.buffer.write(b"".join(os.fsencode(name) + end for name in ids))
