"""`datadiet inspect INPUT`: say what it is, and change nothing."""

import json as jsonlib
import os
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from datadiet_cli.config.load import load_common
from datadiet_cli.data.dataset import UNKNOWN, Dataset, Source
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.kinds import suffix
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.scan import UNCOPYABLE
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ExitCode
from datadiet_cli.report.build import census
from datadiet_cli.report.terminal import printable, progress_bars
from datadiet_cli.report.words import size_in_words
from datadiet_cli.request import reading_of

SHOWN = 20


def inspect(path: str, flags: Mapping[str, Any], *, json: bool, quick: bool, quiet: bool) -> int:
    """Print what INPUT is to stdout; exit code 3 when samples could not be read.

    Args:
        path: INPUT.
        flags: common settings given as flags, by field name.
        json: whether to print JSON rather than words.
        quick: whether to leave the files undecoded.
        quiet: whether to show no progress.

    Raises:
        InputError: INPUT is no dataset.
        ConfigError: a flag or an environment variable is wrong.
    """
    common = load_common(flags, os.environ)
    dataset = open_dataset(path, reading_of(common))
    facts = _facts(dataset)
    if dataset.kind == "image" and not quick:
        from datadiet_cli.data.quiet import quiet_libraries

        with Engine("threads", common.workers) as engine, progress_bars(quiet=quiet) as progress, quiet_libraries():
            facts["unreadable"].update(_undecodable(dataset, engine, common.max_pixels, progress))
    text = jsonlib.dumps(facts, indent=2) if json else "\n".join([*_in_words(facts), *_skipped(dataset.source)])
    sys.stdout.write(text + "\n")
    return ExitCode.UNREADABLE if facts["unreadable"] else ExitCode.DONE


def _facts(dataset: Dataset) -> dict[str, Any]:
    source = dataset.source
    unreadable = {source.ids(np.array([row]))[0]: cause for row, cause in source.causes().items()}
    facts: dict[str, Any] = {"path": source.path, "kind": source.kind, "layout": source.layout, **census(dataset)}
    facts["unlabelled"] = int((dataset.labels == UNKNOWN).sum())
    if isinstance(source, FolderSource):
        formats = Counter(suffix(name) or "(no suffix)" for name in dataset.ids)
        facts["formats"] = dict(sorted(formats.items(), key=lambda item: (-item[1], item[0])))
        empty = [name for name, size in zip(dataset.ids, dataset.bytes.tolist(), strict=True) if size == 0]
        unreadable |= {name: "empty" for name in empty if name not in unreadable}
    return {**facts, **source.facts(), "unreadable": unreadable}


def _undecodable(dataset: Dataset, engine: Engine, max_pixels: int, progress: Any) -> dict[str, str]:
    from datadiet_cli.encode.pictures import Sketch, sketch_files

    source = dataset.source
    if not isinstance(source, FolderSource):
        return {}
    rows = np.setdiff1d(dataset.rows, list(source.causes()), assume_unique=True).astype(np.int64)
    names, causes = source.ids(rows), {}
    sketch = Sketch(None, max_pixels=max_pixels)
    tell = progress("decoding", len(rows))
    for part, found in engine.map(sketch_files, source.paths(rows), sketch, chunk=32, progress=tell):
        causes.update({name: c for name, c in zip(names[part], found.cause.tolist(), strict=True) if c is not None})
    return causes


def _in_words(facts: dict[str, Any]) -> list[str]:
    lines = [
        f"{printable(facts['path'])}: {facts['layout']}",
        f"  samples     {facts['samples']:,} ({facts['kind']}), {size_in_words(facts['bytes'])}",
    ]
    counted = [name for name in ("splits", "classes", "formats") if facts.get(name)]
    lines.extend(f"  {name:<11} {_counts(facts[name])}" for name in counted)
    if facts["unlabelled"] and facts["classes"]:
        lines.append(f"  unlabelled  {facts['unlabelled']:,}")
    if "columns" in facts:
        columns = facts["columns"]
        shown = ", ".join(printable(column) for column in columns[:SHOWN])
        lines.append(f"  columns     {len(columns)}: {shown}{' ...' if len(columns) > SHOWN else ''}")
    if facts.get("tables"):
        lines.append(f"  tables      {_counts(facts['tables'])}")
    told = (
        ("label_files", "label files", ""),
        ("labels_without_image", "orphans", " files of labels without an image, carried along"),
        ("unclear_labels", "unclear", " files of labels cannot be understood"),
        ("keys_without_content", "no content", " keys of shards have nothing of this kind, carried along"),
    )
    lines.extend(f"  {word:<11} {facts[name]:,}{rest}" for name, word, rest in told if facts.get(name))
    if facts.get("left_out"):
        lines.append(f"  left out    {len(facts['left_out']):,} caches, not copied")
    if facts.get("other_files"):
        lines.append(f"  other files {facts['other_files']:,}, carried along")
    if facts.get("missing_files"):
        lines.append(f"  missing     {facts['missing_files']:,} files that a table names are not there")
    if facts["unreadable"]:
        lines.append(f"  unreadable  {len(facts['unreadable']):,}")
        from datadiet_cli.encode.opening import CAUSES

        words = {**CAUSES, **UNCOPYABLE}
        lines.extend(
            f"    {printable(n)}: {words.get(cause, cause)}" for n, cause in sorted(facts["unreadable"].items())
        )
    return lines


def _skipped(source: Source) -> list[str]:
    """Files that are no samples and cannot be copied, such as the labels of an image."""
    others = source.others if isinstance(source, FolderSource) else ()
    causes = [(entry.path, entry.cause) for entry in others if entry.cause is not None]
    if not causes:
        return []
    lines = [f"  skipped     {len(causes):,} cannot be copied, and OUTPUT lacks them"]
    lines += [f"    {printable(path)}: {UNCOPYABLE[cause]}" for path, cause in causes[:SHOWN]]
    return lines if len(causes) <= SHOWN else [*lines, f"    and {len(causes) - SHOWN:,} more"]


def _counts(counts: dict[str, int]) -> str:
    items = list(counts.items())
    shown = ", ".join(f"{printable(name)} {count:,}" for name, count in items[:SHOWN])
    return f"{len(items)}: {shown}{' ...' if len(items) > SHOWN else ''}"
