"""What balancing does to models: datadiet's resampling, imbalanced-learn's, class weights, and nothing at all.

Every table is cut into five stratified folds; only the training folds are resampled. Logistic regression and gradient
boosted trees learn from them and are judged on the untouched fold: area under the ROC curve, average precision,
balanced accuracy with the usual threshold of 0.5 and with the share of the rare class as threshold, and the Brier
score (smaller is better). The last row shows the mistake that a tool from file to file invites: SMOTE before the split.

--data is a folder of CSV files whose last column, `class`, says `positive` for the rare class; texts become 0/1
columns. Without it six tables are made. imbalanced-learn is left out, and that is said, where it is not installed.
"""

import argparse
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from datadiet_cli.methods.oversampling import oversample
from datadiet_cli.methods.undersampling import CLEANING, undersample
from datadiet_cli.methods.weights import class_weights

Table = tuple[np.ndarray, np.ndarray]
Resample = Callable[[np.ndarray, np.ndarray], Table]

MODELS = ("logistic regression", "gradient boosted trees")
FIGURES = ("AUC", "AP", "bal. acc. at .5", "bal. acc. at prior", "Brier")
OVER = ("repeat", "smote", "borderline", "adasyn")
UNDER = ("random", "cluster", "near-miss", "tomek", "enn")
LEAK = "smote before the split (leak)"


def raised(method: str) -> Resample:
    """Our over-sampling, up to the size of the large class."""

    def resample(x: np.ndarray, y: np.ndarray) -> Table:
        quota = np.full(2, np.bincount(y).max())
        new = oversample(x, np.empty((len(x), 0), dtype=np.int64), y, quota, method)
        return np.concatenate([x, new.numbers]), np.concatenate([y, new.group])

    return resample


def reduced(method: str) -> Resample:
    """Our under-sampling, down to the size of the small class; rules that clean look at the large class only."""

    def resample(x: np.ndarray, y: np.ndarray) -> Table:
        quota = np.full(2, np.bincount(y).min())
        gone = undersample(x.astype(np.float32), y, quota, method).row
        return np.delete(x, gone, axis=0), np.delete(y, gone)

    return resample


def theirs() -> dict[str, Callable[[], Any]]:
    """The same methods of imbalanced-learn."""
    try:
        from imblearn import over_sampling as over
        from imblearn import under_sampling as under
    except ImportError:
        print("imbalanced-learn is not installed, so it is left out", file=sys.stderr)
        return {}
    return {
        "repeat": lambda: over.RandomOverSampler(random_state=0),
        "smote": lambda: over.SMOTE(random_state=0),
        "borderline": lambda: over.BorderlineSMOTE(random_state=0),
        "adasyn": lambda: over.ADASYN(random_state=0),
        "random": lambda: under.RandomUnderSampler(random_state=0),
        "cluster": lambda: under.ClusterCentroids(random_state=0, voting="hard"),
        "near-miss": lambda: under.NearMiss(version=1),
        "tomek": lambda: under.TomekLinks(),
        "enn": lambda: under.EditedNearestNeighbours(kind_sel="mode"),
    }


def wrapped(name: str, make: Callable[[], Any], failed: dict[str, int]) -> Resample:
    """Run a sampler of imbalanced-learn; where it gives up, the data stay as they are, and that is counted."""

    def resample(x: np.ndarray, y: np.ndarray) -> Table:
        try:
            return make().fit_resample(x, y)
        except (ValueError, RuntimeError):
            failed[name] += 1
            return x, y

    return resample


def read(path: Path, most: int) -> Table:
    """A table as numbers, and whether each row is of the rare class; large ones are thinned out, class by class."""
    frame = pl.read_csv(path)
    y = (frame["class"] == "positive").to_numpy().astype(np.int64)
    columns = frame.drop("class")
    texts = [name for name in columns.columns if columns[name].dtype == pl.String]
    x = columns.to_dummies(texts).to_numpy().astype(np.float64) if texts else columns.to_numpy().astype(np.float64)
    if len(y) > most:
        rng = np.random.default_rng(0)
        parts = [np.flatnonzero(y == each) for each in (0, 1)]
        sizes = [max(round(most * len(part) / len(y)), min(len(part), 30)) for part in parts]
        rows = np.sort(np.concatenate([rng.choice(p, s, replace=False) for p, s in zip(parts, sizes, strict=True)]))
        x, y = x[rows], y[rows]
    return x, y


def tables(data: Path | None, most: int) -> Iterator[tuple[str, Table]]:
    if data:
        for path in sorted(data.glob("*.csv")):
            yield path.stem, read(path, most)
        return
    for number, share in enumerate((0.3, 0.1, 0.05) * 2):
        x, y = make_classification(
            1500, 12, n_informative=6, n_clusters_per_class=3, weights=[1 - share], flip_y=0.02, random_state=number
        )
        yield f"made-{number}", (x, y.astype(np.int64))


