"""What choosing samples takes, and how it grows: every rule, every choice by features, and what they stand on.

Made data: SIZES samples of 64 features in 10 classes of 10 clusters each, of which KEEP percent are kept. Each
measurement is a process of its own: CPU seconds of the call alone, and by how many MiB it raises the peak above that
with the data read and all modules loaded. A rule is given its scores, and the graph where it needs one, which is
measured by itself. What by its growth so far would take more than --limit CPU seconds is left out.

The table is in Markdown; its last column is the exponent of the growth of CPU time between the last two sizes, at the
first of KEEP: 1 is linear.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import apart, run, workplace

DIMENSIONS, CLASSES, CLUSTERS = 64, 10, 10
NEIGHBOURS = 10
COLUMNS = ("x", "label", "score", "neighbour", "distance")
RESOLUTION = 0.05
"""CPU seconds below which growth says nothing."""

Arrays = dict[str, np.ndarray]
Call = Callable[[Arrays, int], Any]


def make(folder: Path, n: int) -> None:
    """Write the features of n samples, their classes and scores, and the graph."""
    from datadiet_cli.methods.samples.graph import knn_graph

    rng = np.random.default_rng(0)
    middle = 1.5 * rng.normal(size=(CLASSES, 1, DIMENSIONS)) + rng.normal(size=(CLASSES, CLUSTERS, DIMENSIONS))
    cluster = rng.integers(0, CLASSES * CLUSTERS, n)
    # Some directions vary more than others, as those of features do.
    spread = 2 / np.sqrt(1 + np.arange(DIMENSIONS) / 8)
    x = np.empty((n, DIMENSIONS), dtype=np.float32)
    for start in range(0, n, 1 << 14):
        own = cluster[start : start + (1 << 14)]
        x[start : start + len(own)] = middle.reshape(-1, DIMENSIONS)[own] + spread * rng.normal(
            size=(len(own), DIMENSIONS)
        )
    graph = knn_graph(x, NEIGHBOURS)
    made = (x, cluster // CLUSTERS, rng.random(n), graph.neighbour, graph.distance)
    for name, values in zip(COLUMNS, made, strict=True):
        np.save(folder / f"{name}-{n}.npy", values)


def load(folder: Path, n: int) -> Arrays:
    return {name: np.load(folder / f"{name}-{n}.npy") for name in COLUMNS}


def calls() -> dict[str, Call]:
    """What is measured: name -> (data, how many to keep) -> anything."""
    from datadiet_cli.methods.samples.base import Graph, Pool
    from datadiet_cli.methods.samples.composite import composite
    from datadiet_cli.methods.samples.coverage import COVERAGE
    from datadiet_cli.methods.samples.graph import knn_graph, nearest_kept
    from datadiet_cli.methods.samples.rules import RULES
    from datadiet_cli.methods.samples.typical import TYPICAL

    def graph(data: Arrays) -> Graph:
        return Graph(data["neighbour"], data["distance"])

    def by_rule(rule: Callable[[Pool], Any]) -> Call:
        def call(data: Arrays, keep: int) -> Any:
            n = len(data["score"])
            easiness = np.sqrt(data["score"])
            return rule(Pool(data["score"], keep, graph=graph(data), easiness=easiness, pruned=1 - keep / n))

        return call

    def by_worth(data: Arrays, keep: int) -> Any:
        quota = np.full(CLASSES, keep // CLASSES, dtype=np.int64)
        wrong = 1 - data["score"]
        return composite(data["x"], keep, wrong=wrong, score=data["score"], group=data["label"], quota=quota)

    def witnesses(data: Arrays, keep: int) -> Any:
        return nearest_kept(data["x"], np.random.default_rng(0).permutation(len(data["x"])) < keep)

    found: dict[str, Call] = {
        f"graph of {NEIGHBOURS} neighbours": lambda data, _: knn_graph(data["x"], NEIGHBOURS),
        "nearest kept of a random choice": witnesses,
    }
    found |= {f"rule {name}": by_rule(rule) for name, rule in RULES.items()}
    for name, typical in TYPICAL.items():
        found[f"score {name}"] = lambda data, _, score=typical: score(data["x"], data["label"], 0, graph(data))
    for name, choice in COVERAGE.items():
        found[f"choice {name}"] = lambda data, keep, choice=choice: choice(data["x"], keep, 0)
    return {**found, "choice composite": by_worth}


def cut(data: Arrays, n: int) -> Arrays:
    """The first samples only, without their neighbours among the others."""
    some = {name: values[:n] for name, values in data.items()}
    outside = some["neighbour"] >= n
    some["neighbour"] = np.where(outside, -1, some["neighbour"])
    some["distance"] = np.where(outside, np.inf, some["distance"])
    return some


def one(name: str, folder: Path, n: int, keep: int) -> None:
    """Measure one call, in this process, and print what it took."""
    data, call = load(folder, n), calls()[name]
    call(cut(data, 200), 20)  # loads what is loaded at the first use
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    call(data, keep)
    cpu = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"cpu": cpu, "mib": (peak - before) / 1024}))


def exponent(sizes: list[int], cpu: list[float]) -> float | None:
    """The growth between the last two sizes that were measured."""
    if len(cpu) < 2 or cpu[-2] < RESOLUTION:
        return None
    return float(np.log(cpu[-1] / cpu[-2]) / np.log(sizes[len(cpu) - 1] / sizes[len(cpu) - 2]))


def measured(name: str, folder: Path, args: argparse.Namespace) -> list[str]:
    """The cells of a row of the table."""
    cells: list[str] = []
    curves: dict[float, list[float]] = {share: [] for share in args.keep}
    for number, n in enumerate(args.sizes):
        for share in args.keep:
            curve = curves[share]
            growth = exponent(args.sizes, curve)
            steps = args.sizes[number] / args.sizes[number - 1]
            expected = curve[-1] * steps ** (1.0 if growth is None else growth) if curve else 0.0
            if len(curve) < number or expected > args.limit or (n > args.once and share != args.keep[0]):
                cells.append("")
                continue
            command = [sys.executable, Path(__file__), "--one", name, "--folder", folder, "--sizes", str(n)]
            found = json.loads(run([*command, "--keep", str(share)]).output)
            curve.append(found["cpu"])
            cells.append(f"{found['cpu']:.2f} s, {found['mib']:.0f}")
            print(f"  {name}: {n:,} samples, {share:g} %: {cells[-1]} MiB", file=sys.stderr)
    growth = exponent(args.sizes, curves[args.keep[0]])
    return [*cells, "" if growth is None else f"{growth:.1f}"]


def table(folder: Path, args: argparse.Namespace, names: list[str]) -> None:
    for n in args.sizes:
        apart(make, folder, n)
    heads = [f"{n:,}, {share:g} %" for n in args.sizes for share in args.keep]
    print(f"| CPU s, MiB above the data | {' | '.join(heads)} | growth |")
    print(f"|---|{'---:|' * (len(heads) + 1)}")
    for name in names:
        print(f"| {name} | {' | '.join(measured(name, folder, args))} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 50_000, 500_000], help="samples, ascending")
    parser.add_argument("--keep", type=float, nargs="+", default=[10, 50], metavar="PERCENT")
    parser.add_argument("--once", type=int, default=100_000, help="beyond so many samples only the first of --keep")
    parser.add_argument("--limit", type=float, default=600, help="CPU seconds that a call may be expected to take")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="what has one of these in its name")
    parser.add_argument("--folder", type=Path, help="where the data is put for the time being")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--names", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.sizes != sorted(set(args.sizes)) or args.sizes[0] < 1_000 or not all(0 < each <= 100 for each in args.keep):
        parser.error("sizes must ascend from 1,000 on, and shares be above 0 and at most 100 percent")
    if args.one is not None:
        one(args.one, args.folder, args.sizes[0], round(args.sizes[0] * args.keep[0] / 100))
        return
    if args.names:
        print(json.dumps([*calls()]))
        return
    # In a process of its own this one stays small: what a process takes counts from that of its parent on.
    names = json.loads(run([sys.executable, Path(__file__), "--names"]).output)
    names = [name for name in names if any(word in name for word in args.only)]
    with workplace(args.folder) as folder:
        table(folder, args, names)


if __name__ == "__main__":
    main()
