"""What pruning costs in accuracy, by criterion: weights and channels of small networks, on the digits of scikit-learn.

Two networks, a convolutional one and a perceptron, are trained by a plain loop of torch. What is said of their weights
and units, which of them go, the smaller networks and how they recover is datadiet's. Beside it stand figures of an
independent implementation (`prune_reference.json`), and in the same run `torch.nn.utils.prune` at the same sparsity and
Torch-Pruning at the same number of operations. Figures are means over seeds; a seed is a split of the data, first
weights, and the order of training. A cell in brackets is one whose 95 % t-interval does not meet that of the
independent implementation. Exits with 1 if something that has to hold in each seed does not.
"""

import argparse
import copy
import json
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import prune_peers
import prune_tables
import torch
from measure import CORES
from prune_nets import WIDTHS, Net, Part, accuracy, digits, made, taught, weights_of
from prune_ways import CHANNELS, NO_LIMITS, WEIGHTS, Way
from torch import nn

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.cost import macs, parameters
from datadiet_cli.nn.pruning.base import Kept, Masks, Structure, cut, slices_of
from datadiet_cli.nn.pruning.choosing import UnitLimits, UnitScope, choose_units
from datadiet_cli.nn.pruning.criteria import weight_scores
from datadiet_cli.nn.pruning.masks import Limits, masks_of, sparsity_of
from datadiet_cli.nn.pruning.recovery import reestimate
from datadiet_cli.nn.pruning.starting import fresh
from datadiet_cli.nn.pruning.tracing import structure_of
from datadiet_cli.nn.pruning.units import unit_scores
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.resize import resize_to
from datadiet_cli.nn.training import fit

CPU = torch.device("cpu")
SEEDS = 5
EPOCHS, MORE, RATE = 30, 10, 0.02
SPARSITIES = (0.5, 0.8, 0.9, 0.95)
RATIOS = (0.3, 0.5, 0.7)
CLOSE = 0.02
"""Numbers of operations that differ by no more are the same."""

Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many (default: 5)")
    parser.add_argument("--workers", type=int, default=CORES, help="processes (default: one a core)")
    parser.add_argument("--out", type=Path, help="all figures, as JSON; what it has already is not computed again")
    parser.add_argument("--table", action="store_true", help="compute nothing: print what --out has")
    args = parser.parse_args()
    rows: list[Row] = json.loads(args.out.read_text()) if args.out and args.out.exists() else []
    there = {(row["seed"], row["job"]) for row in rows}
    todo = [(seed, job) for seed in range(args.seeds) for job in JOBS if (seed, job) not in there]
    if not args.table and todo:
        with ProcessPoolExecutor(args.workers) as pool:
            running = {pool.submit(job_of, *one): one for one in todo}
            for done in as_completed(running):
                rows += done.result()
                print("seed {}: {}".format(*running[done]), file=sys.stderr, flush=True)
                if args.out:
                    begun = args.out.with_suffix(".part")
                    begun.write_text(json.dumps(rows))
                    begun.replace(args.out)
    return 0 if prune_tables.print_all([row for row in rows if row["seed"] < args.seeds]) else 1


def job_of(seed: int, job: str) -> list[Row]:
    """All figures of a job, in per cent."""
    torch.set_num_threads(1)
    return [{"seed": seed, "job": job, **row} for row in JOBS[job](seed)]


