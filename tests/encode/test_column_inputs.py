"""Kernels that turn texts and cells into the tensors of a model."""

import numpy as np
import polars as pl
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.encode.cells import cells_of
from datadiet_cli.encode.inputs import cells, words
from datadiet_cli.engine import Engine

# Texts


def numbers(texts, length=20, buckets=1000):
    return words.hash_texts(pl.DataFrame({"t": texts}, schema={"t": pl.String}), length, buckets, None)[0]


def test_words_and_pairs_take_turns():
    made = numbers(["Big red dog", "red dog", None, " \n", "BIG  ﬂea"], 8)
    assert made.dtype == np.int32
    assert [np.count_nonzero(row) for row in made] == [5, 3, 0, 0, 3]
    np.testing.assert_array_equal(made[0, 2:5], made[1, :3])
    assert made[4, 0] == made[0, 0]
    assert made[4, 2] == numbers(["flea"])[0, 0]
    assert made[0, 1] != made[0, 3]
    np.testing.assert_array_equal(numbers(["Big red dog"], 3), made[:1, :3])
    digest = xxhash.xxh3_64_intdigest(b"red", seed=20_090_614)
    assert made[1, 0] == digest % 1000 + 1


def test_words_of_other_scripts():
    def first(text):
        return words._WORD.findall(text)

    assert first("don't stop!!! 3.5€") == ["don", "'", "t", "stop", "!!!", "3", ".", "5€"]
    assert first("日本語 text") == ["日", "本", "語", "text"]
    assert first("हिन्दी भाषा") == ["हिन्दी", "भाषा"]


@settings(max_examples=40)
@given(st.lists(st.text(max_size=40), max_size=6), st.integers(1, 12), st.integers(1, 50))
def test_any_text_has_numbers_in_range(texts, length, buckets):
    made = numbers(texts, length, buckets)
    assert made.shape == (len(texts), length)
    assert made.min(initial=0) >= 0
    assert made.max(initial=0) <= buckets
    for i, text in enumerate(texts):
        np.testing.assert_array_equal(made[i], numbers([text], length, buckets)[0])
        ends = np.flatnonzero(made[i] == 0)
        assert not len(ends) or not made[i, ends[0] :].any()


def test_the_length_of_texts(tmp_path):
    frame = pl.DataFrame({"t": [" ".join(["a"] * i) for i in range(1, 101)]})
    with Engine("serial") as engine:
        assert words.length_for(frame, None, engine) == 2 * 99 - 1
        assert words.length_for(pl.DataFrame({"t": ["a b"]}), None, engine) == words.FEWEST
        assert words.length_for(pl.DataFrame({"t": ["a " * 9000]}), None, engine) == 2 * words.MOST_WORDS - 1
        (tmp_path / "a.txt").write_bytes("\ufeffder große Hund".encode("utf-16-le"))
        assert words.length_for([None, str(tmp_path / "a.txt")], None, engine) == words.FEWEST
        made, causes = words.read_texts([None, str(tmp_path / "a.txt"), "gone"], 8, 99, None, engine=engine)
    assert causes.tolist() == [None, None, "unreachable"]
    np.testing.assert_array_equal(made[1:2], numbers(["Der GROSSE hund"], 8, 99))


# Cells


def columns(**values):
    """(typed, texts) as a table gives them."""
    typed = pl.DataFrame(values, strict=False)
    return typed, typed.select(pl.all().cast(pl.String))


def test_numbers_are_read_by_their_form():
    rows = 30
    dates = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, rows), eager=True)
    typed, texts = columns(
        real=np.linspace(0, 1, rows) + 0.1,
        dirty=["?", *map(str, np.arange(rows - 1) * 1.5)],
        date=dates,
        moment=dates.cast(pl.Datetime("us")).dt.offset_by("6h"),
        day=[int(date.strftime("%Y%m%d")) for date in dates],
    )
    fitted = cells.number_options(cells_of(typed, texts))
    assert fitted["forms"] == ["real", "real", "date", "time", "day"]
    made = cells.numbers_by(typed, texts, fitted)
    assert made.dtype == np.float32
    assert np.isnan(made[0, 1])
    np.testing.assert_array_equal(made[:, 2], made[:, 4])
    np.testing.assert_allclose(made[:, 3] - made[:, 2], 0.25, atol=1e-2)
    # A few rows of a CSV, in which columns look like something else.
    odd = pl.DataFrame({name: [texts[name][5], "no number", None] for name in texts.columns})
    again = cells.numbers_by(odd, odd, fitted)
    np.testing.assert_allclose(again[0], made[5], rtol=1e-6)
    assert np.isnan(again[1:]).all()


def test_numbers_that_float32_cannot_tell_apart():
    seconds = 1.7e9 + np.arange(50.0) * 7 % 31
    typed, texts = columns(
        stamp=seconds, huge=np.arange(50.0) * 1e290, tiny=np.arange(50.0) * 1e-300, usual=seconds % 5 + 0.5
    )
    fitted = cells.number_options(cells_of(typed, texts))
    made = cells.numbers_by(typed, texts, fitted)
    assert np.isfinite(np.square(made)).all()
    assert fitted["centres"][3] == 0
    assert fitted["scales"][0] == fitted["scales"][3] == 1
    for i, values in enumerate(typed.to_numpy().T):
        np.testing.assert_array_equal(np.argsort(made[:, i], kind="stable"), np.argsort(values, kind="stable"))
        assert len(np.unique(made[:, i])) == len(np.unique(values))
    plain, words_ = columns(x=np.arange(50) * 0.5)
    assert set(cells.number_options(cells_of(plain, words_))) == {"columns", "forms"}
    far, said = columns(
        stamp=[1e300, np.inf, -np.inf], huge=[1e308, 1.0, 1.0], tiny=[1e300, 1.0, 1.0], usual=[1e300, 1.0, 1.0]
    )
    assert np.array_equal(np.isnan(cells.numbers_by(far, said, fitted)[:, 0]), [False, True, True])
    assert np.abs(np.nan_to_num(cells.numbers_by(far, said, fitted))).max() == 2.0**60


def test_values_of_categories():
    typed, texts = columns(
        colour=["red", "blue", None, "red", "blue", ""] * 5,
        flag=[True, False, None, True, False, False] * 5,
        code=[1, 2, None, 1, 2, 2] * 5,
    )
    fitted = cells.category_options(cells_of(typed, texts))
    assert fitted == {"columns": ["colour", "flag", "code"], "values": [["blue", "red"], ["false", "true"], ["1", "2"]]}
    made, some = cells.categories_by(texts, fitted)
    assert made.dtype == np.int64
    assert made[:6].tolist() == [[2, 2, 1], [1, 1, 2], [0, 0, 0], [2, 2, 1], [1, 1, 2], [0, 1, 2]]
    assert some[:6].tolist() == [True, True, False, True, True, True]
    other = pl.DataFrame({"code": ["1.0", "x", " 2 "], "flag": ["TRUE", "no", None], "colour": ["Red", "red", "green"]})
    made, some = cells.categories_by(other, fitted)
    assert made.tolist() == [[0, 2, 1], [2, 0, 0], [0, 0, 2]]
    assert some.all()


def test_rare_values_of_a_category_share_none(monkeypatch):
    monkeypatch.setattr(cells, "MOST_VALUES", 2)
    typed, texts = columns(word=["a", "b", "b", "c", "c", "c"])
    fitted = cells.category_options(cells_of(typed, texts))
    assert fitted["values"] == [["b", "c"]]
    assert cells.categories_by(texts, fitted)[0].ravel().tolist() == [0, 1, 1, 2, 2, 2]
