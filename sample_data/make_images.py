"""The pictures of the sample data, from scikit-image and scikit-learn, and the faults planted among them."""

import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn
from sklearn.datasets import load_digits

MIN_DISTANCE = 12
"""No two pictures that are not planted are as close as this: bits of a 64-bit perceptual hash."""
DIGIT_CLASSES = 5
DIGITS_PER_CLASS = 26
TEST_SHARE = 0.23

# name of the picture in skimage.data, class it is filed under, tile width and height in pixels
PHOTOGRAPHS = (
    ("brick", "texture", 256, 256),
    ("grass", "texture", 256, 256),
    ("gravel", "texture", 256, 256),
    ("hubble_deep_field", "space", 250, 218),
    ("rocket", "space", 320, 213),
    ("coffee", "object", 200, 200),
    ("coins", "object", 192, 151),
    ("immunohistochemistry", "tissue", 256, 256),
    ("retina", "tissue", 320, 320),
    ("chelsea", "animal", 150, 150),
)


@dataclass(frozen=True)
class Picture:
    """An encoded picture and the place it is filed at."""

    split: str
    label: str
    name: str
    data: bytes

    @property
    def id(self) -> str:
        """Its path relative to the dataset folder."""
        return f"{self.split}/{self.label}/{self.name}"

    @property
    def is_digit(self) -> bool:
        """Whether it is a scanned digit rather than a part of a photograph."""
        return self.label.startswith("digit_")


@dataclass
class ImageSet:
    """The dataset as it grows: encoded files by id, and what was planted."""

    rng: np.random.Generator
    files: dict[str, bytes] = field(default_factory=dict)
    truth: list[dict[str, str]] = field(default_factory=list)

    def add(self, picture: Picture) -> None:
        """File a picture under its id, which must be free."""
        if picture.id in self.files:
            raise ValueError(f"{picture.id} is taken")
        self.files[picture.id] = picture.data

    def new_name(self, suffix: str) -> str:
        """A name that says nothing about the picture, as a camera would give it."""
        taken = {Path(name).stem for name in self.files}
        number = next(n for n in self.rng.permutation(9000) + 1000 if f"img-{n}" not in taken)
        return f"img-{number}{suffix}"

    def plant(self, picture: Picture, fault: str, **more: str) -> None:
        """File a picture and write down what is wrong with it."""
        self.add(picture)
        self.truth.append({"id": picture.id, "fault": fault, **more})


