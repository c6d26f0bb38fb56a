"""Exact duplicates in a tree of files: datadiet against jdupes, warm disk cache.

Without --data, a tree of 20,000 small files is made, a fifth of them copies, and six of 64 MiB, two pairs of which
are equal and one pair differs in a single byte in the middle: about 700 MB.
"""

import argparse
import random
import shutil
from functools import partial
from pathlib import Path

from measure import CORES, DATADIET, Contender, alternate, apart, table, warm, workplace

SMALL = (4096, 8192, 16384, 16384, 32768)
BIG = 64 << 20


def make_tree(root: Path, files: int, seed: int) -> None:
    rng = random.Random(seed)
    originals: list[bytes] = []
    for number in range(files):
        # One folder above all, so that they are one class: copies of different classes are no mere duplicates.
        folder = root / "all" / f"{number % 200:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        if originals and rng.random() < 0.2:
            content = rng.choice(originals)
        else:
            # Half of the files share few sizes, so that size alone tells little.
            content = rng.randbytes(rng.choice(SMALL) if rng.random() < 0.5 else rng.randint(500, 30_000))
            originals.append(content)
        (folder / f"{number:05d}.bin").write_bytes(content)
    for pair in range(3):
        big = bytearray(rng.randbytes(1 << 20) * (BIG >> 20))
        (root / "all" / f"big-{pair}a.bin").write_bytes(big)
        big[BIG // 2] ^= pair == 2
        (root / "all" / f"big-{pair}b.bin").write_bytes(big)


def listed_by_jdupes(output: bytes) -> int:
    """Files beyond the first of each set; a blank line follows each set."""
    sets = [block.splitlines() for block in output.strip().split(b"\n\n")] if output.strip() else []
    return sum(len(members) - 1 for members in sets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a tree of your own")
    parser.add_argument("--files", type=int, default=20_000, help="files to make")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, help="where to make the tree (default: the folder for temporary files)")
    args = parser.parse_args()
    jdupes = shutil.which("jdupes")
    if jdupes is None:
        print("jdupes is not installed, so there is nothing to compare with: apt-get install jdupes")
        return
    with workplace(args.work) as work:
        tree = args.data or work / "tree"
        if args.data is None:
            apart(make_tree, tree, args.files, args.seed)
        ours = [*DATADIET, "dedup", tree, "--method", "exact", "--dry-run", "--list", "dropped", "--no-cache", "-q"]
        contenders = {"datadiet": ours, "jdupes": [jdupes, "-r", "-q", tree]}
        runs = alternate(
            {name: Contender(command, partial(warm, tree)) for name, command in contenders.items()}, args.rounds
        )
    print(f"files, {CORES} cores")
    table(runs)
    dropped = runs["datadiet"][0].output.count(b"\n")
    print(f"\nduplicates found: datadiet {dropped}, jdupes {listed_by_jdupes(runs['jdupes'][0].output)}")


if __name__ == "__main__":
    main()
