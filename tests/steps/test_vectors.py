"""dedup by embedding and by cluster: what goes, and that nothing goes for being at the end of a chain."""

import wave

import numpy as np
import polars as pl
import pytest
from PIL import Image

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.encode.cache import Cache
from datadiet_cli.encode.vectors import classical_rows, images
from datadiet_cli.encode.vectors.grid import LENGTH, on_grid
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.methods.neighbours import TooManyPairsError
from datadiet_cli.steps import vectors as vectors_
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.dedup import run
from datadiet_cli.steps.likeness import crowds, row_vectors, vectors
from datadiet_cli.steps.likeness.pool import Pool


def picture(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((120, 120), Image.Resampling.BICUBIC)


def decide(dataset, engine="serial", workers=1, cache=None, **settings):
    with Engine(engine, workers) as running:
        context = Context(running, cache=cache) if cache else Context(running)
        return run(
            dataset, Dedup(**{"method": "embedding", "encoder": "classical", "prefer": "first"} | settings), context
        )


def dropped(dataset, outcome):
    return dataset.source.ids(outcome.verdicts.dropped())


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    for seed in range(3):
        picture(seed).save(root / f"{seed}a.png")
        picture(seed).save(root / f"{seed}b.jpg", quality=70)
    for name, colour in (("white1", 255), ("white2", 255), ("gray", 254), ("black", 0)):
        Image.new("RGB", (64, 64), (colour,) * 3).save(root / f"{name}.png")
    (root / "broken.png").write_bytes(b"no picture")
    return root


@pytest.mark.parametrize("method", ["embedding", "cluster"])
def test_pictures(folder, method):
    dataset = open_dataset(str(folder))
    outcome = decide(dataset, method=method)
    assert dropped(dataset, outcome) == ["0b.jpg", "1b.jpg", "2b.jpg", "white2.png"]
    assert dataset.source.ids(outcome.verdicts.sample[outcome.verdicts.reason == "unreadable"]) == ["broken.png"]
    assert outcome.metrics["without_content"] == 4
    threads = decide(dataset, "threads", 3, method=method)
    np.testing.assert_array_equal(threads.verdicts.score, outcome.verdicts.score)
    np.testing.assert_array_equal(threads.verdicts.witness, outcome.verdicts.witness)


def test_a_second_run_opens_no_picture(folder, tmp_path, monkeypatch):
    dataset = open_dataset(str(folder))
    (folder / "broken.png").unlink()
    dataset = open_dataset(str(folder))
    with Cache({"DATADIET_CACHE_DIR": str(tmp_path / "cache")}) as cache:
        first = decide(dataset, cache=cache)
        monkeypatch.setattr(images, "open_picture", lambda *_: pytest.fail("opened"))
        again = decide(dataset, cache=cache)
    assert again.verdicts.score.tolist() == first.verdicts.score.tolist()


def turns(tmp_path, n=90):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["x", *(f"{i}.5" for i in range(n)), ""]))
    return open_dataset(str(path), Reading())


@pytest.fixture
def a_degree_apart(monkeypatch):
    """An encoder of rows each of which is turned by a degree from the one before."""

    def turned(frame):
        angle = np.radians(frame["x"].to_numpy())
        return on_grid(np.column_stack([np.cos(angle), np.sin(angle)]))

    monkeypatch.setattr(classical_rows, "row_vectors", turned)


LINK = float(np.cos(np.radians(1.2)))


@pytest.mark.parametrize(
    ("settings", "reach", "numbers"),
    [
        ({"method": "embedding"}, 1.2, [45]),
        # In which order so equal distances are joined decides how many are left alone between two pairs.
        ({"method": "cluster", "clustering": "agglomerative"}, 1.2, range(30, 46)),
        ({"method": "cluster", "clustering": "dbscan"}, 2.4, [60]),
    ],
    ids=["embedding", "agglomerative", "dbscan"],
)
def test_a_chain_does_not_end_in_one_sample(tmp_path, a_degree_apart, settings, reach, numbers):
    """All ninety hang together, yet whoever goes is near the one that stays: within one link, or two for dbscan."""
    dataset = turns(tmp_path)
    outcome = decide(dataset, similarity=LINK, **settings)
    v = outcome.verdicts
    assert np.abs(v.sample - v.witness).max() == int(reach)
    assert not np.isin(v.witness, v.dropped()).any()
    assert len(v.dropped()) in numbers
    assert decide(dataset, similarity=LINK, **settings).verdicts.witness.tolist() == v.witness.tolist()


