"""Tables that change: what is seen before they are written is what is read afterwards, and the rest keeps its bytes."""

import csv
import io
import json
import re
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from datadiet_cli.data.changedtable import ChangedTable
from datadiet_cli.data.tablefile import Growth
from datadiet_cli.data.tables import TableFormat, open_table
from datadiet_cli.errors import OutputError

CELL = st.none() | st.text('ab 5",;\r\n\té', max_size=5)
NUMBER = st.none() | st.integers(-999, 999).map(str)
NEW_NUMBER = st.none() | st.sampled_from(["1", "-20", "0.5", "1e3", "2.50"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("changed")


@dataclass
class Change:
    """Edits and growth of a table of some columns and records."""

    edits: dict = field(default_factory=dict)
    template: list = field(default_factory=list)
    columns: dict = field(default_factory=dict)

    @property
    def growth(self):
        return Growth(tuple(self.template), self.columns)

    def of(self, names, rows):
        """The cells after the change, by plain lists."""
        after = [dict(zip(names, row, strict=True)) for row in rows]
        after += [dict(after[number]) for number in self.template]
        for column, texts in (self.columns | self.edits).items():
            fill = column in self.columns
            for number, row in enumerate(after):
                if fill:
                    row[column] = None
                if number in texts:
                    row[column] = texts[number]
        return [*names, *self.columns], [list(row.values()) for row in after]


@st.composite
def changes(draw, names, records, new=("w", "x,y")):
    template = draw(st.lists(st.integers(0, records - 1), max_size=3)) if records else []
    numbers = st.integers(0, records + len(template) - 1)
    some = st.lists(st.sampled_from(names), max_size=2, unique=True)
    cells = {name: NUMBER if name == "n" else CELL for name in names}
    edits, columns = {}, {}
    if records:
        edits = {name: draw(st.dictionaries(numbers, cells[name], max_size=4)) for name in draw(some)}
        for name in draw(st.lists(st.sampled_from(new), max_size=2, unique=True)):
            columns[name] = draw(st.dictionaries(numbers, draw(st.sampled_from([CELL, NEW_NUMBER])), max_size=4))
    return Change(edits, template, columns)


@dataclass
class Spelled:
    """A table of a number column n and text columns, as it stands in a file."""

    name: str
    names: list
    rows: list
    content: bytes
    fmt: TableFormat

    def open(self, folder):
        (folder / self.name).write_bytes(self.content)
        return open_table(folder / self.name, self.fmt)


@st.composite
def csv_tables(draw):
    cut, end = draw(st.sampled_from(",;\t|^")), draw(st.sampled_from(["\n", "\r\n"]))
    header = draw(st.sampled_from(["first-row", "none"]))
    width = draw(st.integers(1, 3))
    names = ["n", "a", "b"][:width] if header == "first-row" else [f"column_{i + 1}" for i in range(width)]
    rows = draw(st.lists(st.tuples(*[NUMBER, CELL, CELL][:width]), min_size=header == "none", max_size=5))
    lines = [cut.join(quoted(cell or "", cut, draw(st.booleans()) or width == 1) for cell in row) for row in rows]
    if header == "first-row":
        lines.insert(0, cut.join(names))
    blank = draw(st.booleans())
    text = "".join(line + end + end * (blank and draw(st.booleans())) for line in lines)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "latin-1"]))
    text = text if draw(st.booleans()) else text.rstrip("\r\n")
    told = "utf-8" if encoding == "utf-8-sig" else encoding
    fmt = TableFormat(encoding=told, delimiter=cut, header=header)
    return Spelled("t.csv", names, blanked(rows), text.encode(encoding), fmt)


def quoted(text, cut, force):
    force = force or any(mark in text for mark in cut + '"\r\n')
    return '"' + text.replace('"', '""') + '"' if force else text


def blanked(rows):
    return [[cell or None for cell in row] for row in rows]


@st.composite
def json_tables(draw):
    rows = draw(st.lists(st.tuples(NUMBER, CELL, CELL), min_size=1, max_size=5))
    # A string each, for a column without any takes what looks like a number for one.
    rows = [*rows, (None, "word", "word")]
    lines = []
    for row in rows:
        members = {name: cell for name, cell in zip("nab", row, strict=True) if cell is not None or draw(st.booleans())}
        if members.get("n") is not None:
            members["n"] = int(members["n"])
        pair = draw(st.sampled_from([(", ", ": "), (",", ":"), (" , ", " : ")]))
        line = json.dumps(members, ensure_ascii=draw(st.booleans()), separators=pair)
        lines.append(line + draw(st.sampled_from(["\n", "\r\n", "\n\n", " \n \n"])))
    text = "".join(lines)
    text = text if draw(st.booleans()) else text.rstrip()
    order = list(dict.fromkeys(key for line in lines for key in json.loads(line)))
    place = ["nab".index(name) for name in order]
    return Spelled("t.jsonl", order, [[row[i] for i in place] for row in rows], text.encode(), TableFormat())


