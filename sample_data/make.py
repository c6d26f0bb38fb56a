"""Make the sample data: real pictures and a real table with known faults planted in them.

    python sample_data/make.py [DEST]

Writes DEST/images, DEST/table.csv and DEST/truth.json; DEST is this file's own folder unless given. The
sources come with scikit-image and scikit-learn, so no network is used. The same library versions give the
same bytes.
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
from make_table import make_table
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
    """Write images/, table.csv and truth.json into a folder, in place of those that an earlier run made."""
    if (dest / "images").exists():
        if not (dest / "truth.json").exists():
            raise SystemExit(f"{dest / 'images'}: exists and was not made by this script; choose another folder")
        shutil.rmtree(dest / "images")
    # A generator each, so that a change to the pictures leaves the table as it is.
    images = make_images(np.random.default_rng([SEED, 0]))
    rows, faults = make_table(np.random.default_rng([SEED, 1]))
    for name, data in sorted(images.files.items()):
        path = dest / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with open(dest / "table.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    truth = {"made_with": made_with(), "images": images.truth, "table": faults}
    (dest / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line and write the sample data."""
    parser = argparse.ArgumentParser(description="Make the sample data: images/, table.csv and truth.json.")
    parser.add_argument("dest", nargs="?", type=Path, default=Path(__file__).parent, metavar="DEST")
    make(parser.parse_args().dest)


if __name__ == "__main__":
    main()
