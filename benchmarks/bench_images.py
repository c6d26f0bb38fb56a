"""Near-duplicate photographs: datadiet against imagededup, and against decoding alone.

Decoding alone is Pillow in as many threads, with the same reduced decoding of JPEG that datadiet asks for, and nothing
done with the pictures: no program that looks at every picture through Pillow can be faster.

Without --data, photographs of 1280 x 960 pixels (or another --width) are made from those in scikit-image and
scikit-learn by random crops, with the grain of a sensor, as JPEG of quality 90; a tenth of them are smaller, weaker
copies of others.
"""

import argparse
import importlib.util
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import platformdirs
from measure import CORES, DATADIET, Command, Contender, Run, alternate, apart, middle, run, table, warm, workplace

PHOTOGRAPHS = {
    "skimage": """astronaut.png camera.png chelsea.png coffee.png coins.png gravel.png grass.png brick.png moon.png
        hubble_deep_field.jpg ihc.png motorcycle_left.png motorcycle_right.png retina.jpg rocket.jpg""",
    "sklearn": "china.jpg flower.jpg",
}
FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}

DECODE = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
def decode(path):
    with Image.open(path) as image:
        image.draft("L", (64, 64))
        image.load()
paths = [os.path.join(folder, name) for folder, _, names in os.walk(sys.argv[1]) for name in names]
with ThreadPoolExecutor(int(sys.argv[2])) as pool:
    print(sum(1 for _ in pool.map(decode, sorted(paths))))
"""

# imagededup imports its neural networks with its hashes. Where torchvision does not fit the torch beside it, stand-ins
# take the place of those networks; nothing of them runs for a perceptual hash.
IMAGEDEDUP = """
import json, sys, time
from unittest.mock import MagicMock
try:
    import torchvision
except Exception:
    for name in ("", ".models", ".models.vision_transformer", ".transforms"):
        sys.modules["torchvision" + name] = MagicMock()
from imagededup.methods import PHash
started = time.perf_counter()
found = PHash(verbose=False).find_duplicates(
    image_dir=sys.argv[1], max_distance_threshold=10, recursive=True,
    num_enc_workers=int(sys.argv[2]), num_dist_workers=int(sys.argv[2]),
)
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "with_copies": sum(map(bool, found.values()))}))
"""


def photographs() -> list[Path]:
    found = []
    for package, names in PHOTOGRAPHS.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            found += [Path(spec.origin).parent / FOLDERS[package] / name for name in names.split()]
    return [path for path in found if path.exists()]


def make_pictures(folder: Path, count: int, width: int, seed: int) -> None:
    folder.mkdir()
    jobs = [(str(folder), number, count, width, seed) for number in range(count)]
    with ProcessPoolExecutor(CORES) as pool:
        list(pool.map(_make_one, jobs, chunksize=16))


def _make_one(job: tuple[str, int, int, int, int]) -> None:
    import numpy as np
    from PIL import Image

    folder, number, count, side, seed = job
    size = (side, side * 3 // 4)
    originals = count - count // 10
    is_copy = number >= originals
    rng = random.Random(f"{seed} {number - originals if is_copy else number}")
    with Image.open(rng.choice(photographs())) as image:
        share = rng.uniform(0.4, 0.9)
        width, height = (round(share * side) for side in image.size)
        left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
        picture = image.convert("RGB").resize(size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    grain = np.random.default_rng(rng.getrandbits(32)).normal(0, 5, (size[1], size[0], 1))
    picture = Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))
    if is_copy:
        picture = picture.resize((size[0] // 2, size[1] // 2), Image.Resampling.LANCZOS)
    picture.save(f"{folder}/{number:05d}.jpg", quality=75 if is_copy else 90)


def imagededup_python(peers: Path) -> Path:
    """The interpreter of an environment that has imagededup, made when it is first needed."""
    python, ready = peers / "imagededup" / "bin" / "python", peers / "imagededup" / "ready"
    if not ready.exists():
        print(f"installing imagededup into {peers} (some minutes)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", peers / "imagededup"], check=True)
        # torch by its version, so that the environment is the same wherever it is made.
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "torch==2.13.0", "imagededup==0.3.3.post2"], check=True
        )
        ready.touch()
    return python


def memory_growth(data: Path, work: Path, workers: int) -> None:
    """Print the peak memory of datadiet on a quarter, a half and all of the pictures."""
    paths = sorted(path for path in data.rglob("*") if path.is_file())
    print("\n| pictures | peak MiB |\n|---:|---:|")
    for part in (4, 2, 1):
        folder = work / f"part-{part}"
        folder.mkdir()
        chosen = paths[: len(paths) // part]
        for number, path in enumerate(chosen):
            os.symlink(path.resolve(), folder / f"{number:07d}{path.suffix}")
        measured = run([*ours(folder, workers), "--follow-symlinks"])
        print(f"| {len(chosen)} | {measured.rss:.0f} |", flush=True)


def ours(data: Path, workers: int) -> Command:
    flags = ["--method", "phash", "--dry-run", "--no-cache", "-q", "--list", "dropped", "--workers", str(workers)]
    return [*DATADIET, "dedup", data, *flags]


def conclude(runs: dict[str, list[Run]], count: int) -> None:
    table(runs)
    mine = runs["datadiet"]
    each = middle(mine, "cpu") / count * 1000
    print(f"\ndatadiet: {count / middle(mine, 'wall'):.0f} pictures/s, {each:.2f} CPU ms each")
    dropped = mine[0].output.count(b"\n")
    print(f"datadiet drops {dropped} pictures as copies")
    if "imagededup" in runs:
        answers = [json.loads(one.output) for one in runs["imagededup"]]
        print(f"imagededup finds copies of {answers[0]['with_copies']} pictures (both sides count)")
        times = median(answer["seconds"] / own.wall for own, answer in zip(mine, answers, strict=True))
        print(f"imagededup without its imports takes {times:.2f} times as long as all of datadiet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of pictures of your own")
    parser.add_argument("--pictures", type=int, default=2000, help="pictures to make")
    parser.add_argument("--width", type=int, default=1280, help="pixels of a made picture; its height is 3/4 of it")
    parser.add_argument("--workers", type=int, default=CORES, help="threads of ours, processes of imagededup")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, default=platformdirs.user_cache_path("datadiet-bench"))
    parser.add_argument("--no-peers", action="store_true", help="compare with decoding only; installs nothing")
    parser.add_argument("--work", type=Path, help="where to make pictures (default: the folder for temporary files)")
    args = parser.parse_args()
    with workplace(args.work) as work:
        data = args.data or work / "pictures"
        if args.data is None:
            apart(make_pictures, data, args.pictures, args.width, args.seed)
        count = sum(path.is_file() for path in data.rglob("*"))
        contenders: dict[str, Command] = {"datadiet": ours(data, args.workers)}
        if not args.no_peers:
            python = imagededup_python(args.peers)
            contenders["imagededup"] = [python, "-c", IMAGEDEDUP, data, str(args.workers)]
        contenders["decoding"] = [sys.executable, "-c", DECODE, data, str(args.workers)]
        prepared = {name: Contender(command, partial(warm, data)) for name, command in contenders.items()}
        runs = alternate(prepared, args.rounds)
        print(f"pictures: {count}, {args.workers} workers, {CORES} cores")
        conclude(runs, count)
        memory_growth(data, work, args.workers)


if __name__ == "__main__":
    main()
