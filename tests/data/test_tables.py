"""CSV and TSV files: cells in, the same bytes out, and messages that help."""

import csv
import io
import subprocess
import sys
from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.data import csvfile
from datadiet_cli.data.tables import TableFormat, is_table, open_table
from datadiet_cli.errors import ConfigError, InputError, OutputError

CELL = st.text(alphabet='ab ",;\r\n\té€𐍈', max_size=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def table(folder, content: bytes, name="t.csv", **fmt):
    path = folder / name
    path.write_bytes(content)
    return open_table(path, TableFormat(**fmt))


def written(file, rows, folder, edits=None) -> bytes:
    target = folder / "out"
    target.unlink(missing_ok=True)
    size = file.write(np.array(rows, dtype=np.int64), str(target), edits or {})
    assert size == target.stat().st_size
    return target.read_bytes()


def csv_cells(content: bytes, delimiter=",") -> list[list[str]]:
    text = io.StringIO(content.decode("utf-8-sig"), newline="")
    return [row for row in csv.reader(text, delimiter=delimiter) if row]


def table_cells(file) -> list[list[str]]:
    return [[cell or "" for cell in row] for row in file.texts().rows()]


def quoted(cell: str, force: bool) -> str:
    force = force or any(c in cell for c in ',;\t|"\r\n')
    return '"' + cell.replace('"', '""') + '"' if force else cell


@st.composite
def csv_files(draw):
    """The bytes of a CSV that a program could have written, with every liberty the format leaves."""
    width = draw(st.integers(1, 4))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    rows = draw(st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=8))
    names = ",".join(f"c{i}" for i in range(width))
    text = draw(st.sampled_from(["", "\ufeff"])) + draw(st.sampled_from(["", end])) + names + end
    for row in rows:
        force = draw(st.booleans())
        text += ",".join(quoted(cell, force or row == [""]) for cell in row) + end
        text += end * draw(st.integers(0, 1)) * draw(st.integers(0, 1))
    if draw(st.booleans()):
        text = text.removesuffix(end)
    return text.encode()


@given(content=csv_files(), data=st.data())
def test_kept_records_have_their_cells_and_all_kept_are_the_same_bytes(folder, content, data):
    file = table(folder, content)
    expected = csv_cells(content)
    assert [list(file.columns), *table_cells(file)] == expected
    assert file.records == len(expected) - 1
    everything = list(range(file.records))
    assert written(file, everything, folder) == content
    kept = sorted(data.draw(st.sets(st.sampled_from(everything)))) if everything else []
    output = written(file, kept, folder)
    assert csv_cells(output) == [expected[0], *(expected[1 + i] for i in kept)]
    assert set(output.split(b"\n")) <= set(content.split(b"\n")) | {b""}
    assert int(file.record_bytes().sum()) == len(content) - len(written(file, [], folder))


@given(content=csv_files().filter(lambda c: len(csv_cells(c)) > 1), text=st.none() | CELL, data=st.data())
def test_an_edit_changes_its_cell_only(folder, content, text, data):
    file = table(folder, content)
    row = data.draw(st.integers(0, file.records - 1))
    column = data.draw(st.sampled_from(file.columns))
    output = written(file, list(range(file.records)), folder, {column: {row: text}})
    expected = csv_cells(content)
    expected[1 + row][file.columns.index(column)] = text or ""
    assert csv_cells(output) == expected
    # The bytes before and after the cell are what they were.
    start, end = (len(written(file, list(range(n)), folder)) for n in (row, row + 1))
    assert output[:start] == content[:start]
    assert output.endswith(content[end:])


def test_an_edit_leaves_the_spelling_of_its_neighbours(tmp_path):
    file = table(tmp_path, b'a,b,c\r\n"007",1e5, x\r\n"q""q",0.10,"z"\r\n')
    output = written(file, [0, 1], tmp_path, {"b": {0: "new, cell", 1: None}, "c": {1: "plain"}})
    assert output == b'a,b,c\r\n"007","new, cell", x\r\n"q""q",,plain\r\n'


def test_edits_of_dropped_records_are_ignored(tmp_path):
    file = table(tmp_path, b"a,b\n1,2\n3,4\n")
    assert written(file, [1], tmp_path, {"a": {0: "x"}}) == b"a,b\n3,4\n"


def test_the_last_record_without_line_end_stays_without(tmp_path):
    file = table(tmp_path, b"a,b\n1,2\n3,4")
    assert written(file, [1], tmp_path) == b"a,b\n3,4"
    assert written(file, [0], tmp_path) == b"a,b\n1,2\n"
    assert written(file, [1], tmp_path, {"b": {1: "9"}}) == b"a,b\n3,9"


