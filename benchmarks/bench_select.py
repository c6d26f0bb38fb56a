"""How well a model learns from what each method keeps: digits, clean and with wrong labels, and CIFAR-10.

Digits: five splits of 1,797 digits, 70 % to learn from. Scores are the mean of ten networks (64-128-128-10) that were
trained for 50 epochs on all of the training part; what is kept then teaches a network with another seed, for 1,000
steps whatever its size; it is judged by the test part. With wrong labels 20 % of the training labels are others, drawn
evenly; those of the test part are right. The figures are means of five splits with the half width of the 95 %
t-interval, as are those of an independent implementation in `select_reference.json`: a cell in brackets is one whose
interval does not meet that one's.

CIFAR-10: 10,000 training pictures, 5,000 to test, `small-cnn`; scores from two models of six epochs, what is kept is
learned for 250 steps, three seeds.
"""

import argparse
import json
import math
import os
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from bench_train import cifar
from measure import CORES, workplace

from datadiet_cli.methods.mislabelled import find_mislabelled
from datadiet_cli.methods.probabilities import out_of_fold
from datadiet_cli.methods.samples.choose import choose
from datadiet_cli.methods.samples.crowd import Crowd, Plan
from datadiet_cli.methods.samples.dynamics import DYNAMICS, When, averaged, confidence, dual_epochs, hardness
from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.models import build
from datadiet_cli.nn.predicting import features, predict
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.record import Facts, Record
from datadiet_cli.nn.recorder import Recorder, quantities_of
from datadiet_cli.nn.spec import Field, Spec
from datadiet_cli.nn.training import fit

CPU = torch.device("cpu")
SPLITS, MODELS, EPOCHS, STEPS, BATCH = 5, 10, 50, 1000, 64
PRUNED = (0.3, 0.5, 0.7, 0.8, 0.9)
BETA = {0.3: 0.0, 0.5: 0.0, 0.7: 0.1, 0.8: 0.1, 0.9: 0.3}
"""Of `ccs`, as its paper has it for CIFAR-10."""
REFERENCE = Path(__file__).with_name("select_reference.json")
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}


@dataclass(frozen=True)
class Cell:
    """How a row of the table chooses."""

    method: str
    rule: str = "top-k"
    quota: str = "none"
    by_beta: bool = False
    by_estimate: bool = False


METHODS = {
    "random": Cell("random"),
    "random, by class": Cell("random", quota="proportional"),
    "el2n": Cell("el2n"),
    "el2n, by class": Cell("el2n", quota="proportional"),
    "el2n, the easy": Cell("easy"),
    "grand": Cell("grand"),
    "forgetting": Cell("forgetting"),
    "aum": Cell("aum"),
    "entropy": Cell("entropy"),
    "dyn-unc": Cell("dyn-unc"),
    "dual": Cell("dual"),
    "dual, dual-beta": Cell("dual", "dual-beta"),
    "k-center": Cell("k-center"),
    "facility-location, by class": Cell("facility-location", quota="proportional"),
    "moderate": Cell("moderate"),
    "aum, ccs": Cell("aum", "ccs", by_beta=True),
    "el2n, ccs": Cell("el2n", "ccs", by_beta=True),
    "forgetting, d2": Cell("forgetting", "d2"),
}
ONLY_HERE = {
    "tdds": Cell("tdds"),
    "data-map": Cell("data-map"),
    "herding, by class": Cell("herding", quota="proportional"),
    "k-means, by class": Cell("k-means", quota="proportional"),
    "composite": Cell("composite", quota="proportional", by_estimate=True),
}
"""Rows that nothing is known of elsewhere."""


