"""Near-duplicate texts: datadiet against datasketch and text-dedup, on documents with planted copies.

Documents of 30 to 200 made-up words, drawn as words of a language are; a fifth of them has seven copies each: the same
text, in capitals with double blanks, 3 % and 10 % of the words edited, 3 % of the characters mistyped, a fifth
appended, and the last 30 % cut off. A twentieth of all documents are no copies but share a template of 90 words
with each other. Every tool looks for the similarity of --similarity; datadiet with its own default as well.

All copies come after all sources, and datadiet keeps the first, so that it is held to finding a copy by its likeness
to the source. The others join whatever hangs together, over whichever stations.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs
from measure import CORES, DATADIET, Command, Contender, Run, alternate, apart, middle, run, workplace

VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnprstvw"
WORDS = 8000
TEMPLATE = "template"
ALPHABET = "abcdefghijklmnopqrstuvwxyz "

# The usual way with datasketch: shingles of 5 characters as ours, the similarity of candidates from their signatures.
DATASKETCH = """
import json, sys
from datasketch import MinHash, MinHashLSH
texts = [json.loads(line)["text"] for line in open(sys.argv[1])]
threshold, permutations = float(sys.argv[2]), int(sys.argv[3])
def shingles(text):
    text = " ".join(text.lower().split())
    return {text[i : i + 5].encode() for i in range(max(1, len(text) - 4))}
sketches = []
for text in texts:
    sketch = MinHash(permutations)
    sketch.update_batch(list(shingles(text)))
    sketches.append(sketch)
index = MinHashLSH(threshold=threshold, num_perm=permutations)
for number, sketch in enumerate(sketches):
    index.insert(number, sketch)
pairs = [
    (number, other)
    for number, sketch in enumerate(sketches)
    for other in index.query(sketch)
    if other > number and sketch.jaccard(sketches[other]) >= threshold
]
print(json.dumps(pairs))
"""
READ_CLUSTERS = """
import json, pickle, sys
clusters = pickle.load(open(sys.argv[1], "rb"))
print(json.dumps([[number, clusters.find(number)] for number in list(clusters.parent)]))
"""
PEERS = {"datasketch": ["datasketch==2.0.0"], "text-dedup": ["text-dedup==0.4.0", "datasets==5.2.0"]}

Pairs = Sequence[Sequence[int]]


class Writer:
    """Makes documents, and copies of them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        syllables = [c + v for c in CONSONANTS for v in VOWELS]
        self.words = ["".join(self.random.choices(syllables, k=self.random.randint(1, 4))) for _ in range(WORDS)]
        self.weights = [1 / (rank + 3) for rank in range(WORDS)]

    def text(self, length: int) -> str:
        """So many words, drawn by their frequency."""
        return " ".join(self.random.choices(self.words, self.weights, k=length)).capitalize() + "."

    def edited(self, text: str, share: float) -> str:
        """With a share of the words replaced, put in or left out."""
        words = text.split()
        for _ in range(max(1, int(len(words) * share))):
            place, turn = self.random.randrange(len(words)), self.random.random()
            if turn < 0.4:
                words[place] = self.random.choice(self.words)
            elif turn < 0.7:
                words.insert(place, self.random.choice(self.words))
            elif len(words) > 3:
                del words[place]
        return " ".join(words)

    def mistyped(self, text: str, share: float) -> str:
        """With a share of the characters replaced."""
        letters = list(text)
        for _ in range(int(len(letters) * share)):
            letters[self.random.randrange(len(letters))] = self.random.choice(ALPHABET)
        return "".join(letters)

    def copies(self, text: str) -> dict[str, str]:
        """One copy of each kind."""
        words = text.split()
        return {
            "same": text,
            "capitals": "  " + text.upper().replace(" ", "  "),
            "edit 3 %": self.edited(text, 0.03),
            "edit 10 %": self.edited(text, 0.1),
            "typos 3 %": self.mistyped(text, 0.03),
            "appended": f"{text} {self.text(max(3, len(words) // 5))}",
            "cut to 70 %": " ".join(words[: int(len(words) * 0.7)]),
        }


