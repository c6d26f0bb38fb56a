"""Samples as one matrix: what becomes of columns and files, and that nothing depends on order, engine or a bad cell."""

import json
import wave
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.encode.cells import cells_of, written
from datadiet_cli.encode.vectors.grid import on_grid
from datadiet_cli.encode.vectors.mfcc import Mfcc
from datadiet_cli.encode.vectors.reduced import reduced
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.feature_columns import cell_parts, in_spreads, pointers_of
from datadiet_cli.steps.features import features_of, meanings
from tests.conftest import picture, table

N = 60


def features(path, engine="serial", encoder="auto", columns=None, **reading):
    with Engine(engine, 2) as running:
        return features_of(open_dataset(str(path), Reading(**reading)), encoder, columns, Context(running), "denoise")


def frame_of(**columns):
    frame = pl.DataFrame(columns, strict=False)
    texts = frame.select(
        pl.lit("[]").alias(c.name) if c.dtype == pl.List else pl.col(c.name).cast(pl.String) for c in frame
    )
    return cells_of(frame, texts)


def texts_of(n=N, seed=0):
    rng = np.random.default_rng(seed)
    words = "river stone quick brown market summer window letter garden silver morning paper".split()
    return [" ".join(rng.choice(words, 9)) + f" {i}" for i in range(n)]


# Cells


def test_what_columns_are():
    rng = np.random.default_rng(0)
    days = [date(2020, 1, 1) + timedelta(days=7 * i) for i in range(N)]
    cells = frame_of(
        real=rng.normal(size=N),
        age=rng.integers(20, 60, N),
        flag=rng.integers(0, 2, N),
        colour=rng.choice(["red", "green", "blue"], N),
        yes=rng.random(N) < 0.5,
        day=days,
        stamp=[int(day.strftime("%Y%m%d")) for day in days],
        dirty=["?", *map(str, rng.normal(size=N - 1))],
        serial=np.arange(N) + 100,
        account=rng.permutation(N) * 7919 + 10_000_000,
        name=[f"person {i}" for i in range(N)],
        postcode=[f"0{i}" for i in range(N)],
        review=texts_of(),
        same=["x"] * N,
        empty=[None] * N,
        pairs=[[i] for i in range(N)],
    )
    assert cells.number_names == ("real", "age", "day", "stamp", "dirty")
    assert cells.forms == ("real", "whole", "date", "day", "real")
    assert cells.whole.tolist() == [False, True, True, True, False]
    assert cells.category_names == ("flag", "colour", "yes")
    assert cells.category_values == (("0", "1"), ("blue", "green", "red"), ("false", "true"))
    assert set(cells.left_out) == {"serial", "account", "name", "postcode", "review", "same", "empty", "pairs"}
    assert cells.left_out["review"] == "free text"
    assert np.isnan(cells.numbers[0, 4])
    np.testing.assert_array_equal(cells.numbers[:, 2], cells.numbers[:, 3])
    assert written(cells.numbers[:2, 2], "date") == ["2020-01-01", "2020-01-08"]
    assert written(cells.numbers[:2, 3], "day") == ["20200101", "20200108"]
    assert written(np.array([3.0, np.nan]), "whole") == ["3", None]
    assert written(np.array([18262.5]), "time") == ["2020-01-01 12:00:00"]


def test_cells_that_are_missing_endless_or_alone():
    cells = frame_of(
        x=[1.5, None, float("nan"), float("inf"), *np.linspace(0, 9, N - 4)],
        once=["yes", *[None] * (N - 1)],
        one=[2, *[None] * (N - 1)],
        blank=["  ", "a", *["b"] * (N - 2)],
    )
    assert np.isnan(cells.numbers[:4, 0]).tolist() == [False, True, True, False]
    assert cells.numbers[3, 0] == np.inf
    assert cells.category_names == ("once", "one", "blank")
    assert cells.categories[:2].tolist() == [[0, 0, -1], [-1, -1, 0]]
    parts = cell_parts(cells, np.ones(N, dtype=bool))
    assert all(np.isfinite(part.values).all() for part in parts)


