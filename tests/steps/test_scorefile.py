"""Scores as a file: they come back as they were, shards add up to the whole, and scores of other data are refused."""

import json
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.errors import InputError
from datadiet_cli.steps.choosing.scorefile import Scores, matched, merged, read, to_bytes

PROVENANCE = {
    "datadiet": "1.0",
    "fingerprint": "f00d",
    "digest": "beef",
    "kind": "image",
    "task": "classification",
    "model": "small-cnn",
    "recipe": {"epochs": 10, "optimizer": "sgd"},
    "epochs": 10,
    "folds": 1,
    "how": "epoch",
    "window": 10,
    "score_epoch": None,
}


def scores(ids="abcd", labels="xxyy", seeds=(0,), told=None, **values):
    values = values or {"el2n": [0.4, 0.3, 0.2, 0.1], "aum": [1.0, np.nan, -2.0, 0.5]}
    return Scores(
        list(ids),
        None if labels is None else list(labels),
        {name: np.array(column, dtype=np.float64) for name, column in values.items()},
        {**PROVENANCE, "seeds": list(seeds), **(told or {})},
    )


def same(one, two):
    assert (one.ids, one.labels, dict(one.provenance)) == (two.ids, two.labels, dict(two.provenance))
    assert list(one.values) == list(two.values)
    for name in one.values:
        assert one.values[name].dtype == np.float64
        np.testing.assert_array_equal(one.values[name], two.values[name])


@pytest.fixture
def saved(tmp_path):
    """Write scores, or any bytes, to a file."""

    def save(content, name="out.scores.parquet"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else to_bytes(content))
        return str(path)

    return save


# Names of files are bytes; those that are not UTF-8 hold lone surrogates, and some names look like their escapes.
NAMES = st.one_of(
    st.text(),
    st.binary().map(lambda name: name.decode("utf-8", "surrogateescape")),
    st.sampled_from(["\\udcff", "\udcff", "\\x5cudcff", "\\\udcff", "\\x5c", "\\\\udcff", "\ud800", "", "\0"]),
)
NUMBERS = st.floats(allow_nan=True, allow_infinity=False)


@st.composite
def any_scores(draw):
    ids = draw(st.lists(NAMES, unique=True, max_size=8))
    column = st.lists(NUMBERS, min_size=len(ids), max_size=len(ids))
    labels = draw(st.none() | st.lists(NAMES, min_size=len(ids), max_size=len(ids)))
    values = draw(st.dictionaries(st.sampled_from(["el2n", "aum", "confidence", "é"]), column, min_size=1))
    return scores(ids, labels, draw(st.lists(st.integers(0, 9), unique=True)), **values)


class TestRoundTrip:
    @settings(max_examples=60)
    @given(any_scores())
    def test_any_scores_come_back(self, tmp_path_factory, given_scores):
        path = tmp_path_factory.getbasetemp() / "any.scores.parquet"
        content = to_bytes(given_scores)
        assert content == to_bytes(given_scores)
        path.write_bytes(content)
        same(read(str(path)), given_scores)

    def test_others_can_read_the_table(self, saved):
        path = saved(scores(["a", "caf\xe9", "not\udcffutf", "d"]))
        frame = pl.read_parquet(path)
        assert frame.schema == {"id": pl.String, "label": pl.String, "el2n": pl.Float64, "aum": pl.Float64}
        assert frame["id"].to_list() == ["a", "caf\xe9", "not\\udcffutf", "d"]
        assert frame["aum"].to_list() == [1.0, None, -2.0, 0.5]
        told = json.loads(pl.read_parquet_metadata(path)["datadiet"])
        assert told["provenance"]["model"] == "small-cnn"

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (scores("aacd"), "'a' is there twice"),
            (scores("abc"), "a value for each sample"),
            (scores(el2n=[np.inf, 0, 0, 0]), "el2n is infinite"),
            (scores(id=[0, 0, 0, 0]), "none is called id"),
            (scores(seeds=(1, 1)), "a seed is there twice"),
            (scores(told={"recipe": np.nan}), "JSON"),
        ],
    )
    def test_what_are_no_scores_is_not_written(self, wrong, said):
        with pytest.raises(ValueError, match=said):
            to_bytes(wrong)


