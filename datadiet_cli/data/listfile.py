"""A text file that names images, one a line: lines of images that go are left out, all other bytes stay."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.annotations import ImageNames
from datadiet_cli.data.folder import write_changed

_HEAD = 1 << 20


@dataclass(frozen=True, eq=False)
class ListFile:
    """A list of images inside a folder.

    Attributes:
        path: relative to the folder.
        sample: (lines,) int64, the row of the image that each line names; -1 for none.
        missing: names of images that are not there.
        size: bytes of the file.
    """

    path: str
    sample: NDArray[np.int64]
    missing: tuple[str, ...]
    size: int

    def paths(self) -> Collection[str]:
        """The list."""
        return (self.path,)

    def facts(self) -> Mapping[str, Any]:
        """How many images it names."""
        return {"tables": {self.path: int((self.sample >= 0).sum()) + len(self.missing)}}

    def write(self, present: NDArray[np.bool_], root: str, destination: str, link: str) -> int:
        """Write the list without the lines of images that go; see `Sidecar`."""
        stays = present[self.sample]

        def write(target: str) -> int:
            with open(os.path.join(root, self.path), "rb") as source, open(target, "xb") as file:
                file.writelines(line for line, stay in zip(source, stays.tolist(), strict=True) if stay)
                return file.tell()

        return write_changed(self.path, root, destination, None if stays.all() else write, self.size)


def read_list(root: str, path: str, names: ImageNames, *, sure: bool) -> ListFile | None:
    """Read a list of images, or give None for a text that is none: most of its lines name no image.

    Args:
        root: the folder.
        path: the text, relative to the folder.
        names: of the samples.
        sure: whether it is known to be a list.

    Raises:
        OSError: it cannot be read.
    """
    folder = os.path.dirname(path)
    with open(os.path.join(root, path), "rb") as file:
        if not sure and not _names_images(file.readlines(_HEAD), names, folder):
            return None
        file.seek(0)
        rows, missing = [], []
        for line in file:
            name = os.fsdecode(line.strip())
            row = names.find(name, folder)
            rows.append(-1 if row is None else row)
            if row is None and name:
                missing.append(name)
        size = file.tell()
    return ListFile(path, np.array(rows, dtype=np.int64), tuple(missing), size)


def _names_images(lines: list[bytes], names: ImageNames, folder: str) -> bool:
    texts = [os.fsdecode(text) for line in lines if (text := line.strip())]
    return sum(names.find(text, folder) is not None for text in texts) * 2 > len(texts)