class Bench:
    """A network of one seed: its data, and itself as it was trained."""

    def __init__(self, net: str, seed: int) -> None:
        self.net, self.seed = net, seed
        self.train, self.test = digits(seed)
        self.samples = Samples((self.train.x,), self.train.y)
        self._first = made(net, seed)
        self._trained: dict[str, nn.Module] = {}

    def start(self, kind: str = "plain") -> nn.Module:
        """A copy of the network: with first weights, or trained, plainly or with a penalty."""
        if kind == "first":
            return copy.deepcopy(self._first)
        if kind not in self._trained:
            penalty = {"plain": {}, "l1": {"l1": 2e-4}, "slim": {"slim": 1e-3}}[kind]
            self._trained[kind] = taught(copy.deepcopy(self._first), self.train, EPOCHS, self.seed, **penalty)
        return copy.deepcopy(self._trained[kind])

    def scores(self, model: nn.Module, criterion: str, samples: Samples | None = None, batch: int = 64) -> Masks:
        """What each weight is worth."""
        names = [f"{name}.weight" for name in weights_of(model)]
        given = samples or self.samples
        return weight_scores(criterion, model, names, given, device=CPU, seed=self.seed, batch=batch)

    def figures(self, model: nn.Module, again: Callable[[nn.Module], object], masks: Masks | None = None) -> Row:
        """Accuracies of a network as it was pruned, with batch norms anew, and trained again."""
        found = {"pruned": accuracy(model, self.test)}
        normed = copy.deepcopy(model)
        reestimate(normed, self.samples, device=CPU)
        found["re-estimated"] = accuracy(normed, self.test)
        again(model)
        found["fine-tuned"] = accuracy(model, self.test)
        if masks:
            state = model.state_dict()
            zeros = sum(int((state[name] == 0).sum()) for name in masks)
            found["zeros"] = zeros / sum(mask.numel() for mask in masks.values())
            found["dead"] = sum(not bool(mask.any()) for mask in masks.values())
        return found

    def recovered(self, model: nn.Module, masks: Masks | None = None, epochs: int = MORE, turn: int = 0) -> nn.Module:
        """The network trained again, in place."""
        recipe = Recipe(epochs=epochs, batch_size=64, learning_rate=RATE, weight_decay=5e-4)
        return fit(model, self.samples, recipe, seed=self.seed + turn, device=CPU, masks=masks).model


