"""Run commands in turn and compare what they cost: shared by the benchmarks."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

DATADIET = (sys.executable, "-m", "datadiet_cli")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
UNREADABLE = 3
"""Exit code of datadiet where some samples could not be read; a folder of the user's own may well hold such."""
_HERE = Path(__file__).resolve().parent.parent

Command = Sequence[str | os.PathLike[str]]


@dataclass(frozen=True)
class Run:
    """What one command took, its child processes included.

    Attributes:
        wall: seconds.
        cpu: seconds in user and system mode, of all cores together.
        rss: peak resident memory of its largest process, MiB.
        output: what it wrote to stdout.
    """

    wall: float
    cpu: float
    rss: float
    output: bytes


@dataclass(frozen=True)
class Contender:
    """A command to measure, and what has to be done before each of its runs, outside the clock."""

    command: Command
    before: Callable[[], None] = lambda: None


def warm(data: Path) -> None:
    """Read a file, or all files of a folder, so that they come from memory; some machines soon forget."""
    for path in data.rglob("*") if data.is_dir() else [data]:
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass


def run(command: Command) -> Run:
    """Run a command to its end and measure it.

    The peak memory that the kernel reports counts from the fork on, so the caller must be small: see `apart`.

    Raises:
        SystemExit: the command failed; its stderr has been shown.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATADIET_")}
    environment["PYTHONPATH"] = str(_HERE)
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        child = subprocess.Popen([os.fspath(word) for word in command], stdout=output, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, UNREADABLE):
            raise SystemExit(f"exit code {child.returncode}: {' '.join(map(str, command))}")
        output.seek(0)
        return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output.read())


def alternate(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[Run]]:
    """Run all contenders in turn, A B C A B C, so that what else the machine does falls on all alike.

    One round goes before, unmeasured: it compiles bytecode and loads programs from the disk.
    """
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            contender.before()
            measured = run(contender.command)
            if number:
                runs[name].append(measured)
            print(f"  round {number}/{rounds}: {name}: {measured.wall:.2f} s", file=sys.stderr)
    return runs


def middle(runs: Sequence[Run], what: str) -> float:
    """The median of one figure of a contender's runs."""
    return median(getattr(one, what) for one in runs)


def ratio(one: Sequence[Run], other: Sequence[Run], what: str) -> float:
    """How many times as much `one` takes as `other`: the median of the ratios within each round."""
    return median(getattr(a, what) / getattr(b, what) for a, b in zip(one, other, strict=True))


def table(runs: Mapping[str, Sequence[Run]]) -> None:
    """Print the medians of every contender, and the first one's ratios to each of the others, in Markdown."""
    ours = next(iter(runs))
    print("\n| medians | wall s | CPU s | peak MiB |\n|---|---:|---:|---:|")
    for name, own in runs.items():
        print(f"| {name} | {middle(own, 'wall'):.2f} | {middle(own, 'cpu'):.2f} | {middle(own, 'rss'):.0f} |")
    for name, other in runs.items():
        if name != ours:
            figures = [f"{ratio(runs[ours], other, what):.2f}" for what in ("wall", "cpu", "rss")]
            print(f"| *{ours} / {name}* | {' | '.join(figures)} |")


def apart(make: Callable[..., Any], *args: Any) -> None:
    """Call a function in a process of its own, so that its memory is not counted as that of later commands.

    Raises:
        SystemExit: it failed.
    """
    process = multiprocessing.get_context("fork").Process(target=make, args=args)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{make.__name__} failed")


@contextmanager
def workplace(folder: Path | None) -> Iterator[Path]:
    """A temporary folder, made within `folder` if one is given, and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="datadiet-bench-", dir=folder) as path:
        yield Path(path)