def make_documents(data: Path, truth: Path, count: int, seed: int) -> None:
    writer = Writer(seed)
    sources = count * 2 // 5
    made: list[tuple[str, int, str]] = []
    copies: list[tuple[str, int, str]] = []
    for source in range(sources):
        text = writer.text(writer.random.randint(30, 200))
        made.append((text, source, "source"))
        if source < sources // 5:
            copies += [(copy, source, kind) for kind, copy in writer.copies(text).items()]
    template = writer.text(90).split()
    for number in range(sources // 10):
        own = writer.text(60)
        made.append((" ".join([*template[:45], own, *template[45:]]), sources + number, TEMPLATE))
    writer.random.shuffle(copies)
    made += copies
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text, *_ in made), encoding="utf-8")
    truth.write_text(json.dumps([[source, kind] for _, source, kind in made]), encoding="utf-8")


def groups_of(pairs: Pairs, n: int) -> list[list[int]]:
    """Join pairs into groups; for datadiet each pair is a removed document and the one that stays for it."""
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for one, other, *_ in pairs:
        parent[root(one)] = root(other)
    groups: dict[int, list[int]] = defaultdict(list)
    for i in range(n):
        groups[root(i)].append(i)
    return [group for group in groups.values() if len(group) > 1]


def judge(pairs: Pairs, truth: list[tuple[int, str]]) -> dict[str, str]:
    """Which copies are in a group with their source, and what else is in the groups."""
    groups = groups_of(pairs, len(truth))
    group_of = {i: number for number, group in enumerate(groups) for i in group}
    place = {source: i for i, (source, kind) in enumerate(truth) if kind == "source"}
    all_of, found = Counter(kind for _, kind in truth), Counter[str]()
    for i, (source, kind) in enumerate(truth):
        found[kind] += i in group_of and source in place and group_of[i] == group_of.get(place[source])
    kinds = [kind for kind in Writer(0).copies("a b c d") if all_of[kind]]
    removed = sum(len(group) - 1 for group in groups)
    lost = sum(len({truth[i][0] for i in group}) - 1 for group in groups)
    recall = {kind: f"{found[kind] / all_of[kind]:.3f}" for kind in kinds}
    return {**recall, "removed": str(removed), "precision": f"{1 - lost / max(removed, 1):.4f}", "lost": str(lost)}


def ours(data: Path, method: str, *flags: str) -> Command:
    common = ["--columns", "text", "--prefer", "first", "--dry-run", "--no-cache", "--json", "-q"]
    return [*DATADIET, "dedup", data, "--method", method, *common, *flags]


def our_pairs(measured: Run) -> Pairs:
    """Removed documents and their witnesses, from the report."""
    report = json.loads(measured.output)
    verdicts = report["verdicts"]
    return [(int(v["id"]), int(v["witness"])) for v in verdicts if v["action"] == "drop"]


def peer_python(peers: Path, name: str) -> Path:
    """The interpreter of an environment that has a peer, made when it is first needed."""
    python, ready = peers / name / "bin" / "python", peers / name / "ready"
    if not ready.exists():
        print(f"installing {name} into {peers}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", peers / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS[name]], check=True)
        ready.touch()
    return python