def masked(model: nn.Module, masks: Masks) -> nn.Module:
    """The network with zeros, in place."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in masks:
                weight.masked_fill_(~masks[name], 0)
    return model


def weights(net: str, seed: int) -> Iterator[Row]:
    """Single weights of a trained network."""
    bench = Bench(net, seed)
    for kind in ("plain", "l1"):
        yield {"net": net, "part": "dense", "way": kind, "fine-tuned": accuracy(bench.start(kind), bench.test)}
    for name, way in WEIGHTS.items():
        scores = bench.scores(bench.start(way.start), way.criterion)
        for sparsity in SPARSITIES:
            model = bench.start(way.start)
            masks = masks_of(scores, model.state_dict(), share=sparsity, scope=way.scope, limits=way.limits)
            told = {"net": net, "part": "weights", "way": name, "amount": sparsity, "by": "datadiet"}
            yield told | bench.figures(
                masked(model, masks), lambda model, masks=masks: bench.recovered(model, masks), masks
            )
            if way.peer:
                found = prune_peers.weights(bench.start(way.start), name, sparsity, bench.train, bench.test, seed)
                yield told | {"by": "torch.nn.utils.prune"} | found
    yield from rounds(bench)


def rounds(bench: Bench) -> Iterator[Row]:
    """By magnitude in three rounds, trained in between, and as long in all."""
    for sparsity in SPARSITIES:
        model = bench.start()
        for turn in range(3):
            share = 1 - (1 - sparsity) ** ((turn + 1) / 3)
            masks = masks_of(bench.scores(model, "magnitude"), model.state_dict(), share=share, limits=NO_LIMITS)
            model = bench.recovered(masked(model, masks), masks, MORE // 3, turn)
        told = {"net": bench.net, "part": "weights", "way": "magnitude, global, in 3 rounds", "amount": sparsity}
        yield told | {"by": "datadiet", "fine-tuned": accuracy(model, bench.test), "zeros": sparsity_of(masks)}


def first(net: str, seed: int) -> Iterator[Row]:
    """Single weights of a network that has learned nothing; then it is trained, as long as a dense one."""
    bench = Bench(net, seed)
    some = torch.randperm(len(bench.samples), generator=torch.Generator().manual_seed(seed))[:256]
    for criterion in ("snip", "magnitude", "random"):
        scores = bench.scores(bench.start("first"), criterion, bench.samples.rows(some), 256)
        for sparsity in SPARSITIES[1:]:
            for limits, suffix in ((NO_LIMITS, ""), (Limits(), ", with limits")):
                model = bench.start("first")
                masks = masks_of(scores, model.state_dict(), share=sparsity, limits=limits)
                recipe = Recipe(epochs=EPOCHS, batch_size=64, learning_rate=0.05, weight_decay=5e-4)
                fit(model, bench.samples, recipe, seed=seed, device=CPU, masks=masks)
                told = {"net": net, "part": "first", "way": criterion + suffix, "amount": sparsity, "by": "datadiet"}
                yield told | {"fine-tuned": accuracy(model, bench.test), "zeros": sparsity_of(masks)}


def channels(seed: int) -> Iterator[Row]:
    """Whole channels and neurons of the convolutional network, all but the classes."""
    bench = Bench("cnn", seed)
    slim = {"net": "cnn", "part": "dense", "way": "slim"}
    yield slim | {"fine-tuned": accuracy(bench.start("slim"), bench.test)}
    structure = examined(bench.start(), bench.train)
    dense = macs(bench.start(), (bench.train.x,))
    for name, way in CHANNELS.items():
        model = bench.start(way.start)
        batch = len(bench.samples) if way.whole else 64
        scores = unit_scores(way.criterion, model, structure, bench.samples, device=CPU, seed=seed, batch=batch)
        for ratio in RATIOS:
            kept = chosen(structure, scores, ratio, way.scope)
            small = smaller(bench.start(way.start), structure, kept)
            cost = {"macs": macs(small, (bench.train.x,)) / dense, "parameters": parameters(small).total}
            told = {"net": "cnn", "part": "channels", "way": name, "amount": ratio}
            yield told | {"by": "datadiet"} | cost | bench.figures(small, bench.recovered)
            if way.peer:
                near = prune_peers.Near(cost["macs"] * dense, ratio, way.scope == "global")
                peer = prune_peers.channels(bench.start(way.start), way.criterion, near, bench.train, bench.test, seed)
                yield told | {"by": "Torch-Pruning"} | peer | {"macs": peer["macs"] / dense}
                if peer["gap"] > CLOSE:
                    yield told | matched(bench, structure, scores, way, peer["macs"], dense)
    for ratio in RATIOS:
        widths = [width - int(width * ratio) for width in WIDTHS]
        small = fresh(Net((widths[0], widths[1], widths[2], widths[3])), seed)
        taught(small, bench.train, EPOCHS + MORE, seed)
        told = {"net": "cnn", "part": "channels", "way": "from scratch", "amount": ratio, "by": "datadiet"}
        yield told | {"fine-tuned": accuracy(small, bench.test), "macs": macs(small, (bench.train.x,)) / dense}


def matched(bench: Bench, structure: Structure, scores: Any, way: Way, goal: int, dense: int) -> Row:
    """The network whose operations are nearest to those that a peer came to."""
    found = []
    for share in np.arange(0.01, 0.96, 0.005).tolist():
        small = smaller(bench.start(way.start), structure, chosen(structure, scores, share, way.scope))
        found.append((abs(macs(small, (bench.train.x,)) / goal - 1), share, small))
    _, share, small = min(found, key=lambda one: one[:2])
    cost = {"macs": macs(small, (bench.train.x,)) / dense, "share": share}
    return {"by": prune_tables.MATCHED} | cost | bench.figures(small, bench.recovered)


def examined(model: nn.Module, part: Part) -> Structure:
    """What of the network can be taken out."""
    some = (part.x[:4],)
    sizes = ({0: torch.export.Dim.AUTO},)
    return structure_of(torch.export.export(model.eval(), some, dynamic_shapes=sizes))


def chosen(structure: Structure, scores: Any, ratio: float, scope: UnitScope) -> Kept:
    units = {group.name: group.units for group in structure.groups}
    return choose_units(scores, units, share=ratio, scope=scope, limits=UnitLimits(per_layer=0.05))


def smaller(model: nn.Module, structure: Structure, kept: Kept) -> nn.Module:
    return resize_to(model, cut(model.state_dict(), slices_of(structure, kept))).eval()


JOBS: dict[str, Callable[[int], Iterator[Row]]] = {
    "channels": channels,
    "weights of the cnn": lambda seed: weights("cnn", seed),
    "weights of the mlp": lambda seed: weights("mlp", seed),
    "first weights of the cnn": lambda seed: first("cnn", seed),
    "first weights of the mlp": lambda seed: first("mlp", seed),
}


if __name__ == "__main__":
    sys.exit(main())