@st.composite
def parquet_tables(draw):
    rows = draw(st.lists(st.tuples(NUMBER, CELL, CELL), max_size=5))
    frame = pl.DataFrame(rows, schema=dict.fromkeys("nab", pl.String), orient="row").cast({"n": pl.Int64})
    target = io.BytesIO()
    frame.write_parquet(target)
    return Spelled("t.parquet", list("nab"), [list(row) for row in rows], target.getvalue(), TableFormat())


TABLES = csv_tables() | json_tables() | parquet_tables()


def texts_of(file):
    return [list(row) for row in file.texts().rows()]


def written(file, rows, folder, *change) -> bytes:
    target = folder / "out"
    target.unlink(missing_ok=True)
    size = file.write(np.array(rows, dtype=np.int64), str(target), *change)
    assert size == target.stat().st_size
    return target.read_bytes()


def reopened(spelled, content, folder):
    (folder / f"after_{spelled.name}").write_bytes(content)
    return open_table(folder / f"after_{spelled.name}", spelled.fmt)


def as_read(spelled, names, rows):
    """Texts as the format gives them back."""
    if spelled.name == "t.csv":
        return blanked(rows)
    if spelled.name == "t.jsonl":
        return rows
    for name in set(names) - {"n", "a", "b"}:
        place = names.index(name)
        cells = [row[place] for row in rows]
        if all(cell is None or re.fullmatch(r"-?\d+(\.\d+)?(e\d)?", cell) for cell in cells):
            for row, cell in zip(rows, cells, strict=True):
                row[place] = cell and str(float(cell))
    return rows


@given(spelled=TABLES, data=st.data())
def test_what_is_written_is_what_was_seen(folder, spelled, data):
    file = spelled.open(folder)
    assert list(file.columns) == spelled.names
    change = data.draw(changes(spelled.names, file.records))
    names, rows = change.of(spelled.names, spelled.rows)
    changed = ChangedTable(file, change.edits, change.growth)
    assert list(changed.columns) == names
    assert changed.records == len(rows) == len(changed.record_bytes())
    assert texts_of(changed) == as_read(spelled, names, rows)
    kept = sorted(data.draw(st.sets(st.sampled_from(range(len(rows)))))) if rows else []
    content = written(file, kept, folder, change.edits, change.growth)
    assert written(changed, kept, folder) == content
    bare = b":" not in content if spelled.name == "t.jsonl" else spelled.fmt.header == "none" and not kept
    if bare:
        return  # nothing is left that names or shows a column
    after = reopened(spelled, content, folder)
    seen = changed.texts()[kept]
    if spelled.fmt.header == "none":
        seen.columns = list(after.columns)
    there = [name for name in seen.columns if name in after.columns]
    assert after.texts(there).equals(seen.select(there))
    assert all(seen[name].null_count() == len(kept) for name in set(seen.columns) - set(there))


@given(spelled=TABLES, data=st.data())
def test_kept_records_stay_the_bytes_they_were(folder, spelled, data):
    if spelled.name == "t.parquet":
        return
    file = spelled.open(folder)
    change = data.draw(changes(spelled.names, file.records, new=("w",)))
    total = file.records + len(change.template)
    content = written(file, list(range(total)), folder, change.edits, Growth(tuple(change.template)))
    edited = {number for texts in change.edits.values() for number in texts}
    if not edited and not change.template:
        assert content == spelled.content
    after = reopened(spelled, content, folder)
    assert after.records == total
    before, now = pieces(file, spelled.content), pieces(after, content)
    assert now[0] == before[0]
    sources = [*range(file.records), *change.template]
    for number in set(range(total)) - edited:
        old = before[1 + sources[number]]
        assert now[1 + number].startswith(old if number < file.records else old.strip(b" \r\n"))


def pieces(file, content):
    """The bytes of each record, after those that come before all of them."""
    sizes = file.record_bytes().tolist()
    bounds = np.cumsum([0, len(content) - sum(sizes), *sizes]).tolist()
    return [content[a:b] for a, b in pairwise(bounds)]


@given(spelled=TABLES, data=st.data())
def test_changes_of_a_changed_table_add_up(folder, spelled, data):
    file = spelled.open(folder)
    first = data.draw(changes(spelled.names, file.records))
    names, rows = first.of(spelled.names, spelled.rows)
    once = ChangedTable(file, first.edits, first.growth)
    second = data.draw(changes(names, len(rows), new=("v", "z")))
    names, rows = second.of(names, rows)
    twice = ChangedTable(once, second.edits, second.growth)
    assert twice.base is file
    assert texts_of(twice) == as_read(spelled, names, rows)
    everything = list(range(len(rows)))
    content = written(once, everything, folder, second.edits, second.growth)
    assert written(twice, everything, folder) == content
    assert written(ChangedTable(twice), everything, folder) == content