class Digits(torch.nn.Module):
    """64-128-128-10."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            layers = [torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 128), torch.nn.ReLU()]
            self.body, self.head = torch.nn.Sequential(*layers), torch.nn.Linear(128, 10)
            for layer in (layers[0], layers[2], self.head):
                torch.nn.init.uniform_(
                    layer.weight, -math.sqrt(3 / layer.in_features), math.sqrt(3 / layer.in_features)
                )
                torch.nn.init.zeros_(layer.bias)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What the head is given."""
        return self.body(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.head(self.features(x))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with cifar10 or cifar10.tar, as class folders")
    parser.add_argument("--workers", type=int, default=CORES, help="processes (default: one a core)")
    parser.add_argument("--splits", type=int, default=SPLITS, help="of the digits (default: 5)")
    parser.add_argument("--out", type=Path, help="write all figures there, as JSON")
    parser.add_argument("--only", choices=("digits", "cifar"), help="only one of the two")
    args = parser.parse_args()
    figures: dict[str, object] = {}
    with ProcessPoolExecutor(args.workers) as pool:
        if args.only != "cifar":
            jobs = [(noise, split) for noise in (0.0, 0.2) for split in range(args.splits)]
            found = list(pool.map(digits, *zip(*jobs, strict=True)))
            for noise in (0.0, 0.2):
                rows = [one for one, job in zip(found, jobs, strict=True) if job[0] == noise]
                figures[f"digits {noise}"] = rows
                print_table(rows, noise)
        if args.data is not None and args.only != "digits":
            figures["cifar"] = cifar_table(args.data, args.workers)
    if args.out:
        args.out.write_text(json.dumps(figures))
    return 0


def split_of(seed: int, noise: float) -> tuple[Samples, Samples]:
    """Training and test part of the digits; with wrong labels in the training part."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    values, labels = load_digits(return_X_y=True)
    x = (values / 16).astype(np.float32)
    x = (x - x.mean()) / x.std()
    learned, tested = train_test_split(np.arange(len(labels)), test_size=0.3, stratify=labels, random_state=seed)
    y = labels[learned].copy()
    if noise:
        rng = np.random.default_rng(seed)
        wrong = rng.choice(len(y), int(noise * len(y)), replace=False)
        y[wrong] = (y[wrong] + rng.integers(1, 10, len(wrong))) % 10
    train, test = (
        Samples((torch.from_numpy(x[rows]),), torch.from_numpy(np.asarray(own, dtype=np.int64)))
        for rows, own in ((learned, y), (tested, labels[tested]))
    )
    return train, test


def digits(noise: float, split: int) -> dict[str, dict[str, float]]:
    """The accuracy of every cell of one split, in per cent."""
    torch.set_num_threads(1)
    train, test = split_of(split, noise)
    recipe = Recipe(epochs=EPOCHS, batch_size=BATCH, learning_rate=0.1, weight_decay=5e-4)
    models = [Digits(10_000 + 100 * split + k) for k in range(MODELS)]
    crowd = crowd_of(train, models, recipe, split, 10)
    rate = estimated(train, 10)[0]
    found: dict[str, dict[str, float]] = {"all": {"0.0": taught(train, test, split, recipe)}}
    for name, cell in (METHODS | ONLY_HERE).items():
        found[name] = {}
        for pruned in PRUNED:
            kept = kept_by(cell, crowd, pruned, split, rate)
            found[name][str(pruned)] = taught(train.rows(torch.from_numpy(kept)), test, split, recipe)
    return found


def crowd_of(
    train: Samples, models: Sequence[torch.nn.Module], recipe: Recipe, seed: int, classes: int, *, judge: bool = True
) -> Crowd:
    """Train models on all samples, and score these by the record."""
    n = len(train)
    with tempfile.TemporaryDirectory() as place:
        facts = Facts(
            n,
            recipe.epochs,
            tuple(range(len(models))),
            "epoch",
            quantities_of(classes, n),
            "",
            "",
            {},
            recipe.as_json(),
        )
        record = Record.create(os.path.join(place, "record"), facts)
        held = []
        for k, model in enumerate(models):
            fit(model, train, recipe, seed=1000 * seed + k, device=CPU, recorder=Recorder(record, k))
            held.append({name: np.array(record.read(name, k)) for name in facts.quantities})
    when = When(window=min(10, max(3, recipe.epochs // 2)))
    able = [name for name, dynamic in DYNAMICS.items() if dynamic.epochs(when.window) <= recipe.epochs]
    scores = {name: averaged([DYNAMICS[name].run(one, when) for one in held]) for name in able}
    scores["easy"] = -scores["el2n"]
    early = dual_epochs(recipe.epochs, when.window)
    scores["confidence"] = averaged([confidence(one, early) for one in held])
    x = features(models[0], train, device=CPU)
    label = train.target.numpy().copy()
    hard = averaged([hardness(one) for one in held])
    return Crowd(label, label, x, scores, hard, estimated(train, classes)[1] if judge else None)


def estimated(train: Samples, classes: int) -> tuple[float, np.ndarray]:
    """The share of wrong labels, and how likely each is wrong, by models that have not seen the sample."""
    label, everyone = train.target.numpy(), np.ones(len(train), dtype=bool)
    x = train.inputs[0].numpy().reshape(len(train), -1).astype(np.float32)
    found = out_of_fold(x, label, everyone, classes)
    said = find_mislabelled(found.probability, label, everyone, neighbours=found.neighbours)
    return said.noise_rate, 1 - found.probability[np.arange(len(label)), label].astype(np.float64)


def kept_by(cell: Cell, crowd: Crowd, pruned: float, seed: int, rate: float = 0.0) -> np.ndarray:
    keep = round(len(crowd) * (1 - pruned))
    beta = BETA[pruned] if cell.by_beta else rate if cell.by_estimate else 0.0
    plan = Plan(cell.method, cell.rule, beta, cell.quota, floor=0.0)
    return np.flatnonzero(choose(crowd, plan, keep, seed).kept)


def taught(train: Samples, test: Samples, seed: int, recipe: Recipe, model: torch.nn.Module | None = None) -> float:
    again = Recipe(**{**recipe.as_json(), "augment": recipe.augment, "iterations": recipe.iterations or STEPS})
    model = Digits(777 + seed) if model is None else model
    fit(model, train, again, seed=50_000 + seed, device=CPU)
    return 100 * float((predict(model, test, device=CPU).argmax(1) == test.target.numpy()).mean())


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half of the 95 % t-interval."""
    n = len(values)
    return float(np.mean(values)), T_95.get(n, 1.96) * float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else 0.0


def print_table(rows: Sequence[Mapping[str, Mapping[str, float]]], noise: float) -> None:
    known = json.loads(REFERENCE.read_text())[str(noise)]
    full = spread([row["all"]["0.0"] for row in rows])
    print(f"\nDigits, {noise:.0%} wrong labels; all samples: {full[0]:.1f} ± {full[1]:.1f}\n")
    print("| method | " + " | ".join(f"{100 * pruned:.0f} % pruned" for pruned in PRUNED) + " |")
    print("|---|" + "---:|" * len(PRUNED))
    meet = cells = 0
    for name in METHODS | ONLY_HERE:
        line = []
        for number, pruned in enumerate(PRUNED):
            mean, half = spread([row[name][str(pruned)] for row in rows])
            text = f"{mean:.1f} ± {half:.1f}"
            if name in METHODS:
                other, width = known[name][number]
                near = abs(mean - other) <= half + width
                meet, cells = meet + near, cells + 1
                text = text if near else f"({text})"
            line.append(text)
        print(f"| {name} | " + " | ".join(line) + " |")
    print(f"\n{meet} of {cells} cells meet the interval of the independent implementation.", flush=True)


CIFAR_PRUNED = (0.9,)
CIFAR = {
    "random": Cell("random"),
    "el2n": Cell("el2n"),
    "el2n, the easy": Cell("easy"),
    "moderate": Cell("moderate"),
    "aum, ccs": Cell("aum", "ccs", by_beta=True),
    "el2n, ccs": Cell("el2n", "ccs", by_beta=True),
    "k-center": Cell("k-center"),
}


def cifar_table(data: Path, workers: int) -> dict[str, list[float]]:
    with workplace(None) as place:
        found = cifar(data, 10_000, place)
        if found is None:
            return {}
        train, test = found
    torch.set_num_threads(1)
    models = [pictures(train, 100 + k) for k in range(2)]
    recipe = Recipe(epochs=6, augment=("flip",), precision="bfloat16")
    crowd = crowd_of(train, models, recipe, 0, 10, judge=False)
    jobs = [(name, pruned, seed) for name in CIFAR for pruned in CIFAR_PRUNED for seed in range(3)]
    figures: dict[str, list[float]] = {}
    # Threads, for the pictures are too many to be handed to each process anew.
    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(lambda job: cifar_cell(job, train, test, crowd), jobs)
        for (name, pruned, _), value in zip(jobs, found, strict=True):
            figures.setdefault(f"{name} {pruned}", []).append(value)
    print("\nCIFAR-10, 10,000 pictures\n\n| method | " + " | ".join(f"{p:.0%} pruned" for p in CIFAR_PRUNED) + " |")
    print("|---|" + "---:|" * len(CIFAR_PRUNED))
    for name in CIFAR:
        cells = [figures[f"{name} {pruned}"] for pruned in CIFAR_PRUNED]
        told = [f"{np.mean(c):.1f} ({min(c):.1f} to {max(c):.1f})" for c in cells]
        print(f"| {name} | " + " | ".join(told) + " |", flush=True)
    return figures


def cifar_cell(job: tuple[str, float, int], train: Samples, test: Samples, crowd: Crowd) -> float:
    name, pruned, seed = job
    torch.set_num_threads(1)
    kept = torch.from_numpy(kept_by(CIFAR[name], crowd, pruned, seed))
    recipe = Recipe(iterations=250, augment=("flip",), precision="bfloat16")
    return taught(train.rows(kept), test, seed, recipe, pictures(train, 500 + seed))


def pictures(train: Samples, seed: int) -> torch.nn.Module:
    spec = Spec("small-cnn", (Field("image", "image", {"size": 32}),), tuple("0123456789"))
    return build(spec, train.inputs, train.target, seed=seed)


if __name__ == "__main__":
    sys.exit(main())
