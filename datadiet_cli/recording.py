"""Write down what `restore` and `verify` go by: the digest of every file, and what steps changed."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from datadiet_cli import changesfile, digestfile, digests
from datadiet_cli.config.base import Common
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import folder_of
from datadiet_cli.data.publish import write_atomically
from datadiet_cli.encode.cache import Cache
from datadiet_cli.encode.known_files import known_digests
from datadiet_cli.engine import Engine
from datadiet_cli.outcome import Changes
from datadiet_cli.report.build import Report
from datadiet_cli.request import Progress, Request


def reader(common: Common) -> Engine:
    """What reads files: they are waited for, and a process of its own would help nobody."""
    name = "serial" if common.engine == "serial" else "threads"
    return Engine(name, None if common.engine == "dask" else common.workers)


def known_contents(request: Request, dataset: Dataset, after: Dataset) -> dict[str, digests.Content]:
    """What is remembered of the files of INPUT, which the steps have read. To be asked before links are made to them.

    Args:
        request: what was asked for.
        dataset: INPUT.
        after: what remains of it; where that is really copied, the copies are read, and only the rest is asked for.
    """
    source = folder_of(dataset.source)
    if not request.remembers or request.output is None or source is None:
        return {}
    read = digests.copied_files(after).keys() if request.common.link == "copy" and not request.leaves else ()
    entries = [e for e in digests.input_files(source) if e.cause is None and e.path not in read]
    paths = [source.locate(entry) for entry in entries]
    with Cache(request.environment) as cache, reader(request.common) as engine:
        found = zip(entries, known_digests(paths, cache, engine), strict=True)
        return {entry.path: digests.Content(entry.size, digest) for entry, digest in found if digest is not None}


def write_record(
    output: str, report: Report, published: digests.Contents, known: digests.Contents, progress: Progress
) -> dict[str, Any]:
    """Write what does not fit into the report beside OUTPUT; give the report's own part.

    Args:
        output: OUTPUT, which is there, and all that is to stand beside it.
        report: of the run.
        published: what OUTPUT holds.
        known: files of INPUT that need not be read.
        progress: announces work.
    """
    endings = [] if report.product == "scores" else sorted([*report.artefacts, *report.folders])
    with reader(report.common) as engine:
        beside = contents_beside(output, endings, engine)
        inside: Mapping[str, digests.Content] = {}
        if report.product == "dataset":
            inside = digests.contents_of_input(report.before, report.after, published, engine, progress, known)
    block, sidecar = digestfile.block_of(digestfile.rows_of(inside, published, beside), output)
    if sidecar is not None:
        write_atomically(_beside(output, digestfile.ENDING), sidecar)
    changes = [result.outcome.changes for result in report.results]
    return {"digests": block, "changes": _write_changes(output, changes, report.product)}


def recorded(document: Mapping[str, Any], output: str) -> list[str]:
    """The files beside OUTPUT that hold what its report has no room for; none for a report of an earlier version."""
    blocks = [block for block in (document.get("digests"), document.get("changes")) if block is not None]
    folder = os.path.dirname(output.rstrip("/"))
    return [os.path.join(folder, os.path.basename(block["file"])) for block in blocks if block["file"] is not None]


def _write_changes(output: str, changes: Sequence[Changes], product: str) -> dict[str, Any] | None:
    """Write the changes, unless nothing changed, or too much."""
    count = changesfile.count_changes(changes)
    if not count or product != "dataset":
        return None
    if count > changesfile.MOST:
        return {"count": count, "file": None, "check": None}
    content = changesfile.changes_json(changes)
    path = _beside(output, changesfile.ENDING)
    write_atomically(path, content)
    return {"count": count, "file": os.path.basename(path), "check": digests.digest_of(content)}


def contents_beside(output: str, endings: Sequence[str], engine: Engine) -> dict[str, digests.Content]:
    """What the files and folders hold that stand beside OUTPUT, by the ends of their names."""
    found: dict[str, digests.Content] = {}
    for ending in endings:
        for path, content in digests.contents_at(_beside(output, ending), engine).items():
            found[ending if path == digests.ITSELF else f"{ending}/{path}"] = content
    return found


def _beside(output: str, ending: str) -> str:
    return output.rstrip("/") + ending
