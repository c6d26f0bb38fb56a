"""Tables, the full way through: which rows go, and that the others are what they were."""

import csv
import io
import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.conftest import Cli, report

HEADER = ("name", "n", "note")
ROWS = [("ann", "1", "x"), ("bob", "007", 'say "hi", bob'), ("ann", "1", "x"), ("cid", "1e5", "é\nü"),
        ("bob", "007", 'say "hi", bob'), ("bob", "7", 'say "hi", bob')]  # fmt: skip
KEPT = [0, 1, 3, 5]


def separated(delimiter, **how):
    def make(path, rows):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=delimiter, **how)
            writer.writerows([HEADER, *rows])

    return make


def json_lines(path, rows):
    path.write_text("".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in rows))


def parquet(path, rows):
    pl.DataFrame(rows, schema=HEADER, orient="row").write_parquet(path)


FORMATS = {
    "t.csv": separated(",", lineterminator="\n"),
    "quoted.csv": separated(";", lineterminator="\r\n", quoting=csv.QUOTE_ALL),
    "t.tsv": separated("\t", lineterminator="\n"),
    "t.jsonl": json_lines,
    "t.ndjson": json_lines,
    "t.parquet": parquet,
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_rows_go_from_every_format(tmp_path, datadiet: Cli, name):
    FORMATS[name](tmp_path / name, ROWS)
    ran = datadiet("dedup", tmp_path / name, tmp_path / f"out-{name}", "--list", "kept")
    assert (ran.code, ran.ids) == (0, [str(row) for row in KEPT])
    FORMATS[name](tmp_path / f"expected-{name}", [ROWS[row] for row in KEPT])
    written, expected = tmp_path / f"out-{name}", tmp_path / f"expected-{name}"
    if name.endswith("parquet"):
        assert_frame_equal(pl.read_parquet(written), pl.read_parquet(expected))
    else:
        assert written.read_bytes() == expected.read_bytes()
    told = report(tmp_path / f"out-{name}")
    assert told["input"]["columns"] == list(HEADER)
    assert [(v["id"], v["witness"]) for v in told["verdicts"]] == [("2", "0"), ("4", "1")]


def test_parquet_keeps_the_types_of_its_columns(tmp_path, datadiet: Cli):
    frame = pl.DataFrame(
        {"a": [1, 1, 2], "b": [[1, 2], [1, 2], []], "c": [None, None, {"x": 1.5}], "d": [b"\0", b"\0", None]},
        schema_overrides={"a": pl.Int8},
    )
    frame.write_parquet(tmp_path / "in.parquet")
    assert datadiet("dedup", tmp_path / "in.parquet", tmp_path / "out.parquet").code == 0
    assert_frame_equal(pl.read_parquet(tmp_path / "out.parquet"), frame[[0, 2]])


@pytest.fixture
def kept(tmp_path, datadiet: Cli):
    """The numbers of the records that stay of a CSV of these lines."""

    def call(content, *flags):
        source, output = tmp_path / "in.csv", tmp_path / "out.csv"
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
        ran = datadiet("dedup", source, output, "--force", "--rerun", "--list", "kept", *flags)
        assert ran.code == 0, ran.err
        return ran.ids

    return call


@pytest.fixture
def refused(tmp_path, datadiet: Cli):
    """The line that a CSV of these bytes is refused with."""

    def call(content, *flags):
        source = tmp_path / "in.csv"
        source.write_text(content)
        ran = datadiet("dedup", source, tmp_path / "out.csv", *flags)
        assert ran.code == 2
        return ran.complaint

    return call


class TestColumns:
    PEOPLE = "key,name,city,age\nk1,ann,rome,1\nk2,ann,rome,2\nk3,ann,oslo,1\nk4,bob,rome,1\n"

    def test_ids_are_compared_by_nobody(self, kept):
        people = self.PEOPLE + "k5,ann,rome,1\n"
        assert kept(people) == ["0", "1", "2", "3", "4"]
        assert kept(people, "--id-column", "key") == ["k1", "k2", "k3", "k4"]

    @pytest.mark.parametrize(
        ("table", "complaint"),
        [
            ("key,x\nk1,1\nk2,2\nk3,1\nk2,3\nk1,4\n", "'k1' names records 0 and 4"),
            ("key,x\nk1,1\n,2\nk3,1\n,3\n", "records 1 and 3 have none"),
        ],
    )
    def test_ids_must_differ(self, refused, table, complaint):
        line = refused(table, "--id-column", "key")
        assert f"in.csv: --id-column key: {complaint}; ids must differ" in line
        assert "are numbered without --id-column" in line

    def test_a_long_id_fills_no_screen(self, refused):
        assert len(refused("key\n" + 2 * ("x" * 5000 + "\n"), "--id-column", "key")) < 400

    def test_chosen_columns(self, kept):
        assert kept(self.PEOPLE, "--columns", "name") == ["0", "3"]
        assert kept(self.PEOPLE, "--columns", "name", "--columns", "city") == ["0", "2", "3"]
        assert kept(self.PEOPLE, "--columns", "name", "--method", "near", "--id-column", "key") == ["k1", "k4"]

    def test_labels_that_contradict_are_flagged_not_dropped(self, kept, tmp_path):
        table = "text,y\nhi,spam\nhi,ham\nhi,spam\nyo,ham\n"
        assert kept(table) == ["0", "1", "3"]
        assert report(tmp_path / "out.csv")["figures"]["conflicts"] == 0
        assert kept(table, "--label", "y") == ["0", "1", "3"]
        told = report(tmp_path / "out.csv")
        flagged = {v["id"]: v["witness"] for v in told["verdicts"] if v["reason"] == "conflict"}
        assert flagged == {"0": "1", "1": "0"}
        assert told["input"]["classes"] == {"ham": 2, "spam": 2}

    @pytest.mark.parametrize("column", ["split", "Subset", "partition", "SET"])
    def test_a_split_column_is_found_and_test_rows_stay(self, kept, tmp_path, column):
        rows = ["a,train", "a,test", "b,Train", "b,train", "c,validation", "c,validation", "c,test", "d,train"]
        table = "\n".join([f"x,{column}", *rows, ""])
        assert kept(table) == ["1", "2", "4", "5", "6", "7"]
        assert report(tmp_path / "out.csv")["figures"]["leaks"] == 1
        assert (tmp_path / "out.csv").read_text() == "\n".join([f"x,{column}", *rows[1:3], *rows[4:], ""])

    def test_a_split_column_of_another_name(self, kept):
        table = "x,fold\na,train\na,test\nb,train\nb,train\n"
        assert kept(table) == ["0", "1", "2"]
        assert kept(table, "--split", "fold") == ["1", "2"]

    @pytest.mark.parametrize(
        ("cells", "complaint"),
        [("abab", "it says 'a', 'b'"), (["tr ain", ""] * 2, "it says 'tr ain'"), ([""] * 4, "it is empty")],
    )
    def test_a_named_column_that_tells_no_split(self, refused, cells, complaint):
        table = "x,y,split\n" + "".join(f"1,{cell},test\n" for cell in cells)
        line = refused(table, "--split", "y")
        assert f"in.csv: --split y: names neither train nor test; {complaint}; known are dev, eval, " in line

    def test_one_known_split_is_enough(self, kept):
        assert kept("x,y\na,extra\na,test\nb,extra\nb,extra\n", "--split", "y") == ["1", "2"]
        assert kept("x,y\na, Train \nb,train\n", "--split", "y") == ["0", "1"]
        assert kept("x,y,z\n", "--split", "y", "--id-column", "x") == []

    def test_a_set_of_something_else_is_no_split(self, kept):
        assert kept("x,set\na,red\na,test\na,test\n") == ["0", "1"]


class TestNear:
    def test_words_by_form_case_and_blanks(self, kept):
        table = "\n".join(
            ["t,n", "Straße  A,1", "STRASSE a ,1", "\N{LATIN SMALL LIGATURE FI}t,1", "fit,1",
             "\N{FULLWIDTH DIGIT ONE},1", "1,1", "e\N{COMBINING ACUTE ACCENT},1", "É,1", "e,1", "f it,1", ""]
        )  # fmt: skip
        assert kept(table) == [str(row) for row in range(10)]
        assert kept(table, "--method", "near") == ["0", "2", "4", "6", "8", "9"]

    def test_numbers_by_a_share_of_the_larger(self, kept):
        table = "n,t\n1000,a\n1000.5,a\n999,a\n-1000,a\n1000,b\n0,a\n0.5,a\n"
        near = ["--method", "near", "--tolerance"]
        assert kept(table, *near, "0.0006") == ["0", "2", "3", "4", "5", "6"]
        assert kept(table, *near, "0.01") == ["0", "3", "4", "5", "6"]
        assert kept(table, *near, "0") == ["0", "1", "2", "3", "4", "5", "6"]
        assert kept("n\n1.50\n1.5\n15e-1\n1.6\n", *near, "0") == ["0", "3"]

    def test_codes_are_no_numbers(self, kept):
        assert kept("code\n007\n7\n07\n", "--method", "near") == ["0", "1", "2"]

    def test_a_missing_cell_equals_a_missing_cell_only(self, kept):
        table = "a,n\nx,\nx,\n,1\n,1\nx,0\nx,1\n,0\n"
        assert kept(table, "--method", "near") == ["0", "2", "4", "5", "6"]

    @pytest.mark.parametrize("method", ["near", "exact"])
    def test_the_most_complete_of_equals_stays(self, kept, method):
        """With the columns that count chosen, the others are what makes one row better than its equals."""
        table = "who,mail,n\nann,,\nann,,1\nann,a@b,1\nbob,,\n"
        flags = ["--method", method, "--columns", "who"]
        assert kept(table, *flags, "--prefer", "first") == ["0", "3"]
        assert kept(table, *flags) == ["2", "3"]

    def test_dates_and_truths(self, kept):
        table = "day,ok,at\n2024-01-02,true,2024-01-02 03:04:05\n2024-01-02,TRUE,2024-01-02 03:04:05.000\n"
        table += "2024-01-02,false,2024-01-02 03:04:05\n2024-01-03,True,2024-01-02 03:04:05\n"
        assert kept(table) == ["0", "1", "2", "3"]
        assert kept(table, "--method", "near") == ["0", "2", "3"]

    @pytest.mark.parametrize("name", ["in.jsonl", "in.parquet"])
    def test_typed_values(self, tmp_path, datadiet: Cli, name):
        rows = [{"x": 1.0, "s": "A", "ok": True}, {"x": 1.0000000001, "s": "a ", "ok": True},
                {"x": 1.0, "s": "a", "ok": False}, {"x": None, "s": "a", "ok": True}]  # fmt: skip
        frame = pl.DataFrame(rows)
        (frame.write_parquet if name.endswith("parquet") else frame.write_ndjson)(tmp_path / name)
        ran = datadiet("dedup", tmp_path / name, tmp_path / f"out-{name}", "--method", "near", "--list", "kept")
        assert ran.ids == ["0", "2", "3"]


class TestReading:
    def test_latin_1(self, tmp_path, kept):
        table = "name,n\ncafé,1\ncafé,1\nCAFÉ,1\nnaïve,2\n"
        assert kept(table.encode("latin-1"), "--encoding", "latin-1", "--method", "near") == ["0", "3"]
        assert (tmp_path / "out.csv").read_bytes() == "name,n\ncafé,1\nnaïve,2\n".encode("latin-1")

    def test_no_header(self, tmp_path, kept):
        assert kept("1,2\n3,4\n1,2\n", "--header", "none") == ["0", "1"]
        assert (tmp_path / "out.csv").read_text() == "1,2\n3,4\n"
        assert len(report(tmp_path / "out.csv")["input"]["columns"]) == 2

    def test_the_first_row_is_a_header_if_said(self, tmp_path, kept):
        assert kept("1,2\n3,4\n1,2\n3,4\n", "--header", "first-row") == ["0", "1"]
        assert (tmp_path / "out.csv").read_text() == "1,2\n3,4\n1,2\n"

    def test_the_delimiter_that_was_named(self, tmp_path, kept):
        assert kept("a:b\nx,1:2\nx,1:2\n", "--delimiter", ":") == ["0"]
        assert list(csv.reader(io.StringIO((tmp_path / "out.csv").read_text()), delimiter=":"))[1] == ["x,1", "2"]
