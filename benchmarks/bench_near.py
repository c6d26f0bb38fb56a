"""Near-duplicate pictures: what datadiet finds, loses and costs, against other tools and against decoding alone.

Without --data, two sets are made. The synthetic one holds photo-like pictures of 1280 x 960, each original in fourteen
variants, single pictures, and pictures that are easily confused: dark frames, flat skies, pages of text. The real one
holds the same variants of the photographs in scikit-image and scikit-learn. A folder given as --data needs its truth
beside it, DIR.truth.json: {file name: [number of the picture, variant]}, the variant "original" for the one that
others derive from.

Recall is the share of variants that a tool puts into one group with their original; precision the share of its pairs
that show one picture; lost are the pictures that would be gone if one file of each of its groups stayed.

--encodings takes a folder with a groups.csv (file, group, relation): one photograph in many formats, photographs from
two sources, and pictures that overlap but are none of each other's copies.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
from bench_images import DECODE
from measure import CORES, DATADIET, Command, Run, apart, middle, run, warm, workplace
from near.peers import PEERS, read_answer
from near.score import VARIANTS, Score, gone, joined, read_truth, score, truth_of

LEVELS = ("fast", "thorough")
DECODING, START, START_OF_DECODING = "decoding alone", "`datadiet --version`", "starting Python with Pillow"
COST = (("cpu", 2), ("wall", 2), ("rss", 0))
COPIES = "same photo"
"""How the relation of files begins that show one photograph."""


@dataclass
class Field:
    """Who takes part, their runs, and why others do not."""

    commands: dict[str, Command] = field(default_factory=dict)
    outputs: dict[str, bytes] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def compete(self, data: Path, rounds: int) -> None:
        """Run all in turn, A B C A B C, after one round that only shows who can; who fails drops out."""
        for number in range(rounds + 1):
            for name, command in list(self.commands.items()):
                warm(data)
                try:
                    measured = run(command)
                except (SystemExit, OSError) as problem:
                    self.absent[name] = _in_short(problem)
                    del self.commands[name]
                    continue
                print(f"  round {number}/{rounds}: {name}: {measured.wall:.2f} s", file=sys.stderr)
                self.outputs.setdefault(name, measured.output)
                if number:
                    self.runs.setdefault(name, []).append(measured)

    def cost(self, name: str, what: str) -> float:
        """The median of one figure."""
        return middle(self.runs[name], what)


def _in_short(problem: BaseException) -> str:
    """What went wrong, without the command, whose script takes many lines."""
    return (str(problem) or type(problem).__name__).partition(":")[0]


def ours(data: Path, workers: int, *flags: str) -> Command:
    quiet = ("--dry-run", "--json", "--no-cache", "-q", "--workers", str(workers))
    return [*DATADIET, "dedup", data, *quiet, *flags]


def pairs_of(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each dropped sample with the one that is kept in its place."""
    return [(row["id"], row["witness"]) for row in report["verdicts"] if row["reason"] == "duplicate"]


def takes_part(data: Path, workers: int, peers: Path | None) -> Field:
    """All commands that can be run."""
    starting: Command = [sys.executable, "-c", "from PIL import Image"]
    everyone = Field({f"datadiet, {level}": ours(data, workers, "--level", level) for level in LEVELS})
    everyone.commands[DECODING] = [sys.executable, "-c", DECODE, data, str(workers)]
    everyone.commands |= {START: [*DATADIET, "--version"], START_OF_DECODING: starting}
    if peers is None:
        return everyone
    for peer in PEERS:
        try:
            everyone.commands[peer.name] = peer.command(peers, data, workers)
        except subprocess.CalledProcessError:
            everyone.absent[peer.name] = "cannot be installed"
        except OSError as problem:
            everyone.absent[peer.name] = _in_short(problem)
    return everyone


def scores(everyone: Field, data: Path) -> dict[str, Score]:
    """What the answers are worth; says what datadiet itself would leave nothing of."""
    truth, result = read_truth(data), {}
    for name, output in everyone.outputs.items():
        if name in (DECODING, START, START_OF_DECODING):
            continue
        if not name.startswith("datadiet"):
            try:
                answer, pairs_only = read_answer(output)
                result[name] = score(answer, truth, pairs_only)
            except (ValueError, LookupError):
                everyone.absent[name] = "its answer cannot be read"
            continue
        report = json.loads(output)
        result[name] = score(pairs_of(report), truth)
        left = gone([row["id"] for row in report["verdicts"] if row["action"] == "drop"], truth)
        print(f"- {name}: of {left} of {result[name].pictures} pictures no file would remain")
    return result