@given(spelled=TABLES, data=st.data())
def test_keys_and_same_agree_and_go_by_what_is_seen(folder, spelled, data):
    file = spelled.open(folder)
    change = data.draw(changes(spelled.names, file.records))
    changed = ChangedTable(file, change.edits, change.growth)
    columns = data.draw(st.none() | st.lists(st.sampled_from(changed.columns), min_size=1, unique=True))
    cells = changed.texts(columns).rows()
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(len(cells)), np.arange(len(cells))))
    expected = [cells[i] == cells[j] for i, j in zip(a, b, strict=True)]
    keys = changed.keys(columns)
    assert changed.same(a, b, columns).tolist() == expected
    assert (keys[a] == keys[b]).tolist() == expected


@given(spelled=csv_tables() | parquet_tables(), data=st.data())
def test_types_are_those_of_the_written_table(folder, spelled, data):
    file = spelled.open(folder)
    change = data.draw(changes(spelled.names, file.records))
    changed = ChangedTable(file, change.edits, change.growth)
    after = reopened(spelled, written(changed, list(range(changed.records)), folder), folder)
    seen = changed.typed()
    seen.columns = list(after.columns)
    assert_frame_equal(after.typed(), seen)
    assert_frame_equal(changed.typed(changed.columns[::-1]), changed.typed()[:, ::-1])


def table(folder, content: bytes, name="t.csv", **fmt):
    (folder / name).write_bytes(content)
    return open_table(folder / name, TableFormat(**fmt))


def test_records_are_appended_in_the_spelling_of_their_templates(tmp_path):
    file = table(tmp_path, b'a,b\r\n"007",1e5\r\n\r\n0.10,"x, y"')
    growth = Growth(np.array([0, 1, 1]), {})
    assert written(file, [0, 1, 2, 3], tmp_path, {"b": {2: "new"}}, growth) == (
        b'a,b\r\n"007",1e5\r\n\r\n0.10,"x, y"\r\n"007",new\r\n0.10,"x, y"\r\n'
    )
    assert written(file, [0, 4], tmp_path, {}, growth) == b'a,b\r\n"007",1e5\r\n\r\n0.10,"x, y"\r\n'
    assert written(file, [1], tmp_path, {}, growth) == b'a,b\r\n0.10,"x, y"'


def test_new_columns_of_a_csv(tmp_path):
    growth = Growth((), {"weight": {0: "0.5"}, "why, if": {1: 'a "b"'}})
    file = table(tmp_path, b'\xef\xbb\xbf\na,b\n\n1,"2"\n3,4')
    assert written(file, [0, 1], tmp_path, {}, growth) == (
        b'\xef\xbb\xbf\na,b,weight,"why, if"\n\n1,"2",0.5,\n3,4,,"a ""b"""'
    )
    bare = table(tmp_path, b"1;2\r\n3;4\r\n", header="none")
    assert written(bare, [0, 1], tmp_path, {}, growth) == b'1;2;0.5;\r\n3;4;;"a ""b"""\r\n'
    empty = table(tmp_path, b"a,b")
    assert written(empty, [], tmp_path, {}, Growth((), {"w": {}})) == b"a,b,w"


def test_new_columns_of_json_lines(tmp_path):
    content = b'{"a":1}\n { "a": 2 }\r\n{}\n'
    growth = Growth((1,), {"w": {0: "0.50", 1: "2", 3: "1e-7"}, "s": {0: "1", 1: "x"}})
    assert written(table(tmp_path, content, "t.jsonl"), [0, 1, 2, 3], tmp_path, {}, growth) == (
        b'{"a":1,"w":0.50,"s":"1"}\n { "a": 2, "w": 2, "s": "x" }\r\n{"w":null,"s":null}\n'
        b' { "a": 2, "w": 1e-7, "s": null }\n'
    )


def test_types_of_changed_json_lines(tmp_path):
    lines = [{"n": 1, "f": 0.5, "t": True, "d": "2024-01-31", "s": "x"}, {"n": None, "f": 2, "t": None, "d": None}]
    file = table(tmp_path, "\n".join(map(json.dumps, lines)).encode(), "t.jsonl")
    edits = {"n": {1: "2.5"}, "f": {1: None}, "t": {1: "false"}, "d": {1: "2024-02-01"}, "s": {1: "y"}}
    growth = Growth((0,), {"w": {0: "1", 1: "0.5"}, "c": {2: "3"}, "day": {0: "2024-01-01"}, "none": {}})
    changed = ChangedTable(file, edits, growth)
    after = reopened(Spelled("t.jsonl", [], [], b"", TableFormat()), written(changed, [0, 1, 2], tmp_path), tmp_path)
    typed = changed.typed()
    assert_frame_equal(after.typed(), typed)
    kinds = [pl.Float64, pl.Float64, pl.Boolean, pl.Date, pl.String, pl.Float64, pl.Int64, pl.Date, pl.String]
    assert typed.dtypes == kinds
    assert typed["n"].to_list() == [1.0, 2.5, 1.0]
    assert ChangedTable(file, {"t": {1: "maybe"}}).typed()["t"].to_list() == ["true", "maybe"]


