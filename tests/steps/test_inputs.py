"""Samples as what a model takes: the form is found from training samples, and holds for any others."""

import json
import wave
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from datadiet_cli.config.training import Training
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.encode.inputs import reading as arrays
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.spec import Field, Spec
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.features import meanings
from datadiet_cli.steps.inputs import inputs_of
from tests.conftest import picture, save, table

N = 40


def inputs(path, fields=None, engine="serial", room="", want=None, transform=None, settings=None, **reading):
    dataset = open_dataset(str(path), Reading(**reading))
    with Engine(engine, 2) as running:
        context = Context(running, new_folder=lambda: str(room))
        return inputs_of(dataset, Training(**(settings or {})), context, "train", fields, want, transform)


def same(one, other, rows=slice(None)):
    for a, b in zip(one.arrays, other.arrays, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a[rows], b)
    np.testing.assert_array_equal(one.usable[rows], other.usable)
    assert one.causes[rows].tolist() == other.causes.tolist()


def tone(path, seed, seconds):
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(rng.integers(-9000, 9000, int(8000 * seconds)).astype("<i2").tobytes())


@pytest.fixture
def folders(tmp_path):
    """Pictures, sounds and texts in two classes, with one file of each kind that cannot be read."""
    for i in range(8):
        label = "ab"[i % 2]
        save(tmp_path / "image" / label / f"{i}.png", i)
        tone(tmp_path / "audio" / label / f"{i}.wav", i, 0.3 + i / 20)
        path = tmp_path / "text" / label / f"{i}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(["word", "other", "third"][: i % 3 + 1] * (i + 1)))
    (tmp_path / "image" / "a" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "audio" / "a" / "broken.wav").write_bytes(b"no sound")
    (tmp_path / "text" / "a" / "empty.txt").write_bytes(b"")
    return tmp_path


SHAPES = {"image": ((3, 16, 16), np.uint8), "audio": ((5120,), np.int16), "text": ((35,), np.int32)}


@pytest.mark.parametrize("kind", SHAPES)
def test_folders(folders, kind, monkeypatch):
    if kind == "audio":
        pytest.importorskip("soundfile")
    settings = {"image_size": 16}
    found = inputs(folders / kind, settings=settings)
    assert [(part.name, part.kind) for part in found.fields] == [(kind, kind)]
    shape, dtype = SHAPES[kind]
    assert found.arrays[0].shape == (9, *shape)
    assert found.arrays[0].dtype == dtype
    assert found.usable.sum() == 8
    assert found.usable.tolist() == [cause is None for cause in found.causes]
    assert set(found.causes.tolist()) - {None} <= meanings(kind, Context()).keys()
    assert not found.arrays[0][~found.usable].any()
    for engine in ("threads", "processes"):
        same(found, inputs(folders / kind, engine=engine, settings=settings))
    (stored,) = Spec.of(json.loads(json.dumps(Spec("m", found.fields, ()).as_json()))).fields
    same(found, inputs(folders / kind, (stored,)))
    monkeypatch.setattr(arrays, "IN_MEMORY", 100)
    mapped = inputs(folders / kind, found.fields, room=folders)
    assert isinstance(mapped.arrays[0], np.memmap)
    same(found, mapped)


def test_sizes_are_those_of_training_samples(folders):
    pytest.importorskip("soundfile")
    for i in range(4):
        (folders / "split" / "train" / "a").mkdir(parents=True, exist_ok=True)
        (folders / "split" / "train" / "a" / f"{i}.txt").write_text("one two three four five six")
        (folders / "split" / "test" / "a").mkdir(parents=True, exist_ok=True)
        (folders / "split" / "test" / "a" / f"{i}.txt").write_text("long " * 200)
        tone(folders / "sounds" / "train" / "a" / f"{i}.wav", i, 0.3)
        tone(folders / "sounds" / "test" / "a" / f"{i}.wav", i, 3)
    assert inputs(folders / "split").fields[0].options["length"] == 11
    assert inputs(folders / "sounds").fields[0].options["samples"] == 2560


def test_blank_texts_hold_nothing(tmp_path):
    (tmp_path / "blank.txt").write_text(" \n")
    (tmp_path / "some.txt").write_text("some words")
    found = inputs(tmp_path)
    assert found.usable.tolist() == [False, True]
    assert found.causes.tolist() == [None, None]


