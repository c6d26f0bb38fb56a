"""Pictures with planted copies: from a seed, or from the photographs that two wheels carry.

Every original gets the fourteen variants of `score.VARIANTS`. Beside a folder of pictures, `FOLDER.truth.json` says
for each file name the number of the picture it shows and which variant it is.
"""

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import CORES
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from near.score import ORIGINALS, Shown, truth_of

WIDTH, HEIGHT = 1280, 960
ORIGINAL = ORIGINALS[0]
ORIENTATION, TURN_RIGHT = 0x0112, 6
PHOTOGRAPHS = {
    "skimage/data": """astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png coffee.png coins.png
        color.png grass.png gravel.png horse.png hubble_deep_field.jpg ihc.png moon.png motorcycle_left.png
        motorcycle_right.png page.png retina.jpg rocket.jpg text.png""",
    "sklearn/datasets/images": "china.jpg flower.jpg",
}

Picture = Image.Image
Numbers = NDArray[np.float64]


def make_synthetic(folder: Path, originals: int, singles: int, hard: int, seed: int) -> None:
    """Make originals with their variants, pictures without a copy, and three kinds of pictures easily confused."""
    folder.mkdir(parents=True)
    jobs: list[tuple[str, int]] = [("scene", number) for number in range(originals)]
    jobs += [("single", number) for number in range(originals, originals + singles)]
    first = originals + singles
    for kind in HARD:
        jobs += [(kind, number) for number in range(first, first + hard)]
        first += hard
    with ProcessPoolExecutor(CORES) as pool:
        _tell_truth(folder, pool.map(partial(_make_one, folder, seed), jobs))


def make_real(folder: Path) -> None:
    """Make the variants of the photographs in scikit-image and scikit-learn, as many of them as are installed."""
    folder.mkdir(parents=True)
    with ProcessPoolExecutor(CORES) as pool:
        _tell_truth(folder, pool.map(partial(_vary_one, folder), enumerate(photographs())))


def photographs() -> list[Path]:
    """Those of `PHOTOGRAPHS` that are there."""
    found: list[Path] = []
    for place, names in PHOTOGRAPHS.items():
        package, _, inner = place.partition("/")
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            found += [Path(spec.origin).parent / inner / name for name in names.split()]
    return [path for path in found if path.exists()]


def variants(picture: Picture) -> Iterator[tuple[str, Picture, str, dict[str, Any]]]:
    """All variants but the exact copy: name, picture, suffix, and how it is saved."""
    for name, change in CHANGES.items():
        options: dict[str, Any] = {} if name == "png" else {"quality": 40 if name == "q40" else 90}
        if name == "exif":
            exif = Image.Exif()
            exif[ORIENTATION] = TURN_RIGHT
            options["exif"] = exif.tobytes()
        yield name, change(picture), "png" if name == "png" else "jpg", options


def _resized(share: float, picture: Picture) -> Picture:
    return picture.resize((round(picture.width * share), round(picture.height * share)), Image.Resampling.LANCZOS)


def _cropped(share: float, picture: Picture) -> Picture:
    """Without a share of its width and of its height, half of it on either side."""
    left, top = round(picture.width * share / 2), round(picture.height * share / 2)
    return picture.crop((left, top, picture.width - left, picture.height - top))


def _stamped(picture: Picture) -> Picture:
    """With a white box of a third of the width, and words in it."""
    stamped = picture.copy()
    draw = ImageDraw.Draw(stamped)
    width, height = picture.size
    draw.rectangle([0.62 * width, 0.88 * height, 0.98 * width, 0.97 * height], fill="white")
    draw.text((0.64 * width, 0.9 * height), "(c) a stock of photographs", fill="black")
    return stamped


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "resize50": partial(_resized, 0.5),
    "resize25": partial(_resized, 0.25),
    "q40": lambda picture: picture,
    "png": partial(_resized, 0.5),
    "bright": lambda picture: ImageEnhance.Brightness(picture).enhance(1.25),
    "gray": lambda picture: picture.convert("L"),
    "watermark": _stamped,
    "crop5": partial(_cropped, 0.05),
    "crop20": partial(_cropped, 0.2),
    "rotate3": lambda picture: picture.rotate(3, resample=Image.Resampling.BICUBIC),
    "rotate90": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
    "mirror": ImageOps.mirror,
    # Stored lying on its side, with a tag that says how to put it upright.
    "exif": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
}