def test_rows_of_few_differences(tmp_path):
    path = tmp_path / "rows.csv"
    rows = [f"{i},{i * 7 % 11},city {i % 4}" for i in range(40)]
    path.write_text("\n".join(["a,b,c", *rows, "7,5,CITY  3", "7,5,city 1", ",,", ",,", ""]))
    dataset = open_dataset(str(path), Reading())
    assert decide(dataset, encoder="auto").verdicts.dropped().tolist() == [40]
    assert decide(dataset, columns=["a", "b"]).verdicts.dropped().tolist() == [40, 41]


def test_texts(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    for i in range(12):
        words = np.random.default_rng(i).permutation([f"word{k}" for k in range(200)])[:40]
        (root / f"{i:02}.txt").write_text(" ".join(words))
        if i < 2:
            (root / f"{i:02}_again.txt").write_text(" ".join(words).upper() + " !")
    (root / "empty.txt").write_text("")
    (root / "blank.txt").write_text(" \n")
    (root / "blank2.txt").write_text("\n")
    (root / "dash.txt").write_text("-")
    (root / "dash2.txt").write_text(" -\n")
    dataset = open_dataset(str(root))
    outcome = decide(dataset)
    assert dropped(dataset, outcome) == ["00_again.txt", "01_again.txt", "dash2.txt"]
    assert outcome.metrics["unreadable"] == 1


@pytest.mark.parametrize("copied", [True, False])
def test_two_long_texts(tmp_path, copied):
    """More runs of characters than a vector has numbers."""
    rng = np.random.default_rng(0)
    root = tmp_path / "in"
    root.mkdir()
    texts = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 10_000)) for _ in range(2)]
    (root / "a.txt").write_text(texts[0])
    (root / "b.txt").write_text(texts[0][:9990] + "!" if copied else texts[1])
    dataset = open_dataset(str(root))
    assert dropped(dataset, decide(dataset)) == (["b.txt"] if copied else [])


def test_many_rows_of_two_texts_take_little_room(monkeypatch):
    """They have the cosines of their runs, whether or not there is room for these."""
    few = []
    rows = pl.DataFrame({"text": ["a text that is there often, and rather long", "another one, not as long"] * 50})
    for numbers in (1 << 30, 100):
        monkeypatch.setattr(vectors_, "_NUMBERS", numbers)
        few.append(vectors_.by_runs(rows, Context(), learn=np.arange(2)).grid.astype(np.float64) / LENGTH)
    assert [grid.shape[1] > 100 for grid in few] == [True, False]
    np.testing.assert_allclose(few[0] @ few[0].T, few[1] @ few[1].T, atol=5e-3)


