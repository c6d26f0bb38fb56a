"""Leakage: test samples that a model has been trained on are found, and rows that repeat by nature are told apart."""

import random
import shutil

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import ImageOps

from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.errors import InputError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.leakage import leaks
from tests.conftest import picture, table
from tests.data.trees import write


def found(training, test):
    """The kind and the witness of each leak, by id."""
    told = leaks(training, test, Context())
    assert len(told) == told.exact + told.near
    assert told.exact == (told.kinds == "exact").sum()
    assert told.near == (told.kinds == "near").sum()
    assert told.natural == (told.kinds == "natural").sum()
    ids = test.source.ids(told.test_rows), training.source.ids(told.witness_rows)
    return {name: (kind, witness) for name, kind, witness in zip(ids[0], told.kinds.tolist(), ids[1], strict=True)}


def divided(dataset, seed=0, share=0.3):
    test = np.random.default_rng(seed).random(len(dataset)) < share
    return dataset.keep(~test), dataset.keep(test)


def by_split(root, **reading):
    dataset = open_dataset(str(root), Reading(**reading))
    return dataset.keep(dataset.training), dataset.keep(~dataset.training)


def words(seed):
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 8))) for _ in range(60))


def pictures(root):
    for seed in range(6):
        path = root / ("train" if seed < 3 else "test") / "cat" / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(path)
    test = root / "test" / "cat"
    shutil.copy(root / "train/cat/1.png", test / "same.png")
    ImageOps.mirror(picture(2)).save(test / "alike.jpg", quality=95)
    for part in ("train", "test"):
        (root / part / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    return {"test/cat/same.png": ("exact", "train/cat/1.png"), "test/cat/alike.jpg": ("near", "train/cat/2.png")}


def texts(root):
    files = {f"{'train' if seed < 3 else 'test'}/a/{seed}.txt": words(seed) for seed in range(6)}
    files |= {"test/a/same.txt": words(1), "test/a/alike.txt": words(2).upper() + " !"}
    write(root, files | {"train/a/void.txt": "", "test/a/void.txt": ""})
    return {"test/a/same.txt": ("exact", "train/a/1.txt"), "test/a/alike.txt": ("near", "train/a/2.txt")}


def sounds(root):
    time = np.arange(16_000) / 8_000

    def tune(seed):
        notes = np.random.default_rng(seed).uniform(200, 1500, 10).repeat(1600)
        return 0.4 * np.sin(2 * np.pi * notes * time) * (1 - (time * 5 % 1) / 2)

    for seed in range(6):
        path = root / ("train" if seed < 3 else "test") / "a" / f"{seed}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tune(seed), 8_000)
    shutil.copy(root / "train/a/1.wav", root / "test/a/same.wav")
    soundfile.write(root / "test/a/alike.wav", 0.5 * tune(2), 8_000)
    for part in ("train", "test"):
        (root / part / "a" / "broken.wav").write_bytes(b"RIFF and nothing")
    return {"test/a/same.wav": ("exact", "train/a/1.wav"), "test/a/alike.wav": ("near", "train/a/2.wav")}


def files(root):
    write(root, {f"{'train' if i < 3 else 'test'}/a/{i}.bin": f"content {i}" for i in range(6)})
    write(root, {"test/a/same.bin": "content 1", "test/a/void.bin": "", "train/a/void.bin": ""})
    return {"test/a/same.bin": ("exact", "train/a/1.bin")}


@pytest.mark.parametrize("make", [pictures, texts, sounds, files])
def test_files_of_every_kind(tmp_path, make):
    expected = make(tmp_path / "raw")
    training, test = by_split(tmp_path / "raw")
    assert found(training, test) == expected
    told = leaks(training, test, Context())
    assert told.share_of_test == len(expected) / len(test)
    assert told.leaking.tolist() == told.test_rows.tolist()
    clean = test.without(told.leaking)
    assert found(training, clean) == {}
    # As datasets of their own the same files are found, and the order of the two does not matter.
    apart = open_dataset(str(tmp_path / "raw/train")), open_dataset(str(tmp_path / "raw/test"))
    bare = {
        name.removeprefix("test/"): (kind, name_.removeprefix("train/")) for name, (kind, name_) in expected.items()
    }
    assert found(*apart) == bare
    assert found(*apart[::-1]) == {witness: (kind, name) for name, (kind, witness) in bare.items()}


def test_rows_of_other_tables(tmp_path):
    rng = np.random.default_rng(0)
    rows = [[f"{i}", f"{v:.3f}", "xy"[i % 2], "pq"[i % 2]] for i, v in enumerate(rng.normal(size=50).tolist())]
    rows.append(["", "", "", "p"])
    table(tmp_path / "train.csv", ["n", "v", "c", "label"], rows)
    # Another order, another format, another label, a column more; whole numbers as others, and a row of nothing.
    pl.DataFrame(
        {
            "c": ["x", "y", "x", None],
            "label": ["q", "q", "q", "q"],
            "more": ["1", "2", "3", "4"],
            "n": [4.0, 7.0, 8.0, None],
            "v": [float(rows[4][1]), float(rows[7][1]), 0.5, None],
        }
    ).write_parquet(tmp_path / "test.parquet")
    training = open_dataset(str(tmp_path / "train.csv"), Reading(label="label"))
    test = open_dataset(str(tmp_path / "test.parquet"), Reading(label="label"))
    assert found(training, test) == {"0": ("exact", "4"), "1": ("exact", "7")}
    told = leaks(training, test, Context())
    assert (told.expected, told.share_of_test) == (0.0, 0.5)


def test_rows_of_one_table(tmp_path):
    rows = [[i, f"word {i}", "ab"[i % 2], "train" if i < 30 else "test"] for i in range(40)]
    rows[35][:3] = [7, "word 7", "a"]
    training, test = by_split(
        table(tmp_path / "t.csv", ["n", "w", "label", "split"], rows), label="label", split="split"
    )
    assert found(training, test) == {"35": ("exact", "7")}
    assert found(test, training) == {"7": ("exact", "35")}


def categories(path, seed, count=3000, kinds=(30, 20, 5)):
    """A table of a few categories, some frequent and some rare."""
    rng = np.random.default_rng(seed)
    columns = [(kind * rng.random(count) ** 3).astype(int) for kind in kinds]
    return table(path, [*"abc"[: len(kinds)], "label"], [*zip(*columns, rng.integers(0, 2, count), strict=True)])


@pytest.mark.parametrize("kinds", [(3, 2), (30, 20, 5), (300, 200, 50)])
def test_rows_that_repeat_by_nature_are_no_leak(tmp_path, kinds):
    """Whatever the share of doubles, as many as expected are found when training and test are drawn alike."""
    for seed in range(5):
        dataset = open_dataset(str(categories(tmp_path / f"{seed}.csv", seed, kinds=kinds)), Reading(label="label"))
        training, test = divided(dataset, 100 + seed)
        told = leaks(training, test, Context())
        assert len(told) == 0
        assert len(told.leaking) == 0
        assert told.natural == len(told.test_rows)
        assert told.natural == pytest.approx(told.expected, abs=4 * told.expected**0.5)


def test_more_equal_rows_than_repeat_by_nature_are_leaks(tmp_path):
    kinds = (300, 200, 50)
    path = categories(tmp_path / "train.csv", 0, kinds=kinds)
    training = open_dataset(str(path), Reading(label="label"))
    test = open_dataset(str(categories(tmp_path / "test.csv", 1, 1000, kinds)), Reading(label="label"))
    natural = leaks(training, test, Context())
    assert natural.exact == 0
    assert natural.natural > 0
    header, *rows = path.read_text().splitlines()
    more = (tmp_path / "test.csv").read_text().splitlines()[1:] + rows[::10]
    (tmp_path / "leaky.csv").write_text("\n".join([header, *more]))
    leaky = leaks(training, open_dataset(str(tmp_path / "leaky.csv"), Reading(label="label")), Context())
    assert leaky.natural == 0
    assert leaky.exact >= natural.natural + 300
    assert leaky.exact > leaky.expected


def test_many_rows_and_files_of_one_content(tmp_path):
    dataset = open_dataset(str(table(tmp_path / "t.csv", ["a", "b"], [["x", "y"]] * 60_000)))
    training, test = divided(dataset)
    told = leaks(training, test, Context())
    assert (told.exact, told.natural) == (0, len(test))
    assert told.expected == pytest.approx(len(test))
    assert set(told.witness_rows.tolist()) == {int(training.rows[0])}
    write(tmp_path / "f", {f"{part}/{i}.bin": "same" for i in range(300) for part in ("train", "test")})
    told = leaks(*by_split(tmp_path / "f"), Context())
    assert (told.exact, told.near) == (300, 0)


def test_nothing_to_compare(tmp_path):
    dataset = open_dataset(str(table(tmp_path / "t.csv", ["a", "b"], [["1", "x"], ["2", "y"]])))
    none = dataset.keep(np.zeros(2, dtype=bool))
    for training, test in ((none, dataset), (dataset, none), (none, none)):
        told = leaks(training, test, Context())
        assert (told.exact, told.near, told.natural, told.share_of_test, len(told.test_rows)) == (0, 0, 0, 0.0, 0)
    one = dataset.keep(np.array([True, False]))
    assert leaks(one, one, Context()).exact == 1
    folder = open_dataset(str(write(tmp_path / "f", {"a/x.txt": "word", "b/y.txt": "other"})))
    with pytest.raises(InputError, match=r"holds text samples and .*t.csv row samples"):
        leaks(dataset, folder, Context())
    other = open_dataset(str(table(tmp_path / "other.csv", ["p", "q"], [["1", "x"]])))
    with pytest.raises(InputError, match="no column that could be compared"):
        leaks(dataset, other, Context())
