"""A report is written bit by bit, and is to the letter what it would be at once."""

import json
import tracemalloc

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.table import TableSource
from datadiet_cli.outcome import Action, Outcome, Verdicts
from datadiet_cli.report import streaming, verdicts
from datadiet_cli.report.build import write_report
from datadiet_cli.report.comparisons import COLUMNS
from datadiet_cli.report.frame import verdict_frame
from datadiet_cli.report.streaming import each_verdict, json_chunks
from datadiet_cli.report.verdicts import Rows, StepResult
from tests.conftest import Cli, table
from tests.report.documents import document, verdict

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def at_once(made) -> bytes:
    return json.dumps(made, indent=2).encode() + b"\n"


def together(made, report=None) -> bytes:
    return b"".join(json_chunks(made, report))


@pytest.fixture
def slices(monkeypatch):
    """Make slices small, so that few verdicts fill several."""

    def of(size):
        for module in (streaming, verdicts):
            monkeypatch.setattr(module, "SLICE", size)

    return of


def rows_of(path, count, **changes) -> Rows:
    """Verdicts on the records of a table, each witness the record before."""
    dataset = open_dataset(str(table(path, ["x"], [[number] for number in range(count)])))
    sample = np.arange(count)
    found = Verdicts.of(sample, Action.DROP, "duplicate", score=sample / 7, witness=sample - 1, **changes)
    outcome = Outcome(found)
    return Rows(dataset, [StepResult("dedup", {}, count, outcome, 0.0, dataset)])


@settings(max_examples=40)
@given(
    st.dictionaries(st.text(), values, max_size=3), st.lists(values, max_size=3), st.lists(st.lists(values, max_size=3))
)
def test_any_values_are_as_at_once(more, listed, pairs):
    block = {"count": len(pairs), "file": None, "columns": list(COLUMNS), "pairs": pairs, **more}
    made = {**more, **document([], verdicts=listed), "comparisons": block}
    assert together(made) == at_once(made)
    assert together({**made, "comparisons": None}) == at_once({**made, "comparisons": None})


@pytest.mark.parametrize("size", [1, 3, 10, 100])
@pytest.mark.parametrize("count", [0, 1, 10])
def test_verdicts_of_a_run_are_as_listed(tmp_path, slices, size, count):
    slices(size)
    facts = {"detail": ["\ud800é\n"] * count, "evidence": [{"a": [1, {}], "b": "\udce9"}] * count}
    rows = rows_of(tmp_path / "in.csv", count, **facts)
    listed = rows.listed()
    made = document([], verdicts=rows)
    assert len(rows) == len(listed) == count
    assert list(each_verdict(made, None)) == listed
    assert together(made) == at_once({**made, "verdicts": listed})
    spelled = verdict_frame(made, None).drop("detail", "evidence")
    assert spelled.to_dicts() == [{k: v for k, v in row.items() if k not in ("detail", "evidence")} for row in listed]


def test_verdicts_and_pairs_of_a_file_are_read_slice_by_slice(tmp_path, slices):
    rows = rows_of(tmp_path / "in.csv", 10_500, evidence=[{"at": number} for number in range(10_500)])
    pairs = [[f"{n}", f"{n + 1}", 0.5, None if n % 2 else 0.9, 1, n, n + 1] for n in range(10_001)]
    block = {"count": len(pairs), "file": None, "columns": list(COLUMNS), "pairs": pairs}
    made = document([], verdicts=rows, verdicts_count=10_500, comparisons=block)
    write_report(str(tmp_path / "out"), made)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in tmp_path.glob("out.*"):
        path.rename(moved / path.name)
    assert len(list(moved.iterdir())) == 3
    path = str(moved / "out.report.json")
    with open(path, "rb") as file:
        read = json.load(file)
    assert read["verdicts"] == read["comparisons"]["pairs"] == []
    slices(999)
    assert together(read, path) == together(made)
    assert list(each_verdict(read, path)) == rows.listed()


