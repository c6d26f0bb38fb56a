"""How long the search for near-identical hashes takes, how it grows, and what it gains over comparing all pairs.

Prints JSON: seconds and CPU seconds at N and at N / 10, the growth between them, the peak memory of the process,
and the ratio to comparing all pairs in blocks, measured in the same run on as many hashes as that can take.
Hashes are random, a tenth of them copies of others with up to RADIUS bits turned.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.engine import Engine
from datadiet_cli.methods.hamming import pairs_within

BRUTE_FORCE_HASHES = 50_000


def make_hashes(n: int, radius: int) -> NDArray[np.uint64]:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, n, dtype=np.uint64)
    copies = n // 10
    copied = hashes[rng.integers(0, n - copies, copies)]
    flips = rng.integers(0, radius + 1, copies)
    for turn in range(radius):
        bit = np.uint64(1) << rng.integers(0, 64, copies, dtype=np.uint64)
        copied ^= np.where(turn < flips, bit, np.uint64(0))
    hashes[n - copies :] = copied
    return hashes


def brute_force(hashes: NDArray[np.uint64], radius: int) -> NDArray[np.int64]:
    parts = []
    for start in range(0, len(hashes), 16):
        rows = hashes[start : start + 16, None]
        hits = np.flatnonzero((np.bitwise_count(rows ^ hashes[None, start:]) <= radius).ravel())
        i, j = np.divmod(hits, len(hashes) - start)
        parts.append(np.stack([i[i < j], j[i < j]], axis=1) + start)
    return np.concatenate(parts)


def measure(search: Callable[[], NDArray[np.int64]]) -> tuple[dict[str, float], NDArray[np.int64]]:
    wall, cpu = time.perf_counter(), time.process_time()
    pairs = search()
    seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return {**{key: round(value, 4) for key, value in seconds.items()}, "pairs": len(pairs)}, pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000, help="hashes")
    parser.add_argument("--radius", type=int, default=6, help="bits")
    parser.add_argument("--workers", type=int, default=1, help="threads")
    args = parser.parse_args()
    if args.n < 20 or args.radius < 0 or args.workers < 1:
        parser.error("needs at least 20 hashes, a radius of 0 or more, and a worker")

    def search(n: int) -> tuple[dict[str, float], NDArray[np.int64]]:
        hashes = make_hashes(n, args.radius)
        with Engine("threads", args.workers) as engine:
            return measure(lambda: pairs_within(hashes, args.radius, engine))

    tenth, _ = search(args.n // 10)
    full, _ = search(args.n)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    feasible = min(args.n, BRUTE_FORCE_HASHES)
    ours, found = search(feasible)
    hashes = make_hashes(feasible, args.radius)
    all_pairs, expected = measure(lambda: brute_force(hashes, args.radius))
    result = {
        "n": args.n,
        "radius": args.radius,
        "workers": args.workers,
        **full,
        "peak_rss_bytes": peak,
        "tenth": {"n": args.n // 10, **tenth},
        "growth": round(full["cpu_seconds"] / tenth["cpu_seconds"], 2),
        "compared_with_all_pairs": {
            "n": feasible,
            "ours": ours,
            "all_pairs": all_pairs,
            "ratio": round(all_pairs["cpu_seconds"] / ours["cpu_seconds"], 2),
            "same_pairs": bool(np.array_equal(found, expected[np.lexsort(expected.T[::-1])])),
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
