"""All benchmarks of `dedup`, one after the other; what was run and what was left out is told at the end.

Pictures, texts, sounds, records, rows and hashes are made from seeds. DATA is a folder that may hold, besides:
`cifar10_small` (pictures with cifair_duplicates.csv), `near_dup_photos` (pictures with groups.csv), `tables/febrl`
(tables of persons) and `audio/fsdd` (spoken digits, WAV). What is not there is left out.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Part:
    """One program to run.

    Attributes:
        script: its file, beside this one.
        flags: what it is told.
        quick: what it is told besides, for a short run.
        needs: what has to be there; None for nothing.
        peers: whether it knows --no-peers.
    """

    script: str
    flags: Sequence[str] = ()
    quick: Sequence[str] = ()
    needs: Path | None = None
    peers: bool = False

    def missing(self) -> str | None:
        """Why it cannot be run."""
        if not (HERE / self.script).is_file():
            return "there is no such script"
        if self.needs is not None and not self.needs.exists():
            return f"there is no {self.needs}"
        return None


def parts(data: Path | None, rows: int, hashes: int) -> list[Part]:
    """Everything, in order. `data` only adds to what the scripts make themselves."""
    root = data or Path("DATA")
    cifar, photographs, persons = root / "cifar10_small", root / "near_dup_photos", root / "tables" / "febrl"
    digits = root / "audio" / "fsdd"
    more = ["--encodings", str(photographs)] if photographs.exists() else []
    small = ("--originals", "6", "--singles", "12", "--hard", "3", "--rounds", "1")
    return [
        Part("bench_near.py", more, small, peers=True),
        Part("bench_cifair.py", ("--data", str(cifar)), needs=cifar),
        Part("bench_text.py", quick=("--documents", "1000", "--rounds", "1"), peers=True),
        Part(
            "bench_linkage.py",
            ("--data", str(persons)) if persons.exists() else (),
            ("--rows", "20000"),
            peers=True,
        ),
        Part(
            "bench_audio.py",
            ("--data", str(digits)) if digits.exists() else (),
            ("--songs", "8", "--variants", "4", "--rounds", "1"),
            peers=True,
        ),
        Part("bench_hamming.py", ("--n", str(hashes), "--radius", "10"), ("--n", "100000")),
        Part("bench_rows.py", ("--rows", str(rows)), ("--rows", "500000", "--rounds", "1")),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of real data")
    parser.add_argument("--quick", action="store_true", help="little data and one round, to see that all runs")
    parser.add_argument("--no-peers", action="store_true", help="datadiet alone; installs nothing")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the large CSV")
    parser.add_argument("--hashes", type=int, default=1_000_000)
    args = parser.parse_args()
    if args.data is not None and not args.data.is_dir():
        parser.error(f"{args.data}: there is no such folder")
    told = []
    for part in parts(args.data, args.rows, args.hashes):
        why = part.missing()
        if why is None:
            flags = [*part.flags, *(part.quick if args.quick else ())]
            flags += ["--no-peers"] if part.peers and args.no_peers else []
            print(f"\n# {part.script} {' '.join(flags)}\n", flush=True)
            code = subprocess.run([sys.executable, HERE / part.script, *flags], check=False).returncode
            told.append((part.script, "ran" if code == 0 else f"failed with exit code {code}", code != 0))
        else:
            told.append((part.script, f"left out: {why}", False))
    print("\n# What ran\n")
    for script, what, _ in told:
        print(f"- {script}: {what}")
    return int(any(failed for *_, failed in told))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
