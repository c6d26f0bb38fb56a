"""Choosing columns: every method of datadiet beside scikit-learn's own selectors and mrmr-selection.

Made data (2,000 x 100: 8 columns that tell four classes, 8 that follow from them, 84 of noise; three seeds): how many
of the 16 are among the first 16, the accuracy of a forest on the first 8 of each fold, and CPU seconds. Tables of
scikit-learn: the mean accuracy of logistic regression and nearest neighbours on the first k, chosen within each fold.
--madelon, a folder with `madelon.csv` and `madelon_relevant_features.csv`: how many of the 20 columns that tell the
class, as it is one of exclusive or, are among the first 20 of 500. --speed: CPU seconds at 50,000 x 50.

mrmr-selection is installed into an environment of its own; --no-peers leaves it out. The table is in Markdown.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import RFE, chi2, f_classif, mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from threadpoolctl import threadpool_limits

from datadiet_cli.methods.selection.base import Columns, Target
from datadiet_cli.methods.selection.filters import FILTERS
from datadiet_cli.methods.selection.wrappers import WRAPPERS

Chooser = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
TABLES = {"breast cancer": (load_breast_cancer, 5), "digits": (load_digits, 12), "wine": (load_wine, 3)}
PEER = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
from mrmr import mrmr_classif
jobs = np.load(sys.argv[1])
out = []
for number in range(len(jobs.files) // 3):
    x, y, k = (jobs[f"{part}{number}"] for part in "xyk")
    started = time.process_time()
    found = mrmr_classif(pd.DataFrame(x), pd.Series(y), K=int(k), show_progress=False, n_jobs=1)
    out.append([[int(each) for each in found], time.process_time() - started])
print(json.dumps(out))
"""


def first(score: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-np.nan_to_num(score), kind="stable")[:k]


