"""Wrong labels: datadiet against cleanlab and against the plain rule "the model says otherwise", on one probability.

Digits of scikit-learn with labels mixed up at random (pair: each to the next class, sym: to any other) and without;
other tables of scikit-learn; --mnist and --cifar, folders of pictures by class with `label_errors_test.csv`, what
people said of labels in doubt; --published, a folder of folders with `pred_probs.npy`, `noisy_labels.npy` and
`true_labels.npy`, such as those of cleanlab/label-error-detection-benchmarks. First, what it costs.

Tables are in Markdown. F1 is of what is flagged, AP of the ranking, both against the labels that are truly wrong.
"""

import argparse
import csv
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.metrics import average_precision_score

from datadiet_cli.engine import Engine
from datadiet_cli.methods.mislabelled import find_mislabelled
from datadiet_cli.methods.probabilities import out_of_fold
from datadiet_cli.methods.residuals import find_odd_targets
from datadiet_cli.methods.trust import Trust, trust

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Case = tuple[Floats, Ints, Ints]
"""Probabilities, labels given, true labels."""


def ours(p: Floats, label: Ints) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    found = find_mislabelled(p, label, np.ones(len(label), bool))
    return found.wrong, found.score


def cleanlab(p: Floats, label: Ints) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return find_label_issues(label, p, n_jobs=1), get_label_quality_scores(label, p)


def otherwise(p: Floats, label: Ints) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    own = p[np.arange(len(label)), label]
    rest = p.copy()
    rest[np.arange(len(label)), label] = -1
    return p.argmax(axis=1) != label, (own - rest.max(axis=1)).astype(np.float64)


RULES: dict[str, Callable[[Floats, Ints], Any]] = {
    "datadiet": ours,
    "cleanlab's default": cleanlab,
    "model says otherwise": otherwise,
}


def noisy(true: Ints, kind: str, share: float, seed: int) -> Ints:
    rng = np.random.default_rng(seed)
    hit = rng.random(len(true)) < share
    classes = int(true.max()) + 1
    shift = 1 if kind == "pair" else rng.integers(1, classes, len(true))
    return np.where(hit, (true + shift) % classes, true)


def learned(x: Floats, label: Ints, true: Ints) -> Case:
    fit = np.ones(len(label), bool)
    with Engine("threads", 2) as engine:
        found = out_of_fold(x.astype(np.float32), label, fit, int(true.max()) + 1, crew=engine)
    return found.probability, label, true


def row(name: str, cases: Sequence[Case], rules: dict[str, Callable[[Floats, Ints], Any]]) -> list[float]:
    """Print one row of a table; the F1 of each rule."""
    errors = float(np.mean([(label != true).sum() for _, label, true in cases]))
    cells, scores = [], []
    for rule in rules.values():
        got = []
        for p, label, true in cases:
            flagged, score = rule(p, label)
            wrong = true != label
            f1 = 2 * (flagged & wrong).sum() / max(flagged.sum() + wrong.sum(), 1)
            ap = average_precision_score(wrong, -score) if wrong.any() else float("nan")
            got.append((f1, ap, flagged.sum()))
        f1, ap, flags = np.mean(got, axis=0)
        scores.append(float(f1))
        cells.append(f"{f1:.3f} / {ap:.3f} / {flags:,.0f}" if errors else f"- / - / {flags:,.0f}")
    print(f"| {name} | {len(cases[0][1]):,} | {errors:,.0f} | {' | '.join(cells)} |", flush=True)
    return scores if errors else []


def heading(title: str, rules: Sequence[str]) -> None:
    print(f"\n{title}\n\n| labels | n | wrong | {' | '.join(f'{rule}: F1 / AP / flags' for rule in rules)} |")
    print("|---" * (3 + len(rules)) + "|")


def digits(rules: dict[str, Callable[[Floats, Ints], Any]]) -> list[list[float]]:
    x, true = datasets.load_digits(return_X_y=True)
    heading("Digits, mean of three seeds", list(rules))
    row("no noise", [learned(x, true, true)], rules)
    out = []
    for kind in ("pair", "sym"):
        for share in (0.05, 0.1, 0.2, 0.4):
            cases = [learned(x, noisy(true, kind, share, seed), true) for seed in range(3)]
            out.append(row(f"{kind} {share:.0%}", cases, rules))
    return out


