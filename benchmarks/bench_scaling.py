"""What each engine costs on the same machine, how that grows, and what a memory limit takes and gives.

Four jobs: near-identical hashes through the search alone; near copies (MinHash) and equal rows in a table of short
texts, both made; and the pictures of CIFAR-10, if DATA has them, which are unpacked to a temporary folder. Every
answer is compared with that of the other engines: one that differs is an error. Results go to --out, from which
`scaling/model.py` computes a larger cluster.
"""

import argparse
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from measure import CORES, DATADIET, Command, apart, workplace
from scaling.make import texts
from scaling.tree import own_network, watched

ENGINES = ("serial", "threads", "processes", "dask", "dask inproc")
GROWING = ("threads", "processes", "dask")
LIMITED = ("threads", "processes", "dask")
WHOLE = 60_000
"""Pictures of CIFAR-10."""
LARGE = 1_000_000
"""Who asks for as many samples wants all of those, too."""


@dataclass(frozen=True)
class Case:
    """One thing to measure."""

    job: str
    size: int
    engine: str
    limit: bool

    @property
    def flags(self) -> list[str]:
        """Of the command line."""
        name, _, scheduler = self.engine.partition(" ")
        return ["--engine", name, *(["--scheduler", scheduler] if scheduler else [])]


def unpacked(archive: Path, folder: Path, count: int) -> Path:
    """So many pictures of each split and class; all for `WHOLE`."""
    place = folder / f"pictures-{count}"
    each = count // 20 if count < WHOLE else WHOLE
    seen: dict[str, int] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            seen[os.path.dirname(member.name)] = seen.get(os.path.dirname(member.name), 0) + 1
            if member.isdir() or seen[os.path.dirname(member.name)] <= each:
                tar.extract(member, place, filter="data")
    return place


def command(case: Case, data: Path, limit: str) -> Command:
    """What to run for a case."""
    if case.job == "hashes":
        number = ["--memory-limit", str(int(limit.removesuffix("MB")) * 10**6)] if case.limit else []
        return [sys.executable, "-m", "scaling.search", "--n", str(case.size), *case.flags, *number]
    more = {
        "texts": ["--method", "minhash"],
        "rows": ["--method", "exact"],
        "pictures": ["--method", "phash", "--max-distance", "6", "--dry-run"],
    }[case.job]
    out = [] if "--dry-run" in more else [data.parent / "out" / data.name]
    shown = ["--no-cache", "--no-html", "--quiet", "--list", "dropped"]
    return [
        *DATADIET,
        "dedup",
        data,
        *out,
        *more,
        *case.flags,
        *shown,
        *(["--memory-limit", limit] if case.limit else []),
    ]


def cases(job: str, sizes: list[int]) -> Iterable[Case]:
    """The largest size on every engine, the others where growth is looked at."""
    for size in sizes:
        for engine in ENGINES if size == sizes[-1] else GROWING:
            yield Case(job, size, engine, False)
    if job != "pictures":
        for engine in LIMITED:
            yield Case(job, sizes[-1], engine, True)


def measured(case: Case, data: Path, limit: str, work: Path, *, alone: bool) -> dict[str, Any]:
    scratch, out = work / "scratch", work / "out"
    for folder in (scratch, out):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    cost = watched(command(case, data, limit), scratch, alone=alone)
    name = f"{case.job} {case.size:,} {case.engine}{' limited' if case.limit else ''}"
    print(f"  {name}: {cost.wall:.1f} s wall, {cost.cpu:.1f} s CPU, {cost.memory:.0f} MiB", file=sys.stderr)
    return {**vars(case), **cost.told()}


def made(job: str, sizes: list[int], work: Path, archive: Path) -> dict[int, Path]:
    """The data of a job, by size."""
    if job == "pictures":
        return {size: unpacked(archive, work, size) / "cifar10" for size in sizes}
    places = {size: work / f"{job}-{size}.csv" for size in sizes}
    for size, place in places.items() if job != "hashes" else ():
        apart(texts, place, size)
    return places


