"""Make the sample data: real pictures and a real table with known faults planted in them.

    python sample_data/make.py [DEST]

Writes DEST/images, DEST/table.csv, DEST/texts.csv, DEST/sounds and DEST/truth.json; DEST is this file's own folder
unless given. The sources come with scikit-image and scikit-learn, so no network is used. The same library versions give
the same bytes.
"""

import argparse
import csv
import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
from make_images import make_images
from make_sounds import make_sounds
from make_table import make_table
from make_texts import make_texts
from PIL import features

SEED = 7


def made_with() -> dict[str, str]:
    """The versions that the bytes of the files depend on."""
    libraries = ("numpy", "pillow", "scikit-image", "scikit-learn", "scipy")
    return {
        **{name: version(name) for name in libraries},
        "libjpeg-turbo": str(features.version("libjpeg_turbo")),
        "zlib": str(features.version("zlib_ng") or features.version("zlib")),
        "machine": platform.machine(),
    }


def make(dest: Path) -> None:
    """Write all of it into a folder, in place of what an earlier run made."""
    for folder in (dest / "images", dest / "sounds"):
        if folder.exists():
            if not (dest / "truth.json").exists():
                raise SystemExit(f"{folder}: exists and was not made by this script; choose another folder")
            shutil.rmtree(folder)
    # A generator each, so that a change to the pictures leaves the table as it is.
    images = make_images(np.random.default_rng([SEED, 0]))
    rows, faults = make_table(np.random.default_rng([SEED, 1]))
    sounds = make_sounds(np.random.default_rng([SEED, 2]))
    for folder, files in (("images", images.files), ("sounds", sounds)):
        for name, data in sorted(files.items()):
            path = dest / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for name, records in (("table.csv", rows), ("texts.csv", make_texts(np.random.default_rng([SEED, 3])))):
        with open(dest / name, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(records)
    truth = {"made_with": made_with(), "images": images.truth, "table": faults}
    (dest / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line and write the sample data."""
    parser = argparse.ArgumentParser(description="Make the sample data: pictures, sounds, texts and a table.")
    parser.add_argument("dest", nargs="?", type=Path, default=Path(__file__).parent, metavar="DEST")
    make(parser.parse_args().dest)


if __name__ == "__main__":
    main()
