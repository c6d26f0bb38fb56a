"""Copies among texts, in files and in rows: what is found, what is kept, and what is said."""

import codecs
import itertools
import json
import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.tables import TableFormat
from datadiet_cli.encode.rows import normalise_text
from datadiet_cli.engine import Engine, Limits
from datadiet_cli.errors import ConfigError, DatadietError, InputError
from datadiet_cli.grouping import minhash as through_files
from datadiet_cli.methods.duplicates import ALONE
from datadiet_cli.outcome import NO_WITNESS, Action
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.dedup import run
from datadiet_cli.steps.likeness import sketches
from datadiet_cli.steps.likeness.pool import Pool
from datadiet_cli.steps.likeness.texts import BEYOND, DEFAULT_SIMILARITY, by_minhash, by_normalised, by_simhash

METHODS = ["normalised", "minhash", "simhash"]
ALL = pytest.mark.parametrize("method", METHODS)
NEAR = pytest.mark.parametrize("method", ["minhash", "simhash"])


def words(seed, length=80):
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 8))) for _ in range(length))


def edited(text, place=10):
    parts = text.split()
    parts[place] = "edited"
    return " ".join(parts)


def folder(root, files):
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return open_dataset(str(root))


def table(path, rows):
    pl.DataFrame(rows).write_parquet(path)
    return open_dataset(str(path), Reading(label="label" if "label" in rows else None))


def decide(dataset, method, engine="serial", workers=1, **options):
    with Engine(engine, workers) as running:
        return run(dataset, Dedup(method=method, **options), Context(running))


def told(dataset, outcome):
    v = outcome.verdicts
    witness = [None if w == NO_WITNESS else dataset.source.ids(np.array([w]))[0] for w in v.witness]
    names = dataset.source.ids(v.sample)
    return {n: (str(a), r, d, w) for n, a, r, d, w in zip(names, v.action, v.reason, v.detail, witness, strict=True)}


def dropped(dataset, method, **options):
    outcome = decide(dataset, method, **options)
    v = outcome.verdicts
    return sorted(dataset.source.ids(v.sample[v.action == Action.DROP]))


@ALL
def test_files_that_say_the_same_in_any_encoding(tmp_path, method):
    text = f"Straße  ﬁve\n{words(1)}"
    dataset = folder(
        tmp_path / "in",
        {
            "x/a.txt": text,
            "x/b.txt": codecs.BOM_UTF8 + text.upper().encode(),
            "x/c.txt": text.encode("utf-16"),
            "x/d.txt": f"\n {text}\t\r\n",
            "x/e.txt": words(2),
        },
    )
    assert dropped(dataset, method, prefer="first") == ["x/b.txt", "x/c.txt", "x/d.txt"]


@NEAR
def test_a_few_words_make_no_other_text(tmp_path, method):
    dataset = folder(
        tmp_path / "in", {"x/a.txt": words(1), "x/b.txt": edited(words(1)), "x/c.txt": words(2), "x/d.txt": words(3)}
    )
    assert dropped(dataset, method) == ["x/a.txt"] or dropped(dataset, method) == ["x/b.txt"]
    assert dropped(dataset, "normalised") == []
    assert dropped(dataset, method, similarity=0.99) == []
    assert dropped(dataset, method, shingles="words", shingle_size=1, similarity=0.9) == dropped(dataset, method)


@ALL
def test_files_that_are_no_text_say_why(tmp_path, method):
    dataset = folder(
        tmp_path / "in",
        {
            "a.txt": words(1),
            "b.txt": b"\xff\x00\x01",
            "c.txt": b"",
            "d.txt": b"\xff\x00\x01",
            "e.txt": b"",
            "f.txt": "x",
        },
    )
    unreadable = told(dataset, decide(dataset, method))
    causes = {"b.txt": "not-text", "c.txt": "empty", "d.txt": "not-text", "e.txt": "empty"}
    meanings = {
        "empty": "empty: the file is empty",
        "not-text": "not-text: the bytes are no UTF-8; --encoding names another",
    }
    assert unreadable == {name: ("flag", "unreadable", meanings[cause], None) for name, cause in causes.items()}


@ALL
def test_the_encoding_that_the_bytes_are_not_is_named(tmp_path, method):
    folder(tmp_path / "in", {"a.txt": words(1), "b.txt": b"\x81"})
    reading = Reading(table=TableFormat(encoding="windows-1252"))
    dataset = open_dataset(str(tmp_path / "in"), reading)
    with Engine("serial") as engine:
        outcome = run(dataset, Dedup(method=method), Context(engine, reading=reading))
    assert outcome.verdicts.detail.tolist() == ["not-text: the bytes are no windows-1252; --encoding names another"]


