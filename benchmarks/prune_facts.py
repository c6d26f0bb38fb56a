"""What a right implementation shows in each seed: found with an independent one, in 5 of 5 seeds."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Row = dict[str, Any]
CHANCE = 20.0
"""Per cent of right answers; a network of ten classes that has fewer says hardly more than one by chance."""


class Seed:
    """The figures of one seed."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {
            (row["net"], row["part"], row["way"], row.get("amount")): row
            for row in rows
            if row.get("by", "datadiet") == "datadiet"
        }

    def row(self, net: str, part: str, way: str, amount: float | None = None) -> Row:
        """A row of the tables; KeyError if it is not there."""
        return self._rows[net, part, way, amount]

    def pruned(self, net: str, way: str, amount: float) -> float:
        """Accuracy without training, of single weights."""
        return self.row(net, "weights", way, amount)["pruned"]

    def tuned(self, net: str, way: str, amount: float) -> float:
        """Accuracy after training again."""
        return self.row(net, "weights", way, amount)["fine-tuned"]

    def first(self, net: str, way: str, amount: float) -> float:
        """Accuracy of what was pruned before it had learned anything."""
        return self.row(net, "first", way, amount)["fine-tuned"]

    def channels(self, way: str, amount: float, stage: str) -> float:
        """Accuracy with fewer channels."""
        return self.row("cnn", "channels", way, amount)[stage]

    def ways(self, *, part: str) -> Iterator[Row]:
        """All rows of a part."""
        return (row for key, row in self._rows.items() if key[1] == part)


SHARP, ALL = (0.8, 0.9, 0.95), (0.5, 0.8, 0.9, 0.95)
MAGNITUDE, RANDOM, LAYER = "magnitude, global", "random, global", "magnitude, layer"


def above(net: str, one: str, other: str, amounts: Sequence[float], by: float = 0.0) -> Callable[[Seed], bool]:
    """Whether one way is better than another by so many points, straight after pruning."""
    return lambda seed: all(seed.pruned(net, one, s) - seed.pruned(net, other, s) > by for s in amounts)


def normed_above(way: str) -> Callable[[Seed], bool]:
    """Whether channels by one way are better than by chance, with batch norms anew."""
    stage = "re-estimated"
    return lambda seed: all(
        seed.channels(f"{way}, layer", r, stage) > seed.channels("random, layer", r, stage) for r in (0.3, 0.5)
    )


def first_above(other: str) -> Callable[[Seed], bool]:
    return lambda seed: all(seed.first("mlp", "snip", s) > seed.first("mlp", other, s) for s in SHARP)


FACTS: dict[str, Callable[[Seed], bool]] = {
    "mlp, 80-95 %, no training: magnitude is 59 points above random": above("mlp", MAGNITUDE, RANDOM, SHARP, 59),
    "mlp, 80-95 %, no training: magnitude is above snip (gradients that cancel)": above(
        "mlp", MAGNITUDE, "snip, global", SHARP
    ),
    "mlp, 80-95 %, no training: magnitude is above wanda by row": above("mlp", MAGNITUDE, "wanda, row", SHARP),
    "mlp, 90-95 %, no training: magnitude is better ranked together than by layer": above(
        "mlp", MAGNITUDE, LAYER, SHARP[1:]
    ),
    "mlp, 50-95 %, no training: gradients added up by batch are above their sum": above(
        "mlp", "gradient, global", "snip, global", ALL
    ),
    "cnn, 80 %, no training: gradients added up by batch are above their sum": above(
        "cnn", "gradient, global", "snip, global", ALL[1:2]
    ),
    "cnn, 50 %, no training: they are not below it": above("cnn", "gradient, global", "snip, global", ALL[:1], -0.01),
    "cnn, 50-95 %, no training: random is chance": lambda seed: all(
        seed.pruned("cnn", RANDOM, s) < CHANCE for s in ALL
    ),
    "cnn, 50 %, no training: magnitude is 97 % and more": lambda seed: seed.pruned("cnn", MAGNITUDE, 0.5) >= 97,
    "mlp, 90 %, trained again: magnitude is at most 5 of 540 pictures below dense": lambda seed: (
        seed.tuned("mlp", MAGNITUDE, 0.9) >= seed.row("mlp", "dense", "plain")["fine-tuned"] - 100 * 5.01 / 540
    ),
    "mlp, 90 %, trained again: random is 40 points below magnitude": lambda seed: (
        seed.tuned("mlp", MAGNITUDE, 0.9) - seed.tuned("mlp", RANDOM, 0.9) >= 40
    ),
    "channels by layer, 30-50 %, norms anew: magnitude is above random": normed_above("magnitude"),
    "channels by layer, 30-50 %, norms anew: bn-scale is above random": normed_above("bn-scale"),
    "channels by layer, 30-50 %, norms anew: gradient in one batch is above random": normed_above(
        "gradient in one batch"
    ),
    "channels by layer, 30-50 %: norms anew help magnitude": lambda seed: all(
        seed.channels(LAYER, r, "re-estimated") > seed.channels(LAYER, r, "pruned") for r in (0.3, 0.5)
    ),
    "mlp, 80-95 % of first weights: snip is above random": first_above("random"),
    "mlp, 80-95 % of first weights: snip is above magnitude": first_above("magnitude"),
    "80 %, no training: magnitude is better after training with L1, in both": lambda seed: all(
        seed.pruned(net, "magnitude, global, L1-trained", 0.8) > seed.pruned(net, MAGNITUDE, 0.8)
        for net in ("cnn", "mlp")
    ),
    "90 % of first weights: snip is 10 points above magnitude, in both": lambda seed: all(
        seed.first(net, "snip", 0.9) - seed.first(net, "magnitude", 0.9) > 10 for net in ("cnn", "mlp")
    ),
    "wanda by row takes no layer whole, and the cnn learns again at 95 %": lambda seed: (
        seed.row("cnn", "weights", "wanda, row", 0.95)["dead"] == 0 and seed.tuned("cnn", "wanda, row", 0.95) > 50
    ),
    "no weight that was pruned came back in training": lambda seed: all(
        row["zeros"] >= row["amount"] - 1e-4 for row in seed.ways(part="weights") if row["way"] != "wanda, row"
    ),
}


def print_facts(rows: Sequence[Row]) -> bool:
    """Print in how many seeds each holds; whether all hold in all."""
    seeds = [Seed([row for row in rows if row["seed"] == seed]) for seed in sorted({row["seed"] for row in rows})]
    print("\nWhat has to hold in each seed:\n")
    good = True
    for name, holds in FACTS.items():
        found = [_told(holds, seed) for seed in seeds]
        known = [one for one in found if one is not None]
        good &= len(known) == len(seeds) and all(known)
        print(f"- {name}: {sum(known)} of {len(known)}")
    return good


def _told(holds: Callable[[Seed], bool], seed: Seed) -> bool | None:
    """Whether it holds; None while figures are missing."""
    try:
        return holds(seed)
    except KeyError:
        return None