def test_no_row_one_row_no_column():
    for rows in (0, 1):
        cells = frame_of(x=np.zeros(rows), word=["a"] * rows)
        assert cells.numbers.shape == (rows, 0)
        assert cells.left_out.keys() == {"x", "word"}
    empty = cells_of(pl.DataFrame(), pl.DataFrame())
    assert (empty.numbers.shape, empty.categories.shape, empty.left_out) == ((0, 0), (0, 0), {})


@given(st.lists(st.one_of(st.none(), st.floats(width=64), st.integers(-(10**300), 10**300).map(float)), max_size=40))
def test_numbers_in_spreads_are_finite_and_keep_their_order(values):
    numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    made = in_spreads(numbers, np.ones(len(numbers), dtype=bool))
    assert (np.abs(made) <= 10).all()
    order = np.argsort(numbers)[: int((~np.isnan(numbers)).sum())]
    assert (np.diff(made[order]) >= 0).all()
    assert not made[np.isnan(numbers)].any()


def test_numbers_are_in_spreads_of_the_rows_to_learn_from():
    rng = np.random.default_rng(1)
    values = np.append(rng.normal(50, 4, 4000), [1e300, -np.inf, 50.0])
    made = in_spreads(values, np.arange(4003) < 4000)
    np.testing.assert_allclose(made[:4000].std(), 1, atol=0.05)
    assert made[4000:4002].tolist() == [10, -10]
    assert abs(made[4002]) < 0.1


@pytest.mark.parametrize("count", [3, 32, 33, 200])
def test_values_of_a_category_are_a_spread_apart(count):
    cells = frame_of(city=[f"city {i % count}" for i in range(4 * count)])
    (part,) = cell_parts(cells, np.ones(4 * count, dtype=bool))
    assert part.values.shape[1] == min(count, 32)
    a, b = np.triu_indices(count, 1)
    apart = np.linalg.norm(part.values[a] - part.values[b], axis=1)
    np.testing.assert_allclose(np.median(apart), 1, atol=0.05)
    assert apart.min() > 0.3
    np.testing.assert_array_equal(part.values[:count], part.values[count : 2 * count])


# Tables


def wine_like(path, order=None, n=N):
    """Numbers, words, free text and a label that both tell."""
    rng = np.random.default_rng(3)
    label = np.arange(n) % 3
    texts = texts_of(n)
    rows = [
        (i, rng.normal(label[i], 0.2), "", ["low", "mid", "high"][label[i]], texts[i], f"class {label[i]}")
        for i in range(n)
    ]
    rows = [rows[i] for i in (order if order is not None else range(n))]
    return table(path, ["id", "x", "gone", "level", "note", "label"], rows)


def test_a_table(tmp_path):
    found = features(wine_like(tmp_path / "t.csv"), label="label")
    assert [(b.column, b.kind) for b in found.blocks] == [("x", "number"), ("level", "category"), ("note", "text")]
    assert found.blocks[-1].stop == found.matrix.shape[1]
    assert found.matrix.dtype == np.float32
    assert found.usable.all()
    assert set(found.cells.left_out) == {"id", "gone", "note"}
    few = features(tmp_path / "t.csv", label="label", columns=["x"])
    np.testing.assert_array_equal(few.matrix, found.matrix[:, :1])


def test_rows_in_another_order_give_the_same_rows(tmp_path):
    order = np.random.default_rng(5).permutation(N)
    one = features(wine_like(tmp_path / "a.csv"), label="label")
    other = features(wine_like(tmp_path / "b.csv", order), label="label")
    np.testing.assert_allclose(other.matrix, one.matrix[order], atol=1e-5)
    assert other.blocks == one.blocks


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_engines_give_the_same_matrix(tmp_path, engine):
    path = wine_like(tmp_path / "a.csv")
    np.testing.assert_array_equal(features(path, engine).matrix, features(path).matrix)


