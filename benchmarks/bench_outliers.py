"""Outliers: how well each detector ranks them, how many it flags, and what it costs, on real and on made data.

The real data are folders of `.npz` files with `X` (n, d) and `y` (1 for an outlier), as ADBench has them (Han et al.,
NeurIPS 2022). Each detector judges the rows that it learns from, columns scaled to mean 0 and deviation 1; of more
than --most rows a stratified choice takes part. No label is seen by any detector. PyOD's detectors, at its defaults,
run in the same loop where it can be imported. What we flag is compared with the truth, and with the fixed tenth that
PyOD flags by default.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from threadpoolctl import threadpool_limits

from datadiet_cli.methods.outliers import DETECTORS, Cells, find_outliers

RATE = 0.01
TENTH = 0.1
SIZES = (300, 1000)

Floats = NDArray[np.float64]


def cells(numbers: Floats) -> Cells:
    return Cells(numbers, np.zeros((len(numbers), 0), dtype=np.int64))


def real_sets(folder: Path, most: int) -> Iterator[tuple[str, Floats, NDArray[np.bool_]]]:
    """Name, scaled numbers and truth of each set."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            numbers, truth = file["X"].astype(float), file["y"].ravel() == 1
        if len(truth) > most:
            random = np.random.default_rng(0)
            odd, usual = np.flatnonzero(truth), np.flatnonzero(~truth)
            few = min(max(round(most * len(odd) / len(truth)), 5), len(odd))
            chosen = np.sort(np.r_[random.choice(odd, few, False), random.choice(usual, most - few, False)])
            numbers, truth = numbers[chosen], truth[chosen]
        yield path.stem, (numbers - numbers.mean(axis=0)) / np.maximum(numbers.std(axis=0), 1e-9), truth


def peers() -> dict[str, Callable[[Floats], Floats]]:
    """PyOD's detectors, or none."""
    try:
        from pyod.models.copod import COPOD
        from pyod.models.ecod import ECOD
        from pyod.models.hbos import HBOS
        from pyod.models.knn import KNN
    except ImportError:
        print("PyOD is not installed: it is left out.\n")
        return {}
    made: dict[str, Any] = {"ECOD": ECOD, "COPOD": COPOD, "HBOS": HBOS, "KNN": KNN}
    return {f"PyOD {name}": lambda x, kind=kind: kind().fit(x).decision_scores_ for name, kind in made.items()}


def ranking(folder: Path, most: int) -> None:
    """Print how each detector ranks outliers of the real sets."""
    contenders: dict[str, Callable[[Floats], Floats]] = {
        name: lambda x, judge=judge: judge(cells(x), 0).score for name, judge in DETECTORS.items()
    }
    contenders |= peers()
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in contenders}
    for _, numbers, truth in real_sets(folder, most):
        for name, judge in contenders.items():
            started = time.process_time()
            score = np.nan_to_num(judge(numbers))
            cpu = time.process_time() - started
            figures[name].append((roc_auc_score(truth, score), average_precision_score(truth, score), cpu))
    table = np.array(list(figures.values()))
    ranks = (-table[:, :, 0]).argsort(axis=0, kind="stable").argsort(axis=0, kind="stable") + 1
    print(f"Ranking, {table.shape[1]} real sets, at most {most} rows:\n")
    print("| detector | mean AUROC | mean AP | mean rank by AUROC | CPU s a set |\n|---|---:|---:|---:|---:|")
    for i in np.argsort(-table[:, :, 0].mean(axis=1), kind="stable"):
        auroc, precision, cpu = table[i].mean(axis=0)
        print(f"| {list(figures)[i]} | {auroc:.3f} | {precision:.3f} | {ranks[i].mean():.2f} | {cpu:.2f} |")


