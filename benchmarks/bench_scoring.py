"""What scoring costs, against the training that it is to spare.

Two things make it up: how many samples the scoring trainings see, which is counted, and how much slower a training is
that writes a record, which is measured: `small-cnn` on made pictures of 32 x 32 pixels, one pass, one thread, with a
record and without in turn, in CPU seconds.
"""

import argparse
import os
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import time
from pathlib import Path

import torch
from bench_train import IMAGE, noise

from datadiet_cli.config.select_samples import SelectSamples
from datadiet_cli.methods.samples.dynamics import DYNAMICS
from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.models import build
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.record import Facts, Record
from datadiet_cli.nn.recorder import Recorder, quantities_of
from datadiet_cli.nn.spec import Spec
from datadiet_cli.nn.training import fit
from datadiet_cli.steps.choosing.plans import usual_rule
from datadiet_cli.steps.choosing.told import models_of, stop_of

PUBLISHED = {
    "el2n": "10 x 20 of 200 epochs: 1.00",
    "grand": "10 x 20 of 200 epochs: 1.00",
    "dual": "30 of 200 epochs: 0.15",
    "tdds": "a training of its own, 30 to 90 epochs of 200",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| score | samples seen by scoring, of those of a training of 10, 30, 200 epochs | published |\n|---|---:|---|"
    )
    for name in DYNAMICS:
        settings = SelectSamples.model_validate({"method": name})
        shares = []
        for epochs in (10, 30, 200):
            stop = stop_of(settings, usual_rule(name), epochs) or epochs
            shares.append(f"{models_of(settings) * stop / epochs:.2f}")
        print(f"| {name} | {', '.join(shares)} | {PUBLISHED.get(name, 'one training: 1.00')} |")
    shown = noise(args.samples)
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(args.rounds):
        for recorded in (False, True):
            taken[recorded].append(one_pass(shown, recorded))
    plain, written = (statistics.median(taken[recorded]) for recorded in (False, True))
    print(
        f"\nOne pass over {args.samples:,} pictures: {plain:.1f} CPU seconds, with a record {written:.1f} "
        f"({written / plain - 1:+.1%}); medians of {args.rounds}"
    )
    return 0


def one_pass(shown: Samples, recorded: bool) -> float:
    few = shown.rows(torch.arange(64))
    model = build(Spec("small-cnn", (IMAGE,), tuple("0123456789")), few.inputs, few.target, seed=0)
    recipe = Recipe(epochs=1, precision="bfloat16")
    with tempfile.TemporaryDirectory() as place:
        recorder = None
        if recorded:
            n = len(shown)
            facts = Facts(n, 1, (0,), "batch", quantities_of(10, n), "", "", {}, recipe.as_json())
            recorder = Recorder(Record.create(str(Path(place) / "record"), facts))
        begun = time.process_time()
        fit(model, shown, recipe, seed=0, device=torch.device("cpu"), recorder=recorder)
        return time.process_time() - begun


if __name__ == "__main__":
    sys.exit(main())
