"""Dynamic pruning on the digits of scikit-learn: what is lost, how many samples are seen, and what that saves.

The splits, wrong labels and network of `bench_select.py`; 50 epochs, half is left out until 7/8 of them. Digits are too
easy to tell the methods apart: what the table shows is that their books are right, and that random samples, and fewer
epochs of all, are the controls that any claim has to beat.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from bench_select import BATCH, CPU, Digits, split_of, spread

from datadiet_cli.nn.dynamic import DYNAMIC
from datadiet_cli.nn.predicting import predict
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.training import fit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| method | right labels | samples seen | CPU s | a fifth wrong |\n|---|---:|---:|---:|---:|")
    for name in (None, *DYNAMIC):
        clean = [one(name, 0.0, split) for split in range(args.splits)]
        noisy = [one(name, 0.2, split) for split in range(args.splits)]
        told = ["{:.1f} ± {:.1f}".format(*spread([row[0] for row in rows])) for rows in (clean, noisy)]
        seen, seconds = (sum(row[k] for row in clean) / len(clean) for k in (1, 2))
        print(f"| {name or 'all samples'} | {told[0]} | {seen:.2f} | {seconds:.2f} | {told[1]} |", flush=True)
    return 0


def one(name: str | None, noise: float, split: int) -> tuple[float, float, float]:
    """Per cent right, samples seen of those of a full training, and seconds."""
    train, test = split_of(split, noise)
    recipe = Recipe(epochs=50, batch_size=BATCH, learning_rate=0.1, weight_decay=5e-4, dynamic=name)
    begun = time.process_time()
    fitted = fit(Digits(777 + split), train, recipe, seed=50_000 + split, device=CPU)
    taken = time.process_time() - begun
    right = (predict(fitted.model, test, device=CPU).argmax(1) == test.target.numpy()).mean()
    return 100 * float(right), fitted.samples_seen / (50 * len(train)), taken


if __name__ == "__main__":
    sys.exit(main())
