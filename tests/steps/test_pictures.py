"""Copies among pictures, edited in every way that is promised, and pictures that only look like copies."""

import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.open import open_dataset
from datadiet_cli.encode.cache import Cache
from datadiet_cli.engine import Engine
from datadiet_cli.outcome import NO_WITNESS
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.dedup import run
from datadiet_cli.steps.likeness.detail import Details
from datadiet_cli.steps.likeness.pictures import by_picture
from datadiet_cli.steps.likeness.pool import Pool

DATA = Path(skimage.__file__).parent / "data"
PHOTOS = ["astronaut.png", "camera.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg"]
QUARTER = Image.Transpose.ROTATE_90


def photo(name):
    with Image.open(DATA / name) as image:
        return ImageOps.fit(image.convert("RGB"), (480, 360))


def watermarked(image):
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    draw.rectangle([300, 317, 470, 349], fill="white")
    draw.text((310, 325), "(c) somebody", fill="black")
    return copy


def exif_turned(image):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(QUARTER)
    turned.encoderinfo = {"exif": exif}
    return turned


EDITS = {
    "smaller": lambda p: p.resize((240, 180), Image.Resampling.LANCZOS),
    "tiny": lambda p: p.resize((120, 90), Image.Resampling.LANCZOS),
    "brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.25),
    "gray": lambda p: p.convert("L"),
    "crop5": lambda p: p.crop((12, 9, 468, 351)),
    "mirrored": ImageOps.mirror,
    "flipped": ImageOps.flip,
    "quarter": lambda p: p.transpose(QUARTER),
    "half": lambda p: p.transpose(Image.Transpose.ROTATE_180),
}
HARD = {
    "crop20": lambda p: p.crop((48, 36, 432, 324)),
    "tilt3": lambda p: p.rotate(3, Image.Resampling.BICUBIC),
    "mark": watermarked,
    "crop20-mirrored": lambda p: ImageOps.mirror(p.crop((48, 36, 432, 324))),
}


@pytest.fixture
def folder(tmp_path):
    """Write pictures: {name: image}; names without a suffix are JPEG files of quality 85."""

    def write(images, name="data"):
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for file, image in images.items():
            extra = getattr(image, "encoderinfo", {}) if file.endswith("exif") else {}
            plain = "." in file
            image.save(root / (file if plain else f"{file}.jpg"), **({} if plain else {"quality": 85}), **extra)
        return open_dataset(str(root))

    return write


def decide(dataset, context=None, **settings):
    return run(dataset, Dedup(**settings), context or Context())


def dropped(dataset, outcome):
    """{id: (its witness, what is said of it)}."""
    v, ids = outcome.verdicts, dataset.source.ids
    gone = np.isin(v.sample, v.dropped()) & (v.witness != NO_WITNESS)
    names, witnesses = ids(v.sample[gone]), ids(v.witness[gone])
    stem = lambda name: name.rsplit(".", 1)[0]  # noqa: E731
    told = zip(names, witnesses, v.detail[gone], strict=True)
    return {stem(name): (stem(witness), detail or "") for name, witness, detail in told}


def edited(edits, names=PHOTOS):
    images = {}
    for name in names:
        stem, original = name.split(".")[0], photo(name)
        images[f"{stem}-a.png"] = original
        images |= {f"{stem}-{edit}": change(original) for edit, change in edits.items()}
    return images


def same_photo(found):
    return all(name.split("-")[0] == witness.split("-")[0] for name, (witness, _) in found.items())


def test_edits_are_found_and_nothing_else(folder):
    dataset = folder(edited(EDITS))
    found = dropped(dataset, decide(dataset))
    assert same_photo(found)
    assert len(found) >= 0.95 * len(EDITS) * len(PHOTOS)
    said = {edit: [detail for name, (_, detail) in found.items() if name.endswith(f"-{edit}")] for edit in EDITS}
    assert all(detail.startswith("mirrored;") for detail in said["mirrored"])
    assert all(detail.startswith("mirrored top to bottom;") for detail in said["flipped"])
    assert all(detail.startswith("turned by 90 degrees;") for detail in said["quarter"])
    assert all(detail.startswith("turned by 180 degrees;") for detail in said["half"])
    assert all(detail.startswith("correlation") for detail in said["gray"] + said["brighter"])


