"""One COCO file: what its arrays say of images, and the same file without some of them."""

import os
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.annotations import split_of_folders, split_of_name
from datadiet_cli.data.folder import write_changed
from datadiet_cli.data.jsontree import Elements, read_arrays, write_without

NO_IMAGE = -1
_BLOCK = 1 << 24
_KEYS = ("images", "annotations")


@dataclass
class Content:
    """What is remembered of a document while it is read.

    Attributes:
        codes: id of an image -> a number of our own; ids may be numbers or text.
        image: code of each element of `images`.
        names: its file name.
        owner: code of the image of each annotation.
        category: code of its category.
        categories: id of a category -> its code.
        titles: code of a category -> its name.
    """

    codes: dict[Any, int] = field(default_factory=dict)
    image: "array[int]" = field(default_factory=lambda: array("q"))
    names: list[str | None] = field(default_factory=list)
    owner: "array[int]" = field(default_factory=lambda: array("q"))
    category: "array[int]" = field(default_factory=lambda: array("q"))
    categories: dict[Any, int] = field(default_factory=dict)
    titles: dict[int, str] = field(default_factory=dict)

    def take_image(self, element: Any) -> None:
        """Remember an element of ``images``."""
        name = element.get("file_name") if isinstance(element, dict) else None
        self.names.append(name if isinstance(name, str) else None)
        self.image.append(_code(self.codes, element, "id"))

    def take_annotation(self, element: Any) -> None:
        """Remember an element of ``annotations``."""
        self.owner.append(_code(self.codes, element, "image_id"))
        self.category.append(_code(self.categories, element, "category_id"))

    def take_category(self, element: Any) -> None:
        """Remember an element of ``categories``."""
        code = _code(self.categories, element, "id")
        if code != NO_IMAGE and isinstance(name := element.get("name"), str):
            self.titles[code] = name


def _code(codes: dict[Any, int], element: Any, key: str) -> int:
    """A number for an id; `NO_IMAGE` for an element that has none. True is no id, though it equals 1."""
    value = element.get(key) if isinstance(element, dict) else None
    return codes.setdefault(value, len(codes)) if type(value) in (int, str, float) else NO_IMAGE


@dataclass(frozen=True, eq=False)
class CocoFile:
    """A JSON file with the arrays ``images`` and ``annotations`` or ``categories``.

    Attributes:
        path: relative to the folder.
        images: where the elements of each array ``images`` lie; one, unless the key stands twice.
        annotations: the same of ``annotations``.
        content: what they say.
        rows: (images,) int64, the sample of each image; `NO_IMAGE` for one that is not there.
        size: bytes of the file.
    """

    path: str
    images: Sequence[Elements]
    annotations: Sequence[Elements]
    content: Content
    rows: NDArray[np.int64]
    size: int

    @property
    def split(self) -> str | None:
        """The split that the file's name, or else its folder's, speaks of."""
        return split_of_name(self.path) or split_of_folders(self.path)

    def paths(self) -> Collection[str]:
        """The file."""
        return (self.path,)

    def facts(self) -> Mapping[str, Any]:
        """How many images it lists."""
        return {"tables": {self.path: len(self.rows)}}

    def missing(self) -> list[str]:
        """Names of images that are not there."""
        names = zip(self.content.names, self.rows.tolist(), strict=True)
        return [name for name, row in names if row == NO_IMAGE and name is not None]

    def write(self, present: NDArray[np.bool_], root: str, destination: str, link: str) -> int:
        """Write the file without the images that go and their annotations; see `Sidecar`."""
        stays = present[self.rows]

        def write(target: str) -> int:
            parts = list(zip((*self.images, *self.annotations), self._masks(stays), strict=True))
            return write_without(os.path.join(root, self.path), parts, target)

        return write_changed(self.path, root, destination, None if stays.all() else write, self.size)

    def _masks(self, stays: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
        """Which elements stay of each array: an annotation goes with the last image of its id."""
        image = np.array(self.content.image, dtype=np.int64)
        owner = np.array(self.content.owner, dtype=np.int64)
        listed, alive = (np.zeros(len(self.content.codes) + 1, dtype=bool) for _ in range(2))
        listed[image] = True
        alive[image[stays]] = True
        gone = listed & ~alive
        gone[NO_IMAGE] = False  # annotations of no image
        return [*_divide(stays, self.images), *_divide(~gone[owner], self.annotations)]


def _divide(mask: NDArray[np.bool_], arrays: Sequence[Elements]) -> list[NDArray[np.bool_]]:
    return np.split(mask, np.cumsum([len(elements) for elements in arrays])[:-1]) if arrays else []


def read_file(root: str, path: str) -> CocoFile | None:
    """Read a file, its images not yet matched with samples; None if it is no COCO file.

    Raises:
        InputError: it looks like one, but is not JSON.
        OSError: it cannot be read.
    """
    where = os.path.join(root, path)
    if not _may_be_coco(where):
        return None
    content = Content()
    arrays = read_arrays(
        where,
        {
            "images": content.take_image,
            "annotations": content.take_annotation,
            "categories": content.take_category,
        },
    )
    by_key = {key: [elements for elements in arrays or () if elements.key == key] for key in _KEYS}
    keys = {elements.key for elements in arrays or ()}
    if "images" not in keys or len(keys) == 1 or not any(content.names):
        return None
    nowhere = np.full(len(content.names), NO_IMAGE, dtype=np.int64)
    return CocoFile(path, by_key["images"], by_key["annotations"], content, nowhere, os.path.getsize(where))


def _may_be_coco(path: str) -> bool:
    """Whether the keys occur in the file at all: most JSON is something else, and not worth taking apart."""
    wanted = {b'"images"': False, b'"annotations"': False, b'"categories"': False}
    tail = b""
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            block = tail + block
            wanted = {key: known or key in block for key, known in wanted.items()}
            images, annotations, categories = wanted.values()
            if images and (annotations or categories):
                return True
            tail = block[-16:]
    return False
