"""How fast the training loop is against one written out, and how good the reference models get.

Speed: `small-cnn` on pictures of 32 x 32 pixels, one thread, images per CPU second of forward, backward and SGD, in
float32 and bfloat16; in turn with a loop of a few lines over the same network, as people write it, that augments
nothing. CPU seconds hardly depend on what else the machine does; wall times would.

Quality: `small-cnn` on a fifth of the training pictures of CIFAR-10 after 10 epochs, on half of its test pictures;
`mlp` on the digits that come with scikit-learn, and on the table `adult`. Each with its own settings, and three seeds.

DATA is a folder that may hold `cifar10` (or `cifar10.tar`): `train` and `test` of pictures in folders by class; and
`tables/adult_train.csv` with `adult_test.csv`. Without pictures the speed is measured on noise. What is not there is
left out.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import statistics
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from measure import workplace
from PIL import Image

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.models import DEFAULTS, build
from datadiet_cli.nn.predicting import predict
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Field, Spec
from datadiet_cli.nn.training import fit

CPU = torch.device("cpu")
IMAGE = Field("image", "image", {"size": 32})
TARGET = "income"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of real data")
    parser.add_argument("--rounds", type=int, default=7, help="of the speeds (default: 7)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each model (default: 3)")
    parser.add_argument("--images", type=int, default=10_000, help="pictures to learn from (default: 10000)")
    parser.add_argument("--quick", action="store_true", help="little data and one round, to see that all runs")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seeds, args.images = 1, 1, 500
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}\n")
    with workplace(None) as place:
        found = cifar(args.data, args.images, place)
    train, test = found or (noise(min(args.images, 2560)), None)
    speeds(train.rows(torch.arange(min(len(train), 2560))), args.rounds)
    print("\n| model | data | learned from | epochs | correct, % | seconds of CPU |\n|---|---|---:|---:|---:|---:|")
    if test is not None:
        quality("CIFAR-10", Spec("small-cnn", (IMAGE,), tuple("0123456789")), train, test, args.seeds)
        print(f"| | | | | | peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB |")
    quality("digits", *digits(), args.seeds)
    rows = None if args.data is None else args.data / "tables" / "adult_train.csv"
    if rows is not None and rows.is_file():
        quality("adult", *adult(rows, rows.with_name("adult_test.csv")), args.seeds)
    return 0


def speeds(samples: Samples, rounds: int) -> None:
    """One epoch of each in turn, after one that is not measured."""
    contenders: dict[str, Callable[[], None]] = {}
    for precision in ("float32", "bfloat16"):
        contenders[f"a loop written out, {precision}"] = lambda precision=precision: bare(samples, precision)
        contenders[f"datadiet, {precision}"] = lambda precision=precision: ours(samples, precision)
        contenders[f"datadiet, {precision}, flip and crop"] = lambda precision=precision: ours(
            samples, precision, ("flip", "crop")
        )
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            started = time.process_time()
            contender()
            if number:
                taken[name].append(len(samples) / (time.process_time() - started))
    print("| training of small-cnn, one thread | images per CPU second | ratio to the loop |\n|---|---:|---:|")
    for name, own in taken.items():
        if name.startswith("a loop"):
            base = own
        ratio = statistics.median(one / other for one, other in zip(own, base, strict=True))
        print(f"| {name} | {statistics.median(own):,.0f} | {ratio:.2f} |")


def ours(samples: Samples, precision: str, augment: tuple[str, ...] = ()) -> None:
    recipe = Recipe(epochs=1, precision=precision, augment=augment)
    fit(network(samples), samples, recipe, seed=0, device=CPU)


def bare(samples: Samples, precision: str) -> None:
    model = network(samples).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))
    for rows in order.split(128):
        pictures = samples.inputs[0][rows].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            loss = torch.nn.functional.cross_entropy(model(pictures).float(), samples.target[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()


def network(samples: Samples) -> torch.nn.Module:
    # Units of a few pictures: what is measured is the training.
    few = samples.rows(torch.arange(64))
    return build(Spec("small-cnn", (IMAGE,), tuple("0123456789")), few.inputs, few.target, seed=0)


def quality(name: str, spec: Spec, train: Samples, test: Samples, seeds: int) -> None:
    recipe = Recipe(**DEFAULTS[spec.model], precision="bfloat16" if spec.model == "small-cnn" else "float32")
    right, seconds = [], []
    for seed in range(seeds):
        started = time.process_time()
        model = fit(build(spec, train.inputs, seed=seed), train, recipe, seed=seed, device=CPU).model
        seconds.append(time.process_time() - started)
        right.append(100 * float((predict(model, test, device=CPU).argmax(1) == test.target.numpy()).mean()))
    spread = f"{statistics.mean(right):.1f} ({min(right):.1f} to {max(right):.1f})"
    taken = statistics.median(seconds)
    print(f"| {spec.model} | {name} | {len(train):,} | {recipe.epochs} | {spread} | {taken:.1f} |", flush=True)


def noise(n: int) -> Samples:
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    return Samples((torch.from_numpy(pictures),), torch.from_numpy(draw.integers(0, 10, n)))


def cifar(data: Path | None, images: int, place: Path) -> tuple[Samples, Samples] | None:
    """Every so many pictures of a class in the order of their names, so that as many are learned from as is asked."""
    if data is None:
        return None
    root = data / "cifar10"
    if not root.is_dir():
        packed = data / "cifar10.tar"
        if not packed.is_file():
            return None
        with tarfile.open(packed) as archive:
            archive.extractall(place, filter="data")
        root = place / "cifar10"
    return pictures_of(root / "train", images // 10), pictures_of(root / "test", min(images // 20, 500))


def pictures_of(folder: Path, each: int) -> Samples:
    pictures, labels = [], []
    for label, one in enumerate(sorted(folder.iterdir())):
        files = sorted(one.iterdir())
        for path in files[:: max(1, len(files) // each)][:each]:
            with Image.open(path) as picture:
                pictures.append(np.asarray(picture.convert("RGB")).transpose(2, 0, 1))
            labels.append(label)
    return Samples((torch.from_numpy(np.stack(pictures)),), torch.tensor(labels))


def digits() -> tuple[Spec, Samples, Samples]:
    """The digits of scikit-learn, as vectors of 64 numbers; three in ten are for the test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    values, labels = load_digits(return_X_y=True)
    parts = train_test_split(np.arange(len(labels)), test_size=0.3, stratify=labels, random_state=0)
    train, test = (
        Samples((torch.from_numpy(values[rows].astype(np.float32)),), torch.from_numpy(labels[rows])) for rows in parts
    )
    return Spec("mlp", (Field("vector", "vector", {"dimensions": 64}),), tuple("0123456789")), train, test