@given(content=csv_files(), data=st.data())
def test_keys_and_same_go_by_cell_text(folder, content, data):
    file = table(folder, content)
    columns = data.draw(st.none() | st.lists(st.sampled_from(file.columns), min_size=1, unique=True))
    places = [file.columns.index(c) for c in columns or file.columns]
    cells = [[row[i] for i in places] for row in csv_cells(content)[1:]]
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(file.records), np.arange(file.records)))
    expected = [cells[i] == cells[j] for i, j in zip(a, b, strict=True)]
    keys = file.keys(columns)
    assert file.same(a, b, columns).tolist() == expected
    assert (keys[a] == keys[b]).tolist() == expected


def test_quoting_and_line_ends_do_not_make_records_differ(tmp_path):
    file = table(tmp_path, b'a,b\n1,x\r\n"1",x\n1,"x"')
    assert len(set(file.keys().tolist())) == 1
    assert file.same(np.array([0, 0]), np.array([1, 2])).all()


def test_blocks_do_not_change_cells(tmp_path, monkeypatch):
    content = b"a,b\n" + b"".join(b'%d,"x\n%d"\n\n' % (i, i % 7) for i in range(500))
    whole = table(tmp_path, content)
    frame, keys = whole.texts(), whole.keys(["b"])
    monkeypatch.setattr(csvfile, "_BLOCK_BYTES", 100)
    pieces = table(tmp_path, content)
    assert pieces.texts().equals(frame)
    assert (pieces.keys(["b"]) == keys).all()


def test_stray_quotes_are_read_as_the_csv_module_reads_them(tmp_path):
    content = b'size,what\n5" pipe,"a ""b"""\n\n"x"y,z"\n"two\nlines",1\n5" pipe,"a ""b"""\n'
    file = table(tmp_path, content)
    assert [list(file.columns), *table_cells(file)] == csv_cells(content)
    assert written(file, [0, 1, 2, 3], tmp_path) == content
    assert written(file, [1, 2], tmp_path) == b'size,what\n"x"y,z"\n"two\nlines",1\n'
    assert written(file, [0], tmp_path, {"what": {0: 'six"'}}) == b'size,what\n5" pipe,"six"""\n\n'
    assert file.same(np.array([0]), np.array([3])).all()


def test_types_come_from_all_records(tmp_path):
    head = "n,f,b,d,t,zip,odd,big,word,empty"
    line = "1,0.10,True,2024-02-29,2024-02-29 12:00:00,00501,5,12345678901234567890,nan,"
    rows = [line] * 300 + ["-2,1e5,false,,2024-03-01 00:00:00.5,10001,x,1,nan,"]
    frame = table(tmp_path, "\n".join([head, *rows]).encode()).typed()
    assert frame.schema == {
        "n": pl.Int64,
        "f": pl.Float64,
        "b": pl.Boolean,
        "d": pl.Date,
        "t": pl.Datetime("us"),
        "zip": pl.String,
        "odd": pl.String,
        "big": pl.String,
        "word": pl.String,
        "empty": pl.String,
    }
    time = datetime(2024, 3, 1, 0, 0, 0, 500_000)
    assert frame.row(300) == (-2, 1e5, False, None, time, "10001", "x", "1", "nan", None)
    assert frame["d"][0] == date(2024, 2, 29)
    assert frame["zip"][0] == "00501"


def test_columns_are_given_in_the_order_asked_for(tmp_path):
    file = table(tmp_path, b"a,b,c\n1,2,3\n")
    assert file.texts(["c", "a"]).rows() == [("3", "1")]
    assert file.typed(["c"]).rows() == [(3,)]
    with pytest.raises(KeyError):
        file.texts(["d"])


@pytest.mark.parametrize("name", ["t.tsv", "t.TSV", "t.tab"])
def test_tabs(tmp_path, name):
    file = table(tmp_path, b"a,x\tb\n1,5\t2\n", name)
    assert file.columns == ("a,x", "b")
    assert written(file, [], tmp_path) == b"a,x\tb\n"


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (b"a;b;c\n1,5;2,5;3,5\n", ("a", "b", "c")),
        (b"a|b\nx,y|z\n", ("a", "b")),
        (b'a,"b;c;d"\n1,2\n', ("a", "b;c;d")),
        (b"text\nhello\nworld\n", ("text",)),
        (b"a,b", ("a", "b")),
    ],
)
def test_the_delimiter_is_found(tmp_path, content, columns):
    assert table(tmp_path, content).columns == columns


def test_the_delimiter_can_be_told(tmp_path):
    assert table(tmp_path, b"a,b^c\n1,2^3\n", delimiter="^").columns == ("a,b", "c")
    with pytest.raises(ConfigError, match="one ASCII character"):
        table(tmp_path, b"a\n", delimiter="::")