def test_a_thorough_search_finds_hard_edits(folder):
    dataset = folder(edited(HARD))
    fast, thorough = (dropped(dataset, decide(dataset, level=level)) for level in ("fast", "thorough"))
    assert same_photo(fast)
    assert same_photo(thorough)
    assert len(thorough) >= 0.9 * len(HARD) * len(PHOTOS)
    assert len(thorough) > len(fast) + len(PHOTOS)
    straight = {name: detail for name, (witness, detail) in thorough.items() if witness.endswith("-a")}
    assert all(("cropped" in detail) == ("crop20" in name) for name, detail in straight.items())
    assert all(("tilted by 3 degrees" in detail) == ("tilt3" in name) for name, detail in straight.items())
    assert all("mirrored" in detail for name, (_, detail) in thorough.items() if "mirrored" in name)


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_a_thorough_search_does_not_depend_on_engine_or_order(folder, engine):
    images = edited(HARD, PHOTOS[:3])
    one, other = folder(images, "one"), folder(dict(reversed(images.items())), "other")
    expected = dropped(one, decide(one, level="thorough"))
    with Engine(engine, 2) as running:
        assert dropped(other, decide(other, Context(running), level="thorough")) == expected


@pytest.mark.parametrize(
    ("invariance", "expected"),
    [
        ("none", set()),
        ("exif", {"exif"}),
        ("flips", {"exif", "mirrored", "flipped", "half"}),
        ("rotations", {"exif", "quarter", "half"}),
        ("all", {"exif", "mirrored", "flipped", "half", "quarter", "both"}),
    ],
)
@pytest.mark.parametrize("method", ["phash", "dhash", "ahash", "whash"])
def test_invariance_names_the_orientations_that_count(folder, method, invariance, expected):
    original = photo("chelsea.png")
    images = {f"a-{edit}": EDITS[edit](original) for edit in ("mirrored", "flipped", "quarter", "half")}
    images |= {"a-both": ImageOps.mirror(original.transpose(QUARTER)), "a-exif": exif_turned(original)}
    images["a.png"] = original
    dataset = folder(images)
    outcome = decide(dataset, method=method, invariance=invariance)
    # Without EXIF the tagged file is a quarter turn of the original, and equal to "quarter".
    left = set(dataset.without(outcome.verdicts.dropped()).ids)
    assert {name for name in images if "." not in name and f"{name}.jpg" not in left} >= {f"a-{e}" for e in expected}
    witnesses = {name: witness for name, (witness, _) in dropped(dataset, outcome).items() if witness == "a"}
    assert set(witnesses) == {f"a-{edit}" for edit in expected}


def test_full_decoding_sees_orientations_too(folder):
    original = photo("coffee.png")
    dataset = folder({"a.png": original, "a-mirrored": ImageOps.mirror(original)})
    assert set(dropped(dataset, decide(dataset, decode="full"))) == {"a-mirrored"}