@pytest.mark.parametrize("text", ["null", " 7 ", "[1,\n 2]", "-0", "1E5", "01", '{"a":1}', "1" * 5000, "[" * 10**5, ""])
def test_odd_texts_among_values_of_json(tmp_path, text):
    file = table(tmp_path, b'{"n": 1}\n{"n": 2}\n', "t.jsonl")
    changed = ChangedTable(file, {"n": {1: text}})
    after = reopened(Spelled("t.jsonl", [], [], b"", TableFormat()), written(changed, [0, 1], tmp_path), tmp_path)
    assert texts_of(after) == texts_of(changed)


def test_metadata_and_types_of_parquet_stay_when_it_grows(tmp_path):
    frame = pl.DataFrame({"n": [1, 2], "c": ["x", "y"]}, schema={"n": pl.UInt8, "c": pl.Enum(["x", "y"])})
    frame.write_parquet(tmp_path / "t.parquet", metadata={"note": "é"})
    growth = Growth((0,), {"w": {0: "1", 2: "0.25"}, "s": {1: "007"}})
    content = written(open_table(tmp_path / "t.parquet"), [0, 2], tmp_path, {"n": {2: "9", 1: "8"}}, growth)
    after = pl.read_parquet(io.BytesIO(content))
    assert after.rows() == [(1, "x", 1.0, None), (9, "x", 0.25, None)]
    assert after.schema == {**frame.schema, "w": pl.Float64, "s": pl.String}
    assert pl.read_parquet_metadata(io.BytesIO(content))["note"] == "é"


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_a_name_that_is_taken_is_refused(tmp_path, name):
    pl.DataFrame({"a": [1], "b": [2]}).write_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": 2}\n')
    file = open_table(tmp_path / name)
    for taken, said in (("b", "there is one"), ("", "no name")):
        growth = Growth((), {taken: {}})
        with pytest.raises(OutputError, match=said):
            written(file, [0], tmp_path, {}, growth)
        with pytest.raises(OutputError, match=said):
            ChangedTable(file, {}, growth)
    with pytest.raises(OutputError, match="'w' cannot be named so"):
        ChangedTable(ChangedTable(file, {}, Growth((), {"w": {}})), {}, Growth((), {"w": {}}))
    with pytest.raises(KeyError):
        ChangedTable(file, {"nowhere": {0: "x"}})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "content"), [("t.csv", b"a\nx\n"), ("t.jsonl", b'{"a": "x"}\n')])
def test_what_the_encoding_lacks_is_refused_and_nothing_is_left(tmp_path, name, content):
    file = table(tmp_path, content, name, encoding="latin-1")
    changes = [({"a": {1: "喝"}}, Growth((0,))), ({}, Growth((), {"w": {0: "喝"}})), ({}, Growth((), {"喝": {}}))]
    for edits, growth in changes:
        with pytest.raises(OutputError, match=r"'喝'.*(8859-1|latin)"):
            written(file, list(range(1 + len(growth.template))), tmp_path, edits, growth)
        assert not (tmp_path / "out").exists()
    # An appended record that does not stay is no matter.
    assert written(file, [0], tmp_path, *changes[0]) == content


def test_a_nul_is_no_text_of_a_csv(tmp_path):
    with pytest.raises(OutputError, match=r"record 0.*no table of text"):
        written(table(tmp_path, b"a\nx\n"), [0], tmp_path, {"a": {0: "a\0b"}})


def test_many_records_by_the_csv_module(tmp_path):
    rows = [[str(i), f"word {i % 7}", ""] for i in range(40_000)]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["i", "w", "e"], *rows])
    file = table(tmp_path, text.getvalue().encode())
    template = list(range(0, 40_000, 10))
    total = 40_000 + len(template)
    edits = {"w": {number: f"new, {number}" for number in range(39_000, total)}}
    growth = Growth(template, {"weight": {number: str(number / 8) for number in range(0, total, 3)}})
    kept = [number for number in range(total) if number % 5]
    content = written(ChangedTable(file, edits, growth), kept, tmp_path).decode()
    names, expected = Change(edits, template, growth.columns).of(["i", "w", "e"], rows)
    assert list(csv.reader(io.StringIO(content, newline=""))) == [
        names,
        *([cell or "" for cell in expected[number]] for number in kept),
    ]