@pytest.mark.parametrize(
    ("head", "columns"),
    [
        ("a,,a,a_2,a", ("a", "column_2", "a_3", "a_2", "a_4")),
        ("0,1,2", ("0", "1", "2")),
        ("1,2,3", ("1", "2", "3")),
        (",0,1", ("column_1", "0", "1")),
        ("x,2019,2020", ("x", "2019", "2020")),
        ("column_2,,x", ("column_2", "column_2_2", "x")),
    ],
)
def test_column_names_are_unique_and_the_header_stays(tmp_path, head, columns):
    file = table(tmp_path, head.encode() + b"\n" + b"9," * head.count(",") + b"9\n")
    assert file.columns == columns
    assert file.texts().columns == list(columns)
    assert written(file, [], tmp_path) == head.encode() + b"\n"


@pytest.mark.parametrize("head", [b"2019,2020", b"a,0.5", b"-1,b", b"5"])
def test_a_first_record_of_data_is_no_header_unless_told(tmp_path, head):
    content = head + b"\n" + head + b"\n"
    with pytest.raises(InputError, match=r"t\.csv: .*looks like data.*--header none.*--header first-row"):
        table(tmp_path, content)
    file = table(tmp_path, content, header="none")
    assert file.columns == tuple(f"column_{i + 1}" for i in range(head.count(b",") + 1))
    assert file.records == 2
    assert written(file, [1], tmp_path) == head + b"\n"
    assert table(tmp_path, content, header="first-row").records == 1


def test_single_byte_encodings_are_read_and_kept(tmp_path):
    content = "naïve,b\ncafé,1\nthé,2\n".encode("cp1252")
    file = table(tmp_path, content, encoding="cp1252")
    assert file.columns == ("naïve", "b")
    assert file.texts()["naïve"].to_list() == ["café", "thé"]
    assert written(file, [1], tmp_path) == content.replace(b"caf\xe9,1\n", b"")
    assert written(file, [1], tmp_path, {"b": {1: "€"}}).endswith(b"th\xe9,\x80\n")
    with pytest.raises(OutputError, match=r"record 1: .*'喝'.*cp1252"):
        written(file, [1], tmp_path, {"b": {1: "喝"}})


def test_bytes_that_are_not_utf8_are_named(tmp_path):
    content = b"a,b\n" + "é,1\n".encode() * 400_000 + b"caf\xe9,2\n"
    with pytest.raises(InputError, match=r"t\.csv:400002: byte 0xE9 is not UTF-8.*--encoding latin-1"):
        table(tmp_path, content)
    assert table(tmp_path, content, encoding="latin-1").texts()["a"][-1] == "café"
    with pytest.raises(InputError, match=r"t\.csv:2: byte 0x81 is not CP1252"):
        table(tmp_path, b"a\n\x81\n", encoding="cp1252")


@pytest.mark.parametrize("name", ["utf-16", "utf-7", "shift_jis", "gbk", "utf_32_le", "no-such", "base64", "hz"])
def test_encodings_that_cannot_be_cut_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="encoding"):
        table(tmp_path, b"a\n1\n", encoding=name)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n\r\n", "blank lines"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("a,b\n1,2\n".encode("utf-32"), "UTF-16 or UTF-32"),
        ("a,b\n1,2\n".encode("utf-16-le"), r"t\.csv:1: a NUL byte.*iconv"),
    ],
)
def test_files_that_are_no_table(tmp_path, content, said):
    with pytest.raises(InputError, match=said):
        table(tmp_path, content)


def test_a_table_without_records(tmp_path):
    none = np.empty(0, dtype=np.int64)
    for content in (b"a,b\n", b"a,b", b'\xef\xbb\xbf"a",b\r\n\r\n'):
        file = table(tmp_path, content)
        assert (file.columns, file.records) == (("a", "b"), 0)
        assert file.texts().schema == {"a": pl.String, "b": pl.String}
        assert file.typed().shape == (0, 2)
        assert len(file.keys()) == len(file.keys(["b"])) == len(file.record_bytes()) == 0
        assert file.same(none, none).shape == (0,)
        assert written(file, [], tmp_path) == content


def test_cells_longer_than_the_csv_module_likes(tmp_path):
    long = b"x" * 200_000
    content = b'a,b\n"' + long + b'",1\n5" pipe,2\n'
    file = table(tmp_path, content)
    assert file.texts()["a"].to_list() == [long.decode(), '5" pipe']
    assert csv.field_size_limit() == 131_072


def test_doors_and_names(tmp_path):
    for name in ("a.csv", "a.TSV", "a.tab", "a.jsonl", "a.ndjson", "a.parquet", "a.PQ"):
        assert is_table(name)
        assert is_table(tmp_path / name)
    assert not is_table("a.txt")
    assert not is_table("csv")
    with pytest.raises(InputError, match=r"a\.txt: not a table.*\.parquet"):
        open_table("a.txt")
    with pytest.raises(FileNotFoundError):
        open_table(tmp_path / "missing.csv")
    content = b"a\nb\n"
    assert table(tmp_path, content, "[a]*?.csv").texts().rows() == [("b",)]


def test_the_module_does_not_load_polars():
    code = "import sys, datadiet_cli.data.tables, datadiet_cli.data.csvfile; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
