"""Measures of pictures: each fault shows in its own measure, whatever the size, the contrast and the format."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from datadiet_cli.encode.cache import NoCache
from datadiet_cli.encode.quality.pictures import MEASURES, edge_width, measure_pictures
from datadiet_cli.engine import Engine
from datadiet_cli.methods.quality import CHECKS, find_faults

WIDTH, HEIGHT = 1280, 960
CHECKED = list(CHECKS["image"].values())


def photograph(seed=0, size=(WIDTH, HEIGHT)):
    """Things of one colour in front of a soft cloud, a soft lens and some grain."""
    rng = np.random.default_rng(seed)
    cloud = Image.fromarray(rng.integers(60, 200, (12, 16, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(cloud)
    for _ in range(12):
        x, y, r = rng.uniform(0, size[0]), rng.uniform(0, size[1]), rng.uniform(0.05, 0.2) * size[0]
        draw.ellipse([x - r, y - r / 2, x + r, y + r / 2], fill=tuple(rng.integers(0, 256, 3).tolist()))
    soft = np.asarray(cloud.filter(ImageFilter.GaussianBlur(0.7))).astype(float)
    return Image.fromarray((soft + rng.normal(0, 3, (*soft.shape[:2], 1))).clip(0, 255).astype(np.uint8))


def measured(folder, pictures, engine="serial", **options):
    """Save pictures as JPEG, or as the suffix of their name says, and measure them."""
    paths = []
    for number, picture in enumerate(pictures):
        paths.append(str(folder / f"{number}.{options.get('suffix', 'jpg')}"))
        picture.save(paths[-1], **({} if "suffix" in options else {"quality": 90}))
    return look(paths, engine)


def look(paths, engine="serial"):
    with Engine(engine, 2) as runner:
        return measure_pictures(paths, max_pixels=10**8, cache=NoCache(), engine=runner)


def names(found, i):
    return {name for name, faulty in find_faults(found.values, CHECKED).items() if faulty[i]}


@pytest.fixture(scope="module")
def good():
    return [photograph(seed) for seed in range(8)]


def pale(share, white):
    return lambda p: Image.fromarray((np.asarray(p) * share + white).clip(0, 255).astype(np.uint8))


FAULTS = {
    "mild blur": ({"blurred"}, lambda p: p.filter(ImageFilter.GaussianBlur(3))),
    "strong blur": ({"blurred"}, lambda p: p.filter(ImageFilter.GaussianBlur(9))),
    "enlarged": ({"blurred"}, lambda p: p.resize((160, 120)).resize(p.size, Image.Resampling.BICUBIC)),
    "dark": ({"dark"}, lambda p: ImageEnhance.Brightness(p).enhance(0.12)),
    "over-exposed": ({"over-exposed", "washed-out"}, pale(0.15, 225)),
    "washed-out": ({"washed-out"}, pale(0.06, 110)),
    "one colour": ({"flat"}, lambda p: Image.new("RGB", p.size, (120, 90, 60))),
    "gray": ({"gray-in-colour"}, lambda p: p.convert("L").convert("RGB")),
    "truly gray": ({"gray-in-colour"}, lambda p: p.convert("L")),
    "thumbnail": ({"odd-size"}, lambda p: p.resize((48, 36))),
    "strip": ({"odd-aspect"}, lambda p: p.crop((0, 0, 1280, 120))),
    "portrait": (set(), lambda p: p.transpose(Image.Transpose.ROTATE_90)),
    "half the size": (set(), lambda p: p.resize((640, 480))),
    "sharp and pale": (set(), pale(0.35, 80)),
    "evening": (set(), lambda p: ImageEnhance.Brightness(p).enhance(0.4)),
}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_found_and_nothing_else_is(tmp_path, good, kind):
    expected, change = FAULTS[kind]
    found = measured(tmp_path, [*good, change(good[0])])
    assert [names(found, i) for i in range(len(good))] == [set()] * len(good)
    assert names(found, len(good)) == expected


def test_pages_of_text_and_drawings_are_sharp_and_well_exposed(tmp_path):
    page = Image.new("L", (WIDTH, HEIGHT), 255)
    draw = ImageDraw.Draw(page)
    for line in range(28):
        draw.text((90, 60 + 30 * line), "the quick brown fox jumps over the lazy dog " * 4, fill=0)
    drawing = Image.new("RGB", (600, 400), "white")
    ImageDraw.Draw(drawing).line([(20, 20), (580, 380), (300, 20)], fill="navy", width=5)
    sky = Image.fromarray(np.linspace(150, 240, HEIGHT)[:, None].repeat(WIDTH, 1).astype(np.uint8))
    ImageDraw.Draw(sky).rectangle([500, 300, 560, 340], fill=20)
    found = measured(tmp_path, [page, drawing, sky])
    assert [names(found, i) for i in range(3)] == [set()] * 3


@pytest.mark.parametrize("side", [8, 28, 32, 64])
def test_small_pictures_are_not_blurred_for_being_small(tmp_path, good, side):
    small = [picture.resize((side, side), Image.Resampling.LANCZOS) for picture in good]
    found = measured(tmp_path, small, suffix="png")
    widths = found.values["edge_width"]
    assert np.nanmax(widths) < 5
    assert all(names(found, i) <= {"flat"} for i in range(len(good)))


def test_enlarged_pictures_are_no_fault_where_all_are_enlarged(tmp_path):
    rng = np.random.default_rng(0)
    tiny = [Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(30)]
    found = measured(tmp_path, [p.resize((128, 128), Image.Resampling.BICUBIC) for p in tiny], suffix="png")
    assert np.nanmedian(found.values["edge_width"]) > 5
    assert sum(bool(names(found, i)) for i in range(30)) == 0


def test_blur_is_told_by_the_view_not_by_the_pixel(tmp_path):
    """A large picture that is soft by a pixel or two is sharp; the same view blurred is blurred in every size."""
    large = photograph(1, (2560, 1920))
    blurred = [large.filter(ImageFilter.GaussianBlur(6)).resize((w, w * 3 // 4)) for w in (2560, 1920, 1280)]
    found = measured(tmp_path, [large.filter(ImageFilter.GaussianBlur(1.2)), *blurred])
    widths = found.values["edge_width"]
    assert widths[0] < 5
    assert (widths[1:] > 6).all()
    assert widths[1:].max() < 1.4 * widths[1:].min()


@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("contrast", [30, 100, 250])
def test_the_width_of_an_edge_is_its_range_by_its_slope(sigma, contrast):
    from scipy.special import ndtr

    across = np.arange(96) - 47.5
    step = ndtr(across / sigma) if sigma else (across > 0).astype(float)
    edge = np.round(2 + contrast * step).astype(np.uint8)
    picture = np.tile(edge, (96, 1))
    expected = 1 / (ndtr(0.5 / sigma) - ndtr(-0.5 / sigma)) if sigma else 1.0
    for view in (picture, picture.T, picture[:, ::-1], picture[:, 3:], 255 - picture):
        assert edge_width(np.ascontiguousarray(view)) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 2), (3, 40), (9, 9)])
@pytest.mark.parametrize("pixels", ["noise", "black", "white"])
def test_any_shape_and_content_is_measured_without_a_warning(tmp_path, shape, pixels):
    values = {"noise": np.random.default_rng(0).integers(0, 256, (*shape, 3)), "black": np.zeros((*shape, 3))}
    array = values.get(pixels, np.full((*shape, 3), 255)).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measured(tmp_path, [Image.fromarray(array)], suffix="png")
    assert found.causes.tolist() == [None]
    assert not any(np.isinf(column).any() for column in found.values.values())
    assert {"dark", "flat"} <= names(found, 0) or pixels != "black"
    assert {"over-exposed", "flat"} <= names(found, 0) or pixels != "white"


@pytest.mark.parametrize(
    ("suffix", "change"),
    [
        ("png", lambda p: p),
        ("png", lambda p: p.convert("RGBA")),
        ("png", lambda p: p.quantize(256)),
        ("tif", lambda p: p.convert("CMYK")),
        ("webp", lambda p: p),
    ],
)
def test_the_format_makes_little_difference(tmp_path, good, suffix, change):
    jpeg = measured(tmp_path, [good[0]])
    other = measured(tmp_path, [change(good[0])], suffix=suffix)
    for name in MEASURES:
        assert other.values[name][0] == pytest.approx(jpeg.values[name][0], rel=0.2, abs=0.03), name


def test_files_that_cannot_be_read_have_a_cause_and_no_values(tmp_path, good):
    buffer = io.BytesIO()
    good[0].save(buffer, "JPEG")
    contents = {"a": b"", "b": b"no picture", "c": buffer.getvalue()[:5000], "d": buffer.getvalue()}
    paths = [tmp_path / name for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    found = look([*map(str, paths), str(tmp_path / "absent.jpg")])
    assert found.causes.tolist() == ["empty", "not-an-image", "truncated", None, "unreachable"]
    for column in found.values.values():
        assert np.isnan(column[[0, 1, 2, 4]]).all()
        assert not np.isnan(column[3])
    with Engine("serial") as engine:
        bomb = measure_pictures([str(paths[3])], max_pixels=1000, cache=NoCache(), engine=engine)
    assert bomb.causes.tolist() == ["bomb"]


def test_neither_the_order_nor_the_engine_makes_a_difference(tmp_path, good):
    first = measured(tmp_path, good)
    order = [5, 2, 7, 0, 1, 6, 3, 4]
    again = look([str(tmp_path / f"{i}.jpg") for i in order], "threads")
    for name in MEASURES:
        assert np.array_equal(first.values[name][order], again.values[name])
