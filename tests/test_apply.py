"""`datadiet apply`: what was learned from some data is done to other data; to the same data with the same result."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datadiet_cli.data.open import open_dataset
from datadiet_cli.encode.cells import cells_of
from datadiet_cli.encode.known_cells import known_columns, read_known
from tests.columns import HEADER, flags, header, read, records
from tests.conftest import Cli, report, table, tree_digest

TRANSFORM = "out.csv.transform.json"


@pytest.fixture
def things(tmp_path):
    return table(tmp_path / "in.csv", HEADER, records())


def select(datadiet, source, out, *more):
    ran = datadiet("select-features", source, out, *more)
    assert ran.code in (0, 3), ran.err
    return f"{out}.transform.json"


@pytest.mark.parametrize("method", ["anova", "missing", "pca", "lda", "random-projection"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_the_same_table_gives_the_same_bytes(things, tmp_path, datadiet: Cli, method, ending):
    source = tmp_path / f"same.{ending}"
    if ending == "csv":
        source = things
    else:
        frame = pl.read_csv(things, schema_overrides={"gappy": pl.Float64})
        frame.write_ndjson(source) if ending == "jsonl" else frame.write_parquet(source)
    out, again = tmp_path / f"out.{ending}", tmp_path / f"again.{ending}"
    keep = ["--keep", "2"] if method != "missing" else []
    transform = select(datadiet, source, out, *flags("--method", method, *keep))
    before = tree_digest(source)
    assert datadiet("apply", transform, source, again).code == 0
    assert again.read_bytes() == out.read_bytes()
    assert tree_digest(source) == before
    assert report(again)["command"] == "apply"
    assert report(again)["artefacts"] == []


@pytest.mark.parametrize("method", ["anova", "pca"])
def test_few_new_rows_get_what_they_would_have_had(things, tmp_path, datadiet: Cli, method):
    """Each row alone, without label, split and id, and with its columns in another order."""
    out = tmp_path / "out.csv"
    transform = select(datadiet, things, out, *flags("--method", method, "--keep", "3"))
    whole, before = read(out), records()
    names = [name for name in reversed(HEADER) if name not in ("kind", "part", "id")]
    for i in (0, 7, 119):
        new = table(tmp_path / f"new{i}.csv", names, [[before[i][HEADER.index(name)] for name in names]])
        ran = datadiet("apply", transform, new, tmp_path / f"done{i}.csv")
        assert ran.code == 0, ran.err
        done = read(tmp_path / f"done{i}.csv")
        assert done == {name: [whole[name][i]] for name in done}
        assert set(done) == set(whole) - {"kind", "part", "id"}


def test_strange_cells_count_as_missing(things, tmp_path, datadiet: Cli):
    """A category that was never seen, a word where a number was, an empty cell."""
    transform = select(datadiet, things, tmp_path / "out.csv", *flags("--method", "pca", "--keep", "2"))
    row = dict(zip(HEADER, records()[0], strict=True))
    results = []
    for number, new in enumerate(({"colour": "green", "size": "big"}, {"colour": "", "size": ""})):
        cells = {**row, **new}
        source = table(tmp_path / f"{number}.csv", HEADER, [[cells[name] for name in HEADER]])
        assert datadiet("apply", transform, source, tmp_path / f"{number}-out.csv").code == 0
        results.append(read(tmp_path / f"{number}-out.csv"))
    assert results[0] == results[1]
    assert np.isfinite([float(results[0][name][0]) for name in ("pca_1", "pca_2")]).all()


def test_a_column_more_stays_and_one_less_is_said(things, tmp_path, datadiet: Cli):
    transform = select(datadiet, things, tmp_path / "out.csv", *flags("--method", "anova", "--keep", "2"))
    kept = [name for name in header(tmp_path / "out.csv") if name not in ("id", "kind", "part")]
    more = table(tmp_path / "more.csv", [*HEADER, "new one"], [[*row, "1"] for row in records(5)])
    ran = datadiet("apply", transform, more, tmp_path / "m.csv")
    assert ran.code == 0
    assert "stay: new one" in ran.err
    assert header(tmp_path / "m.csv")[-1] == "new one"
    place = HEADER.index(kept[0])
    names = [*HEADER[:place], kept[0].upper(), *HEADER[place + 1 :]]
    less = table(tmp_path / "less.csv", names, records(5))
    ran = datadiet("apply", transform, less, tmp_path / "l.csv")
    assert ran.code == 2
    assert f"lacks what {transform} needs: column {kept[0]!r}" in ran.complaint
    assert not (tmp_path / "l.csv").exists()


def test_denoise_and_selection_one_after_the_other(things, tmp_path, datadiet: Cli):
    """A transform of two steps: missing cells are filled in, numbers scaled, and then columns compressed."""
    rows = records()
    for row in rows[5:100:9]:
        row[3] = ""
    source = table(tmp_path / "gaps.csv", HEADER, rows)
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        f"input: {source}\noutput: {tmp_path / 'out.csv'}\nlabel: kind\nsplit: part\nid_column: id\nsteps:\n"
        "  - denoise: {outliers: none, labels: none, missing: median, max_missing: 95%, standardise: zscore}\n"
        "  - select-features: {method: pca, keep: 3, columns: [size, weight, noise, colour]}\n"
    )
    assert datadiet("run", pipeline).code == 0
    transform = tmp_path / TRANSFORM
    assert [step["step"] for step in json.loads(transform.read_bytes())["steps"]] == ["denoise", "select-features"]
    ran = datadiet("apply", transform, source, tmp_path / "again.csv", "--id-column", "id")
    assert ran.code == 0
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    told = report(tmp_path / "again.csv")
    assert [step["name"] for step in told["steps"]] == ["open", "apply", "apply"]
    assert told["figures"]["imputed"] == sum(row[3] == "" or row[6] == "" for row in rows)


@pytest.fixture
def photos(tmp_path):
    for i in range(12):
        path = tmp_path / "in" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = np.random.default_rng(i).integers(0, 256, (9, 9, 3)).astype(np.uint8)
        Image.fromarray(cells).resize((40, 40)).save(path)
    return tmp_path / "in"


@pytest.mark.parametrize("method", ["anova", "pca"])
def test_vectors_of_new_pictures(photos, tmp_path, datadiet: Cli, method):
    transform = select(datadiet, photos, tmp_path / "out", "--method", method, "--keep", "4")
    (tmp_path / "new").mkdir()
    names = ["a/2.png", "b/5.png"]
    for name in names:
        (tmp_path / "new" / name.partition("/")[2]).write_bytes((photos / name).read_bytes())
    ran = datadiet("apply", transform, tmp_path / "new", tmp_path / "done")
    assert ran.code == 0, ran.err
    before, after = (pl.read_parquet(f"{tmp_path / name}.features.parquet") for name in ("out", "done"))
    assert after["id"].to_list() == ["2.png", "5.png"]
    assert after["label"].to_list() == [None, None]
    wanted = before.filter(pl.col("id").is_in(names))
    assert after[:, 3:].equals(wanted[:, 3:])


@pytest.mark.parametrize("method", ["anova", "pca"])
def test_vectors_of_new_texts(tmp_path, datadiet: Cli, method):
    """What was learned of the texts is in the transform: a text alone gets the numbers that it got among all."""
    rng = np.random.default_rng(3)
    words = [["goal", "match", "team", "league"], ["court", "judge", "law", "verdict"]]
    rows = [[" ".join(rng.choice([*words[i % 2], "the", "of", "a", "was"], 9)), "sc"[i % 2]] for i in range(60)]
    source = table(tmp_path / "in.csv", ["text", "topic"], rows)
    transform = select(datadiet, source, tmp_path / "out.csv", "--label", "topic", "--method", method, "--keep", "4")
    new = table(tmp_path / "new.csv", ["text"], [rows[31][:1], ["a court was the judge of the law"]])
    assert datadiet("apply", transform, new, tmp_path / "done.csv").code == 0
    before, after = (pl.read_parquet(f"{tmp_path / name}.features.parquet") for name in ("out.csv", "done.csv"))
    assert after[0, 3:].equals(before[31, 3:])
    assert after.null_count().row(0)[3:] == (0, 0, 0, 0)
    assert (tmp_path / "done.csv").read_bytes() == new.read_bytes()


def _other_version(document):
    return {**document, "datadiet_transform": 99}


def _odd_step(document):
    return {**document, "steps": [{**document["steps"][0], "kept": 7}]}


def _no_step(document):
    return {**document, "steps": [{"step": "magic", "of": "spells"}]}


def _bad_design(document):
    return {**document, "steps": [{**document["steps"][0], "design": {"numbers": [{}], "categories": []}}]}


def _nothing_to_do(document):
    return {**document, "steps": []}


def _twice_the_same_name(document):
    step = document["steps"][0]
    return {**document, "steps": [{**step, "outputs": [step["outputs"][0]] * len(step["outputs"])}]}


def _other_projection(document):
    return {**document, "steps": [{**document["steps"][0], "projection": "magic"}]}


def _number_of_the_design(name, value):
    def change(document):
        step = json.loads(json.dumps(document["steps"][0]))
        step["design"]["numbers"][0][name] = value
        return {**document, "steps": [step]}

    return change


@pytest.mark.parametrize(
    "change",
    [
        _other_version,
        _odd_step,
        _no_step,
        _bad_design,
        _nothing_to_do,
        _twice_the_same_name,
        _other_projection,
        _number_of_the_design("scale", -1.0),
        _number_of_the_design("mean", float("inf")),
        _number_of_the_design("gap", [0.5, 0.0]),
    ],
)
def test_a_damaged_transform_is_one_line(things, tmp_path, datadiet: Cli, change):
    transform = select(datadiet, things, tmp_path / "out.csv", *flags("--method", "pca", "--keep", "2"))
    path = tmp_path / TRANSFORM
    path.write_text(json.dumps(change(json.loads(path.read_bytes()))))
    ran = datadiet("apply", transform, things, tmp_path / "done.csv")
    assert ran.code == 2
    assert ran.complaint
    assert not (tmp_path / "done.csv").exists()


def test_what_is_no_transform(things, photos, tmp_path, datadiet: Cli):
    out = tmp_path / "done.csv"
    assert "cannot be read" in datadiet("apply", tmp_path / "none.json", things, out).complaint
    assert "is no transform" in datadiet("apply", things, things, out).complaint
    transform = select(datadiet, things, tmp_path / "out.csv", *flags("--method", "pca", "--keep", "2"))
    assert "made of rows of a table" in datadiet("apply", transform, photos, tmp_path / "done").complaint
    assert "OUTPUT is missing" in datadiet("apply", transform, things).complaint
    arrays = tmp_path / "out.csv.transform.safetensors"
    whole = arrays.read_bytes()
    arrays.write_bytes(whole[:50])
    assert "damaged" in datadiet("apply", transform, things, out).complaint
    arrays.unlink()
    assert "is missing" in datadiet("apply", transform, things, out).complaint
    assert not out.exists()


def test_a_dry_run_writes_nothing(things, tmp_path, datadiet: Cli):
    transform = select(datadiet, things, tmp_path / "out.csv", *flags("--method", "anova", "--keep", "2"))
    before = tree_digest(tmp_path)
    ran = datadiet("apply", transform, things, "--dry-run")
    assert ran.code == 0
    assert tree_digest(tmp_path) == before


CELLS = st.one_of(
    st.sampled_from(
        ["", "NA", "?", "1", "1.0", "01", "true", "False", "2024-01-31", "20240131", "inf", "-0", " 3 ", "x"]
    ),
    st.integers(-3, 3).map(str),
    st.floats(allow_nan=False, width=16).map(str),
    st.dates().map(str),
    st.times().map(str),
    st.datetimes().map(str),
)


ALIKE = [
    ["1", "2", "?", "1.0"],
    ["true", "True", "false", ""],
    ["2024-01-31", "2023-12-01", ""],
    ["a", "b", " a", ""],
    ["12:00:01", "23:59:59"],
    ["2024-01-31 10:00:00", "2024-01-31T11:30:00.5"],
    ["20240131", "20231201"],
    ["inf", "1.5", "-2"],
]
"""Cells as they stand together in a column."""


@given(
    st.one_of(
        st.sampled_from(ALIKE).flatmap(lambda some: st.lists(st.sampled_from(some), min_size=1, max_size=60)),
        st.lists(CELLS, min_size=1, max_size=40),
    )
)
def test_cells_are_read_again_as_they_were(tmp_path_factory, column):
    """What is known of a column is enough to read its cells, whatever they say."""
    path = table(tmp_path_factory.mktemp("t") / "t.csv", ["a", "b"], [[cell, "z"] for cell in column])
    file = open_dataset(str(path)).source.file
    typed, texts = file.typed(["a"]), file.texts(["a"])
    cells = cells_of(typed, texts)
    numbers, categories = read_known(known_columns(cells), typed, texts)
    np.testing.assert_array_equal(numbers, cells.numbers)
    np.testing.assert_array_equal(categories, cells.categories)