def people(path, order=range(N), head=N):
    """Numbers, categories, a date, free text, a label, and columns that say nothing."""
    rng = np.random.default_rng(0)
    words = "river stone quick brown market summer window letter garden silver".split()
    rows = [
        (
            i,
            "" if i == 3 else round(rng.normal(), 3),
            "" if i == 5 else ["red", "green", "blue"][rng.integers(3)],
            f"2020-01-{i % 28 + 1:02}",
            " ".join(rng.choice(words, 7)) if i != 7 else "",
            "constant",
            f"class {i % 2}",
        )
        for i in range(N)
    ]
    header = ["id", "x", "colour", "day", "note", "same", "label"]
    return table(path, header, [rows[i] for i in order][:head])


def test_a_table(tmp_path):
    found = inputs(people(tmp_path / "a.csv"), label="label")
    assert [part.name for part in found.fields] == ["numbers", "categories", "text:note"]
    numbers, categories, text = found.fields
    assert numbers.options == {"columns": ["x", "day"], "forms": ["real", "date"]}
    assert categories.options == {"columns": ["colour"], "values": [["blue", "green", "red"]]}
    assert text.options["column"] == "note"
    assert [array.dtype for array in found.arrays] == [np.float32, np.int64, np.int32]
    assert np.isnan(found.arrays[0][3, 0])
    assert found.arrays[0][0, 1] == 18_262
    assert found.arrays[1][5, 0] == 0
    assert found.arrays[1].max() == 3
    assert not found.arrays[2][7].any()
    assert found.usable.all()
    assert set(found.left_out) == {"id", "same"}
    chosen = inputs(tmp_path / "a.csv", settings={"columns": ["colour", "x"]}, label="label")
    assert [part.options["columns"] for part in chosen.fields] == [["x"], ["colour"]]


def test_rows_in_another_order_and_a_few_of_them(tmp_path):
    found = inputs(people(tmp_path / "a.csv"), label="label")
    order = np.random.default_rng(1).permutation(N)
    other = inputs(people(tmp_path / "b.csv", order), label="label")
    assert other.fields == found.fields
    same(found, other, order)
    # Of three rows alone every column would be something else.
    same(found, inputs(people(tmp_path / "c.csv", order, 3), found.fields), order[:3])
    same(found, inputs(people(tmp_path / "c.csv", order, 1), found.fields), order[:1])
    assert all(len(array) == 0 for array in inputs(people(tmp_path / "c.csv", head=0), found.fields).arrays)


def test_new_rows_that_are_not_as_before(tmp_path):
    fields = inputs(people(tmp_path / "a.csv"), label="label").fields
    new = table(
        tmp_path / "new.csv",
        ["more", "note", "day", "colour", "x"],
        [
            ("1", "River Stone", "2020-01-01", "violet", "many"),
            ("2", "", "soon", "blue", "1e400"),
            ("3", "", "", "", ""),
        ],
    )
    found = inputs(new, fields)
    assert found.arrays[0].tolist()[0][1] == 18_262
    assert np.isnan(found.arrays[0]).sum() == 5
    assert found.arrays[1].ravel().tolist() == [0, 1, 0]
    assert np.count_nonzero(found.arrays[2], axis=1).tolist() == [3, 0, 0]
    assert found.usable.tolist() == [True, True, False]


def test_what_is_fitted_does_not_look_at_evaluation_rows(tmp_path):
    rows = [(f"{i}.5", "ab"[i % 2], "train") for i in range(N)]
    rows += [(f"{i}e300", "c", "test") for i in range(N)]
    found = inputs(table(tmp_path / "t.csv", ["x", "word", "split"], rows), split="split")
    assert found.fields[0].options == {"columns": ["x"], "forms": ["real"]}
    assert found.fields[1].options["values"] == [["a", "b"]]
    assert found.arrays[1][N:].ravel().tolist() == [0] * N


