"""`datadiet calibrate INPUT`: plant known faults in a sample, and measure what the configured steps find."""

import json as jsonlib
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datadiet_cli.calibrating.examining import Examiner, Plan
from datadiet_cli.calibrating.loading import configured
from datadiet_cli.calibrating.names import ALL_NAMES
from datadiet_cli.calibrating.sample import LEAST, draw
from datadiet_cli.checks import check_shared
from datadiet_cli.config.base import parse_share
from datadiet_cli.config.words import suggestion
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.publish import check_apart, check_file, check_folder, write_atomically
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.errors import ConfigError, ExitCode, InputError, OutputError
from datadiet_cli.report.calibration import lines
from datadiet_cli.report.terminal import printable, progress_bars, say
from datadiet_cli.request import reading_of

SAMPLES = 400
MAX_FALSE = 0.01


def calibrate(
    input: str,
    config: Path | None,
    flags: Mapping[str, Any],
    *,
    samples: int = SAMPLES,
    faults: Sequence[str] | None = None,
    max_false: float | str = MAX_FALSE,
    write: str | None = None,
    json: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> int:
    """Tell recall by kind of fault and the rate of false findings, and propose settings. INPUT is only read.

    Args:
        input: INPUT.
        config: a pipeline, or the settings of `dedup` or of `denoise`; None for both with their defaults.
        flags: common settings given as flags, by field name.
        samples: how many training samples to draw.
        faults: kinds of faults to plant; all for None.
        max_false: the largest share of untouched samples that a proposal may name beyond the default, as a number or
            a percentage.
        write: file for the proposed pipeline; None for none.
        json: whether to print all numbers to stdout.
        force: whether a file that is there is replaced.
        quiet: whether to say nothing.

    Raises:
        InputError: INPUT is no dataset, or has too few training samples.
        ConfigError: a setting is wrong, or there is no such fault.
        OutputError: the file to write exists and `force` is not set.
        DatadietError: as the steps themselves.
    """
    _check_faults(faults)
    if samples < LEAST:
        raise ConfigError(f"--samples: must be at least {LEAST}, not {samples}")
    try:
        most = parse_share(max_false)
    except ValueError as error:
        raise ConfigError(f"--max-false: {error}") from None
    if write is not None:
        _check_writable(input, write, force)
    settings = configured(config, flags, os.environ)
    check_shared(settings.common, input)
    dataset = open_dataset(input, reading_of(settings.common))
    sample = draw(dataset, samples, settings.common.seed)
    plan = Plan(settings, sample, None if faults is None else tuple(faults), most)
    # Workers of a cluster open what is planted there.
    shared = None if settings.common.shared_dir is None else os.path.abspath(settings.common.shared_dir)
    with (
        progress_bars(quiet=quiet) as progress,
        quiet_libraries(),
        TemporaryDirectory(prefix="datadiet-", dir=shared) as room,
    ):
        examiner = Examiner(plan, room, dict(os.environ), progress("calibrating", 0))
        document = examiner.document()
    if json:
        sys.stdout.write(jsonlib.dumps(document, indent=1, allow_nan=False) + "\n")
    if not quiet:
        say("\n".join(lines(document)))
    if write is not None:
        # What took minutes is told, even if it cannot be written.
        write_atomically(write, examiner.proposal().encode("ascii"))
        if not quiet:
            say(f"{printable(write)}: written; run it with: datadiet run {printable(shlex.quote(write))}")
    return ExitCode.DONE


def _check_faults(faults: Sequence[str] | None) -> None:
    for name in faults or ():
        if name not in ALL_NAMES:
            there = suggestion(name, ALL_NAMES) or f"; there are {', '.join(ALL_NAMES)}"
            raise ConfigError(f"--fault: no kind of fault {name!r}{there}")


def _check_writable(input: str, file: str, force: bool) -> None:
    try:
        input.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{input}: the name is not UTF-8, which YAML cannot hold; rename it, or leave out --write"
        ) from None
    if os.path.lexists(file) and not force:
        raise OutputError(f"{file}: exists already; name another file or pass --force to replace it")
    check_file(file)
    check_folder(file)
    check_apart(input, file, input)
