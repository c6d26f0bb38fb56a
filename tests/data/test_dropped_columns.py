"""Tables that lose columns: what stays keeps its bytes, and is read afterwards as it was seen before."""

import io
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from datadiet_cli.data.changed import with_cells, without_columns
from datadiet_cli.data.changedtable import ChangedTable
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.tablefile import Growth
from datadiet_cli.data.tables import open_table
from datadiet_cli.errors import InputError, OutputError
from tests.data.test_changed_tables import TABLES, changes, csv_tables, reopened, table, texts_of, written

GONE = ("a",)
few = settings(max_examples=40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dropped")


def some_of(names):
    return st.lists(st.sampled_from(names), max_size=len(names) - 1, unique=True)


def check_written(spelled, changed, folder, kept):
    """What is written is what is seen of a changed table."""
    content = written(changed, kept, folder)
    if spelled.fmt.header == "none" and not kept:
        return
    if spelled.name == "t.jsonl" and b":" not in content:
        return  # nothing is left that names a column
    after, seen = reopened(spelled, content, folder), changed.texts()[kept]
    if spelled.fmt.header == "none":
        seen.columns = list(after.columns)
    there = [name for name in seen.columns if name in after.columns]
    assert list(after.columns) == there or spelled.name == "t.jsonl"
    assert after.texts(there).equals(seen.select(there))
    assert all(seen[name].null_count() == len(kept) for name in set(seen.columns) - set(there))


@few
@given(spelled=TABLES, data=st.data())
def test_the_other_columns_are_read_as_before(folder, spelled, data):
    file = spelled.open(folder)
    gone = tuple(data.draw(some_of(spelled.names)))
    stay = [name for name in spelled.names if name not in gone]
    changed = ChangedTable(file, {name: {0: "x"} for name in gone if file.records}, Growth(without=gone))
    assert list(changed.columns) == stay
    assert_frame_equal(changed.texts(), file.texts(stay))
    assert_frame_equal(changed.typed(), file.typed(stay))
    everything = list(range(file.records))
    if not gone:
        assert written(changed, everything, folder) == spelled.content
    for kept in (everything, everything[1::2]):
        content = written(changed, kept, folder)
        assert written(file, kept, folder, {name: {0: "x"} for name in gone if file.records}, Growth(without=gone)) == (
            content
        )
        check_written(spelled, changed, folder, kept)


@few
@given(spelled=TABLES, data=st.data())
def test_columns_that_go_between_other_changes(folder, spelled, data):
    file = spelled.open(folder)
    before = data.draw(changes(spelled.names, file.records))
    once = ChangedTable(file, before.edits, before.growth)
    gone = tuple(data.draw(some_of(once.columns)))
    dropped = ChangedTable(once, {}, Growth(without=gone))
    stay = [name for name in once.columns if name not in gone]
    assert list(dropped.columns) == stay
    assert_frame_equal(dropped.texts(), once.texts(stay))
    cells = dropped.texts().rows()
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(len(cells)), np.arange(len(cells))))
    equal = [cells[i] == cells[j] for i, j in zip(a, b, strict=True)]
    keys = dropped.keys()
    assert dropped.same(a, b).tolist() == equal
    assert (keys[a] == keys[b]).tolist() == equal
    after = data.draw(changes(stay, dropped.records, new=("v", *gone[:1])))
    last = ChangedTable(dropped, after.edits, after.growth)
    names, rows = after.of(stay, [list(row) for row in cells])
    assert list(last.columns) == names
    if spelled.name == "t.jsonl":
        assert texts_of(last) == rows
    kept = sorted(data.draw(st.sets(st.sampled_from(range(len(rows)))))) if rows else []
    check_written(spelled, last, folder, kept)
    assert written(dropped, kept, folder, after.edits, after.growth) == written(last, kept, folder)


@few
@given(spelled=csv_tables(), data=st.data())
def test_bytes_of_the_other_cells_stay(folder, spelled, data):
    file = spelled.open(folder)
    if len(spelled.names) < 3:
        return
    gone = data.draw(st.lists(st.sampled_from(spelled.names), min_size=1, max_size=1))
    content = written(file, list(range(file.records)), folder, {}, Growth(without=tuple(gone)))
    place, text = spelled.names.index(gone[0]), spelled.content.decode("latin-1")
    expected = []
    for line in split_outside_quotes(text, "\n"):
        end = "\r" if line.endswith("\r") else ""
        cells = split_outside_quotes(line.removesuffix("\r"), spelled.fmt.delimiter)
        del cells[place : place + 1]
        expected.append(spelled.fmt.delimiter.join(cells) + end if len(cells) > 1 else line)
    mark = "\xef\xbb\xbf"
    whole = "\n".join(expected)
    if text.startswith(mark) and not whole.startswith(mark):
        whole = mark + whole
    assert content.decode("latin-1") == whole


