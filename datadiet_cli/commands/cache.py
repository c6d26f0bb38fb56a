"""`datadiet cache info` and `datadiet cache clear`: what is remembered between runs, and how to forget it."""

import contextlib
import json as jsonlib
import os
import re
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from datadiet_cli.data.scan import scan
from datadiet_cli.encode import cachefile
from datadiet_cli.encode.cache import KEPT, LIMIT, TRAININGS, cache_folder
from datadiet_cli.encode.filestates import FILES
from datadiet_cli.errors import DatadietError, ExitCode
from datadiet_cli.report.terminal import printable
from datadiet_cli.report.words import size_in_words

_STEP = re.compile(r"[0-9a-f]{32}\.npz|\.[0-9a-f]{32}\.npz\.[0-9a-f]{12}\.partial")
"""The names that remembered steps have, whole or left half written; whatever else lies there is the user's."""


def info(env: Mapping[str, str], *, json: bool) -> int:
    """Print what is remembered to stdout, and change nothing.

    Args:
        env: environment variables.
        json: whether to print JSON rather than words.

    Raises:
        DatadietError: the folder cannot be read.
    """
    folder = cache_folder(env)
    try:
        facts = _facts(folder)
    except OSError as error:
        raise DatadietError(f"{folder}: cannot be read: {error.strerror}") from error
    text = jsonlib.dumps(facts, indent=2) if json else _in_words(facts)
    sys.stdout.write(text + "\n")
    return ExitCode.DONE


def clear(env: Mapping[str, str]) -> int:
    """Forget everything, and say on stdout how much that freed.

    Raises:
        DatadietError: a run uses the cache, or it cannot be removed.
    """
    folder = cache_folder(env)
    try:
        freed = 0
        with contextlib.suppress(FileNotFoundError):
            freed += cachefile.remove(folder)
        for path, size in _steps(folder).items():
            os.unlink(path)
            freed += size
        for path, size in _trainings(folder).items():
            shutil.rmtree(path)
            freed += size
    except BlockingIOError as error:
        raise DatadietError(f"{folder}: a run uses the cache; try again when it is done") from error
    except OSError as error:
        raise DatadietError(f"{folder}: cannot be cleared: {error.strerror}") from error
    sys.stdout.write(f"{printable(folder)}: {size_in_words(freed)} freed\n")
    return ExitCode.DONE


def _facts(folder: str) -> dict[str, Any]:
    holdings, trouble = cachefile.survey(folder)
    steps, trainings = _steps(folder), _trainings(folder)
    return {
        "folder": folder,
        "bytes": cachefile.size_of(folder) + sum(steps.values()) + sum(trainings.values()),
        "limit": LIMIT,
        "contents": {h.namespace: {"rows": h.rows, "bytes": h.bytes} for h in holdings if h.namespace != FILES},
        "files": sum(h.rows for h in holdings if h.namespace == FILES),
        "steps": {"number": len(steps), "bytes": sum(steps.values())},
        "trainings": {"number": len(trainings), "bytes": sum(trainings.values())},
        "trouble": trouble,
    }


def _steps(folder: str) -> dict[str, int]:
    """The files of remembered steps, and their sizes."""
    found: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(os.path.join(folder, "steps")) as items:
        for item in items:
            if _STEP.fullmatch(item.name):
                with contextlib.suppress(FileNotFoundError):
                    found[item.path] = item.stat(follow_symlinks=False).st_size
    return found


def _trainings(folder: str) -> dict[str, int]:
    """The folders of trainings that were interrupted, and their sizes."""
    found: dict[str, int] = {}
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        os.scandir(os.path.join(folder, TRAININGS)) as items,
    ):
        for item in items:
            if KEPT.fullmatch(item.name):
                found[item.path] = sum(entry.size for entry in scan(item.path).entries)
    return found


def _in_words(facts: dict[str, Any]) -> str:
    contents, steps = facts["contents"], facts["steps"]
    rows, size = (sum(held[name] for held in contents.values()) for name in ("rows", "bytes"))
    lines = [
        f"{printable(facts['folder'])}: {size_in_words(facts['bytes'])}",
        f"  contents    {rows:,} results, {size_in_words(size)}; room for {size_in_words(facts['limit'])}",
        *(
            f"    {printable(namespace)}: {held['rows']:,}, {size_in_words(held['bytes'])}"
            for namespace, held in contents.items()
        ),
        f"  files       {facts['files']:,} known by name, time and size",
        f"  steps       {steps['number']:,} decisions, {size_in_words(steps['bytes'])}",
    ]
    trainings = facts["trainings"]
    if trainings["number"]:
        lines.append(f"  trainings   {trainings['number']:,} interrupted, {size_in_words(trainings['bytes'])}")
    if facts["trouble"]:
        lines.append(f"  trouble     {printable(facts['trouble'])}; runs do without it or replace it")
    return "\n".join(lines)