def test_columns_that_name_files(tmp_path):
    pytest.importorskip("soundfile")
    secret = tmp_path.parent / f"{tmp_path.name}-secret.png"
    picture(99).save(secret)
    rows = []
    for i in range(N):
        save(tmp_path / "photos" / f"{i}.png", i % 5)
        tone(tmp_path / "sounds" / f"{i}.wav", i % 5, 0.3)
        rows.append((f"photos/{i}.png", f"sounds/{i}.wav", i % 9 + 0.5))
    (tmp_path / "photos" / "1.png").write_bytes(b"no picture")
    rows[2] = ("", *rows[2][1:])
    found = inputs(table(tmp_path / "t.csv", ["photo", "sound", "x"], rows), settings={"image_size": 16})
    assert [part.name for part in found.fields] == ["numbers", "image:photo", "audio:sound"]
    assert [array.shape for array in found.arrays] == [(N, 1), (N, 3, 16, 16), (N, 2560)]
    assert found.usable.tolist() == [i != 1 for i in range(N)]
    assert found.causes[1] == "not-an-image"
    assert not found.arrays[1][2].any()
    np.testing.assert_array_equal(found.arrays[1][0], found.arrays[1][5])
    odd = [("gone.png", "sounds/1.wav", 1.5), (f"../{secret.name}", "sounds/1.wav", 1.5), rows[0]]
    new = inputs(table(tmp_path / "new.csv", ["photo", "sound", "x"], odd), found.fields)
    assert new.causes.tolist() == ["unreachable", "outside", None]
    assert not new.arrays[1][:2].any()
    np.testing.assert_array_equal(new.arrays[1][2], found.arrays[1][0])


def test_vectors_where_a_model_wants_them(folders, tmp_path):
    found = inputs(folders / "image", settings={"model": "mlp"})
    (part,) = found.fields
    assert (part.name, part.kind, part.options["encoder"]) == ("vector", "vector", "classical")
    assert found.arrays[0].shape == (9, part.options["dimensions"])
    assert found.usable.sum() == 8
    same(found, inputs(folders / "image", found.fields, transform=found.transform))
    texts = inputs(people(tmp_path / "a.csv"), settings={"model": "linear", "columns": ["note"]}, label="label")
    assert texts.fields[0].options["column"] == "note"
    again = inputs(people(tmp_path / "b.csv", head=4), texts.fields, transform=texts.transform)
    np.testing.assert_array_equal(again.arrays[0], texts.arrays[0][:4])
    flat = inputs(tmp_path / "a.csv", settings={"model": "mlp"}, label="label")
    assert [part.name for part in flat.fields] == ["numbers", "categories"]
    assert "note" in flat.left_out
    assert inputs(tmp_path / "a.csv", want="vector", label="label").fields[0].kind == "vector"


def test_what_is_refused(folders, tmp_path):
    path = people(tmp_path / "a.csv")
    fields = inputs(path, label="label").fields
    with pytest.raises(InputError, match=r"^train: .*new.csv lacks the column 'x' and 1 more, .* mean its 'xx'\?"):
        inputs(table(tmp_path / "new.csv", ["xx", "day", "note"], [(1, 2, 3)]), fields)
    with pytest.raises(InputError, match=r"^train: .*image is a folder of images, and the model takes numbers, cat"):
        inputs(folders / "image", fields)
    with pytest.raises(InputError, match=r"is a folder of texts, and the model takes image"):
        inputs(folders / "text", (Field("image", "image", {"size": 8}),))
    with pytest.raises(InputError, match=r"a.csv is a table, and the model takes a folder of image files"):
        inputs(path, (Field("image", "image", {"size": 8}),))
    with pytest.raises(InputError, match=r"no column tells anything .*same: constant"):
        inputs(path, settings={"columns": ["same"]})
    with pytest.raises(InputError, match="no such column"):
        inputs(path, settings={"columns": ["nothing"]})
    with pytest.raises(ConfigError, match=r"^train: --columns label"):
        inputs(path, settings={"columns": ["label"]}, label="label")
    with pytest.raises(ConfigError, match=r"^train: --columns needs a table"):
        inputs(folders / "image", settings={"columns": ["x"]})
    with pytest.raises(InputError, match="no column besides label"):
        inputs(table(tmp_path / "b.csv", ["label"], [("a",), ("b",)]), label="label")
    two = [(f"one two three four five {i}", f"six seven eight nine ten {i}") for i in range(N)]
    with pytest.raises(ConfigError, match=r"a, b all hold texts .* name it with --columns"):
        inputs(table(tmp_path / "c.csv", ["a", "b"], two), settings={"model": "mlp"})
    rated = Field("audio", "audio", {"rate": 16_000, "samples": 4096})
    with pytest.raises(InputError, match="16000 samples a second"):
        inputs(folders / "audio", (rated,))


def test_a_picture_of_many_names_is_one_file_to_read(tmp_path):
    Image.new("RGB", (16, 16), "red").save(tmp_path / "a.png")
    rows = [("a.png", i % 7 + 0.5) for i in range(N)]
    found = inputs(table(tmp_path / "t.csv", ["photo", "x"], rows))
    assert found.fields[1].kind == "image"
    assert (found.arrays[1] == found.arrays[1][0]).all()
    assert replace(found).usable.all()