def tables(rules: dict[str, Callable[[Floats, Ints], Any]]) -> None:
    heading("Tables without noise (overlap is no noise), and with", list(rules))
    made = {f"make_classification, separation {sep}": {"class_sep": sep, "n_classes": 4} for sep in (0.5, 1.0)}
    made |= {"make_classification, 95 : 5": {"class_sep": 0.7, "n_classes": 2, "weights": [0.95, 0.05]}}
    rng = np.random.default_rng(0)
    halves = rng.integers(0, 2, 3000)
    sets = {
        "iris": datasets.load_iris(return_X_y=True),
        "wine": datasets.load_wine(return_X_y=True),
        "breast cancer": datasets.load_breast_cancer(return_X_y=True),
        "two Gaussians, 1.5 apart in two columns": (rng.normal(size=(3000, 2)) + 1.5 * halves[:, None], halves),
    }
    for name, more in made.items():
        some = {"n_informative": 8, "n_redundant": 2, "n_clusters_per_class": 1, "flip_y": 0, "random_state": 1}
        sets[name] = datasets.make_classification(3000, 20, **some, **more)
    for name, (x, true) in sets.items():
        row(name, [learned(x, true, true)], rules)
        row(f"{name}, pair 10%", [learned(x, noisy(true, "pair", 0.1, 0), true)], rules)


def pictures(folder: Path, encoder: str) -> tuple[Floats, Ints, Ints]:
    """Vectors of the pictures of a folder, labels given, and what people agreed upon (-1: none of the two labels)."""
    import torch
    from PIL import Image

    from datadiet_cli.encode.vectors import load

    torch.set_num_threads(1)
    with (folder / "label_errors_test.csv").open(encoding="utf-8", newline="") as file:
        verdicts = {line["file"]: line for line in csv.DictReader(file)}
    top = folder / next(iter(verdicts)).split("/")[0]
    paths = sorted(path for path in top.rglob("*") if path.suffix in (".png", ".jpg"))
    names = sorted({path.parent.name for path in paths})
    given = np.array([names.index(path.parent.name) for path in paths])
    true = given.copy()
    for i, path in enumerate(paths):
        said = verdicts.get(path.relative_to(folder).as_posix())
        if said and said["verdict"] != "given label right":
            true[i] = names.index(said["guessed"]) if said["verdict"] == "corrected" else -1
    encode = load("image", encoder)("cpu")

    def pixels(path: Path) -> NDArray[np.uint8]:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB").resize(encode.size, Image.Resampling.BILINEAR))

    parts = [paths[i : i + 256] for i in range(0, len(paths), 256)]
    return np.concatenate([encode(np.stack([pixels(p) for p in part])) for part in parts]), given, true


def people(folders: Sequence[Path], encoders: Sequence[str], rules: dict[str, Callable[[Floats, Ints], Any]]) -> None:
    heading("Labels that people judged", list(rules))
    said: list[tuple[str, Trust]] = []
    for folder in folders:
        for encoder in encoders:
            x, given, true = pictures(folder, encoder)
            fit = np.ones(len(given), bool)
            with Engine("threads", 2) as engine:
                found = out_of_fold(x, given, fit, int(given.max()) + 1, crew=engine)
            row(f"{folder.name}, {encoder}", [(found.probability, given, true)], rules)
            said.append((f"{folder.name}, {encoder}", trust(x, given, fit, found.probability, found.neighbours)))
    trusts(said)


def trusts(said: Sequence[tuple[str, Trust]]) -> None:
    print("\n| features | accuracy | purity | chance | kappa | agreement | trusted |\n|---|---|---|---|---|---|---|")
    for name, told in said:
        numbers = (told.accuracy, told.purity, told.chance, told.kappa, told.agreement)
        print(f"| {name} | {' | '.join(f'{x:.3f}' for x in numbers)} | {'yes' if told.trusted else 'no'} |")


def trust_of_digits() -> None:
    said = []
    x, true = datasets.load_digits(return_X_y=True)
    x, fit = x.astype(np.float32), np.ones(len(true), bool)
    for kind, share in (("pair", 0.0), ("pair", 0.2), ("pair", 0.4), ("sym", 0.4)):
        label = noisy(true, kind, share, 0)
        found = out_of_fold(x, label, fit, 10)
        said.append((f"digits, {kind} {share:.0%}", trust(x, label, fit, found.probability, found.neighbours)))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 20)).astype(np.float32)
    for share in (0.5, 0.1):
        label, fit = (rng.random(2000) < share).astype(np.int64), np.ones(2000, bool)
        found = out_of_fold(x, label, fit, 2)
        said.append((f"nothing but noise, {share:.0%}", trust(x, label, fit, found.probability, found.neighbours)))
    trusts(said)


