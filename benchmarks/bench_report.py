"""What it takes to tell of very many verdicts: the page, and the report as JSON.

The page: pictures, half of them copies of others (links to a thousand files), so that there are --verdicts verdicts.
Its time is stated beside that of the run it tells of, its size beside the 5 MB that a page may have. JSON: a table of
as many copies, and of ten times as many; its peak memory beside that of the same run that prints nothing.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from measure import DATADIET, Run, apart, run, workplace

LARGEST = 5_000_000
SECONDS = 5.0


def make_pictures(folder: Path, verdicts: int) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    (folder / "all").mkdir(parents=True)
    originals = []
    for i in range(1000):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        path = folder / "all" / f"original-{i:04}.jpg"
        coarse.resize((256, 192), Image.Resampling.BICUBIC).save(path)
        originals.append(path)
    for i in range(verdicts):
        os.link(originals[i % 1000], folder / "all" / f"x-copy-{i:06}.jpg")


def make_table(path: Path, verdicts: int) -> None:
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    numbers = rng.permutation(np.arange(2 * verdicts) % verdicts)
    pl.DataFrame({"number": numbers, "text": pl.Series(numbers).cast(pl.String) + " is what it says"}).write_csv(path)


def told(title: str, took: Run, more: str = "") -> None:
    print(f"{title:<44} {took.wall:7.2f} s wall {took.cpu:7.2f} s CPU {took.rss:7.0f} MiB {more}")


def page(work: Path, verdicts: int) -> bool:
    folder, out = work / "pictures", work / "out"
    apart(make_pictures, folder, verdicts)
    ran = run([*DATADIET, "dedup", folder, out, "--method", "exact", "--no-html", "--quiet", "--no-cache"])
    report = json.loads(Path(f"{out}.report.json").read_bytes())
    told(f"dedup, {report['verdicts_count']:,} verdicts", ran)
    made = run([*DATADIET, "report", f"{out}.report.json"])
    size = Path(f"{out}.report.html").stat().st_size
    told("its page", made, f"{size / 1e6:.2f} MB, {made.wall / ran.wall:.2f} of the run")
    return made.wall < SECONDS and size < LARGEST


def streamed(work: Path, verdicts: int) -> float:
    data = work / f"table-{verdicts}.csv"
    apart(make_table, data, verdicts)
    command = [*DATADIET, "dedup", data, "--dry-run", "--method", "exact", "--quiet", "--no-cache"]
    silent, ratio = run(command), 0.0
    told(f"table, {verdicts:,} verdicts, nothing printed", silent)
    for form in ("json", "json-lines"):
        printed = run([*command, "--format", form])
        ratio = max(ratio, printed.rss / silent.rss)
        more = f"{len(printed.output) / 1e6:.0f} MB, {printed.rss / silent.rss:.2f} times the memory"
        told(f"--format {form}", printed, more)
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verdicts", type=int, default=100_000)
    parser.add_argument("--work", type=Path, help="where to make the files (default: the folder for temporary files)")
    args = parser.parse_args()
    with workplace(args.work) as work:
        good = page(work, args.verdicts)
        few, many = streamed(work, args.verdicts), streamed(work, 10 * args.verdicts)
    print(f"memory of JSON beside none: {few:.2f} with {args.verdicts:,} verdicts, {many:.2f} with ten times as many")
    if not good:
        sys.exit("the page is too slow or too large")


if __name__ == "__main__":
    main()