def test_names_of_an_id_column_are_asked_for_once(tmp_path, slices, monkeypatch):
    slices(2)
    source = table(tmp_path / "in.csv", ["name", "x"], [[f"n{number}", number] for number in range(9)])
    dataset = open_dataset(str(source), Reading(id_column="name"))
    outcome = Outcome(Verdicts.of(np.arange(9), Action.FLAG, "conflict"))
    rows = Rows(dataset, [StepResult("dedup", {}, 9, outcome, 0.0, dataset)])
    asked, ids = [], TableSource.ids
    monkeypatch.setattr(TableSource, "ids", lambda self, rows: asked.append(len(rows)) or ids(self, rows))
    assert [row["id"] for row in rows.listed()] == [f"n{number}" for number in range(9)]
    assert sorted(asked) == [0, 9]


def test_memory_does_not_grow_with_the_verdicts(tmp_path, slices):
    slices(500)
    peaks = []
    for count in (4_000, 16_000):
        made = document([], verdicts=rows_of(tmp_path / "in.csv", count))
        tracemalloc.start()
        size = sum(map(len, json_chunks(made, None)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert size > 200 * count
    assert peaks[1] < 1.5 * peaks[0]


def test_the_command_line_prints_what_it_writes(tmp_path, datadiet: Cli):
    source = table(tmp_path / "in.csv", ["x"], [[number % 7] for number in range(100)])
    ran = datadiet("dedup", source, tmp_path / "out.csv", "--json")
    assert ran.out == (tmp_path / "out.csv.report.json").read_bytes()
    assert json.loads(ran.out)["verdicts_count"] == 93


def test_a_damaged_file_beside_the_report_is_told(tmp_path):
    (tmp_path / "out.verdicts.parquet").write_bytes(b"PAR1 no more")
    made = document([verdict("a")], verdicts=[], verdicts_file="out.verdicts.parquet")
    with pytest.raises(ValueError, match=r"(?i)parquet"):
        together(made, str(tmp_path / "out.report.json"))


def test_a_damaged_byte_is_an_error_of_ours_and_nothing_is_printed(tmp_path, capfdbinary):
    path = tmp_path / "out.verdicts.parquet"
    pl.DataFrame({"id": ["a", "b"] * 20, "score": [1.5, None] * 20}).write_parquet(path, compression="uncompressed")
    whole, refused = path.read_bytes(), 0
    # Among the heads of pages and the texts; the core of the library panics at some of these, and prints.
    for at in range(30, 160):
        path.write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
        try:
            list(verdicts.table_rows(str(path)))
        except ValueError:
            refused += 1
    assert refused
    assert capfdbinary.readouterr() == (b"", b"")


@pytest.mark.parametrize("format", ["json", "json-lines", "github"])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(None, id="gone"),
        pytest.param(b"PAR1 no more", id="cut"),
        pytest.param({"id": ["a"]}, id="columns"),
    ],
)
def test_a_damaged_file_beside_a_report_is_one_line_and_nothing_else(tmp_path, datadiet: Cli, damage, format):
    path, beside = tmp_path / "out.report.json", tmp_path / "out.verdicts.parquet"
    made = document([], verdicts_file=beside.name, settings={"seed": 0})
    path.write_text(json.dumps(made))
    if isinstance(damage, bytes):
        beside.write_bytes(damage)
    elif damage is not None:
        pl.DataFrame(damage).write_parquet(beside)
    ran = datadiet("report", path, "--format", format)
    assert (ran.code, ran.out) == (2, b"")
    assert str(path) in ran.complaint


@pytest.mark.parametrize("what", ["evidence", "pairs"])
def test_damage_in_the_middle_is_found_before_anything_is_printed(tmp_path, datadiet: Cli, slices, what):
    slices(5)
    path = tmp_path / "out.report.json"
    rows = rows_of(tmp_path / "in.csv", 20, evidence=[{"at": number} for number in range(20)])
    table = rows.frame()
    if what == "evidence":
        table = table.with_columns(evidence=pl.when(pl.col("id") == "17").then(pl.lit("{")).otherwise("evidence"))
    table.write_parquet(tmp_path / "out.verdicts.parquet")
    block = {"count": 1, "file": "gone.parquet", "columns": list(COLUMNS), "pairs": []}
    more = {"comparisons": block} if what == "pairs" else {}
    path.write_text(json.dumps(document([], verdicts_file="out.verdicts.parquet", settings={"seed": 0}, **more)))
    ran = datadiet("report", path, "--format", "json")
    assert (ran.code, ran.out) == (2, b"")
    assert str(path) in ran.complaint