def ours(rank: Callable[..., Any]) -> Chooser:
    def choose(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
        columns = Columns(np.ascontiguousarray(x, dtype=np.float64), np.empty((len(x), 0), dtype=np.int64))
        target = Target(y.astype(np.int64), int(y.max()) + 1)
        return np.flatnonzero(rank(columns, target, keep=k).rank <= k)

    return choose


def scaled(x: np.ndarray) -> np.ndarray:
    return StandardScaler().fit_transform(x)


def sklearn_selectors() -> dict[str, Chooser]:
    def forest(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
        return first(RandomForestClassifier(200, random_state=0).fit(x, y).feature_importances_, k)

    def l1(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
        model = LogisticRegression(l1_ratio=1, solver="saga", C=0.1, max_iter=200).fit(scaled(x), y)
        return first(np.abs(model.coef_).sum(axis=0), k)

    def rfe(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
        model = RFE(LogisticRegression(max_iter=200), n_features_to_select=k, step=0.2).fit(scaled(x), y)
        return np.flatnonzero(model.support_)

    return {
        "scikit-learn: SelectKBest(f_classif)": lambda x, y, k: first(f_classif(x, y)[0], k),
        "scikit-learn: SelectKBest(mutual_info_classif)": lambda x, y, k: first(
            mutual_info_classif(x, y, random_state=0), k
        ),
        "scikit-learn: SelectKBest(chi2), scaled to 0..1": lambda x, y, k: first(
            chi2(MinMaxScaler().fit_transform(x), y)[0], k
        ),
        "scikit-learn: RFE(logistic regression)": rfe,
        "scikit-learn: SelectFromModel(L1)": l1,
        "scikit-learn: SelectFromModel(forest)": forest,
    }


def mrmr_selection(home: Path) -> Chooser:
    """mrmr-selection in an environment of its own; the CPU seconds that it says are in `choose.seconds`."""
    python = home / "bin" / "python"
    ready = home / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "mrmr-selection==0.2.8"], check=True)
        ready.touch()

    def choose(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
        with tempfile.TemporaryDirectory(prefix="datadiet-bench-") as folder:
            np.savez(Path(folder) / "jobs.npz", x0=x, y0=y, k0=k)
            done = subprocess.run(
                [python, "-c", PEER, Path(folder) / "jobs.npz"], check=True, capture_output=True, text=True
            )
        found, choose.seconds = json.loads(done.stdout.splitlines()[-1])[0]  # type: ignore[attr-defined]
        return np.array(found)

    return choose


def methods(peers: Path | None, only: list[str] | None) -> dict[str, Chooser]:
    registry = FILTERS | WRAPPERS
    every = {name: ours(rank) for name, rank in registry.items() if name not in ("constant", "missing")}
    every |= sklearn_selectors()
    if peers:
        every["mrmr-selection"] = mrmr_selection(peers)
    return {name: choose for name, choose in every.items() if not only or name in only}


def timed(choose: Chooser, x: np.ndarray, y: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    started = time.process_time()
    found = choose(x, y, k)
    return found, getattr(choose, "seconds", time.process_time() - started)


def folds(x: np.ndarray, y: np.ndarray, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield from StratifiedKFold(number, shuffle=True, random_state=0).split(x, y)


def made(choose: Chooser, seeds: int) -> dict[str, float]:
    recall, accuracy, seconds = [], [], []
    for seed in range(seeds):
        x, y = make_classification(
            2000, 100, n_informative=8, n_redundant=8, n_classes=4, n_clusters_per_class=1, shuffle=False,
            class_sep=0.7, random_state=seed,
        )  # fmt: skip
        order = np.random.default_rng(seed).permutation(100)
        x, true = x[:, order], np.flatnonzero(order < 16)
        found, took = timed(choose, x, y, 16)
        recall.append(np.isin(found, true).mean())
        seconds.append(took)
        for train, test in folds(x, y, 3):
            some = choose(x[train], y[train], 8)
            model = RandomForestClassifier(100, random_state=0).fit(x[train][:, some], y[train])
            accuracy.append(model.score(x[test][:, some], y[test]))
    return {"made: recall": np.mean(recall), "accuracy": np.mean(accuracy), "CPU s": np.mean(seconds)}


def table(choose: Chooser, load: Callable[..., Any], k: int) -> float:
    x, y = load(return_X_y=True)
    scores: list[float] = []
    for train, test in folds(x, y, 5):
        some = choose(x[train], y[train], k)
        scale = StandardScaler().fit(x[train][:, some])
        inner, outer = scale.transform(x[train][:, some]), scale.transform(x[test][:, some])
        models = (LogisticRegression(max_iter=500), KNeighborsClassifier(5))
        scores += [model.fit(inner, y[train]).score(outer, y[test]) for model in models]
    return float(np.mean(scores))


def madelon(choose: Chooser, folder: Path) -> dict[str, float]:
    with (folder / "madelon.csv").open(newline="") as file:
        rows = csv.reader(file)
        names = next(rows)
        cells = np.array([[float(cell) for cell in row] for row in rows])
    with (folder / "madelon_relevant_features.csv").open(newline="") as file:
        true = [names.index(row["feature"]) for row in csv.DictReader(file)]
    found, took = timed(choose, cells[:, :-1], (cells[:, -1] > 0).astype(np.int64), len(true))
    return {"madelon: recall": float(np.isin(found, true).mean()), "madelon: CPU s": took}


def large() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 50_000)
    x = rng.normal(size=(50_000, 50))
    x[:, :10] += 0.3 * y[:, None]
    return x, y


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--madelon", type=Path, help="a folder with madelon.csv and madelon_relevant_features.csv")
    parser.add_argument("--speed", action="store_true", help="measure 50,000 x 50 as well, 16 columns wanted")
    parser.add_argument("--only", nargs="*", help="methods, by the name in the table")
    parser.add_argument("--quick", action="store_true", help="one seed of made data, and the small tables only")
    parser.add_argument("--peers", type=Path, default=Path(tempfile.gettempdir()) / "datadiet-mrmr-selection")
    parser.add_argument("--no-peers", action="store_true", help="leave mrmr-selection out")
    args = parser.parse_args()
    figures: dict[str, dict[str, float]] = defaultdict(dict)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        for name, choose in methods(None if args.no_peers else args.peers, args.only).items():
            started = time.process_time()
            own = figures[name]
            own |= made(choose, 1 if args.quick else 3)
            for title, (load, k) in TABLES.items():
                if not args.quick or title == "wine":
                    own[f"{title}, {k}"] = table(choose, load, k)
            if args.madelon:
                own |= madelon(choose, args.madelon)
            if args.speed:
                own["50,000 x 50: CPU s"] = timed(choose, *large(), 16)[1]
            print(f"  {name}: {time.process_time() - started:.0f} CPU s: {own}", file=sys.stderr)
    head = list(next(iter(figures.values())))
    print(f"\n| | {' | '.join(head)} |\n|---|{'---:|' * len(head)}")
    for name, own in figures.items():
        cells = [f"{own[each]:.2f}" if each.endswith("CPU s") else f"{own[each]:.3f}" for each in head]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