def page(seed):
    """A page of text; all have the same layout."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (1000, 800), "white")
    draw = ImageDraw.Draw(image)
    for line in range(26):
        words = ["".join(chr(97 + c) for c in rng.integers(0, 26, rng.integers(2, 9))) for _ in range(22)]
        draw.text((60, 20 + 29 * line), " ".join(words), fill="black")
    return image


@pytest.mark.parametrize("level", ["fast", "thorough"])
def test_pages_of_text_are_no_copies_of_each_other(folder, level):
    pages = {f"page{seed}-a": page(seed) for seed in range(8)}
    pages |= {"page0-smaller": page(0).resize((800, 640), Image.Resampling.LANCZOS)}
    dataset = folder(pages)
    found = dropped(dataset, decide(dataset, level=level, max_distance=20))
    assert set(found) == {"page0-smaller"}


def test_details_decide_what_small_pictures_cannot(folder):
    """Fine texture on the same coarse picture: only a look at detail tells."""
    coarse = np.asarray(photo("camera.png").convert("L").resize((960, 720), Image.Resampling.BICUBIC)).astype(float)

    def textured(seed):
        noise = np.random.default_rng(seed).normal(0, 1, (360, 480)).repeat(2, axis=0).repeat(2, axis=1)
        return Image.fromarray(np.clip(coarse * 0.3 + 90 + 55 * noise, 0, 255).astype(np.uint8))

    dataset = folder({"a-one.png": textured(1), "a-two.png": textured(2), "a-same": textured(1)})
    assert set(dropped(dataset, decide(dataset, level="thorough", min_correlation=0.2))) == {"a-same"}


@pytest.mark.parametrize("level", ["fast", "thorough"])
def test_plain_pictures_count_by_their_pixels(folder, level):
    def sky(seed, box):
        slope = np.linspace(150, 230, 240)[:, None] + np.random.default_rng(seed).normal(0, 1, (240, 320))
        picture = Image.fromarray(slope.clip(0, 255).astype(np.uint8))
        picture.paste(20, box)
        return picture

    same = sky(1, (30, 30, 36, 34))
    dataset = folder(
        {"a.png": same, "b.png": sky(2, (90, 60, 96, 64)), "c.png": sky(3, (31, 30, 37, 34)), "d.bmp": same}
    )
    assert len(dropped(dataset, decide(dataset, level=level))) == 1


@pytest.mark.parametrize("level", ["fast", "thorough"])
def test_a_second_run_opens_no_picture(folder, tmp_path, level, monkeypatch):
    dataset = folder(edited({**EDITS, **HARD}, PHOTOS[:2]) | {"page-a": page(1), "page-b": page(2)})
    # Files that were only just written may change again unseen, so they are made older.
    for file in Path(dataset.source.path).iterdir():
        os.utime(file, (1_000_000_000, 1_000_000_000))
    env = {"DATADIET_CACHE_DIR": str(tmp_path / "cache")}
    without = dropped(dataset, decide(dataset, level=level))
    with Cache(env) as cache:
        assert dropped(dataset, decide(dataset, Context(cache=cache), level=level)) == without

    def refuse(*_args, **_kwargs):
        raise AssertionError("a picture was opened")

    monkeypatch.setattr(Image, "open", refuse)
    with Cache(env) as cache:
        assert dropped(dataset, decide(dataset, Context(cache=cache), level=level)) == without


@pytest.mark.parametrize("level", ["fast", "thorough"])
def test_measuring_is_symmetric(folder, level):
    dataset = folder(edited({**EDITS, **HARD}, PHOTOS[:3]))
    with ExitStack() as stack:
        likeness = by_picture(Pool(dataset), Dedup(method="phash", level=level), Context(), stack)
        a, b = (part.ravel() for part in np.meshgrid(np.arange(len(dataset)), np.arange(len(dataset))))
        a, b = a[a < b], b[a < b]
        forth, back = likeness.measure(a, b), likeness.measure(b, a)
        assert (forth.distance == back.distance).all()
        assert np.array_equal(forth.agreement, back.agreement, equal_nan=True)
        assert (forth.words == back.words).all()
        near = np.flatnonzero(forth.distance <= likeness.reach)
        node, edges = likeness.candidates.node, {tuple(edge) for edge in likeness.candidates.edges.tolist()}
        for x, y in zip(node[a[near]].tolist(), node[b[near]].tolist(), strict=True):
            assert x == y or (min(x, y), max(x, y)) in edges, "whoever is within reach is a candidate"


def test_each_picture_is_decoded_for_its_detail_once(folder, monkeypatch):
    dataset = folder(edited(EDITS, PHOTOS[:2]))
    fetched = []
    fetch = Details._fetch

    def counted(self, samples):
        before = self._held
        fetch(self, samples)
        fetched.append((self._held - before, len(samples)))

    monkeypatch.setattr(Details, "_fetch", counted)
    decide(dataset, level="thorough")
    assert 0 < sum(new for new, _ in fetched) <= len(dataset)


def test_pictures_that_are_gone_at_the_last_look_are_no_copies(folder, monkeypatch):
    dataset = folder({"a.png": photo("rocket.jpg"), "b": photo("rocket.jpg")})
    with ExitStack() as stack:
        likeness = by_picture(Pool(dataset), Dedup(method="phash", level="thorough"), Context(), stack)
        Path(dataset.source.path, "b.jpg").unlink()
        assert not likeness.confirm(np.array([0]), np.array([1]))[0]


def test_without_verification_hashes_alone_decide(folder):
    dataset = folder(edited({"gray": EDITS["gray"]}, PHOTOS[:2]))
    found = dropped(dataset, decide(dataset, verify=False))
    assert set(found) == {"astronaut-gray", "camera-gray"}
    assert all("correlation" not in detail for _, detail in found.values())


def test_nothing_is_as_good_as_little(folder):
    dataset = folder({"a.png": photo("coffee.png")})
    for level in ("fast", "thorough"):
        assert len(decide(dataset, level=level).verdicts) == 0
        assert len(decide(dataset.keep(np.zeros(1, dtype=bool)), level=level).verdicts) == 0


def test_black_and_white_is_a_poor_copy_however_large(tmp_path, datadiet):
    root = tmp_path / "in"
    root.mkdir()
    photograph = Image.open(Path(__file__).parents[2] / "sample_data/images/train/animal/chelsea-02.jpg").resize(
        (160, 160)
    )
    photograph.save(root / "small.png")
    photograph.resize((320, 320)).convert("1").save(root / "large.png")
    ran = datadiet("dedup", root, "--dry-run", "--list", "dropped", "--min-correlation", "0.3")
    assert ran.ids == ["large.png"]
