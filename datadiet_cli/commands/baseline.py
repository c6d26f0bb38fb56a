"""`datadiet baseline REPORT`: write down what a report found, so that later runs leave it alone."""

import json
import os
import sys
from collections import Counter

import numpy as np

from datadiet_cli.baseline import FINDINGS, baseline_document, digests_of
from datadiet_cli.commands.reading import dataset_of, read_report, rows_by_name, undamaged
from datadiet_cli.data.publish import check_file, check_folder, write_atomically
from datadiet_cli.errors import ExitCode, OutputError
from datadiet_cli.outcome import Action
from datadiet_cli.report.streaming import each_verdict
from datadiet_cli.report.terminal import say


def baseline(report: str, file: str | None, *, force: bool, quiet: bool) -> int:
    """Write the findings of a report to a file, by the content of their samples.

    Args:
        report: the report.
        file: where to; ``-`` for stdout; ``OUTPUT.baseline.json`` for None.
        force: whether a file that is there is replaced.
        quiet: whether to say nothing.

    Raises:
        InputError: the report is none, or INPUT has changed since.
        OutputError: the file exists and `force` is not set.
    """
    document = read_report(report)
    target = file or report.removesuffix(".report.json") + ".baseline.json"
    if target != "-":
        if os.path.lexists(target) and not force:
            raise OutputError(f"{target}: exists already; name another file or pass --force to replace it")
        check_file(target)
        check_folder(target)
    dataset = dataset_of(report, document)
    row_of = rows_by_name(dataset)
    wanted = {*FINDINGS, Action.ACCEPT}
    with undamaged(report):
        rows = [row for row in each_verdict(document, report) if row["action"] in wanted]
        numbers = np.array([row_of[row["id"]] for row in rows], dtype=np.int64)
    digests = digests_of(dataset, numbers)
    found = [(row["reason"], digest, row["id"]) for row, digest in zip(rows, digests, strict=True) if digest]
    text = json.dumps(baseline_document(found), indent=1).encode("ascii") + b"\n"
    if target == "-":
        sys.stdout.buffer.write(text)
        return ExitCode.DONE
    write_atomically(target, text)
    if not quiet:
        counts = ", ".join(f"{n:,} {reason}" for reason, n in sorted(Counter(row["reason"] for row in rows).items()))
        say(f"{target}: {counts or 'nothing'} accepted; use it with --baseline {target}")
    return ExitCode.DONE