def learned(model: str, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> Any:
    made = (
        LogisticRegression(max_iter=300)
        if model == MODELS[0]
        else HistGradientBoostingClassifier(max_iter=60, random_state=0)
    )
    return made.fit(x, y, sample_weight=weight)


def judged(p: np.ndarray, y: np.ndarray, prior: float) -> list[float]:
    return [
        roc_auc_score(y, p),
        average_precision_score(y, p),
        balanced_accuracy_score(y, p >= 0.5),
        balanced_accuracy_score(y, p >= prior),
        brier_score_loss(y, np.clip(p, 0, 1)),
    ]


def measure(table: Table, methods: dict[str, Resample | None], models: tuple[str, ...]) -> dict[tuple[str, str], Any]:
    """The mean figures of the folds, for each method and model."""
    figures: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    x, y = table
    prior = float(y.mean())
    for name, resample in methods.items():
        whole = raised("smote")(StandardScaler().fit_transform(x), y) if name == LEAK else (x, y)
        for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(*whole):
            scaler = StandardScaler().fit(whole[0][train])
            inner, outer = scaler.transform(whole[0][train]), scaler.transform(whole[0][test])
            labels = whole[1][train]
            weight = class_weights(np.bincount(labels), "class")[labels] if name == "class weights" else None
            if resample:
                inner, labels = resample(inner, labels)
            for model in models:
                p = learned(model, inner, labels, weight).predict_proba(outer)[:, 1]
                figures[model, name].append(judged(p, whole[1][test], prior))
    return {key: np.mean(folds, axis=0) for key, folds in figures.items()}


def speed() -> None:
    """SMOTE on 50,000 rows of 50 numbers, 12 % of them of the rare class."""
    rng = np.random.default_rng(0)
    y = (rng.random(50_000) < 0.12).astype(np.int64)
    x = rng.normal(size=(50_000, 50)) + 0.7 * y[:, None]
    contenders: dict[str, Resample] = {"datadiet": raised("smote")}
    if "smote" in (others := theirs()):
        contenders["imbalanced-learn"] = wrapped("smote", others["smote"], {})
    seconds: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number in range(6):
        for name, resample in contenders.items():
            cpu, wall = time.process_time(), time.perf_counter()
            resample(x, y)
            if number:
                seconds[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    print("\nSMOTE, 50,000 x 50, 12 % to balance, medians of five:\n\n| | CPU s | wall s |\n|---|---:|---:|")
    for name, own in seconds.items():
        cpu, wall = np.median(own, axis=0)
        print(f"| {name} | {cpu:.2f} | {wall:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of CSV files with a column `class`")
    parser.add_argument("--rows", type=int, default=1500, help="larger tables are thinned out to so many")
    parser.add_argument("--no-peers", action="store_true", help="leave imbalanced-learn out")
    args = parser.parse_args()
    failed: dict[str, int] = defaultdict(int)
    others = {} if args.no_peers else theirs()
    methods: dict[str, Resample | None] = {"nothing": None, "class weights": None}
    for name in (*OVER, *UNDER):
        methods[name] = raised(name) if name in OVER else reduced(name)
        if name in others:
            methods[f"{name}, imbalanced-learn"] = wrapped(name, others[name], failed)
    methods[LEAK] = None
    everything: dict[tuple[str, str], list[Any]] = defaultdict(list)
    count = 0
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)
        for title, table in tables(args.data, args.rows):
            started = time.process_time()
            for key, mean in measure(table, methods, MODELS).items():
                everything[key].append(mean)
            count += 1
            print(f"  {title}: {len(table[1])} rows, {time.process_time() - started:.0f} CPU s", file=sys.stderr)
    if not count:
        raise SystemExit(f"no CSV files in {args.data}")
    for model in MODELS:
        print(f"\n{model.capitalize()}, means of {count} tables:\n")
        print(f"| | {' | '.join(FIGURES)} |\n|---|{'---:|' * len(FIGURES)}")
        for name in methods:
            print(f"| {name} | {' | '.join(f'{figure:.3f}' for figure in np.mean(everything[model, name], axis=0))} |")
    print(f"\nRules that may leave the large class larger: {', '.join(sorted(CLEANING))}.")
    if failed:
        given_up = ", ".join(f"{name} {times}" for name, times in failed.items())
        print(f"Folds of {5 * count} in which imbalanced-learn gave up, and the data stayed as they were: {given_up}.")
    speed()


if __name__ == "__main__":
    main()
