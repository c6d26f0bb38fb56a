"""`datadiet predict MODEL_DIR INPUT OUT.csv`: what a model of `train` makes of each sample."""

import csv
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.checks import check_shared
from datadiet_cli.config.load import load_common
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.publish import check_apart, check_folder, write_atomically
from datadiet_cli.encode.cache import Cache, NoCache
from datadiet_cli.errors import ExitCode, OutputError
from datadiet_cli.report.terminal import printable, progress_bars, say
from datadiet_cli.request import Request, engine_of, reading_of
from datadiet_cli.steps.context import Context

STEP = "predict"
MOST_CLASSES = 100
"""Of more classes only the likeliest has a column."""


def predict(
    model: str, input: str, output: str, flags: Mapping[str, Any], *, factory: str | None, force: bool, quiet: bool
) -> int:
    """Write a table of predictions, a row for each sample in order, and give the exit code.

    Args:
        model: a folder that `train` wrote.
        input: the samples.
        output: a CSV file, or ``-`` for stdout.
        flags: common settings, by field name.
        factory: the user's own network that may be imported and called.
        force: whether an existing file is replaced.
        quiet: whether to say nothing on stderr.

    Raises:
        InputError: the model or the samples cannot be read, or the samples lack what the model takes.
        OutputError: the file exists, or cannot be written.
    """
    if output != "-":
        if os.path.lexists(output) and not force:
            raise OutputError(f"{output}: exists already; name another file or pass --force to replace it")
        if os.path.isdir(output):
            raise OutputError(f"{output}: is a folder, and predictions are a file")
        check_folder(output)
        check_apart(input, output, "INPUT")
        check_apart(model, output, "MODEL_DIR")
    common = load_common(flags, os.environ)
    from datadiet_cli.steps.teaching.using import predictions

    check_shared(common, input, [model])
    dataset = open_dataset(input, reading_of(common))
    request = Request("predict", input, None, common, [], environment=dict(os.environ))
    with (
        progress_bars(quiet=quiet) as progress,
        engine_of(common, dataset) as engine,
        Cache(request.environment) if request.remembers else NoCache() as cache,
    ):
        context = Context(
            engine, common.seed, common.device, common.max_pixels, progress, cache=cache, reading=reading_of(common)
        )
        made = predictions(model, dataset, context, STEP, factory)
    text = table_of(dataset.ids, made.said, made.usable, made.classes)
    if output == "-":
        sys.stdout.buffer.write(text)
    else:
        write_atomically(output, text)
    lost = int((~made.usable).sum())
    if not quiet and output != "-":
        more = f"; {lost:,} could not be read, and have no prediction" if lost else ""
        say(f"{printable(output)}: predictions for {len(dataset) - lost:,} samples{more}")
    return ExitCode.UNREADABLE if lost else ExitCode.DONE


def table_of(ids: Sequence[str], said: NDArray[np.float64], usable: NDArray[np.bool_], classes: Sequence[str]) -> bytes:
    """The predictions as CSV.

    Args:
        ids: of the samples.
        said: (n, K) probabilities of the classes, or (n,) numbers where there are none.
        usable: (n,) bool; the cells of the other samples are empty.
        classes: names.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if not classes:
        writer.writerow(["id", "predicted"])
        writer.writerows(
            [name, repr(float(v)) if good else ""] for name, v, good in zip(ids, said, usable, strict=True)
        )
    else:
        each = list(classes) if len(classes) <= MOST_CLASSES else []
        writer.writerow(["id", "predicted", "probability", *(f"probability of {name}" for name in each)])
        best = said.argmax(axis=1)
        for name, row, code, good in zip(ids, said, best.tolist(), usable.tolist(), strict=True):
            told = [f"{p:.6g}" for p in (row[code], *(row if each else ()))]
            writer.writerow([name, classes[code], *told] if good else [name, *[""] * (2 + len(each))])
    return buffer.getvalue().encode("utf-8", "surrogateescape")