def run(job: str, sizes: list[int], args: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Measure a job in all its cases; the smaller sizes once.

    Raises:
        SystemExit: two engines gave different answers.
    """
    alone = own_network()
    results: list[dict[str, Any]] = []
    places = made(job, sizes, work, args.data and args.data / "cifar10.tar")
    for number in range(args.rounds):
        wanted = [case for case in cases(job, sizes) if number == 0 or case.size == sizes[-1]]
        results += [measured(case, places[case.size], args.limit, work, alone=alone) for case in wanted]
    for size in sizes:
        if len({one["answer"] for one in results if one["size"] == size}) > 1:
            raise SystemExit(f"{job}: engines differ in their answers")
    return results


def sizes_of(args: argparse.Namespace) -> dict[str, list[int]]:
    """How many samples each job has; pictures only where there are any."""
    found = {job: [args.size // 100, args.size // 10, args.size] for job in args.jobs if job != "pictures"}
    if "pictures" in args.jobs and args.data and (args.data / "cifar10.tar").is_file():
        found["pictures"] = [WHOLE // 100, WHOLE // 10, *([WHOLE] if args.size >= LARGE else [])]
    return found


def of(results: list[dict[str, Any]], what: str, **case: Any) -> float:
    """The median of one figure of a case; no number if it was not measured."""
    found = [one[what] for one in results if all(one[key] == value for key, value in case.items())]
    return median(found) if found and None not in found else float("nan")


def tables(results: list[dict[str, Any]]) -> None:
    """Print what came out, in Markdown."""
    largest: dict[str, int] = {}
    for one in results:
        largest[one["job"]] = max(one["size"], largest.get(one["job"], 0))
    print(HEAD.format("job, samples | engine"))
    for job, size in largest.items():
        same = {"job": job, "size": size, "limit": False}
        for engine in ENGINES:
            print(f"| {job}, {size:,} | {engine} | {figures(results, engine=engine, **same)} |")
        print(f"| | *dask / processes* | {ratios(results, **same)} | |")
    print(HEAD.format("job, engine | samples"))
    for job in largest:
        sizes = sorted({one["size"] for one in results if one["job"] == job})
        for engine, size in product(GROWING, sizes):
            found = figures(results, job=job, engine=engine, size=size, limit=False)
            print(f"| {job}, {engine} | {size:,} | {found} |")
    print(HEAD.format("job, engine | memory"))
    for job in [job for job in largest if job != "pictures"]:
        same = {"job": job, "size": largest[job]}
        for engine, limit in product(LIMITED, (False, True)):
            word = "limited" if limit else "as it comes"
            print(f"| {job}, {engine} | {word} | {figures(results, engine=engine, limit=limit, **same)} |")
        print(f"| {job}, *dask / processes* | limited | {ratios(results, limit=True, **same)} | |")


def figures(results: list[dict[str, Any]], **case: Any) -> str:
    """A part of a row."""
    wall, cpu, memory, coordinator, scratch = (of(results, what, **case) for what in (*SHOWN, "scratch"))
    return f"{wall:.1f} | {cpu:.1f} | {memory:.0f} | {coordinator:.0f} | {scratch / 1e6:.0f}"


def ratios(results: list[dict[str, Any]], **case: Any) -> str:
    """A part of a row: how many times as much Dask takes as processes."""
    pairs = ((of(results, what, engine=engine, **case) for engine in ("dask", "processes")) for what in SHOWN)
    return " | ".join(f"*{dask / processes:.2f}*" for dask, processes in pairs)


SHOWN = ("wall", "cpu", "memory", "coordinator")
HEAD = """
| {} | wall s | CPU s | all processes, MiB | coordinator, MiB | files, MB |
|---|---|---:|---:|---:|---:|---:|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with cifar10.tar")
    parser.add_argument("--size", type=int, default=1_000_000, help="samples to make; a tenth and a hundredth as well")
    parser.add_argument("--jobs", nargs="+", default=["hashes", "texts", "rows", "pictures"])
    parser.add_argument("--limit", default="100MB", help="the memory limit that is tried")
    parser.add_argument("--rounds", type=int, default=1, help="of the largest size")
    parser.add_argument("--out", type=Path, help="a file for the results, as JSON")
    parser.add_argument("--work", type=Path, help="where to make the files (default: the folder for temporary files)")
    args = parser.parse_args()
    with workplace(args.work) as work:
        results = [one for job, sizes in sizes_of(args).items() for one in run(job, sizes, args, work)]
    if args.out:
        args.out.write_text(json.dumps({"cores": CORES, "results": results}, indent=1) + "\n", encoding="utf-8")
    tables(results)


if __name__ == "__main__":
    main()
