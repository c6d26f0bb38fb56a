"""What `select-samples` chooses by itself, alone and after `denoise`, against the best single method of the table.

The splits, wrong labels, networks and steps of `bench_select.py`: the training part of each split is written as a
table, `datadiet run` says which rows stay, as a user would have it said, and a network is taught by these. The bar of a
cell is the single method with the best mean, of those in `--against`, figures that `bench_select.py --out` wrote. A
cell meets the bar if the interval of the mean reaches that of the bar's.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from bench_select import BATCH, EPOCHS, METHODS, PRUNED, SPLITS, split_of, spread, taught
from measure import CORES, DATADIET

from datadiet_cli.nn.recipe import Recipe

KINDS = {"auto": "[{select}]", "denoise, auto": "[{denoise}, {select}]"}
DENOISE = "denoise: {labels_action: drop, outliers: none, invalid: none, max_dropped: 50%, max_dropped_per_class: 80%}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="figures of single methods, as bench_select.py --out writes them")
    parser.add_argument("--workers", type=int, default=CORES, help="runs side by side (default: one a core)")
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--out", type=Path, help="write all figures there, as JSON")
    args = parser.parse_args()
    jobs = [
        (kind, noise, pruned, split)
        for split in range(args.splits)
        for kind in KINDS
        for noise in (0.0, 0.2)
        for pruned in PRUNED
    ]
    figures: dict[str, list[tuple[float, str]]] = {}
    with ThreadPoolExecutor(args.workers) as pool:
        found = pool.map(lambda job: one(*job), jobs)
        for (kind, noise, pruned, split), value in zip(jobs, found, strict=True):
            figures.setdefault(f"{kind}|{noise}|{pruned}", []).append(value)
            print(f"{kind}, {noise:.0%} wrong labels, {pruned:.0%} pruned, split {split}: {value}", file=sys.stderr)
            if args.out:
                args.out.write_text(json.dumps(figures))
    known = json.loads(args.against.read_text()) if args.against else {}
    for noise in (0.0, 0.2):
        table(figures, known.get(f"digits {noise}"), noise)
    return 0


def one(kind: str, noise: float, pruned: float, split: int) -> tuple[float, str]:
    """The accuracy by what stays, in per cent, and what was chosen by."""
    torch.set_num_threads(1)
    train, test = split_of(split, noise)
    keep = round(len(train) * (1 - pruned))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place)
        write(path / "train.csv", train.inputs[0].numpy(), train.target.numpy())
        select = f"select-samples: {{method: auto, keep: {keep}}}"
        steps = KINDS[kind].format(denoise="{" + DENOISE + "}", select="{" + select + "}")
        (path / "run.yaml").write_text(f"steps: {steps}\nlabel: digit\nworkers: 1\nseed: {split}\n")
        line = [*DATADIET, "run", path / "run.yaml", "--input", path / "train.csv", "--output", path / "out.csv"]
        ran = subprocess.run([*line, "--no-cache", "--json", "--quiet"], capture_output=True, check=False)
        if ran.returncode:
            raise SystemExit(f"datadiet: exit code {ran.returncode}: {ran.stderr.decode()}")
        report = json.loads(ran.stdout)
    gone = {int(row["id"]) for row in report["verdicts"] if row["action"] == "drop"}
    kept = torch.from_numpy(np.setdiff1d(np.arange(len(train)), np.fromiter(gone, dtype=np.int64)))
    recipe = Recipe(epochs=EPOCHS, batch_size=BATCH, learning_rate=0.1, weight_decay=5e-4)
    metrics = report["steps"][-1]["metrics"]
    by = f"{metrics['method']}/{metrics['rule'] or ''}/{metrics['beta']:.2f}"
    return taught(train.rows(kept), test, split, recipe), by


def write(path: Path, x: np.ndarray, y: np.ndarray) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"pixel{i}" for i in range(x.shape[1])), "digit"])
        writer.writerows(
            [*(f"{value:.6g}" for value in row), f"digit {label}"] for row, label in zip(x, y, strict=True)
        )


def table(figures: dict[str, list[tuple[float, str]]], single: list | None, noise: float) -> None:
    print(f"\nDigits, {noise:.0%} wrong labels\n")
    print("| | " + " | ".join(f"{100 * pruned:.0f} % pruned" for pruned in PRUNED) + " |")
    print("|---|" + "---:|" * len(PRUNED))
    bars = {}
    if single is not None:
        for pruned in PRUNED:
            cells = {name: spread([row[name][str(pruned)] for row in single]) for name in METHODS}
            best = max(cells, key=lambda name: cells[name][0])
            bars[pruned] = (*cells[best], best)
        print("| best single method | " + " | ".join(f"{m:.1f} ± {h:.1f} ({n})" for m, h, n in bars.values()) + " |")
        told = [spread([row["random"][str(pruned)] for row in single]) for pruned in PRUNED]
        print("| random | " + " | ".join(f"{mean:.1f} ± {half:.1f}" for mean, half in told) + " |")
    for kind in KINDS:
        line = []
        for pruned in PRUNED:
            values = [value for value, _ in figures[f"{kind}|{noise}|{pruned}"]]
            mean, half = spread(values)
            # Of a single split there is no interval, and its bar is that of all splits.
            text = f"{mean:.1f} ± {half:.1f}" if len(values) > 1 else f"{mean:.1f}"
            short = pruned in bars and mean + half < bars[pruned][0] - bars[pruned][1]
            line.append(f"({text})" if short else text)
        print(f"| {kind} | " + " | ".join(line) + " |")
    for kind in KINDS:
        for pruned in PRUNED:
            chosen = [by for _, by in figures[f"{kind}|{noise}|{pruned}"]]
            print(f"{kind}, {pruned:.0%} pruned: {', '.join(chosen)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
