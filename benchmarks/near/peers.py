"""Other tools that look for near-duplicate pictures, each as a script that prints its answer as JSON.

A script is run as `python -c SCRIPT DATA WORKERS` by the interpreter of an environment of its own. The last line it
prints is `{"groups": [[path, ...], ...]}`, or `{"pairs": ...}` of a tool that reports pairs.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench_images import imagededup_python
from measure import Command

_START = """
import glob, json, os, sys, tempfile
data, workers = sys.argv[1], int(sys.argv[2])
files = sorted(glob.glob(os.path.join(data, "*")))
def answer(**what):
    print()
    print(json.dumps({key: [[str(path) for path in group] for group in groups] for key, groups in what.items()}))
"""

# The way most scripts go: the hash of an upright picture, decoded in reduced size, and all pairs of hashes compared.
_IMAGEHASH = """
from concurrent.futures import ThreadPoolExecutor
import imagehash, numpy as np
from PIL import Image, ImageOps
def phash(path):
    with Image.open(path) as picture:
        picture.draft("L", (64, 64))
        return np.packbits(imagehash.phash(ImageOps.exif_transpose(picture)).hash.ravel()).view("u8")[0]
with ThreadPoolExecutor(workers) as threads:
    hashes = np.array(list(threads.map(phash, files)))
near = np.bitwise_count(hashes[:, None] ^ hashes[None, :]) <= 10
answer(pairs=[(files[a], files[b]) for a, b in zip(*np.nonzero(np.triu(near, 1)))])
"""
# Stand-ins for its neural networks where torchvision does not fit the torch beside it; hashes do without them.
_IMAGEDEDUP = """
from unittest.mock import MagicMock
try:
    import torchvision
except Exception:
    for name in ("", ".models", ".models.vision_transformer", ".transforms"):
        sys.modules["torchvision" + name] = MagicMock()
from imagededup.methods import PHash
found = PHash(verbose=False).find_duplicates(
    image_dir=data, max_distance_threshold=10, num_enc_workers=workers, num_dist_workers=workers
)
answer(pairs=[(name, other) for name, others in found.items() for other in others])
"""
_CLEANVISION = """
from cleanvision import Imagelab
lab = Imagelab(data_path=data)
lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, n_jobs=workers, verbose=False)
answer(groups=lab.info["exact_duplicates"]["sets"] + lab.info["near_duplicates"]["sets"])
"""
_IMAGE_DEDUP_AI = """
import image_dedup_ai
answer(groups=[list(group) for group in image_dedup_ai.find_duplicates(data, workers=workers).groups])
"""
# It wants a folder of class folders, and says what it found only in a file.
_IMGCHECK = """
from imgcheck.cli import main
with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    os.mkdir("classes")
    os.symlink(os.path.abspath(data), "classes/all")
    sys.argv = ["imgcheck", "clean", "--dataset", "classes", "--output", "out", "--report", "report.xlsx"]
    sys.argv += ["--formats", "json", "--workers", str(workers), "--clustering", "medoid", "--rotation-invariant"]
    sys.argv += ["--keep-policy", "highest_resolution"]
    try:
        main()
    except SystemExit as done:
        if done.code:
            raise
    with open("report_matches.json") as file:
        matches = json.load(file)
answer(groups=[(match["Original Image"], match["Duplicate Image"]) for match in matches])
"""
_NEAR_DUPES = """
import near_dupes
found = near_dupes.find_duplicates(files, kind="images")
answer(groups=[[files[number] for number in group] for group in found.groups])
"""
# Not free for commercial use. Of its components only those of two and more are an answer.
_FASTDUP = """
os.environ["FASTDUP_PRODUCTION"] = "1"
import fastdup
with tempfile.TemporaryDirectory() as work:
    run = fastdup.create(work_dir=work, input_dir=data)
    run.run(num_threads=workers, overwrite=True, verbose=False, ccthreshold=0.96, nearest_neighbors_k=20)
    parts, _ = run.connected_components()
several = parts[parts["count"] > 1].groupby("component_id")
answer(groups=[list(part["filename"]) for _, part in several])
"""
_FINDIMAGEDUPES = """
import subprocess
found = subprocess.run(["findimagedupes", "-R", "-q", data], stdout=subprocess.PIPE, text=True, check=True)
answer(groups=[line.split(" ") for line in found.stdout.splitlines() if line])
"""


@dataclass(frozen=True)
class Peer:
    """A tool to compare with.

    Attributes:
        name: how it is called in tables, with the settings that are not its defaults.
        script: Python that prints its answer.
        environment: folder of its environment among those of the peers; empty to use the interpreter of this one.
        packages: what that environment holds.
        program: a program that has to be on the PATH.
    """

    name: str
    script: str
    environment: str = ""
    packages: tuple[str, ...] = ()
    program: str = ""

    def command(self, peers: Path, data: Path, workers: int) -> Command:
        """The command to run, after its environment has been made.

        Raises:
            OSError: the environment cannot be made, or the program is not there.
            subprocess.CalledProcessError: a package cannot be installed.
        """
        if self.program and shutil.which(self.program) is None:
            raise FileNotFoundError(f"{self.program} is not on the PATH")
        return [self._python(peers), "-c", _START + self.script, data, str(workers)]

    def _python(self, peers: Path) -> Path:
        if not self.environment:
            return Path(sys.executable)
        if self.environment == "imagededup":
            return imagededup_python(peers)
        folder = peers / self.environment
        python, ready = folder / "bin" / "python", folder / "ready"
        if not ready.exists() or ready.read_text() != " ".join(self.packages):
            print(f"installing {', '.join(self.packages)} into {folder}", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *self.packages], check=True)
            ready.write_text(" ".join(self.packages))
        return python


def _own(name: str, script: str, *packages: str) -> Peer:
    """A peer with an environment to itself, so that none stands in the way of another."""
    return Peer(name, script, "near-" + re.split(r"[\[=]", packages[0])[0], packages)


PEERS = (
    _own("imagehash, phash, 10 bits, draft", _IMAGEHASH, "imagehash==4.3.2"),
    Peer("imagededup, PHash, 10 bits", _IMAGEDEDUP, "imagededup"),
    _own("cleanvision", _CLEANVISION, "cleanvision==0.3.7"),
    _own("image-dedup-ai", _IMAGE_DEDUP_AI, "image-dedup-ai==0.1.0"),
    _own("imgcheck, medoid, rotation-invariant", _IMGCHECK, "imgcheck==0.2.1"),
    _own("near-dupes", _NEAR_DUPES, "near-dupes[images]==0.1.0"),
    # Later versions of both are refused by it when it starts.
    _own("fastdup, 0.96, 20 neighbours", _FASTDUP, "fastdup==2.54", "numpy<2", "tqdm==4.66.3"),
    Peer("findimagedupes", _FINDIMAGEDUPES, program="findimagedupes"),
)


def read_answer(output: bytes) -> tuple[list[list[str]], bool]:
    """What a script printed: groups or pairs, and whether they are pairs."""
    (kind, groups), *_ = json.loads(output.splitlines()[-1]).items()
    return groups, kind == "pairs"