def adult(learned: Path, tested: Path) -> tuple[Spec, Samples, Samples]:
    import polars as pl

    train, test = (pl.read_csv(path) for path in (learned, tested))
    labels = sorted(train[TARGET].unique().to_list())
    numbers = [name for name in train.columns if train[name].dtype.is_numeric()]
    names = [name for name in train.columns if name not in (*numbers, TARGET)]
    values = [sorted(train[name].drop_nulls().unique().to_list()) for name in names]
    fields = (
        Field("numbers", "numbers", {"columns": numbers}),
        Field("categories", "categories", {"columns": names, "values": values}),
    )

    def samples(rows: pl.DataFrame) -> Samples:
        cells = rows.select(numbers).to_numpy().astype(np.float32)
        codes = [coded(rows[name], own) for name, own in zip(names, values, strict=True)]
        return Samples(
            (torch.from_numpy(cells), torch.from_numpy(np.stack(codes, axis=1))),
            torch.from_numpy(coded(rows[TARGET], labels) - 1),
        )

    return Spec("mlp", fields, tuple(labels)), samples(train), samples(test)


def coded(column: "object", values: Sequence[str]) -> np.ndarray:
    place = {value: number for number, value in enumerate(values, 1)}
    return np.array([place.get(cell, 0) for cell in column.to_list()], dtype=np.int64)


if __name__ == "__main__":
    sys.exit(main())