def _cloud(rng: np.random.Generator, height: int, width: int, exponent: float) -> Numbers:
    """Noise whose spectrum falls with the frequency, as that of photographs does; mean 0, standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1
    waves = rng.standard_normal((height, width // 2 + 1)) + 1j * rng.standard_normal((height, width // 2 + 1))
    field = np.fft.irfft2(waves / frequency**exponent, s=(height, width))
    return np.asarray((field - field.mean()) / field.std())


def _enlarged(field: Numbers) -> Numbers:
    picture = Image.fromarray(field.astype(np.float32)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.float64)


def _rounded(values: Numbers) -> Picture:
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _scene(rng: np.random.Generator) -> Picture:
    """Clouds of light and colour, things in front of each other, a soft lens and the grain of a sensor."""
    light = _enlarged(_cloud(rng, HEIGHT // 2, WIDTH // 2, rng.uniform(1.3, 2.0)))
    warm, green = (_enlarged(_cloud(rng, HEIGHT // 4, WIDTH // 4, 1.9)) for _ in range(2))
    gray = rng.uniform(90, 160) + rng.uniform(25, 50) * light
    picture = _rounded(np.stack([gray + 18 * warm, gray - 9 * warm + 9 * green, gray - 18 * green], axis=-1))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(4, 16))):
        _put(draw, rng)
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.8)), dtype=np.float64)
    return _rounded(soft + rng.normal(0, 4, (HEIGHT, WIDTH, 1)))


def _put(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """One thing of one colour: a disc, a board, or a shape with corners."""
    x, y, size = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(30, 320)
    red, green, blue = rng.integers(0, 256, 3).tolist()
    box = [x - size, y - 0.6 * size, x + size, y + 0.6 * size]
    kind = rng.integers(3)
    if kind == 0:
        draw.ellipse(box, fill=(red, green, blue))
    elif kind == 1:
        draw.rectangle(box, fill=(red, green, blue))
    else:
        corners = np.array([x, y]) + rng.uniform(-size, size, (int(rng.integers(3, 7)), 2))
        draw.polygon([(float(across), float(down)) for across, down in corners], fill=(red, green, blue))


def _night(rng: np.random.Generator) -> Picture:
    """Nearly black, with one small lamp."""
    values = 6 + 2 * _cloud(rng, HEIGHT, WIDTH, 0.6)[..., None] + rng.normal(0, 1, (HEIGHT, WIDTH, 3))
    x, y = rng.integers(0, WIDTH - 20), rng.integers(0, HEIGHT - 20)
    values[y : y + 12, x : x + 12] = 240
    return _rounded(values)


def _sky(rng: np.random.Generator) -> Picture:
    """A slow change of blue from top to bottom, with one small dark thing."""
    fade = np.linspace(rng.uniform(150, 180), rng.uniform(215, 240), HEIGHT)[:, None, None]
    values = fade * np.array([0.8, 0.9, 1.0]) + rng.normal(0, 1.5, (HEIGHT, WIDTH, 3))
    x, y = rng.integers(50, WIDTH - 80), rng.integers(50, HEIGHT - 80)
    values[y : y + 30, x : x + 40] = rng.integers(0, 90, 3)
    return _rounded(values)


def _page(rng: np.random.Generator) -> Picture:
    """Black words on white, in lines of the same place on every page."""
    page = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(page)
    for line in range(28):
        words = ["".join(map(chr, rng.integers(97, 123, int(rng.integers(2, 9))))) for _ in range(24)]
        draw.text((90, 60 + 30 * line), " ".join(words), fill="black")
    return page


HARD: dict[str, Callable[[np.random.Generator], Picture]] = {"night": _night, "sky": _sky, "page": _page}


def _make_one(folder: Path, seed: int, job: tuple[str, int]) -> dict[str, Shown]:
    kind, number = job
    picture = HARD.get(kind, _scene)(np.random.default_rng([seed, number]))
    if kind == "scene":
        return _plant(folder, number, picture)
    path = folder / f"{kind}{number:04d}.jpg"
    picture.save(path, quality=92)
    return {path.name: (number, kind)}


def _vary_one(folder: Path, job: tuple[int, Path]) -> dict[str, Shown]:
    number, path = job
    with Image.open(path) as picture:
        return _plant(folder, number, picture.convert("RGB"))


def _plant(folder: Path, number: int, picture: Picture) -> dict[str, Shown]:
    """Save a picture and all its variants."""
    original = folder / f"picture{number:04d}_{ORIGINAL}.jpg"
    picture.save(original, quality=92)
    exact = shutil.copyfile(original, folder / f"picture{number:04d}_exact.jpg")
    shown: dict[str, Shown] = {original.name: (number, ORIGINAL), exact.name: (number, "exact")}
    for name, changed, suffix, options in variants(picture):
        path = folder / f"picture{number:04d}_{name}.{suffix}"
        changed.save(path, **options)
        shown[path.name] = (number, name)
    return shown


def _tell_truth(folder: Path, parts: Iterator[dict[str, Shown]]) -> None:
    truth = {name: shown for part in parts for name, shown in part.items()}
    truth_of(folder).write_text(json.dumps(truth, indent=0))
