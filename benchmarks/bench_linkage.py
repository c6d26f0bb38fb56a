"""Rows that describe one person in different words: datadiet against recordlinkage and splink.

With --data, a folder that holds the tables of Febrl (dataset1.csv to dataset3.csv, dataset4a.csv and dataset4b.csv, as
recordlinkage ships them in datasets/febrl), each tool deduplicates each table, and what it finds is held against the
truth in `rec_id`. The others are set up as their own examples for these tables do; datadiet gets no settings but the
name of the id. Groups are compared: the pairs within them, and the persons of whom no row would be left.

Then tables of made persons, a fifth of the rows copies with up to four slips of the pen, show how time and memory grow.
"""

import argparse
import itertools
import json
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import platformdirs
from measure import CORES, DATADIET, Command, Run, apart, run, warm, workplace

SYLLABLES = "an ba bel cor dan den el fa fer gar hal har in jo ken la le lin mar mi mo nor o pat ra ri sam".split()

# As in the guide "Data deduplication" of recordlinkage; it is for dataset1.
RECORDLINKAGE = """
import json, sys
import pandas, recordlinkage
rows = pandas.read_csv(sys.argv[1], index_col="rec_id", sep=r"\\s*,\\s*", engine="python", dtype=str)
indexer = recordlinkage.Index()
indexer.block("given_name")
pairs = indexer.index(rows)
compare = recordlinkage.Compare()
compare.exact("given_name", "given_name")
compare.string("surname", "surname", method="jarowinkler", threshold=0.85)
compare.exact("date_of_birth", "date_of_birth")
compare.exact("suburb", "suburb")
compare.exact("state", "state")
compare.string("address_1", "address_1", threshold=0.85)
features = compare.compute(pairs, rows)
print(json.dumps(features[features.sum(axis=1) > 3].index.tolist()))
"""

# As in splink's example for febrl3 (docs/demos/examples/duckdb/febrl3), which predicts from a probability of 0.2; its
# example for febrl4 makes groups from 0.99. Both are tried, on every table.
SPLINK = """
import json, logging, sys, warnings
warnings.simplefilter("ignore")
import pandas
import splink.comparison_library as cl
from splink import Linker, SettingsCreator, block_on
from splink.internals.duckdb.database_api import DuckDBAPI
logging.disable(logging.CRITICAL)
rows = pandas.read_csv(sys.argv[1], sep=r"\\s*,\\s*", engine="python", dtype=str)
rules = [
    block_on("soc_sec_id"),
    block_on("given_name"),
    block_on("surname"),
    block_on("date_of_birth"),
    block_on("postcode"),
]
settings = SettingsCreator(
    link_type="dedupe_only",
    unique_id_column_name="rec_id",
    blocking_rules_to_generate_predictions=rules,
    comparisons=[
        cl.NameComparison("given_name"),
        cl.NameComparison("surname"),
        cl.DateOfBirthComparison("date_of_birth", input_is_string=True, datetime_format="%Y%m%d"),
        cl.DamerauLevenshteinAtThresholds("soc_sec_id", [2]),
        cl.ExactMatch("street_number").configure(term_frequency_adjustments=True),
        cl.ExactMatch("postcode").configure(term_frequency_adjustments=True),
    ],
)
linker = Linker(DuckDBAPI().register(rows), settings)
swapped = "l.given_name = r.surname and l.surname = r.given_name and l.date_of_birth = r.date_of_birth"
linker.training.estimate_probability_two_random_records_match(
    [block_on("soc_sec_id"), block_on("given_name", "surname", "date_of_birth"), swapped], recall=0.9
)
linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=2)
linker.training.estimate_parameters_using_expectation_maximisation(block_on("date_of_birth"))
linker.training.estimate_parameters_using_expectation_maximisation(block_on("postcode"))
found = linker.inference.predict(threshold_match_probability=float(sys.argv[2])).as_pandas_dataframe()
print(json.dumps(found[["rec_id_l", "rec_id_r"]].values.tolist()))
"""
PEERS = {
    "recordlinkage": (RECORDLINKAGE,),
    "splink, 0.2": (SPLINK, "0.2"),
    "splink, 0.99": (SPLINK, "0.99"),
}