@pytest.mark.parametrize("column", [0, 1])
def test_a_table_without_a_telling_column(tmp_path, column):
    path = table(tmp_path / "t.csv", ["a", "b"], [["same", ""][column : column + 1] * 2] * 3)
    found = features(path)
    assert found.matrix.shape == (3, 0)
    assert not found.usable.any()


def test_what_a_table_refuses(tmp_path):
    path = wine_like(tmp_path / "t.csv")
    with pytest.raises(InputError, match="no such column"):
        features(path, columns=["nothing"])
    with pytest.raises(ConfigError, match=r"^denoise: --columns label"):
        features(path, columns=["label"], label="label")
    with pytest.raises(ConfigError, match=r"^denoise: encoder resnet does not work on row data"):
        features(path, encoder="resnet")
    with pytest.raises(ConfigError, match=r"^denoise: encoder mfcc is for audio data"):
        features(path, encoder="mfcc")


def test_a_fit_does_not_look_at_evaluation_rows(tmp_path):
    rows = [(f"{i % 13}.5", "train") for i in range(80)]
    plain = features(table(tmp_path / "a.csv", ["x", "split"], rows), split="split")
    rows += [("5000.5", "test"), *[("9000.5", "test")] * 90]
    more = features(table(tmp_path / "b.csv", ["x", "split"], rows), split="split")
    np.testing.assert_array_equal(more.matrix[:80], plain.matrix)


def test_a_column_of_file_names(tmp_path):
    (tmp_path / "pictures").mkdir()
    secret = tmp_path.parent / f"{tmp_path.name}-secret.png"
    picture(99).save(secret)
    for i in range(N):
        picture(i % 7).save(tmp_path / "pictures" / f"{i}.png")
    (tmp_path / "pictures" / "1.png").write_bytes(b"no picture")
    (tmp_path / "pictures" / "link.png").symlink_to(secret)
    names = [f"pictures/{i}.png" for i in range(N)]
    rows = [(name, f"{i % 9}.25", note) for i, (name, note) in enumerate(zip(names, texts_of(), strict=True))]
    rows += [("../" + secret.name, "1.5", "a b c d e f"), ("pictures/link.png", "1.5", "a b c d e f")]
    rows += [("", "1.5", "a b c d e f")]
    path = table(tmp_path / "t.csv", ["photo", "x", "note"], rows)
    found = features(path)
    assert {(b.column, b.kind) for b in found.blocks} == {("photo", "image"), ("x", "number"), ("note", "text")}
    assert [found.causes[i] for i in (0, 1, N, N + 1, N + 2)] == [None, "not-an-image", "outside", "outside", None]
    assert set(found.causes.tolist()) - {None} <= meanings("row", Context()).keys()
    assert found.usable.tolist() == [cause is None for cause in found.causes]
    place = next(b for b in found.blocks if b.kind == "image")
    photos = found.matrix[:, place.start : place.stop]
    np.testing.assert_allclose(np.linalg.norm(photos[[0, 2, 7]], axis=1), 2, rtol=1e-4)
    np.testing.assert_array_equal(photos[0], photos[7])
    assert not photos[N + 2].any()
    assert found.cells.left_out["photo"] == "names of image files"
    absolute = pointers_of(pl.Series([str(tmp_path / name) for name in names]), str(tmp_path))
    assert absolute is None


# Files


def tone(path, hertz, seed, seconds=0.5):
    rng = np.random.default_rng(seed)
    time = np.arange(int(8000 * seconds)) / 8000
    samples = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in (1, 2, 3)) + rng.normal(0, 0.02, len(time))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((samples * rng.uniform(4000, 9000)).clip(-32768, 32767).astype("<i2").tobytes())