def judged(odd: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Share flagged, precision (0 where none is flagged), recall, F1."""
    hits = int((odd & truth).sum())
    return (
        float(odd.mean()),
        hits / max(int(odd.sum()), 1),
        hits / int(truth.sum()),
        2 * hits / int(odd.sum() + truth.sum()),
    )


def flags_on_real(folder: Path, most: int) -> None:
    """Print what is flagged in the real sets, by calibration and by the fixed tenth."""
    columns = "flagged | precision | recall | F1"
    print(f"\nFlags on the real sets at a rate of {RATE:.0%}, and the oddest tenth by the same scores (means):\n")
    print(f"| detector | {columns} | tenth: precision | recall | F1 |\n|---|{'---:|' * 7}")
    sets = list(real_sets(folder, most))
    for name in DETECTORS:
        own, fixed = [], []
        for _, numbers, truth in sets:
            found = find_outliers(cells(numbers), name, RATE, 0)
            own.append(judged(found.odd, truth))
            oddest = np.zeros(len(truth), dtype=bool)
            oddest[np.argsort(-found.score, kind="stable")[: round(len(truth) * TENTH)]] = True
            fixed.append(judged(oddest, truth))
        figures = [f"{100 * np.mean([one[0] for one in own]):.1f} %"]
        figures += [f"{figure:.3f}" for figure in (*np.mean(own, axis=0)[1:], *np.mean(fixed, axis=0)[1:])]
        print(f"| {name} | {' | '.join(figures)} |", flush=True)


def _clusters(r: np.random.Generator, n: int, *, spread: bool) -> Floats:
    width = np.array([0.2, 1, 3])[r.integers(0, 3, n)][:, None] if spread else 1.0
    return (5 * r.normal(size=(5, 6)))[r.integers(0, 5, n)] + width * r.normal(size=(n, 6))


CLEAN: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal, 1 column": lambda r, n: r.normal(size=(n, 1)),
    "normal, 4": lambda r, n: r.normal(size=(n, 4)),
    "normal, 50": lambda r, n: r.normal(size=(n, 50)),
    "normal, 10, correlated": lambda r, n: r.normal(size=(n, 10)) @ r.normal(size=(10, 10)),
    "normal, 10, collinear": lambda r, n: r.normal(size=(n, 4)) @ r.normal(size=(4, 10)),
    "log-normal, 5": lambda r, n: np.exp(r.normal(size=(n, 5))),
    "exponential, 5": lambda r, n: r.exponential(size=(n, 5)),
    "Laplace, 5": lambda r, n: r.laplace(size=(n, 5)),
    "t with 5 degrees, 5": lambda r, n: r.standard_t(5, size=(n, 5)),
    "t with 5 degrees, 20": lambda r, n: r.standard_t(5, size=(n, 20)),
    "joint t with 5 degrees, 8": lambda r, n: r.normal(size=(n, 8)) * np.sqrt(5 / r.chisquare(5, size=(n, 1))),
    "Poisson counts, 5": lambda r, n: r.poisson([0.1, 0.5, 1, 3, 20], size=(n, 5)).astype(float),
    "mostly zeros, 5": lambda r, n: r.exponential(size=(n, 5)) * (r.random((n, 5)) < [0.05, 0.1, 0.2, 0.5, 0.8]),
    "uniform, 5": lambda r, n: r.random((n, 5)),
    "two modes, 3": lambda r, n: r.normal(size=(n, 3)) + 6 * (r.random((n, 3)) < [0.5, 0.2, 0.7]),
    "five clusters, 6": lambda r, n: _clusters(r, n, spread=False),
    "clusters of three widths, 6": lambda r, n: _clusters(r, n, spread=True),
}
SHOWN = ("auto", "isolation-forest", "knn", "mad", "mahalanobis", "ecod")


def flags_on_clean(seeds: int) -> None:
    """Print the share that is flagged where there is nothing to flag."""
    sizes = " and ".join(map(str, SIZES))
    print(f"\nFlags on clean data at a rate of {RATE:.0%}: mean over {sizes} rows and {seeds} seeds (most of a run):\n")
    print(f"| data | {' | '.join(SHOWN)} |\n|---|{'---:|' * len(SHOWN)}")
    for kind, make in CLEAN.items():
        shares = []
        for name in SHOWN:
            made = (make(np.random.default_rng([seed, n]), n) for seed in range(seeds) for n in SIZES)
            own = [100 * find_outliers(cells(one), name, RATE, 0).odd.mean() for one in made]
            shares.append(f"{np.mean(own):.1f} % ({max(own):.1f})")
        print(f"| {kind} | {' | '.join(shares)} |", flush=True)


def planted(kind: str, numbers: Floats, rows: NDArray[np.int64], r: np.random.Generator) -> Floats:
    spoiled, deviation = numbers.copy(), numbers.std(axis=0)
    if kind == "one cell 15 deviations off":
        column = r.integers(0, numbers.shape[1], len(rows))
        spoiled[rows, column] += 15 * deviation[column]
    elif kind == "all cells 8 deviations off":
        spoiled[rows] += 8 * deviation * r.choice([-1, 1], size=(len(rows), numbers.shape[1]))
    else:
        spoiled[rows] = numbers.mean(axis=0) + 6 * (numbers[rows] - numbers.mean(axis=0))
    return spoiled


def flags_on_planted() -> None:
    """Print the share of planted outliers that is flagged."""
    bases = ("normal, 4", "normal, 50", "normal, 10, correlated", "exponential, 5", "t with 5 degrees, 5")
    bases += ("five clusters, 6",)
    print(f"\nRecall of planted outliers at a rate of {RATE:.0%}, 1,000 rows of {len(bases)} kinds (precision):\n")
    print(f"| planted | share | {' | '.join(SHOWN)} |\n|---|---:|{'---:|' * len(SHOWN)}")
    for kind in ("one cell 15 deviations off", "all cells 8 deviations off", "6 times as far from the mean"):
        for share in (0.01, 0.05, 0.1):
            figures: list[str] = []
            for name in SHOWN:
                own = []
                for base in bases:
                    r = np.random.default_rng(5)
                    numbers, rows = CLEAN[base](r, 1000), r.choice(1000, round(1000 * share), False)
                    truth = np.isin(np.arange(1000), rows)
                    odd = find_outliers(cells(planted(kind, numbers, rows, r)), name, RATE, 0).odd
                    own.append(judged(odd, truth))
                _, precision, recall, _ = np.mean(own, axis=0)
                figures.append(f"{recall:.2f} ({precision:.2f})")
            print(f"| {kind} | {share:.0%} | {' | '.join(figures)} |", flush=True)


def speed(rows: int, columns: int) -> None:
    """Print the CPU seconds of each detector, calibration included."""
    numbers = np.random.default_rng(0).normal(size=(rows, columns))
    find_outliers(cells(numbers[:100]), "auto", RATE, 0)  # imports
    print(f"\n{rows:,} x {columns} normal numbers, calibration included:\n")
    print("| detector | CPU s | flagged |\n|---|---:|---:|")
    for name in DETECTORS:
        started = time.process_time()
        odd = find_outliers(cells(numbers), name, RATE, 0).odd
        print(f"| {name} | {time.process_time() - started:.2f} | {100 * odd.mean():.2f} % |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of .npz files; without it only made data are used")
    parser.add_argument("--most", type=int, default=5000, help="rows of a real set that take part")
    parser.add_argument("--seeds", type=int, default=2, help="runs on each kind of clean data and each size")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--columns", type=int, default=50)
    args = parser.parse_args()
    with threadpool_limits(1):
        if args.data:
            ranking(args.data, args.most)
            flags_on_real(args.data, args.most)
        flags_on_clean(args.seeds)
        flags_on_planted()
        speed(args.rows, args.columns)


if __name__ == "__main__":
    main()