def encode(image: Image.Image, suffix: str, quality: int = 88) -> bytes:
    """The bytes of an image as a PNG or JPEG file."""
    buffer = io.BytesIO()
    if suffix == ".png":
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def decode(data: bytes) -> Image.Image:
    """The image in an encoded file."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def hashes_of_turns(data: bytes) -> NDArray[np.bool_]:
    """(8, 64) bool, the perceptual hash of a picture in its eight orientations; row 0 as it stands.

    A bit says whether one of the 64 lowest DCT frequencies of the picture is above their median.
    """
    small = decode(data).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    pixels = np.asarray(small, dtype=np.float64)
    turned = np.stack([np.rot90(side, k) for side in (pixels, pixels.T) for k in range(4)])
    low = dctn(turned, axes=(1, 2))[:, :8, :8].reshape(8, 64)
    bits: NDArray[np.bool_] = low > np.median(low, axis=1, keepdims=True)
    return bits


class DifferentPictures:
    """Remembers the pictures it let through and refuses any that looks like one of them."""

    def __init__(self) -> None:
        self._seen: list[NDArray[np.bool_]] = []

    def accept(self, data: bytes) -> bool:
        """Whether the picture differs from all accepted before, in every orientation; if so, remember it."""
        turns = hashes_of_turns(data)
        if self._seen:
            distance = (np.stack(self._seen)[:, None, :] != turns[None, :, :]).sum(axis=2)
            if int(distance.min()) <= MIN_DISTANCE:
                return False
        self._seen.append(turns[0])
        return True


def tiles(name: str, width: int, height: int) -> Iterator[Image.Image]:
    """Cut a photograph into tiles that do not overlap, around its centre, row by row."""
    image = Image.fromarray(getattr(skimage.data, name)())
    if name == "retina":  # the corners around the round picture are black
        image = image.crop((225, 225, 1185, 1185))
    left, top = image.width % width // 2, image.height % height // 2
    for y in range(top, image.height - height + 1, height):
        for x in range(left, image.width - width + 1, width):
            yield image.crop((x, y, x + width, y + height))


def photographs(different: DifferentPictures) -> Iterator[Picture]:
    """Every tile of the photographs that looks like no other one, as JPEG."""
    for name, label, width, height in PHOTOGRAPHS:
        for number, tile in enumerate(tiles(name, width, height), start=1):
            data = encode(tile, ".jpg")
            if different.accept(data):
                yield Picture("train", label, f"{name.split('_')[0]}-{number:02}.jpg", data)


def digits(rng: np.random.Generator, different: DifferentPictures) -> Iterator[Picture]:
    """Scanned digits that look like no other one, enlarged from 8 x 8 to 64 x 64 pixels, as PNG."""
    source = load_digits()
    count: dict[int, int] = defaultdict(int)
    for row in rng.permutation(np.flatnonzero(source.target < DIGIT_CLASSES)).tolist():
        digit = int(source.target[row])
        if count[digit] == DIGITS_PER_CLASS:
            continue
        scan = Image.fromarray(np.round(source.images[row] * (255 / 16)).astype(np.uint8))
        data = encode(scan.resize((64, 64), Image.Resampling.BICUBIC), ".png")
        if different.accept(data):
            count[digit] += 1
            yield Picture("train", f"digit_{digit}", f"scan-{row:04}.png", data)


def split(pictures: list[Picture], rng: np.random.Generator) -> list[Picture]:
    """Move the same share of every class, drawn at random, to the test split."""
    by_label: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        by_label[picture.label].append(picture)
    result = []
    for members in by_label.values():
        test = set(rng.permutation(len(members))[: round(TEST_SHARE * len(members))].tolist())
        result += [replace(p, split="test") if i in test else p for i, p in enumerate(members)]
    return result


Copier = Callable[[Picture], tuple[str, bytes]]


def same(original: Picture) -> tuple[str, bytes]:
    """The same bytes."""
    return Path(original.name).suffix, original.data


def jpeg(quality: int) -> Copier:
    """Encode as JPEG of this quality."""
    return lambda original: (".jpg", encode(decode(original.data), ".jpg", quality))


def png(original: Picture) -> tuple[str, bytes]:
    """The same pixels as PNG."""
    return ".png", encode(decode(original.data), ".png")


def resized(scale: float) -> Copier:
    """Scale width and height."""

    def copy(original: Picture) -> tuple[str, bytes]:
        image = decode(original.data)
        size = round(image.width * scale), round(image.height * scale)
        return ".jpg", encode(image.resize(size, Image.Resampling.LANCZOS), ".jpg")

    return copy


def brightness(factor: float) -> Copier:
    """Multiply every value."""
    return lambda original: (".jpg", encode(decode(original.data).point(lambda v: v * factor), ".jpg"))


# fault, how the copy was made, the maker, copies of photographs, copies of digits
COPIES: tuple[tuple[str, str, Copier, int, int], ...] = (
    ("exact-copy", "same bytes", same, 4, 2),
    ("re-encoded", "JPEG of quality 40", jpeg(40), 3, 0),
    ("re-encoded", "JPEG of quality 90", jpeg(90), 0, 2),
    ("re-encoded", "PNG", png, 1, 0),
    ("resized", "half the width and height", resized(0.5), 3, 0),
    ("resized", "a quarter of the width and height", resized(0.25), 2, 0),
    ("brightness", "1.3 times as bright", brightness(1.3), 1, 0),
    ("brightness", "0.7 times as bright", brightness(0.7), 1, 0),
    ("leak", "same bytes", same, 1, 1),
    ("leak", "JPEG of quality 40", jpeg(40), 2, 0),
    ("other-class-copy", "same bytes", same, 1, 1),
    ("other-class-copy", "JPEG of quality 40", jpeg(40), 1, 0),
)


class Draw:
    """Hands out pictures at random, each at most once."""

    def __init__(self, pictures: list[Picture], rng: np.random.Generator) -> None:
        self._left: list[Picture] = [pictures[i] for i in rng.permutation(len(pictures))]

    def one(self, split: str, is_digit: bool) -> Picture:
        """A picture of this split and kind that was not handed out before."""
        picture = next(p for p in self._left if (p.split, p.is_digit) == (split, is_digit))
        self._left.remove(picture)
        return picture


def other_label(picture: Picture, pictures: list[Picture], rng: np.random.Generator) -> str:
    """Another class of the same kind of picture."""
    labels = sorted({p.label for p in pictures if p.is_digit == picture.is_digit} - {picture.label})
    return str(rng.choice(labels))


def plant_copies(images: ImageSet, draw: Draw, pictures: list[Picture]) -> None:
    """Add every copy that `COPIES` asks for to the train split."""
    for fault, how, copier, n_photographs, n_digits in COPIES:
        for is_digit in [False] * n_photographs + [True] * n_digits:
            original = draw.one("test" if fault == "leak" else "train", is_digit)
            label = original.label
            if fault == "other-class-copy":
                label = other_label(original, pictures, images.rng)
            suffix, data = copier(original)
            copy = Picture("train", label, images.new_name(suffix), data)
            images.plant(copy, fault, of=original.id, how=how)


def plant_broken(images: ImageSet, cut: Picture) -> None:
    """Add the files that no reader can read; `cut` is the picture whose file is cut short."""
    short = replace(cut, data=cut.data[: len(cut.data) * 6 // 10])
    empty = Picture("train", "object", images.new_name(".jpg"), b"")
    page = b"<html><body><h1>404 Not Found</h1></body></html>\n"
    images.plant(short, "truncated", how="the last 40 % are missing")
    images.plant(empty, "empty", how="a file of 0 bytes")
    images.plant(Picture("train", "texture", images.new_name(".jpg"), page), "not-an-image", how="an HTML page")


def plant_hard_negatives(images: ImageSet) -> None:
    """Add pictures that look alike to a careless hash and are not copies of one another."""
    noise = images.rng.normal(8, 3, (218, 250)).clip(0, 255).astype(np.uint8)
    for label, image, how in (
        ("texture", Image.new("RGB", (256, 256), (38, 70, 131)), "a plain blue wall"),
        ("texture", Image.new("RGB", (256, 256), (214, 160, 48)), "a plain yellow wall"),
        ("space", Image.fromarray(noise), "a dark frame: sensor noise only"),
    ):
        picture = Picture("train", label, images.new_name(".png"), encode(image, ".png"))
        images.plant(picture, "hard-negative", how=how)


def make_images(rng: np.random.Generator) -> ImageSet:
    """The pictures with their faults."""
    different = DifferentPictures()
    pictures = split([*photographs(different), *digits(rng, different)], rng)
    images, draw = ImageSet(rng), Draw(pictures, rng)
    strayed = [draw.one("train", is_digit=True) for _ in range(3)]
    cut = draw.one("train", is_digit=False)
    for picture in pictures:
        if picture not in (*strayed, cut):
            images.add(picture)
    for picture in strayed:
        moved = replace(picture, label=other_label(picture, pictures, rng))
        images.plant(moved, "mislabelled", true_label=picture.label)
    plant_broken(images, cut)
    plant_hard_negatives(images)
    plant_copies(images, draw, pictures)
    images.truth.sort(key=lambda entry: entry["id"])
    return images
