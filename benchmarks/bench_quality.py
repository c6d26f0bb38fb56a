"""Faulty photographs: what datadiet and cleanvision find among planted faults, and what a look costs.

Photographs of 1280 x 960 pixels are made from a seed, and faults planted in most of them: two strengths of blur, dark,
over-exposed and washed-out ones, gray ones in colours, odd sizes and shapes, walls of one colour. Good ones, skies and
pages of text among them, should pass. Decoding alone is Pillow with the same reduced decoding of JPEG, and nothing
done with the pictures.

With --data, folders of real pictures are looked at besides, and the flags counted. With --peer, cleanvision is run by
another Python that has it.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from measure import Contender, alternate, apart, warm, workplace
from near.make import make_synthetic
from PIL import Image, ImageEnhance, ImageFilter

GOOD, PAGE = "good", "page"
OURS = """
import json, sys, time
from datadiet_cli.encode.cache import NoCache
from datadiet_cli.encode.quality.pictures import measure_pictures
from datadiet_cli.engine import Engine
from datadiet_cli.methods.quality import CHECKS, find_faults
paths = json.loads(open(sys.argv[1]).read())
checks = list(CHECKS["image"].values())
with Engine("serial") as engine:
    measure_pictures(paths[:2], max_pixels=10**9, cache=NoCache(), engine=engine)
    started = time.process_time()
    found = measure_pictures(paths, max_pixels=10**9, cache=NoCache(), engine=engine)
    faults = find_faults(found.values, checks)
    seconds = time.process_time() - started
flags = {name: [paths[i] for i in faulty.nonzero()[0]] for name, faulty in faults.items()}
print(json.dumps({"seconds": seconds, "flags": flags}))
"""
DECODE = """
import json, sys, time
from PIL import Image
paths = json.loads(open(sys.argv[1]).read())
def decode(path):
    with Image.open(path) as image:
        image.draft("YCbCr", (384, 384))
        image.load()
decode(paths[0])
started = time.process_time()
for path in paths:
    decode(path)
print(json.dumps({"seconds": time.process_time() - started, "flags": {}}))
"""
CLEANVISION = """
import json, os, sys, time
paths = json.loads(open(sys.argv[1]).read())
try:
    from cleanvision import Imagelab
except ImportError:
    print("null")
    raise SystemExit
kinds = ["dark", "light", "blurry", "odd_aspect_ratio", "odd_size", "low_information", "grayscale"]
shown, sys.stdout = sys.stdout, open(os.devnull, "w")
started = time.process_time()
lab = Imagelab(filepaths=paths)
try:
    lab.find_issues({kind: {} for kind in kinds}, n_jobs=1, verbose=False)
except Exception as error:  # one file that it cannot read ends its run
    print(f"cleanvision: {type(error).__name__}: {error}", file=sys.stderr)
    print("null", file=shown)
    raise SystemExit
