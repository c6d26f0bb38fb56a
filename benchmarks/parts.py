"""Run several benchmarks one after the other, and tell what ran and what was left out."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Extra:
    """Real data that a script takes if they are there.

    Attributes:
        flag: before the folder; the folders of one flag follow it together.
        folder: the data.
        holds: a file in the folder without which it is of no use.
    """

    flag: str
    folder: Path
    holds: str = ""

    def missing(self) -> str | None:
        """What is not there."""
        needed = self.folder / self.holds
        return None if needed.exists() else str(needed)


@dataclass(frozen=True)
class Part:
    """One script to run.

    Attributes:
        script: its file, beside this one.
        flags: what it is told.
        quick: what it is told besides, for a short run.
        needs: what has to be there; None for nothing.
        extras: data that it can do without.
        peers: whether it knows --no-peers.
    """

    script: str
    flags: Sequence[str] = ()
    quick: Sequence[str] = ()
    needs: Path | None = None
    extras: Sequence[Extra] = ()
    peers: bool = False

    def missing(self) -> str | None:
        """Why it cannot be run."""
        if not (HERE / self.script).is_file():
            return "there is no such script"
        if self.needs is not None and not self.needs.exists():
            return f"there is no {self.needs}"
        return None

    def words(self, quick: bool, no_peers: bool) -> list[str]:
        """All that it is told."""
        there: dict[str, list[str]] = {}
        for extra in self.extras:
            if extra.missing() is None:
                there.setdefault(extra.flag, []).append(str(extra.folder))
        words = [*self.flags, *(word for flag, folders in there.items() for word in (flag, *folders))]
        words += self.quick if quick else ()
        return [*words, "--no-peers"] if no_peers and self.peers else words


def arguments(description: str | None) -> argparse.ArgumentParser:
    """What every script that runs parts can be told."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of real data")
    parser.add_argument("--quick", action="store_true", help="little data and one round, to see that all runs")
    parser.add_argument("--no-peers", action="store_true", help="install no peers, and leave them out if possible")
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The words of the command line, of which --data names a folder that is there, or none."""
    args = parser.parse_args()
    if args.data is not None and not args.data.is_dir():
        parser.error(f"{args.data}: there is no such folder")
    return args


def run_parts(parts: Sequence[Part], quick: bool, no_peers: bool) -> int:
    """Run the parts in order, then tell what became of each; one that fails does not end the others.

    Returns:
        1 if one of them failed, else 0.
    """
    told, failed = [], False
    for part in parts:
        why = part.missing()
        if why is not None:
            told.append(f"{part.script}: left out: {why}")
            continue
        words = part.words(quick, no_peers)
        print(f"\n# {part.script} {' '.join(words)}\n", flush=True)
        environment = {"PYTHONUNBUFFERED": "1", **os.environ}
        code = subprocess.run([sys.executable, HERE / part.script, *words], check=False, env=environment).returncode
        failed |= code != 0
        absent = [lack for extra in part.extras if (lack := extra.missing())]
        what = "ran" if code == 0 else f"failed with exit code {code}"
        told.append(f"{part.script}: {what}" + (f"; there is no {', no '.join(absent)}" if absent else ""))
    print("\n# What ran\n\n" + "\n".join(f"- {line}" for line in told))
    return int(failed)
