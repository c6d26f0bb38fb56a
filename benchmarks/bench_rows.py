"""Duplicate rows of a large CSV: datadiet against the least that polars can do, read_csv, unique, write_csv.

Without --data, a table of 5 million rows and 10 columns is made, 16 % of the rows copies of others.
"""

import argparse
import shutil
import sys
from pathlib import Path

from measure import CORES, DATADIET, Contender, alternate, apart, table, warm, workplace

POLARS = """
import sys, polars
polars.read_csv(sys.argv[1]).unique(keep="first", maintain_order=True).write_csv(sys.argv[2])
"""


def make_table(path: Path, rows: int, seed: int, quoted: bool) -> None:
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(seed)
    copies = rows * 16 // 100
    n = rows - copies
    words = np.array(["amber", "birch", "coral", "dusk", "ember", "fjord", "grove", "heron"])
    cities = np.array([f"{a}, {b}" if quoted else f"{a} {b}" for a in words for b in words])
    frame = pl.DataFrame(
        {
            "user": rng.integers(0, 10**9, n),
            "age": rng.integers(18, 90, n),
            "visits": rng.poisson(6, n),
            "height": np.round(rng.normal(172, 9, n), 1),
            "weight": np.round(rng.normal(70, 12, n), 2),
            "score": rng.random(n),
            "city": pl.Series(cities)[rng.integers(0, len(cities), n)],
            "plan": pl.Series(words)[rng.integers(0, len(words), n)],
            "token": pl.Series(rng.integers(0, 2**40, n)).cast(pl.String) + "x",
            "active": rng.random(n) < 0.5,
        }
    )
    order = rng.permutation(np.concatenate([np.arange(n), rng.integers(0, n, copies)]))
    frame[order].write_csv(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a CSV of your own")
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows to make")
    parser.add_argument("--quoted", action="store_true", help="one column holds commas, hence quotes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="where to make the files (default: the folder for temporary files)")
    args = parser.parse_args()
    with workplace(args.work) as work:
        data = args.data or work / "big.csv"
        if args.data is None:
            apart(make_table, data, args.rows, args.seed, args.quoted)
        ours, theirs = work / "ours" / "out.csv", work / "theirs" / "out.csv"

        def fresh() -> None:
            """Give no run the outputs of the one before, which would still be on their way to the disk."""
            for output in (ours, theirs):
                shutil.rmtree(output.parent, ignore_errors=True)
                output.parent.mkdir()
            warm(data)

        runs = alternate(
            {
                "datadiet": Contender([*DATADIET, "dedup", data, ours, "--no-cache", "-q"], fresh),
                "polars": Contender([sys.executable, "-c", POLARS, data, theirs], lambda: warm(data)),
            },
            args.rounds,
        )
        print(f"rows, {data.stat().st_size / 1e6:.0f} MB of CSV, {CORES} cores", flush=True)
        table(runs)
        apart(_compare, ours, theirs)


def _compare(ours: Path, theirs: Path) -> None:
    import polars as pl

    one, other = pl.read_csv(ours), pl.read_csv(theirs)
    print(f"\nrows kept: datadiet {len(one)}, polars {len(other)}; the same content: {one.equals(other)}")


if __name__ == "__main__":
    main()