def split_outside_quotes(text, mark):
    """Parts of a text between marks that have an even number of quotes before them."""
    parts, quotes = [""], 0
    at = 0
    while at < len(text):
        if quotes % 2 == 0 and text.startswith(mark, at):
            parts.append("")
            at += len(mark)
            continue
        quotes += text[at] == '"'
        parts[-1] += text[at]
        at += 1
    return parts


@pytest.mark.parametrize(
    ("before", "gone", "after"),
    [
        ('{"a": 1, "b": 2.50, "c": "é"}', "a", '{"b": 2.50, "c": "é"}'),
        ('{"a": 1, "b": 2.50, "c": "é"}', "b", '{"a": 1, "c": "é"}'),
        ('{"a": 1, "b": 2.50, "c": "é"}', "bc", '{"a": 1}'),
        ('{"a": 1, "b": 2.50, "c": "é"}', "ac", '{"b": 2.50}'),
        ('{ "a" :1 ,\t"b":[1, {"a": "}"}], "c":"\\u0061,\\"" }', "c", '{ "a" :1 ,\t"b":[1, {"a": "}"}] }'),
        ('{ "a" :1 ,\t"b":[1, {"a": "}"}], "c":"\\u0061,\\"" }', "b", '{ "a" :1 ,\t"c":"\\u0061,\\"" }'),
        ('{"a":1,"b":{"a":2},"a":3}', "a", '{"b":{"a":2}}'),
        ('{"\\u0061": 007, "b": 1}'.replace("007", "7"), "a", '{"b": 1}'),
        ('{ "a": null }', "a", "{  }"),
        ("{}", "a", "{}"),
    ],
)
def test_members_of_json_go_with_one_comma(tmp_path, before, gone, after):
    more = '{"a": 0, "b": 0, "c": 0, "d": 0}'
    file = table(tmp_path, f"{before}\n{more}".encode(), "t.jsonl")
    rest = json.dumps({name: 0 for name in "abcd" if name not in gone})
    assert written(file, [0, 1], tmp_path, {}, Growth(without=tuple(gone))).decode() == f"{after}\n{rest}"


@pytest.mark.parametrize(
    ("content", "gone", "after"),
    [
        (b"a,,c\n1,2,3\n", ("a",), b"column_2,c\n2,3\n"),
        (b"a,a\n1,2\n", GONE, b"a_2\n2\n"),
        (b"a,b,a_2,a\n1,2,3,4\n", ("b",), b"a,a_2,a\n1,3,4\n"),
        (b'\xef\xbb\xbf\n"a","b"\r\n"1",\r\n\r\n007,1e5', GONE, b'\xef\xbb\xbf\n"b"\r\n""\r\n\r\n1e5'),
        (b"a;b\n1;x, y\n2;\n", GONE, b'b\n"x, y"\n""\n'),
        (b'a;b, c\n1;5" pipe, long\n2;x|y\n', GONE, b'"b, c"\n"5"" pipe, long"\nx|y\n'),
        (b'a,b,c\n1,x "y",3\n"4, 5",",",6\n', ("b",), b'a,c\n1,3\n"4, 5",6\n'),
        (b"a,b", GONE, b"b"),
    ],
)
def test_what_stays_of_a_csv_can_be_read(tmp_path, content, gone, after):
    file = table(tmp_path, content)
    kept = [name for name in file.columns if name not in gone]
    everything = list(range(file.records))
    assert written(file, everything, tmp_path, {}, Growth(without=gone)) == after
    again = table(tmp_path, after, "again.csv")
    assert list(again.columns) == kept
    assert again.texts().equals(file.texts(kept))


def test_an_edited_only_cell_can_be_read(tmp_path):
    file = table(tmp_path, b"a;b\n1;x\n2;y\n")
    content = written(file, [0, 1], tmp_path, {"b": {0: "p, q", 1: None}, "a": {1: "8"}}, Growth(without=GONE))
    assert content == b'b\n"p, q"\n""\n'


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_columns_take_the_place_and_the_names_of_others(tmp_path, name):
    pl.DataFrame({"a": ["1", "2"], "b": ["x", "y"]}).write_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "t.jsonl").write_text('{"a": "1", "b": "x"}\n{"a": "2", "b": "y"}\n')
    file = open_table(tmp_path / name)
    growth = Growth((0,), {"a": {0: "p"}}, ("a", "b"))
    changed = ChangedTable(file, {}, growth)
    content = written(changed, [0, 1, 2], tmp_path)
    assert content == written(file, [0, 1, 2], tmp_path, {}, growth)
    (tmp_path / f"after_{name}").write_bytes(content)
    after = open_table(tmp_path / f"after_{name}")
    assert after.columns == changed.columns == ("a",)
    assert texts_of(after) == texts_of(changed) == [["p"], [None], [None]]
    gone = ChangedTable(changed, {}, Growth((), {"z": {1: "w"}}, ("a",)))
    assert texts_of(gone) == [[None], ["w"], [None]]
    with pytest.raises(KeyError):
        ChangedTable(gone, {"a": {0: "x"}})


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_what_cannot_go_is_refused(tmp_path, name):
    pl.DataFrame({"a": [1], "b": [2]}).write_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": 2}\n')
    file = open_table(tmp_path / name)
    for build in (
        lambda growth: ChangedTable(file, {}, growth),
        lambda growth: written(file, [0], tmp_path, {}, growth),
    ):
        with pytest.raises(OutputError, match="every column would go"):
            build(Growth(without=("a", "b")))
        with pytest.raises(OutputError, match="'b' cannot be named so"):
            build(Growth((), {"b": {}}, GONE))
        with pytest.raises(KeyError):
            build(Growth(without=("c",)))
    assert not (tmp_path / "out").exists()


