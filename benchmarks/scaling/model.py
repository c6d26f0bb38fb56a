"""A larger cluster, computed from what was measured on one machine: see docs/scaling.md for what it takes for granted.

Reads the results of `bench_scaling.py --out`. For each job, of the run on a local Dask cluster: what a sample costs the
workers and the coordinator beyond the least of the runs, which is starting up; bytes through the network, bytes in
files, memory. The limited run counts where there is one, since a larger dataset goes that way. The power of the number
of samples with which the work grows, if more than one, is that of the two largest runs on threads: Dask may go another
way from some size on.
"""

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

_LEAST = 1e-3
"""What a run takes beyond the least of them at the least: seconds or MiB; so growth can be told."""

_TELLING = 0.1
"""Seconds that must have been worked for growth to be told from chance."""


@dataclass(frozen=True)
class Cluster:
    """What is assumed.

    Attributes:
        samples: in the dataset.
        machines: with workers.
        cores: of each.
        busy: share of the time in which a core works, the rest being waits and the last pieces.
        network: bytes a second of the coordinator's link.
        store: bytes a second of the shared folder, all machines together.
    """

    samples: float
    machines: int
    cores: int
    busy: float
    network: float
    store: float


@dataclass(frozen=True)
class Sample:
    """What a job costs, measured.

    Attributes:
        size: samples in the largest run.
        workers: CPU seconds of all workers in that run.
        power: of the number of samples with which those grow.
        coordinator: CPU seconds a sample.
        memory: bytes a sample in the coordinator; what it maps of files does not count.
        held: bytes that the coordinator holds whatever the number of samples.
        worker: bytes that a worker held.
        network: bytes a sample between coordinator, scheduler and workers; no number if not measured.
        files: bytes a sample of temporary files.
    """

    size: int
    workers: float
    power: float
    coordinator: float
    memory: float
    held: float
    worker: float
    network: float
    files: float


def measured(results: list[dict[str, Any]], job: str, cores: int) -> Sample:
    """The slopes of a job.

    Args:
        results: of all jobs.
        job: its name.
        cores: of the machine: as many workers there were.
    """
    own = [one for one in results if one["job"] == job]
    least, *_, small, large = sorted({one["size"] for one in own})
    limited = any(one["limit"] and one["engine"] == "dask" for one in own)

    def of(what: str, size: int, engine: str = "dask") -> float:
        wanted = (size, engine, limited and size == large and engine == "dask")
        found = [one[what] for one in own if (one["size"], one["engine"], one["limit"]) == wanted]
        return median(float("nan") if value is None else float(value) for value in found)

    def beyond(what: str, size: int = large, engine: str = "dask") -> float:
        return max(of(what, size, engine) - of(what, least, engine), _LEAST)

    before, after = (beyond("cpu", size, "threads") for size in (small, large))
    memory = beyond("own") * 2**20 / (large - least)
    return Sample(
        size=large,
        workers=max(beyond("cpu") - beyond("coordinator_cpu"), _LEAST),
        power=max(1.0, math.log(after / before, large / small)) if before > _TELLING else 1.0,
        coordinator=beyond("coordinator_cpu") / (large - least),
        memory=memory,
        held=max(0.0, of("own", large) * 2**20 - memory * large),
        worker=max(0.0, of("memory", large) - of("coordinator", large)) * 2**20 / cores,
        network=of("network", large) / large,
        files=of("scratch", large) / large,
    )


def rows(one: Sample, cluster: Cluster) -> Iterator[tuple[str, str, str]]:
    """What is said of a job: its name, the figure measured, and that of the cluster."""
    n, cores = cluster.samples, cluster.machines * cluster.cores
    work = one.workers * (n / one.size) ** one.power
    waits = n * one.files * 2 / cluster.store
    parallel = work / cores / cluster.busy
    alone = n * one.coordinator
    sent = n * one.network
    yield "CPU of workers", f"{one.workers / one.size * 1e6:.0f} us a sample, power {one.power:.2f}", hours(parallel)
    yield "CPU of the coordinator", f"{one.coordinator * 1e6:.1f} us a sample", hours(alone)
    yield (
        "network of the coordinator",
        f"{one.network:.0f} B a sample",
        f"{size(sent)}, {hours(sent / cluster.network)}",
    )
    yield "bucket files, written and read", f"{one.files:.0f} B a sample", f"{size(n * one.files)}, {hours(waits)}"
    yield "memory of the coordinator", f"{one.memory:.0f} B a sample", size(one.held + n * one.memory)
    yield (
        "memory of a worker process",
        size(one.worker),
        f"{size(one.worker)}, {size(one.worker * cluster.cores)} a machine",
    )
    slowest = max((parallel, "workers"), (alone, "coordinator"), (sent / cluster.network, "network"), (waits, "files"))
    total = parallel + waits + max(alone, sent / cluster.network)
    yield "all of it", "", f"{hours(total)}, most of it {slowest[1]}"


def hours(seconds: float) -> str:
    """Seconds for people."""
    if math.isnan(seconds):
        return "not measured"
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 5400
        else f"{seconds / 60:.0f} min"
        if seconds >= 90
        else f"{seconds:.0f} s"
    )


def size(count: float) -> str:
    """Bytes for people."""
    if math.isnan(count):
        return "not measured"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="what bench_scaling.py wrote")
    parser.add_argument("--samples", type=float, default=100e6)
    parser.add_argument("--machines", type=int, default=32)
    parser.add_argument("--cores", type=int, default=16, help="of each machine")
    parser.add_argument("--busy", type=float, default=0.7, help="share of the time that a core works")
    parser.add_argument("--network", type=float, default=1.25e9, help="bytes a second of the coordinator")
    parser.add_argument("--store", type=float, default=2e9, help="bytes a second of the shared folder")
    args = parser.parse_args()
    read = json.loads(args.results.read_text(encoding="utf-8"))
    cluster = Cluster(args.samples, args.machines, args.cores, args.busy, args.network, args.store)
    print(f"{cluster.samples:,.0f} samples, {cluster.machines} machines of {cluster.cores} cores\n")
    print("| job | what | measured | there |\n|---|---|---:|---:|")
    for job in dict.fromkeys(one["job"] for one in read["results"]):
        for number, row in enumerate(rows(measured(read["results"], job, read["cores"]), cluster)):
            print(f"| {'' if number else job} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