def published(folder: Path) -> Iterator[tuple[str, list[Case]]]:
    groups: dict[str, list[Case]] = {}
    for path in sorted(folder.rglob("pred_probs.npy")):
        p, label, true = (np.load(path.parent / f"{x}.npy") for x in ("pred_probs", "noisy_labels", "true_labels"))
        groups.setdefault(path.parent.name.split("_cv_")[0], []).append((p.astype(np.float32), label, true))
    yield from groups.items()


def targets() -> None:
    print("\nTargets: share flagged without wrong ones; precision and recall with 5 % moved by 5 deviations\n")
    print("| targets | n | flagged of right ones | precision | recall |\n|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 8))
    sets = {
        "linear": (x, x @ rng.normal(size=8) + rng.normal(size=2000)),
        "uneven noise": (x, 2 * x[:, 0] + np.exp(x[:, 1]) * rng.normal(size=2000)),
        "lopsided noise": (x, x[:, 0] + rng.exponential(1, 2000)),
        "nothing to learn": (x, rng.normal(size=2000)),
        "friedman1": datasets.make_friedman1(2000, 10, noise=1, random_state=0),
        "diabetes": datasets.load_diabetes(return_X_y=True),
    }
    for name, (some, y) in sets.items():
        some, fit = np.asarray(some, np.float32), np.ones(len(y), bool)
        clean = find_odd_targets(some, y, fit).wrong.mean()
        wrong = rng.random(len(y)) < 0.05
        found = find_odd_targets(some, y + wrong * 5 * y.std() * rng.choice([-1, 1], len(y)), fit).wrong
        hits = (found & wrong).sum()
        shares = f"{hits / max(found.sum(), 1):.2f} | {hits / wrong.sum():.2f}"
        print(f"| {name} | {len(y):,} | {clean:.2%} | {shares} |", flush=True)


STEP = """
import resource, sys, time
import numpy as np
from datadiet_cli.methods.mislabelled import find_mislabelled
n, classes = 50_000, int(sys.argv[1])
rng = np.random.default_rng(0)
p = np.empty((n, classes), np.float32)
true = rng.integers(0, classes, n)
for start in range(0, n, 1000):
    part = rng.random((1000, classes), dtype=np.float32) * np.float32(0.1)
    part[np.arange(1000), true[start : start + 1000]] += np.float32(0.05 * classes)
    p[start : start + 1000] = part / part.sum(axis=1, keepdims=True)
label = np.where(rng.random(n) < 0.1, rng.integers(0, classes, n), true)
start = time.process_time()
found = find_mislabelled(p, label, np.ones(n, bool))
cpu = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"| label step, 50,000 rows, {classes:,} classes | {cpu:.2f} | {peak:.0f} | {found.wrong.sum():,} flags |")
"""
"""In a process of its own; the peak holds the interpreter and the probabilities too, 191 MiB for 1,000 classes."""


def costs() -> None:
    # Comes first: Linux counts a parent's peak as one of its children.
    print("\n| what | CPU s | peak MiB | |\n|---|---|---|---|", flush=True)
    for classes in (10, 1000):
        subprocess.run([sys.executable, "-c", STEP, str(classes)], check=True)
    x, label = datasets.make_classification(
        50_000, 50, n_informative=15, n_classes=10, n_clusters_per_class=2, class_sep=2, random_state=0
    )
    start = time.process_time()
    found = out_of_fold(x.astype(np.float32), label, np.ones(len(x), bool), 10)
    cpu, right = time.process_time() - start, (found.probability.argmax(axis=1) == label).mean()
    print(f"| probabilities, 50,000 x 50, 10 classes | {cpu:.2f} | | accuracy {right:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--encoders", nargs="+", default=["classical", "efficientnet-lite0"])
    parser.add_argument("--published", type=Path)
    options = parser.parse_args()
    rules = RULES
    try:
        import cleanlab  # noqa: F401
    except ImportError:
        print("cleanlab is not installed, and left out")
        rules = {name: rule for name, rule in RULES.items() if rule is not globals()["cleanlab"]}
    costs()
    scores = digits(rules)
    if options.published:
        heading("Published probabilities, mean of the networks", list(rules))
        scores += [row(name, cases, rules) for name, cases in published(options.published)]
    means = ", ".join(f"{name} {mean:.3f}" for name, mean in zip(rules, np.mean(scores, axis=0), strict=True))
    print(f"\nMean F1 of the rows with wrong labels: {means}")
    tables(rules)
    folders = [folder for folder in (options.mnist, options.cifar) if folder]
    if folders:
        people(folders, options.encoders, rules)
    print("\nTrust")
    trust_of_digits()
    targets()


if __name__ == "__main__":
    main()