@ALL
@pytest.mark.parametrize("prefer", ["largest", "first"])
def test_bytes_do_not_make_a_text_longer(tmp_path, method, prefer):
    """Wide characters, marks and white space are no reason to stay."""
    text = words(1)
    files = {"x/a.txt": text, "x/copy.txt": text.encode("utf-32"), "x/d-padded.txt": f"\r\n{text}\r\n\r\n"}
    dataset = folder(tmp_path / "in", files)
    assert dropped(dataset, method, prefer=prefer) == ["x/copy.txt", "x/d-padded.txt"]
    longer = folder(tmp_path / "other", {"x/a-long-name.txt": text, "x/b.txt": text.encode("utf-16")})
    assert dropped(longer, method, prefer=prefer) == (["x/a-long-name.txt"] if prefer == "largest" else ["x/b.txt"])


@pytest.mark.parametrize("method", [*METHODS, "exact"])
def test_files_have_no_columns(tmp_path, method):
    dataset = folder(tmp_path / "in", {"a.txt": words(1)})
    with pytest.raises(ConfigError, match=r"--columns needs a table, and .*in is a folder"):
        decide(dataset, method, columns=["text"])


@ALL
def test_blank_files_are_copies_of_each_other_and_of_nothing_else(tmp_path, method):
    dataset = folder(tmp_path / "in", {"a.txt": " \n", "b.txt": "\t", "c.txt": "\xa0", "d.txt": "a", "e.txt": words(1)})
    outcome = decide(dataset, method, prefer="first")
    assert sorted(dataset.source.ids(outcome.verdicts.dropped())) == ["b.txt", "c.txt"]
    assert outcome.metrics["without_text"] == 3


@ALL
def test_rows_without_text_are_left_alone(tmp_path, method):
    """They differ in their other cells, which these methods do not look at."""
    rows = {"n": [1, 2, 3, 4, 5], "text": [None, None, "", words(1), words(1).upper()]}
    dataset = table(tmp_path / "in.parquet", rows)
    outcome = decide(dataset, method)
    assert dataset.source.ids(outcome.verdicts.dropped()) == ["4"]
    assert outcome.metrics["without_text"] == 3


@ALL
def test_cells_are_compared_column_by_column(tmp_path, method):
    one, other = words(1), words(2)
    rows = {"n": [1, 2, 3], "title": [one, other, one + " "], "body": [other, one, other]}
    assert dropped(table(tmp_path / "in.parquet", rows), method) == ["2"]


@ALL
def test_the_columns_that_are_compared(tmp_path, method):
    rows = {"label": ["x", "x"], "title": [words(3), words(4)], "body": [words(1), words(1)], "n": [7, 7]}
    dataset = table(tmp_path / "in.parquet", rows)
    assert dropped(dataset, method) == []
    assert dropped(dataset, method, columns=["body"]) == ["1"]
    assert dropped(dataset, method, columns=["n"]) == ["1"], "a number that is named is text"
    with pytest.raises(InputError, match="no such column"):
        decide(dataset, method, columns=["bdy"])


@ALL
def test_a_table_without_text(tmp_path, method):
    dataset = table(tmp_path / "in.parquet", {"a": [1, 2], "b": [True, False]})
    with pytest.raises(ConfigError, match=rf"method {method} compares texts, and .*in.parquet has no column of text"):
        decide(dataset, method)


@ALL
def test_csv_and_jsonl_and_the_command_line(tmp_path, datadiet, method):
    texts = [words(1), words(2), words(1).title(), words(3)]
    csv, jsonl = tmp_path / "in.csv", tmp_path / "in.jsonl"
    pl.DataFrame({"text": texts}).write_csv(csv)
    jsonl.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    for path in (csv, jsonl):
        ran = datadiet("dedup", path, "--method", method, "--dry-run", "--list", "dropped", "-q", "--no-cache")
        assert (ran.code, ran.ids) == (0, ["2"])


def test_texts_that_need_a_codec(tmp_path, datadiet):
    folder(
        tmp_path / "in", {"x/a.txt": "Köln".encode("latin-1"), "x/b.txt": "KÖLN".encode("latin-1"), "x/c.txt": "Bonn"}
    )
    arguments = ("dedup", tmp_path / "in", "--method", "normalised", "--dry-run", "--list", "dropped", "-q")
    assert datadiet(*arguments).code == 3
    ran = datadiet(*arguments, "--encoding", "latin-1")
    assert (ran.code, ran.ids) == (0, ["x/b.txt"])