def tell(everyone: Field, worth: Mapping[str, Score]) -> None:
    """Print what everything costs and finds, in Markdown."""
    print("\n| tool | CPU s | wall s | peak MiB | recall | precision | wrong pairs | lost |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in everyone.runs:
        cost = " | ".join(f"{everyone.cost(name, what):.{digits}f}" for what, digits in COST)
        mark = worth.get(name)
        quality = f"{mark.found:.3f} | {mark.precision:.4f} | {mark.wrong} | {mark.lost}" if mark else "| | |"
        print(f"| {name} | {cost} | {quality} |")
    for name, why in everyone.absent.items():
        print(f"| {name} | *did not run: {why}* | | | | | | |")
    names = list(dict.fromkeys(variant for mark in worth.values() for variant in mark.recall))
    names.sort(key=lambda name: VARIANTS.index(name) if name in VARIANTS else len(VARIANTS))
    print(f"\n| recall of | {' | '.join(names)} |\n|---|{'---:|' * len(names)}")
    for name, mark in worth.items():
        shares = [f"{mark.recall[variant]:.2f}" if variant in mark.recall else "" for variant in names]
        print(f"| {name} | {' | '.join(shares)} |")


def tell_ratios(everyone: Field) -> None:
    """Print how many times as much CPU time datadiet takes as decoding alone."""
    if DECODING not in everyone.runs:
        return
    print(
        "\n| CPU time of datadiet / of decoding alone | whole commands | without the start of either |\n|---|---:|---:|"
    )
    for level in LEVELS:
        name = f"datadiet, {level}"
        if name in everyone.runs:
            own, decoding = everyone.cost(name, "cpu"), everyone.cost(DECODING, "cpu")
            rest = own - everyone.cost(START, "cpu"), decoding - everyone.cost(START_OF_DECODING, "cpu")
            print(f"| {level} | {own / decoding:.2f} | {rest[0] / rest[1]:.2f} |")
    print(f"\nThe start of datadiet is {START}, that of decoding is {START_OF_DECODING}.")


def bench_set(title: str, data: Path, args: argparse.Namespace) -> None:
    count, size = 0, 0
    for path in data.iterdir():
        count, size = count + 1, size + path.stat().st_size
    print(f"\n## {title}: {count} files, {size / 1e6:.0f} MB, {args.workers} workers\n", flush=True)
    everyone = takes_part(data, args.workers, None if args.no_peers else args.peers)
    everyone.compete(data, args.rounds)
    worth = scores(everyone, data)
    tell(everyone, worth)
    tell_ratios(everyone)
    sys.stdout.flush()


def bench_encodings(folder: Path, workers: int) -> None:
    """Print how many encodings of a photograph come together, and whether what is no copy does."""
    with (folder / "groups.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    data = folder / os.path.commonpath([os.path.dirname(row["file"]) for row in rows])
    of = {os.path.relpath(folder / row["file"], data): row for row in rows}
    print(f"\n## {folder.name}: {len(rows)} files\n")
    print("| level | what | files | not read | found together |\n|---|---|---:|---:|---:|")
    missed = {}
    for level in LEVELS:
        try:
            report = json.loads(run(ours(data, workers, "--level", level)).output)
        except SystemExit as problem:
            print(f"| {level} | *did not run: {_in_short(problem)}* | | | |")
            continue
        missed[level] = _tell_encodings(level, report, of)
    for level, names in missed.items():
        print(f"\nRead, but not found ({level}): {', '.join(names) or 'none'}")


def _tell_encodings(level: str, report: Mapping[str, Any], of: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Print a row for each group of copies and each kind of no copies; give the copies that were missed."""
    unread = {row["id"] for row in report["verdicts"] if row["reason"] == "unreadable"}
    found = [set(group) for group in joined(pairs_of(report))]
    copies, others = defaultdict(set), defaultdict(set)
    for name, row in of.items():
        if row["relation"].startswith(COPIES):
            copies[row["group"]].add(name)
        else:
            others[row["relation"]].add(name)
    missed = []
    for group, names in copies.items():
        together = max((names & one for one in found), key=len, default=set())
        missed += sorted(names - unread - together)
        print(f"| {level} | {group} | {len(names)} | {len(names & unread)} | {len(together)} |")
    for relation, names in others.items():
        taken = sum(name in one for one in found for name in names)
        print(f"| {level} | *{relation}* | {len(names)} | {len(names & unread)} | {taken} |")
    mixed = sum(len({of[name]["group"] for name in one}) > 1 for one in found)
    print(f"| {level} | *found groups that hold several photographs* | | | {mixed} |")
    return missed


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", help="folders with a truth beside them; nothing is made then")
    parser.add_argument("--encodings", type=Path, help="a folder with a groups.csv")
    parser.add_argument("--originals", type=int, default=30, help="made pictures with variants")
    parser.add_argument("--singles", type=int, default=90, help="made pictures without")
    parser.add_argument("--hard", type=int, default=12, help="made pictures of each of three kinds easily confused")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=CORES)
    parser.add_argument("--peers", type=Path, default=platformdirs.user_cache_path("datadiet-bench"))
    parser.add_argument("--no-peers", action="store_true", help="compare with decoding only; installs nothing")
    parser.add_argument("--work", type=Path, help="where to make pictures (default: the folder for temporary files)")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds: at least 1")
    for data in args.data or ():
        if not truth_of(data.resolve()).is_file():
            parser.error(f"{data}: there is no {truth_of(data.resolve()).name} beside it")
    return args


def make_sets(work: Path, args: argparse.Namespace) -> None:
    # Imported here, in a process of its own: what it loads would count as the memory of every command.
    from near.make import make_real, make_synthetic

    make_synthetic(work / "synthetic", args.originals, args.singles, args.hard, args.seed)
    make_real(work / "real")


def main() -> None:
    args = parsed()
    with workplace(args.work) as work:
        sets = [(data.name, data.resolve()) for data in args.data or ()]
        if not args.data:
            apart(make_sets, work, args)
            sets = [("Synthetic", work / "synthetic"), ("Real photographs", work / "real")]
            if not any((work / "real").iterdir()):
                print("scikit-image and scikit-learn are not installed, so there are no real photographs")
                sets.pop()
        for title, data in sets:
            bench_set(title, data, args)
        if args.encodings is not None:
            bench_encodings(args.encodings, args.workers)


if __name__ == "__main__":
    main()
