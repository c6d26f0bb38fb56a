"""All benchmarks of `denoise` and `balance`, one after the other; what was run and left out is told at the end.

Tables, pictures and labels are made from seeds, or come with scikit-learn. DATA is a folder that may hold, besides:

    adbench              .npz files of X and y, y being 1 for an outlier
    mnist_test, cifar10  pictures in folders by class, with `label_errors_test.csv`: what people said of some labels
    clothing, near_dup_photos, cifar10_small, and again mnist_test
                         pictures, among which faults are counted
    tables/imbalanced    .csv files whose last column, `class`, says `positive` for the rare class

What is not there is left out. Peers are measured where they are installed: cleanlab and imbalanced-learn are among the
packages for developers; pyod may be added to them. cleanvision may be in an environment of its own.
"""

import importlib.util
import sys
from pathlib import Path

from parts import Extra, Part, arguments, parsed, run_parts

JUDGED = "label_errors_test.csv"
PICTURES = ("clothing", "near_dup_photos", "cifar10_small", "mnist_test")


def everything(data: Path | None, published: Path | None, cleanvision: str) -> list[Part]:
    """All parts, in order. `data` only adds to what the scripts make themselves."""
    root = data or Path("DATA")
    learnt = ["efficientnet-lite0"] if importlib.util.find_spec("efficientnet_lite_pytorch") else []
    judged = [Extra("--mnist", root / "mnist_test", JUDGED), Extra("--cifar", root / "cifar10", JUDGED)]
    return [
        Part(
            "bench_outliers.py",
            quick=("--most", "300", "--seeds", "1", "--rows", "3000", "--columns", "10"),
            extras=[Extra("--data", root / "adbench")],
        ),
        Part(
            "bench_labels.py",
            ("--encoders", "classical", *learnt),
            ("--encoders", "classical"),
            extras=judged + ([Extra("--published", published)] if published else []),
        ),
        Part(
            "bench_quality.py",
            ("--peer", cleanvision),
            ("--each", "2", "--good", "20", "--rounds", "1"),
            extras=[Extra("--data", root / name) for name in PICTURES],
        ),
        Part(
            "bench_balance.py",
            quick=("--rows", "400"),
            extras=[Extra("--data", root / "tables" / "imbalanced")],
            peers=True,
        ),
    ]


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--published", type=Path, help="probabilities for bench_labels.py; see there")
    parser.add_argument(
        "--cleanvision", default=sys.executable, help="a Python that has cleanvision (default: this one)"
    )
    args = parsed(parser)
    return run_parts(everything(args.data, args.published, args.cleanvision), args.quick, args.no_peers)


if __name__ == "__main__":
    sys.exit(main())