@NEAR
def test_the_longest_text_stays_and_the_fullest_row(tmp_path, method):
    longer = f"{words(1)} and some more"
    dataset = folder(tmp_path / "in", {"x/a.txt": words(1), "x/b.txt": longer, "x/c.txt": edited(words(1))})
    assert dropped(dataset, method) == ["x/a.txt", "x/c.txt"]
    assert dropped(dataset, method, prefer="first") == ["x/b.txt", "x/c.txt"]
    rows = {"text": [longer, words(1)], "n": [None, 1.0]}
    assert dropped(table(tmp_path / "in.parquet", rows), method, columns=["text"]) == ["0"]


def test_no_chain_takes_a_text_that_is_unlike_the_one_that_stays(tmp_path):
    """a ~ b ~ c, and a is too far from c: c stays."""
    texts = [words(1)]
    for step in (5, 25, 45, 65):
        texts.append(edited(edited(edited(texts[-1], step), step + 5), step + 9))
    dataset = table(tmp_path / "in.parquet", {"text": texts})
    outcome = decide(dataset, "minhash", prefer="first", similarity=0.75)
    gone = dataset.source.ids(outcome.verdicts.dropped())
    assert 0 < len(gone) < 4
    assert (outcome.verdicts.score <= 1).all()
    assert (outcome.verdicts.score >= 0.75).all(), "told as a similarity"


@ALL
def test_order_engine_and_workers_change_nothing(tmp_path, method):
    texts = [text for seed in range(12) for text in (words(seed), edited(words(seed)), words(seed).upper())]
    random.Random(0).shuffle(texts)
    files = {f"x/{i:03d}.txt": text for i, text in enumerate(texts * 20)}
    one = folder(tmp_path / "one", files)
    other = folder(tmp_path / "other", dict(reversed(files.items())))
    first = told(one, decide(one, method))
    assert len(first) >= 19 * 24
    assert told(one, decide(one, method, "threads", 4)) == first
    assert told(other, decide(other, method)) == first


@ALL
def test_processes_decide_alike(tmp_path, method):
    rows = {"text": [words(1), words(2), edited(words(1)), words(2).upper()]}
    dataset = table(tmp_path / "in.parquet", rows)
    files = folder(tmp_path / "in", {f"{i}.txt": text for i, text in enumerate(rows["text"])})
    for data in (dataset, files):
        assert told(data, decide(data, method, "processes", 2)) == told(data, decide(data, method))


@ALL
def test_a_cluster_decides_alike(tmp_path, method, monkeypatch):
    """Sketches in memory, and in files as a cluster has them where there are many texts."""
    rows = [text for seed in range(15) for text in (words(seed, 30), edited(words(seed, 30)), words(seed, 30).upper())]
    dataset = table(tmp_path / "in.parquet", {"text": rows})
    files = folder(tmp_path / "in", {f"{i}.txt": text for i, text in enumerate(rows)})
    expected = [told(data, decide(data, method)) for data in (dataset, files)]
    monkeypatch.setattr(through_files, "OF_A_FILE", 10)
    with Engine("dask", 2, Limits(scheduler="inproc")) as engine:
        for many in (1 << 18, 1):
            monkeypatch.setattr(through_files, "_MANY", many)
            for data, verdicts in zip((dataset, files), expected, strict=True):
                assert told(data, run(data, Dedup(method=method), Context(engine))) == verdicts


class Interrupted:
    """Runs of minhash within a memory limit, that can be cut short, and what they sketch."""

    def __init__(self, monkeypatch, shared):
        self.patch, self.shared, self.sketched, self.left = monkeypatch, shared, 0, 10**9
        self.sketch = sketches.sketch_texts
        monkeypatch.setattr(through_files, "OF_A_FILE", 10)
        monkeypatch.setattr(sketches, "sketch_texts", self.counted)

    def counted(self, items, recipe):
        self.left -= 1
        if self.left < 0:
            raise DatadietError("the Dask scheduler was lost")
        self.sketched += len(items)
        return self.sketch(items, recipe)

    def __call__(self, dataset, pieces=10**9, **context):
        self.left, self.sketched = pieces, 0
        with Engine("serial", limits=Limits(memory=1000, shared_dir=str(self.shared))) as engine:
            return told(dataset, run(dataset, Dedup(method="minhash"), Context(engine, **context)))


