"""Put a folder of images, SPLIT/CLASS/NAME, into WebDataset shards: python make_shards.py FOLDER SHARDS."""

import io
import sys
import tarfile
from pathlib import Path

SAMPLES = 60
"""Of a shard."""


def main(folder: str, shards: str) -> None:
    """Write the shards: for each image a member with its content and a ``.cls`` with its class."""
    root, out = Path(folder), Path(shards)
    out.mkdir(parents=True)
    for split in sorted(path for path in root.iterdir() if path.is_dir()):
        images = sorted(path for path in split.rglob("*") if path.is_file())
        for start in range(0, len(images), SAMPLES):
            with tarfile.open(out / f"{split.name}-{start // SAMPLES:06d}.tar", "w") as archive:
                for number, image in enumerate(images[start : start + SAMPLES], start):
                    add(archive, f"{number:06d}{image.suffix}", image.read_bytes())
                    add(archive, f"{number:06d}.cls", image.parent.name.encode())


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Append a member that is the same on every machine and at any time."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
