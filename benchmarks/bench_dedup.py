"""All benchmarks of `dedup`, one after the other; what was run and what was left out is told at the end.

Pictures, texts, sounds, records, rows and hashes are made from seeds. DATA is a folder that may hold, besides:
`cifar10_small` (pictures with cifair_duplicates.csv), `near_dup_photos` (pictures with groups.csv), `tables/febrl`
(tables of persons) and `audio/fsdd` (spoken digits, WAV). What is not there is left out.
"""

import sys
from pathlib import Path

from parts import Extra, Part, arguments, parsed, run_parts


def everything(data: Path | None, rows: int, hashes: int) -> list[Part]:
    """All parts, in order. `data` only adds to what the scripts make themselves."""
    root = data or Path("DATA")
    cifar = root / "cifar10_small"
    small = ("--originals", "6", "--singles", "12", "--hard", "3", "--rounds", "1")
    return [
        Part("bench_near.py", quick=small, extras=[Extra("--encodings", root / "near_dup_photos")], peers=True),
        Part("bench_cifair.py", ("--data", str(cifar)), needs=cifar),
        Part("bench_text.py", quick=("--documents", "1000", "--rounds", "1"), peers=True),
        Part(
            "bench_linkage.py",
            quick=("--rows", "20000"),
            extras=[Extra("--data", root / "tables" / "febrl")],
            peers=True,
        ),
        Part(
            "bench_audio.py",
            quick=("--songs", "8", "--variants", "4", "--rounds", "1"),
            extras=[Extra("--data", root / "audio" / "fsdd")],
            peers=True,
        ),
        Part("bench_hamming.py", ("--n", str(hashes), "--radius", "10"), ("--n", "100000")),
        Part("bench_rows.py", ("--rows", str(rows)), ("--rows", "500000", "--rounds", "1")),
    ]


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the large CSV")
    parser.add_argument("--hashes", type=int, default=1_000_000)
    args = parsed(parser)
    return run_parts(everything(args.data, args.rows, args.hashes), args.quick, args.no_peers)


if __name__ == "__main__":
    sys.exit(main())