seconds = time.process_time() - started
issues = lab.issues
flags = {kind: list(issues.index[issues[f"is_{kind}_issue"]]) for kind in kinds}
print(json.dumps({"seconds": seconds, "flags": flags}), file=shown)
"""

Picture = Image.Image


def _pale(share: float, white: float, picture: Picture) -> Picture:
    """Bring all levels to a part of the range, which begins at `white`."""
    return Image.fromarray((np.asarray(picture) * share + white).clip(0, 255).astype(np.uint8))


PLANTED: dict[str, tuple[str, str, Callable[[Picture], Picture]]] = {
    "blur, 3 pixels": ("blurred", "blurry", lambda p: p.filter(ImageFilter.GaussianBlur(3))),
    "blur, 9 pixels": ("blurred", "blurry", lambda p: p.filter(ImageFilter.GaussianBlur(9))),
    "dark": ("dark", "dark", lambda p: ImageEnhance.Brightness(p).enhance(0.12)),
    "over-exposed": ("over-exposed", "light", partial(_pale, 0.15, 225)),
    "washed-out": ("washed-out", "light", partial(_pale, 0.06, 110)),
    "gray in colour": ("gray-in-colour", "grayscale", lambda p: p.convert("L").convert("RGB")),
    "odd size": ("odd-size", "odd_size", lambda p: p.resize((48, 36))),
    "odd shape": ("odd-aspect", "odd_aspect_ratio", lambda p: p.crop((0, 0, 1280, 120))),
    "one colour": ("flat", "low_information", lambda p: Image.new("RGB", p.size, p.getpixel((40, 40)))),
}
"""The name that datadiet gives the fault, that of cleanvision, and how to plant it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=8, help="pictures with each fault (default 8)")
    parser.add_argument("--good", type=int, default=40, help="photographs without one (default 40)")
    parser.add_argument("--rounds", type=int, default=3, help="measured runs of each program (default 3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="make the pictures here (default: the temporary folder)")
    parser.add_argument("--peer", default=sys.executable, help="a Python with cleanvision (default: this one)")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders of real pictures")
    args = parser.parse_args()
    with workplace(args.folder) as place:
        apart(make, place, args.each, args.good, args.seed)
        planted(place, args.peer, args.rounds)
        for folder in args.data:
            real(place, folder, args.peer)


def make(place: Path, each: int, good: int, seed: int) -> None:
    """Make photographs, skies and pages, and plant faults; `truth.json` tells which file has which."""
    made, folder = place / "made", place / "pictures"
    make_synthetic(made, 0, len(PLANTED) * each + good, 10, seed)
    folder.mkdir()
    singles = sorted(made.glob("single*"))
    truth = {}
    for number, path in enumerate(singles):
        kind = list(PLANTED)[number // each] if number < len(PLANTED) * each else GOOD
        with Image.open(path) as picture:
            changed = picture.convert("RGB") if kind == GOOD else PLANTED[kind][2](picture.convert("RGB"))
        changed.save(folder / path.name, quality=90)
        truth[str(folder / path.name)] = kind
    for kind in (GOOD, PAGE):
        for path in made.glob("sky*" if kind == GOOD else "page*"):
            path.rename(folder / path.name)
            truth[str(folder / path.name)] = kind
    (place / "truth.json").write_text(json.dumps(truth))
    (place / "paths.json").write_text(json.dumps(sorted(truth)))


def programs(peer: str, listing: Path) -> dict[str, Contender]:
    """The commands to compare, each with the file that lists the pictures."""
    scripts = {"datadiet": (sys.executable, OURS), "decoding alone": (sys.executable, DECODE)}
    scripts["cleanvision"] = (peer, CLEANVISION)
    return {name: Contender((python, "-c", script, listing)) for name, (python, script) in scripts.items()}


def planted(place: Path, peer: str, rounds: int) -> None:
    truth = json.loads((place / "truth.json").read_text())
    warm(place / "pictures")
    runs = alternate(programs(peer, place / "paths.json"), rounds)
    answers = {name: [json.loads(run.output) for run in own] for name, own in runs.items()}
    answers = {name: own for name, own in answers.items() if own[0] is not None}
    print("\n| CPU ms a picture | median | least |\n|---|---:|---:|")
    for name, own in answers.items():
        costs = [1000 * answer["seconds"] / len(truth) for answer in own]
        print(f"| {name} | {median(costs):.1f} | {min(costs):.1f} |")
    judges = {name: column for column, name in enumerate(("datadiet", "cleanvision")) if name in answers}
    print(f"\n| planted | pictures | {' | '.join(judges)} |\n|---|---:|{'---:|' * len(judges)}")
    for kind, names in PLANTED.items():
        files = {path for path, shown in truth.items() if shown == kind}
        found = [len(files & set(answers[judge][0]["flags"][names[place]])) for judge, place in judges.items()]
        print(f"| {kind} | {len(files)} | {' | '.join(map(str, found))} |")
    for kind, words in ((GOOD, "good, with any flag"), (PAGE, "pages, with any flag but gray")):
        files = {path for path, shown in truth.items() if shown == kind}
        flagged = []
        for judge, column in judges.items():
            flags = answers[judge][0]["flags"]
            wrong = [
                found for name, found in flags.items() if kind == GOOD or name != PLANTED["gray in colour"][column]
            ]
            flagged.append(len(files & set().union(*wrong)))
        print(f"| *{words}* | {len(files)} | {' | '.join(map(str, flagged))} |")


def real(place: Path, folder: Path, peer: str) -> None:
    listing = place / "real.json"
    paths = sorted(str(p) for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    listing.write_text(json.dumps(paths))
    contenders = programs(peer, listing)
    runs = alternate({name: contenders[name] for name in ("datadiet", "cleanvision")}, 1)
    print(f"\n{folder.name}: {len(paths)} pictures")
    for name, (own,) in runs.items():
        answer = json.loads(own.output)
        if answer is None:
            continue
        flags = {kind: len(found) for kind, found in answer["flags"].items() if found}
        some = len(Counter(path for found in answer["flags"].values() for path in found))
        each = 1000 * answer["seconds"] / max(len(paths), 1)
        print(f"  {name}: {some} with a flag {flags or ''}, {each:.1f} CPU ms a picture")


if __name__ == "__main__":
    main()