def test_metadata_of_parquet_speaks_of_the_columns_that_stay(tmp_path):
    frame = pl.DataFrame({"n": [1, 2], "c": ["x", "y"], "i": [5, 6]}, schema_overrides={"n": pl.UInt8})
    columns = [{"name": "n", "field_name": "n"}, {"name": None, "field_name": "i"}, {"name": "c", "field_name": "c"}]
    features = {"n": {"dtype": "uint8", "_type": "Value"}, "c": {"dtype": "string", "_type": "Value"}}
    metadata = {
        "note": "é",
        "pandas": json.dumps({"columns": columns, "index_columns": ["i"], "pandas_version": "3.0"}),
        "huggingface": json.dumps({"info": {"features": features}}),
    }
    frame.write_parquet(tmp_path / "t.parquet", metadata=metadata)
    content = written(open_table(tmp_path / "t.parquet"), [0, 1], tmp_path, {}, Growth(without=("c", "i")))
    assert pl.read_parquet(io.BytesIO(content)).equals(frame.select("n"))
    told = pl.read_parquet_metadata(io.BytesIO(content))
    assert told["note"] == "é"
    pandas = {"columns": columns[:1], "index_columns": [], "pandas_version": "3.0"}
    assert json.loads(told["pandas"]) == pandas
    assert json.loads(told["huggingface"]) == {"info": {"features": {"n": features["n"]}}}


def test_many_records_lose_columns_in_blocks(tmp_path):
    rows = [[str(i), "" if i % 3 else f'"w, {i}"', f"x{i % 7}", "z" * (i % 50)] for i in range(60_000)]
    content = "a,b,c,d\n" + "".join(",".join(row) + "\n" for row in rows)
    file = table(tmp_path, content.encode())
    kept = [number for number in range(60_000) if number % 5]
    for gone in (GONE, ("a", "b"), ("b", "d"), ("c", "d"), ("a", "c", "d")):
        stays = [i for i, name in enumerate("abcd") if name not in gone]
        lines = [[name for name in "abcd" if name not in gone], *([rows[n][i] for i in stays] for n in kept)]
        expected = "".join((",".join(line) or '""') + "\n" for line in lines)
        assert written(file, kept, tmp_path, {}, Growth(without=gone)).decode() == expected


def test_features_of_a_dataset_go(tmp_path):
    (tmp_path / "t.csv").write_text("id,x,y,label,split\n1,5,6,p,train\n2,7,8,q,test\n")
    dataset = open_dataset(str(tmp_path / "t.csv"), Reading(label="label", split="split", id_column="id"))
    after = without_columns(with_cells(dataset, {}, {"weight": {0: "0.5"}}), ["x"], {"pc1": {0: "1", 1: "2"}})
    assert after.source.features == ["y", "pc1"]
    assert after.ids == ["1", "2"]
    assert after.source.write(after.rows, str(tmp_path / "out.csv"), "copy")
    assert (tmp_path / "out.csv").read_text() == ("id,y,label,split,weight,pc1\n1,6,p,train,0.5,1\n2,8,q,test,,2\n")
    assert without_columns(after, ["pc1", "y"]).source.features == []
    for name, said in [("x", "no column 'x'"), *((n, "is no feature") for n in ("label", "split", "id", "weight"))]:
        with pytest.raises(InputError, match=said):
            without_columns(after, ["y", name])
    (tmp_path / "bare.csv").write_text("x,y\na,b\n")
    bare = open_dataset(str(tmp_path / "bare.csv"))
    with pytest.raises(InputError, match="every column would go"):
        without_columns(bare, ["x", "y"])
    assert without_columns(bare, ["x", "y"], {"x": {0: "1"}}).source.features == ["x"]


def test_bytes_of_dropped_columns_do_not_count(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,c\n1,22,333\n4,,6\n", encoding="utf-8")
    dataset = open_dataset(str(tmp_path / "t.csv"))
    narrow = without_columns(dataset, ["b"])
    narrow.source.write(narrow.rows, str(tmp_path / "out.csv"), "copy")
    header = len("a,c\n")
    assert narrow.bytes.tolist() == [6, 4]
    assert narrow.bytes.sum() == (tmp_path / "out.csv").stat().st_size - header
