"""Findings that were accepted are left alone, and only new ones count."""

import json

import pytest

from tests.conftest import CATS_AND_DOGS, Cli, class_folders, names, report, save


@pytest.fixture
def pets(tmp_path):
    return class_folders(tmp_path / "pets", CATS_AND_DOGS)


@pytest.fixture
def accepted(pets, tmp_path, datadiet: Cli):
    """A baseline of what dedup found at first."""
    assert datadiet("dedup", pets, tmp_path / "first").code == 0
    ran = datadiet("baseline", tmp_path / "first.report.json")
    assert ran.code == 0
    assert "1 duplicate accepted" in ran.err
    return tmp_path / "first.baseline.json"


def test_what_is_accepted_stays_and_no_gate_counts_it(pets, accepted, tmp_path, datadiet: Cli):
    assert datadiet("dedup", pets, "--check").code == 1
    assert datadiet("dedup", pets, "--check", "--baseline", accepted).code == 0
    assert datadiet("dedup", pets, tmp_path / "out", "--baseline", accepted).code == 0
    assert names(tmp_path / "out") == names(pets)
    told = report(tmp_path / "out")
    (verdict,) = told["verdicts"]
    assert (verdict["action"], verdict["reason"]) == ("accept", "duplicate")
    assert (told["figures"]["accepted"], told["figures"]["removed"], told["figures"]["flagged"]) == (1, 0, 0)


def test_a_new_finding_counts(pets, accepted, datadiet: Cli):
    save(pets / "dog/copy-of-c.png", 3)
    ran = datadiet("dedup", pets, "--check", "--baseline", accepted, "--list", "dropped")
    assert ran.code == 1
    assert ran.ids == ["dog/copy-of-c.png"]


def test_a_finding_is_known_by_content_not_by_name(pets, accepted, datadiet: Cli):
    (pets / "cat/copy-of-a.png").rename(pets / "cat/renamed.png")
    assert datadiet("dedup", pets, "--check", "--baseline", accepted).code == 0


def test_rows_of_a_table_are_known_by_their_cells(tmp_path, datadiet: Cli):
    (tmp_path / "in.csv").write_text("x,y\n1,a\n2,b\n1,a\n")
    datadiet("dedup", tmp_path / "in.csv", tmp_path / "out.csv")
    datadiet("baseline", tmp_path / "out.csv.report.json", tmp_path / "known.json")
    (tmp_path / "in.csv").write_text("x,y\n2,b\n1,a\n1,a\n3,c\n")
    known = ("--baseline", tmp_path / "known.json")
    assert datadiet("dedup", tmp_path / "in.csv", "--check", *known).code == 0
    (tmp_path / "in.csv").write_text("x,y\n2,b\n1,a\n1,a\n2,b\n")
    assert datadiet("dedup", tmp_path / "in.csv", "--check", *known).code == 1


def test_files_that_cannot_be_read_may_be_accepted(pets, tmp_path, datadiet: Cli):
    (pets / "cat/broken.png").write_bytes(b"no picture")
    assert datadiet("dedup", pets, tmp_path / "out").code == 3
    datadiet("baseline", tmp_path / "out.report.json", tmp_path / "known.json")
    assert datadiet("dedup", pets, tmp_path / "again", "--baseline", tmp_path / "known.json").code == 0


def test_a_changed_baseline_decides_anew(pets, accepted, tmp_path, datadiet: Cli):
    arguments = ("dedup", pets, tmp_path / "out", "--baseline", accepted)
    assert datadiet(*arguments).code == 0
    accepted.write_text(json.dumps({"datadiet_baseline": 1, "findings": []}))
    assert datadiet(*arguments, "--force").code == 0
    assert len(names(tmp_path / "out")) == len(names(pets)) - 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no baseline"),
        ('{"datadiet_baseline": 2, "findings": []}', "another version"),
        ("[]", "is no baseline"),
    ],
)
def test_what_is_no_baseline(pets, tmp_path, datadiet: Cli, content, said):
    (tmp_path / "known.json").write_text(content)
    ran = datadiet("dedup", pets, "--dry-run", "--baseline", tmp_path / "known.json")
    assert ran.code == 2
    assert said in ran.complaint


def test_a_missing_baseline_is_said(pets, tmp_path, datadiet: Cli):
    ran = datadiet("dedup", pets, "--dry-run", "--baseline", tmp_path / "none.json")
    assert ran.code == 2
    assert "none.json" in ran.complaint


def test_it_is_not_written_over(pets, accepted, tmp_path, datadiet: Cli):
    ran = datadiet("baseline", tmp_path / "first.report.json")
    assert ran.code == 2
    assert "exists already" in ran.complaint
    assert datadiet("baseline", tmp_path / "first.report.json", "--force", "--quiet").err == ""
    assert json.loads(datadiet("baseline", tmp_path / "first.report.json", "-").out)["datadiet_baseline"] == 1