def growth(work: Path, counts: Sequence[int], seed: int) -> None:
    """Print what minhash takes on more and more documents."""
    print("\n| documents | MB | wall s | CPU s | peak MiB | KiB a document more |\n|---:|---:|---:|---:|---:|---:|")
    first: tuple[int, float] | None = None
    for count in counts:
        data = work / f"{count}.jsonl"
        apart(make_documents, data, work / "ignored.json", count, seed)
        measured = run(ours(data, "minhash"))
        first = first or (count, measured.rss)
        each = f"{(measured.rss - first[1]) * 1024 / (count - first[0]):.2f}" if count > first[0] else ""
        size = data.stat().st_size / 1e6
        print(
            f"| {count} | {size:.1f} | {measured.wall:.2f} | {measured.cpu:.2f} | {measured.rss:.0f} | {each} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--similarity", type=float, default=0.7)
    parser.add_argument("--permutations", type=int, default=128, help="hashes of datasketch; ours are chosen by itself")
    parser.add_argument("--grow", type=int, nargs="*", default=[], help="then our cost at these numbers of documents")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, default=platformdirs.user_cache_path("datadiet-bench"))
    parser.add_argument("--no-peers", action="store_true", help="run datadiet alone; installs nothing")
    parser.add_argument("--work", type=Path, help="where to make the files (default: the folder for temporary files)")
    args = parser.parse_args()
    with workplace(args.work) as work:
        data, truth = work / "docs.jsonl", work / "truth.json"
        apart(make_documents, data, truth, args.documents, args.seed)
        threshold = str(args.similarity)
        contenders = {
            f"datadiet minhash {threshold}": Contender(ours(data, "minhash", "--similarity", threshold)),
            "datadiet minhash": Contender(ours(data, "minhash")),
            "datadiet simhash": Contender(ours(data, "simhash")),
            "datadiet normalised": Contender(ours(data, "normalised")),
        }
        read: dict[str, Callable[[Run], Pairs]] = dict.fromkeys(contenders, our_pairs)
        if not args.no_peers:
            os.environ["HF_HOME"] = str(work / "hf")
            _add_peers(contenders, read, args, data, work)
        runs = alternate(contenders, args.rounds)
        known = [(int(source), str(kind)) for source, kind in json.loads(truth.read_text())]
        print(f"texts: {len(known)}, {data.stat().st_size / 1e6:.1f} MB, {CORES} cores, {args.rounds} rounds\n")
        _conclude(runs, {name: judge(read[name](own[-1]), known) for name, own in runs.items()})
        growth(work, args.grow, args.seed)


def _add_peers(
    contenders: dict[str, Contender],
    read: dict[str, Callable[[Run], Pairs]],
    args: argparse.Namespace,
    data: Path,
    work: Path,
) -> None:
    threshold = str(args.similarity)
    python = peer_python(args.peers, "datasketch")
    contenders["datasketch"] = Contender([python, "-c", DATASKETCH, data, threshold, str(args.permutations)])
    read["datasketch"] = lambda one: json.loads(one.output)
    python = peer_python(args.peers, "text-dedup")
    made, cache = work / "text-dedup", work / "hf-cache"

    def fresh() -> None:
        """It remembers what it computed for the same data."""
        for folder in (made, cache, work / "hf"):
            shutil.rmtree(folder, ignore_errors=True)

    options = ["--path", "json", "--data_files", data, "--split", "train", "--column", "text", "--debug"]
    options += ["--threshold", threshold, "--cache_dir", cache, "--output", made]
    contenders["text-dedup"] = Contender([python, "-m", "text_dedup.minhash", *options], fresh)

    def clusters(_: Run) -> Pairs:
        command = [python, "-c", READ_CLUSTERS, made / "uf.pkl"]
        pairs: Pairs = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return pairs

    read["text-dedup"] = clusters


def _conclude(runs: dict[str, list[Run]], judged: dict[str, dict[str, str]]) -> None:
    names = list(next(iter(judged.values())))
    print(f"| | CPU s | wall s | MiB | {' | '.join(names)} |\n|---|{'---:|' * (3 + len(names))}")
    for name, own in runs.items():
        cost = f"{middle(own, 'cpu'):.2f} | {middle(own, 'wall'):.2f} | {middle(own, 'rss'):.0f}"
        print(f"| {name} | {cost} | {' | '.join(judged[name].values())} |")


if __name__ == "__main__":
    main()