class TestDamage:
    def refused(self, path, said):
        with pytest.raises(InputError, match=f"^{re.escape(path)}: .*{said}") as error:
            read(path)
        assert "\n" not in str(error.value)

    def test_not_there(self, tmp_path):
        self.refused(str(tmp_path / "none.parquet"), "cannot be read: No such file")
        self.refused(str(tmp_path), "cannot be read: Is a directory")

    @pytest.mark.parametrize("content", [b"", b"id,el2n\na,1\n", b"PAR1 and no more PAR1"])
    def test_no_parquet(self, saved, content):
        self.refused(saved(content), "cannot be read as a Parquet file of scores")

    def test_cut_or_flipped(self, saved, capfd):
        whole = to_bytes(scores([f"sample {i}" for i in range(400)], "x" * 400, el2n=np.linspace(0, 1, 400)))
        self.refused(saved(whole[: len(whole) // 2]), "cannot be read")
        for place in range(4, len(whole), 97):
            damaged = bytearray(whole)
            damaged[place] ^= 0x10
            try:
                found = read(saved(bytes(damaged)))
            except InputError:
                continue
            # Some bytes of a Parquet file say nothing of its content.
            np.testing.assert_array_equal(found.values["el2n"], np.linspace(0, 1, 400))
        assert capfd.readouterr().err == ""

    def test_no_scores_or_of_another_version(self, saved, tmp_path):
        path = saved(scores())
        frame, metadata = pl.read_parquet(path), pl.read_parquet_metadata(path)
        told = json.loads(metadata["datadiet"])
        other = str(tmp_path / "other.parquet")
        frame.write_parquet(other)
        self.refused(other, "holds no scores of datadiet")
        cases = [
            (frame, {"scores_version": 2}, "of version 2"),
            (frame, {"scores_version": None}, "no scores of datadiet"),
            (frame, {"escaped": None}, "is damaged"),
            (frame, {"provenance": 5}, "is damaged"),
            (frame, {"provenance": {"seeds": "3"}}, "seeds must be whole"),
            (frame.with_columns(el2n=pl.col("el2n") + 1), {}, "was changed"),
            (frame.with_columns(label=pl.lit("z")), {}, "was changed"),
            (frame.drop("el2n"), {}, "its columns"),
            (frame.with_columns(pl.col("el2n").cast(pl.Float32)), {}, "its columns"),
            (frame.with_columns(id=pl.lit("a")), {}, "'a' is there twice"),
            (frame.with_columns(id=pl.lit(1)), {}, "is no text"),
        ]
        for changed, facts, said in cases:
            changed.write_parquet(other, metadata={"datadiet": json.dumps({**told, **facts})})
            self.refused(other, said)
        for text in ("[1]", "{"):
            frame.write_parquet(other, metadata={"datadiet": text})
            self.refused(other, "scores")


class TestShards:
    @settings(max_examples=40)
    @given(st.data())
    def test_add_up_to_the_mean_over_all_models_in_any_order(self, data):
        models = data.draw(st.integers(2, 6))
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        of_models = rng.normal(size=(models, 4))
        of_models[:, 1] = np.nan
        cuts = data.draw(st.lists(st.integers(1, models - 1), unique=True, min_size=1).map(sorted))
        seeds = np.split(np.arange(models), cuts)
        parts = [(f"{part[0]}", scores(seeds=part.tolist(), el2n=of_models[part].mean(axis=0))) for part in seeds]
        whole = merged(data.draw(st.permutations(parts)))
        np.testing.assert_allclose(whole.values["el2n"], of_models.mean(axis=0), rtol=1e-12)
        assert whole.provenance == {**PROVENANCE, "seeds": list(range(models))}
        assert to_bytes(whole) == to_bytes(merged(parts))

    def test_what_a_shard_lacks_others_have(self):
        one = scores(seeds=[4, 5], told={"samples_seen": 80}, el2n=[1, np.nan, 3, np.nan])
        two = scores("dcba", "yyxx", seeds=[2], told={"samples_seen": 40}, el2n=[np.nan, 6, 8, np.nan])
        whole = merged([("one", one), ("two", two)])
        by_id = dict(zip(whole.ids, whole.values["el2n"].tolist(), strict=True))
        assert by_id == pytest.approx({"a": 1, "b": 8, "c": 4, "d": np.nan}, nan_ok=True)
        assert whole.provenance == {**PROVENANCE, "seeds": [2, 4, 5], "samples_seen": 120}

    def test_one_is_itself(self):
        one = scores(told={"seeds": []})
        assert merged([("one", one)]) is one

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            (scores(seeds=[1], told={"fingerprint": "b"}), "one and two are of different datasets; shards"),
            (scores(seeds=[1], told={"model": "mlp"}), r'different models \("small-cnn" and "mlp"\)'),
            (scores(seeds=[1], told={"recipe": {"epochs": 9}}), "different recipes"),
            (scores(seeds=[1], told={"how": "batch"}), r'different values of how \("epoch" and "batch"\)'),
            (scores(seeds=[1], told={"new": 1}), r"different values of new \(null and 1\)"),
            (scores(seeds=[1], el2n=[0, 0, 0, 0]), r"different scores \(aum, el2n; el2n\)"),
            (scores(seeds=[1], labels=None), "different samples or labels"),
            (scores(seeds=[1], labels="xxyx"), r"two: of other data: 1 sample has another label now \(d: x, now y\)"),
            (scores(seeds=[3, 0]), "one and two both hold the model of seed 0"),
            (scores(seeds=[]), "two: holds scores that took no training"),
        ],
    )
    def test_of_different_things_are_refused(self, other, said):
        for parts in ([("one", scores()), ("two", other)], [("two", other), ("one", scores())]):
            # Which is named first hangs on the seeds, not on the order given.
            with pytest.raises(InputError, match=said):
                merged(parts)


class TestMatched:
    def test_rows_come_in_the_order_of_the_samples(self):
        found = matched(scores(), list("cadb"), list("yxyx"), "p")
        assert (found.ids, found.labels) == (list("cadb"), list("yxyx"))
        np.testing.assert_array_equal(found.values["aum"], [-2.0, 1.0, 0.5, np.nan])
        unlabelled = matched(scores(labels=None), list("dcba"), list("yyxx"), "p")
        assert unlabelled.labels is None
        assert unlabelled.values["el2n"].tolist() == [0.1, 0.2, 0.3, 0.4]

    @pytest.mark.parametrize(
        ("ids", "labels", "said"),
        [
            ("abcde", "xxyyy", "p: of other data: 1 sample has no score (e);"),
            ("abcdefghijk", None, "7 samples have no score (e, f, g, h, i and 2 more)"),
            ("bc", "xy", "2 samples that have a score are not there (a, d);"),
            ("bcd", "xyy", "1 sample that has a score is not there (a);"),
            ("abcd", "xyyx", "2 samples have another label now (b: x, now y, d: y, now x);"),
            ("abcd", None, "4 samples have another label now (a: x, now none,"),
            ("aecd", "yxyy", "(e), 1 sample that has a score is not there (b), 1 sample has another label now (a: x"),
            ("", "", "4 samples that have a score are not there (a, b, c, d)"),
            ("abca", "xxyx", "p: cannot be told apart: 1 sample shares its (a) id"),
        ],
    )
    def test_other_data_is_refused(self, ids, labels, said):
        with pytest.raises(InputError, match=re.escape(said)):
            matched(scores(), list(ids), None if labels is None else list(labels), "p")