def test_sounds(tmp_path):
    pytest.importorskip("soundfile")
    root = tmp_path / "in"
    root.mkdir()
    time = np.arange(8000) / 8000
    sounds = (("a", 300, 0.5), ("b", 300, 0.25), ("c", 1100, 0.5), ("silent", 300, 0), ("still", 300, 0))
    for name, pitch, gain in sounds:
        tone = gain * np.sin(2 * np.pi * pitch * time * (1 + time)) * np.hanning(8000)
        with wave.open(str(root / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes((tone * 32767).astype("<i2").tobytes())
    dataset = open_dataset(str(root))
    assert dropped(dataset, decide(dataset)) == ["b.wav", "still.wav"]


def test_what_is_wrong_is_told_in_one_line(tmp_path, monkeypatch):
    dataset = turns(tmp_path, 5)
    with pytest.raises(ConfigError, match=r"encoder efficientnet-lite0 does not work on row data; choose classical or"):
        decide(dataset, encoder="efficientnet-lite0")
    with pytest.raises(ConfigError, match="has no column of text"):
        decide(dataset, encoder="minilm")
    monkeypatch.setattr(vectors, "LARGEST_CLUSTER", 3)
    with pytest.raises(ConfigError, match="one cluster takes in 5 different samples; raise --similarity"):
        decide(dataset, method="cluster", similarity=0.5)

    def too_many(_grid, least, **_more):
        raise TooManyPairsError(f"more than 9 pairs have a similarity of {least:g} or more")

    monkeypatch.setattr(vectors, "pairs_above", too_many)
    monkeypatch.setattr(crowds, "pairs_above", too_many)
    with pytest.raises(ConfigError, match=r"more than 9 pairs .* of 0\.7 or more; .* choose method embedding"):
        decide(dataset, method="cluster", similarity=0.7)
    dataset = angles(tmp_path / "labels.csv", [1, 2, 3, 4], ["a", "a", "b", "b"])
    with pytest.raises(ConfigError, match=r"more than 9 pairs .* of 0\.5 or more; raise --similarity"):
        decide(dataset, similarity=0.5)


def angles(path, numbers, labels):
    path.write_text("\n".join(["x,label", *(f"{x},{label}" for x, label in zip(numbers, labels, strict=True)), ""]))
    return open_dataset(str(path), Reading(label="label"))


def test_columns_that_are_neither_numbers_nor_texts(tmp_path):
    """Lists, structs, times and the like are what they say."""
    from datetime import date, datetime, timedelta

    import polars as pl

    n = 20
    columns = {
        "list": [[float(i), 2.0] for i in range(n)],
        "struct": [{"a": i, "b": "k"} for i in range(n)],
        "duration": [timedelta(seconds=i) for i in range(n)],
        "date": [date(2020, 1, 1 + i) for i in range(n)],
        "datetime": [datetime(2020, 1, 1 + i, 12) for i in range(n)],
        "bytes": [bytes([200, i]) for i in range(n)],
        "null": [None] * n,
        "flag": [i % 2 == 0 for i in range(n)],
    }
    frame = pl.DataFrame(columns).with_columns(pl.Series("category", [f"c{i}" for i in range(n)], dtype=pl.Categorical))
    pl.concat([frame, frame[3:5]]).write_parquet(tmp_path / "in.parquet")
    dataset = open_dataset(str(tmp_path / "in.parquet"), Reading())
    for method in ("embedding", "cluster"):
        assert decide(dataset, method=method).verdicts.dropped().tolist() == [20, 21]
        for name in columns:
            decide(dataset, method=method, columns=[name])


def test_tables_of_numbers_lose_equal_rows_only(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["x", *(f"{i}" for i in range(5000)), "7", ""]))
    dataset = open_dataset(str(path), Reading())
    for method in ("embedding", "cluster"):
        assert decide(dataset, method=method, encoder="auto").verdicts.dropped().tolist() == [5000]


def test_auto_reads_free_text_and_takes_all_else_by_its_cells(tmp_path):
    texts = [f"the letter that number {i} wrote about the {word} garden" for i, word in enumerate(WORDS * 4)]
    path = tmp_path / "rows.csv"
    path.write_text(
        "\n".join(["text,name,size", *(f"{t},{w},{len(t)}" for t, w in zip(texts, WORDS * 4, strict=True)), ""])
    )
    dataset = open_dataset(str(path), Reading())
    assert encoder_of(dataset, ["text"]) == "minilm"
    for columns in (["name"], ["size"], ["text", "size"], ["text", "name"]):
        assert encoder_of(dataset, columns) == "classical"


WORDS = [f"{first}{second}" for first in ("red", "green", "old", "wet") for second in ("ish", "er", "est")]


def encoder_of(dataset, columns):
    settings = Dedup(method="embedding", columns=columns)
    return row_vectors.encoder_of_rows(Pool(dataset), settings, columns)


def test_a_file_that_is_no_network_is_refused(folder, tmp_path):
    (tmp_path / "x.pt2").write_bytes(b"hello")
    with pytest.raises(InputError, match="is not a network saved by torch"):
        decide(open_dataset(str(folder)), encoder=str(tmp_path / "x.pt2"))


def test_nothing_at_all(tmp_path):
    dataset = turns(tmp_path, 5)
    for method in ("embedding", "cluster"):
        assert len(decide(dataset.keep(np.zeros(5, dtype=bool)), method=method).verdicts) == 0