@pytest.fixture
def folders(tmp_path):
    """Two classes of each kind of file that any encoder tells apart, and what cannot be read or tells nothing."""
    for kind in ("image", "text", "audio"):
        for label in ("a", "b"):
            (tmp_path / kind / label).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(12):
        stripes = np.indices((64, 64))[0 if i % 2 else 1] // 8 % 2 * 150
        noisy = (stripes[:, :, None] + rng.integers(0, 100, (64, 64, 3))).astype(np.uint8)
        label = "ab"[i % 2]
        Image.fromarray(noisy).save(tmp_path / "image" / label / f"{i}.png")
        words = ["the cat sat on a mat", "stocks fell as markets closed"][i % 2]
        (tmp_path / "text" / label / f"{i}.txt").write_text(f"{words} {i} times")
        tone(tmp_path / "audio" / label / f"{i}.wav", (150, 600)[i % 2], i)
    (tmp_path / "image" / "a" / "broken.png").write_bytes(b"no picture")
    Image.new("RGB", (64, 64), "white").save(tmp_path / "image" / "b" / "flat.png")
    (tmp_path / "text" / "a" / "empty.txt").write_bytes(b"")
    (tmp_path / "text" / "b" / "blank.txt").write_text("  \n")
    (tmp_path / "audio" / "a" / "broken.wav").write_bytes(b"no sound")
    tone(tmp_path / "audio" / "b" / "short.wav", 150, 0, 0.01)
    return tmp_path


@pytest.mark.parametrize("kind", ["image", "text", "audio"])
def test_folders(folders, kind):
    pytest.importorskip("soundfile")
    found = features(folders / kind)
    dataset = open_dataset(str(folders / kind))
    assert found.cells is None
    assert found.blocks[0].kind == kind
    assert (found.causes != None).sum() == 1  # noqa: E711
    assert set(found.causes.tolist()) - {None} <= meanings(kind, Context()).keys()
    assert (~found.usable).sum() == 2
    assert not found.matrix[~found.usable].any()
    np.testing.assert_allclose(np.linalg.norm(found.matrix[found.usable], axis=1), 1, atol=1e-3)
    x, y = found.matrix[found.usable], dataset.labels[found.usable]
    neighbours = KNeighborsClassifier(2).fit(x, y).kneighbors(x, return_distance=False)
    assert (y[neighbours] == y[:, None]).all()
    for engine in ("threads", "processes"):
        np.testing.assert_array_equal(features(folders / kind, engine).matrix, found.matrix)


def test_what_folders_refuse(folders, tmp_path):
    with pytest.raises(ConfigError, match=r"^denoise: encoder minilm does not work on image data"):
        features(folders / "image", encoder="minilm")
    with pytest.raises(ConfigError, match=r"^denoise: --columns needs a table"):
        features(folders / "image", columns=["x"])


def test_files_alike(tmp_path):
    for i in range(5):
        picture(1).save(tmp_path / f"{i}.png")
    found = features(tmp_path)
    assert found.usable.all()
    assert (found.matrix == found.matrix[0]).all()


def test_sounds_as_mfcc_do_not_depend_on_loudness():
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.1, 8000).astype(np.float32)
    encoder = Mfcc("cpu")
    np.testing.assert_allclose(encoder(samples), encoder(samples * 4), atol=1e-4)
    assert encoder(samples[:100]) is None
    assert encoder(samples * 0) is None


@pytest.mark.parametrize("shape", [(200, 300), (400, 20)])
def test_reduced_vectors_are_principal_components(shape):
    rng = np.random.default_rng(0)
    grid = on_grid(rng.normal(size=shape) * np.linspace(0.2, 3, shape[1]) + 1)
    made = reduced(grid, np.ones(len(grid), dtype=bool), balanced=False)
    theirs = PCA(min(128, shape[1]), svd_solver="full").fit_transform(grid.astype(np.float64))
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(made), np.abs(theirs), atol=2e-3)
    order = rng.permutation(len(grid))
    np.testing.assert_allclose(
        reduced(grid[order], np.ones(len(grid), dtype=bool), balanced=False), made[order], atol=1e-5
    )


def test_json_lines_with_nested_cells(tmp_path):
    path = tmp_path / "t.jsonl"
    rows = [{"x": i % 7 + 0.5, "tags": ["a", "b"], "more": {"deep": 1}, "word": "ab"[i % 2]} for i in range(30)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    found = features(path)
    assert found.cells.number_names == ("x",)
    assert found.cells.category_names == ("word",)