def peers_python(peers: Path) -> Path:
    """The interpreter of an environment that has the other tools, made when it is first needed."""
    home = peers / "linkage"
    python, ready = home / "bin" / "python", home / "ready"
    if not ready.exists():
        print(f"installing recordlinkage and splink into {home}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "recordlinkage==0.16", "splink==5.0.0"], check=True)
        ready.touch()
    return python


def ours(data: Path, *more: str) -> Command:
    flags = ["--method", "sorted-neighbourhood", "--id-column", "rec_id", "--dry-run", "--no-cache", "-q"]
    return [*DATADIET, "dedup", data, *flags, *more]


def groups(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """What is joined by pairs, directly or through others."""
    leader = {name: name for name in names}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for one, other in pairs:
        leader[find(one)] = find(other)
    members = defaultdict(list)
    for name in leader:
        members[find(name)].append(name)
    return list(members.values())


def person(name: str) -> str:
    return name.split("-")[1]


def judge(names: list[str], pairs: Iterable[tuple[str, str]]) -> str:
    """Precision and recall of the pairs within groups, rows dropped, and persons lost with them."""
    truth = sum(n * (n - 1) // 2 for n in Counter(map(person, names)).values())
    found = groups(names, pairs)
    joined = sum(len(group) * (len(group) - 1) // 2 for group in found)
    right = sum(n * (n - 1) // 2 for group in found for n in Counter(map(person, group)).values())
    kept = {person(group[0]) for group in found}
    dropped, lost = len(names) - len(found), len(set(map(person, names)) - kept)
    spare = len(names) - len(set(map(person, names)))
    return f"{right / max(joined, 1):.4f} | {right / truth:.4f} | {dropped} of {spare} | {lost}"


def accuracy(data: Path, work: Path, python: Path | None) -> None:
    """Every tool on every table of Febrl."""
    four = work / "dataset4.csv"
    halves = [(data / f"dataset4{half}.csv").read_text().splitlines(keepends=True) for half in "ab"]
    four.write_text("".join([*halves[0], "\n", *halves[1][1:]]).replace("\n\n", "\n"))
    print("| table | tool | precision | recall | rows dropped | persons lost | wall s | peak MiB |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for path in [*(data / f"dataset{number}.csv" for number in (1, 2, 3)), four]:
        names = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
        answers: dict[str, tuple[Run, list[tuple[str, str]]]] = {}
        measured = run(ours(path, "--json"))
        verdicts = json.loads(measured.output)["verdicts"]
        answers["datadiet"] = measured, [(v["id"], v["witness"]) for v in verdicts if v["action"] == "drop"]
        for name, (program, *settings) in PEERS.items() if python else ():
            measured = run([python, "-c", program, path, *settings])
            answers[name] = measured, json.loads(measured.output.splitlines()[-1])
        for name, (measured, pairs) in answers.items():
            print(
                f"| {path.stem} | {name} | {judge(names, pairs)} | {measured.wall:.1f} | {measured.rss:.0f} |",
                flush=True,
            )


def make_persons(path: Path, rows: int, seed: int) -> None:
    """Write persons; a fifth of the rows are copies with one to four slips of the pen."""
    rng = random.Random(seed)
    names = ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(40_000)]
    # Some names are common, as names are.
    weights = list(itertools.accumulate(1 / (place + 10) for place in range(len(names))))
    persons = rows - rows // 5
    header = "rec_id,given_name,surname,street_number,address,suburb,postcode,state,date_of_birth,soc_sec_id"
    with path.open("w") as file:
        print(header, file=file)
        kept: list[list[str]] = []
        for number in range(rows):
            if number < persons:
                given, family, street, suburb = rng.choices(names, cum_weights=weights, k=4)
                born = f"{rng.randint(1900, 1999)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
                cells = [given, family, str(rng.randint(1, 400)), f"{street} {rng.choice(['street', 'place', 'road'])}"]
                cells += [suburb, str(rng.randint(2000, 7999)), rng.choice(["nsw", "vic", "qld", "wa"]), born]
                cells += [str(rng.randint(10**6, 10**7 - 1))]
                if number < rows // 5:
                    kept.append(cells)
            else:
                cells = list(kept[number - persons])
                for place in rng.sample(range(len(cells)), rng.randint(1, 4)):
                    cells[place] = _slip(rng, cells[place])
            name = f"rec-{number % persons}-{'org' if number < persons else 'dup-0'}"
            print(",".join([name, *cells]), file=file)


def _slip(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text))
    letter = rng.choice("0123456789" if text[at].isdigit() else "abcdefghijklmnop")
    changed = [text[:at] + letter + text[at + 1 :], text[:at] + letter + text[at:], text[:at] + text[at + 1 :], ""]
    return rng.choice([*changed, text[:at] + text[at : at + 2][::-1] + text[at + 2 :]])


def growth(sizes: list[int], work: Path, seed: int) -> None:
    print("\n| rows | wall s | CPU s | peak MiB | dropped | of |\n|---:|---:|---:|---:|---:|---:|")
    for rows in sizes:
        data = work / f"persons-{rows}.csv"
        apart(make_persons, data, rows, seed)
        warm(data)
        measured = run(ours(data, "--list", "dropped"))
        dropped = measured.output.count(b"\n")
        figures = f"{measured.wall:.1f} | {measured.cpu:.1f} | {measured.rss:.0f} | {dropped} | {rows // 5}"
        print(f"| {rows} | {figures} |", flush=True)
        data.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with the tables of Febrl")
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000], help="sizes of made tables")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", type=Path, default=platformdirs.user_cache_path("datadiet-bench"))
    parser.add_argument("--no-peers", action="store_true", help="datadiet alone; installs nothing")
    parser.add_argument("--work", type=Path, help="where to make the files (default: the folder for temporary files)")
    args = parser.parse_args()
    with workplace(args.work) as work:
        print(f"{CORES} cores")
        if args.data:
            accuracy(args.data, work, None if args.no_peers else peers_python(args.peers))
        growth(args.rows, work, args.seed)


if __name__ == "__main__":
    main()