@pytest.mark.parametrize("kind", ["files", "rows"])
def test_a_run_that_was_cut_short_is_gone_on_with(tmp_path, monkeypatch, kind):
    texts = [text for seed in range(12) for text in (words(seed, 20), edited(words(seed, 20)), words(seed + 50, 20))]
    texts.append(b"\xff" if kind == "files" else None)

    def opened():
        if kind == "files":
            return folder(tmp_path / "in", {f"{i:02d}.txt": text for i, text in enumerate(texts)})
        return table(tmp_path / "in.parquet", {"text": texts})

    dataset, shared = opened(), tmp_path / "shared"
    expected = told(dataset, decide(dataset, "minhash"))
    assert expected
    shared.mkdir()
    attempt = Interrupted(monkeypatch, shared)
    for sketched in (20, 10):
        with pytest.raises(DatadietError, match="lost"):
            attempt(dataset, sketched // 10)
        assert attempt.sketched == sketched
    # The first of the three that were finished is damaged meanwhile.
    (kept,) = shared.iterdir()
    for written in sorted(kept.iterdir())[:1]:
        written.write_bytes(b"?" + written.read_bytes()[1:])
    assert attempt(dataset) == expected
    assert attempt.sketched == 7 + 10
    assert list(shared.iterdir()) == []
    # Nothing is taken over from other texts, nor if all is to be done again.
    with pytest.raises(DatadietError):
        attempt(dataset, 2)
    texts[0] = words(99, 25)
    assert attempt(opened()) == told(opened(), decide(opened(), "minhash"))
    assert attempt.sketched == 37 + 37
    with pytest.raises(DatadietError):
        attempt(opened(), 2)
    attempt(opened(), rerun=True)
    assert attempt.sketched == 37


def test_a_text_out_of_reach_is_tried_again(tmp_path, monkeypatch):
    """What an interrupted run could not open, the next one may."""
    dataset = folder(tmp_path / "in", {f"{i:02d}.txt": words(i % 20, 20) for i in range(30)})
    shared = tmp_path / "shared"
    shared.mkdir()
    (tmp_path / "in" / "03.txt").rename(tmp_path / "away")
    attempt = Interrupted(monkeypatch, shared)
    with pytest.raises(DatadietError):
        attempt(dataset, 2)
    (tmp_path / "away").rename(tmp_path / "in" / "03.txt")
    assert attempt(dataset) == told(dataset, decide(dataset, "minhash"))
    assert attempt.sketched == 10 + 10 + 30, "those beside it, those that were left, and all in memory to compare with"


@NEAR
@pytest.mark.parametrize("gone", ["b.txt", "a.txt b.txt"])
def test_a_text_that_goes_away_while_it_is_compared(tmp_path, method, gone, monkeypatch):
    from datadiet_cli.steps.likeness import texts

    root = tmp_path / "in"
    dataset = folder(root, {"a.txt": words(1), "b.txt": edited(words(1)), "c.txt": words(2)})
    compare = texts.jaccards

    def without(*arguments):
        for name in gone.split():
            (root / name).unlink()
        return compare(*arguments)

    monkeypatch.setattr(texts, "jaccards", without)
    assert dropped(dataset, method) == []


@pytest.mark.parametrize("unit", ["characters", "words"])
@settings(derandomize=True, max_examples=30)
@given(data=st.data())
def test_similarities_are_those_of_python_s_sets(tmp_path_factory, unit, data):
    """Every pair at or above the threshold is a candidate, and every measure is exact."""
    text = st.lists(st.sampled_from(["ab", "abc", "b", "ca", "xyz"]), min_size=1, max_size=9).map(" ".join)
    texts = data.draw(st.lists(text, min_size=2, max_size=25))
    size = data.draw(st.integers(1, 4))
    similarity = data.draw(st.sampled_from([0.4, 0.7, 0.9]))
    path = tmp_path_factory.mktemp("texts") / "in.parquet"
    pool = Pool(table(path, {"text": texts}))
    chosen = Dedup(method="minhash", shingles=unit, shingle_size=size, similarity=similarity)
    with Engine("serial") as engine:
        likeness = by_minhash(pool, chosen, Context(engine), None)
    assert likeness.threshold == 1.0 - similarity
    assert likeness.metrics["missed_probability"] <= 1e-4

    def shingles(text):
        units = normalise_text(text).split() if unit == "words" else normalise_text(text)
        return {tuple(units[i : i + size]) for i in range(max(1, len(units) - size + 1))}

    sets = [shingles(text) for text in texts]
    pairs = list(itertools.combinations(range(len(texts)), 2))
    a, b = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    distance = likeness.measure(a, b).distance
    assert np.array_equal(distance, likeness.measure(b, a).distance, equal_nan=True)
    for (i, j), found in zip(pairs, distance.tolist(), strict=True):
        expected = len(sets[i] & sets[j]) / len(sets[i] | sets[j])
        same = likeness.candidates.node[i] == likeness.candidates.node[j] != ALONE
        assert same == (sets[i] == sets[j])
        if expected >= similarity:
            assert found == 1.0 - expected
        else:
            assert np.isnan(found) or (found == 1.0 - expected and expected >= similarity - BEYOND)


def test_simhash_trusts_no_bits_alone(tmp_path):
    """Two words in common by chance make few bits different among short texts; shingles tell them apart."""
    texts = [f"call {i:04d} now" for i in range(0, 4000, 7)]
    dataset = table(tmp_path / "in.parquet", {"text": texts})
    trusting = dropped(dataset, "simhash", max_distance=20, verify=False)
    careful = decide(dataset, "simhash", max_distance=20, similarity=0.8)
    assert len(trusting) > 50
    assert len(careful.verdicts.dropped()) == 0


def test_simhash_refuses_what_would_take_forever(tmp_path, monkeypatch):
    from datadiet_cli.steps.likeness import texts

    monkeypatch.setattr(texts, "_MOST_PAIRS", 100)
    monkeypatch.setattr(texts, "_PAIRS_EACH", 1)
    rows = [f"{words(0, 300)} number {i}" for i in range(200)]
    dataset = table(tmp_path / "in.parquet", {"text": rows})
    with pytest.raises(InputError, match=r"about 1\d,\d{3} pairs of texts differ in 11 bits or less"):
        decide(dataset, "simhash")


def test_simhash_tells_bits_and_similarity(tmp_path):
    dataset = table(tmp_path / "in.parquet", {"text": [words(1), edited(words(1)), words(1)]})
    outcome = decide(dataset, "simhash", prefer="first")
    assert outcome.verdicts.score.tolist() == [outcome.verdicts.score[0], 0.0]
    assert 0 <= outcome.verdicts.score[0] <= 10
    assert [detail.split(" ")[0] for detail in outcome.verdicts.detail] == ["similarity", "similarity"]


def test_equal_digests_are_compared_as_texts(tmp_path, monkeypatch):
    """A digest that were the same for two texts must not make them copies."""
    dataset = folder(tmp_path / "in", {"a.txt": "one", "b.txt": "two", "c.txt": "ONE"})
    from datadiet_cli.encode import texts

    monkeypatch.setattr(texts.xxhash, "xxh3_128_digest", lambda _: bytes(16))
    with Engine("serial") as engine:
        likeness = by_normalised(Pool(dataset), Dedup(method="normalised"), Context(engine), None)
    assert likeness.candidates.node.tolist() == [0, 0, 0]
    assert likeness.confirm(np.array([0, 0, 1]), np.array([1, 2, 2])).tolist() == [False, True, False]


@NEAR
def test_held_against_another_dataset(tmp_path, method):
    dataset = folder(tmp_path / "in", {"a.txt": words(1), "b.txt": words(2), "c.txt": edited(words(3))})
    folder(tmp_path / "other", {"z.txt": words(3), "y.txt": words(2).upper()})
    assert dropped(dataset, method, against=[str(tmp_path / "other")]) == ["b.txt", "c.txt"]


def test_thousands_of_equal_and_blank_texts(tmp_path):
    """Equal texts share a node: nothing is compared pair by pair."""
    texts = [words(1)] * 3000 + [""] * 3000 + [words(2)]
    pool = Pool(table(tmp_path / "in.parquet", {"text": texts}))
    for finder in (by_minhash, by_simhash, by_normalised):
        with Engine("serial") as engine:
            likeness = finder(pool, Dedup(), Context(engine), None)
        assert len(likeness.candidates.edges) == 0
        assert len(set(likeness.candidates.node[:3000].tolist())) == 1
        assert (likeness.candidates.node[3000:6000] == ALONE).all()


def test_the_default_similarity_is_the_one_told(tmp_path):
    dataset = table(tmp_path / "in.parquet", {"text": [words(1), edited(words(1))]})
    verdicts = decide(dataset, "minhash").verdicts
    assert verdicts.threshold.tolist() == [DEFAULT_SIMILARITY]
