"""Reports that are no longer what was written, whichever command reads them: a line that says so, and nothing else."""

import json
import os
import shutil
from pathlib import Path

import pytest

from datadiet_cli.report.frame import verdict_frame
from tests.conftest import class_folders, names, table
from tests.test_restore import restored


@pytest.fixture
def path(pets, tmp_path, datadiet):
    """The report of a run."""
    assert datadiet("dedup", pets, tmp_path / "out").code == 0
    return tmp_path / "out.report.json"


DAMAGE = {
    "cut off": lambda text: text[: len(text) // 2],
    "endlessly deep": lambda text: "[" * 100_000,
    "no report": lambda text: '["report_version"]',
    "later version": lambda text: '{"report_version": 2}',
    "no place": lambda text: text.replace('"path": "', '"path": 7, "was": "', 1),
    "no verdicts": lambda text: json.dumps({**json.loads(text), "verdicts": [None]}),
    "odd names": lambda text: json.dumps(
        {**json.loads(text), "verdicts": [{**json.loads(text)["verdicts"][0], "id": [1]}]}
    ),
    "odd file": lambda text: json.dumps({**json.loads(text), "verdicts_file": ["x"]}),
    "no steps": lambda text: json.dumps({**json.loads(text), "steps": [{}]}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_report_that_is_none_is_one_line_for_every_command(damage, path, tmp_path, datadiet):
    path.write_text(DAMAGE[damage](path.read_text()))
    for command in (
        ("report", path), ("diff", path, path), ("restore", path, tmp_path / "back"), ("explain", path, "cat/a.png"),
        ("verify", tmp_path / "out"), ("baseline", path), ("rethreshold", path, "--max-distance", 2),
    ):  # fmt: skip
        done = datadiet(*command)
        assert (done.code, done.out) == (2, b""), command
        assert done.complaint.startswith(f"{path}: is "), command
    assert ("another version" in done.complaint) == (damage == "later version")


class TestAPlaceToWrite:
    def test_is_not_the_report_itself(self, path, datadiet):
        before = path.read_bytes()
        done = datadiet("report", path, "--format", "sarif", "-o", path, "--force")
        assert (done.code, "is the report itself" in done.complaint) == (2, True)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("kind", ["pipe", "folder"])
    def test_is_a_regular_file_even_by_force(self, kind, path, tmp_path, datadiet):
        place = tmp_path / "place"
        os.mkfifo(place) if kind == "pipe" else place.mkdir()
        mode = place.stat().st_mode
        done = datadiet("report", path, "--format", "github", "-o", place, "--force")
        assert (done.code, "no regular file" in done.complaint) == (2, True)
        done = datadiet("calibrate", tmp_path / "in", "--write", place, "--force")
        assert (done.code, "folder" in done.complaint or "no regular file" in done.complaint) == (2, True)
        assert place.stat().st_mode == mode


def test_a_page_without_its_samples_says_so(pets, path, tmp_path, datadiet):
    assert "not shown" not in datadiet("report", path).err
    pets.rename(tmp_path / "elsewhere")
    done = datadiet("report", path)
    assert (done.code, "Samples are not shown" in done.err, str(pets) in done.err) == (0, True, True)
    assert datadiet("report", path, "--quiet").err == ""
    assert "not shown" not in datadiet("report", path, tmp_path / "elsewhere").err


def test_verify_is_told_an_output(path, tmp_path, datadiet, monkeypatch):
    done = datadiet("verify", path)
    assert (done.code, "name the OUTPUT" in done.complaint) == (2, True)
    monkeypatch.chdir(tmp_path / "out")
    assert datadiet("verify", ".").code == 0


class TestRestored:
    def test_what_was_checked_of_a_table_is_said(self, tmp_path, datadiet):
        table(tmp_path / "in.csv", ["a", "b"], [[1, 2], [1, 2], [3, 4]])
        assert datadiet("dedup", tmp_path / "in.csv", tmp_path / "out.csv").code == 0
        for chosen in (("--only", "dropped"), ("--after", "open")):
            done = datadiet("restore", tmp_path / "out.csv.report.json", tmp_path / "back.csv", *chosen, "--force")
            assert (done.code, done.err.rstrip().endswith("; INPUT verified")) == (0, True)

    def test_an_input_that_is_gone_can_be_named(self, pets, path, tmp_path, datadiet):
        pets.rename(tmp_path / "elsewhere")
        done = datadiet("restore", path, tmp_path / "back")
        assert (done.code, "--from" in done.complaint) == (2, True)
        assert names(restored(datadiet, tmp_path / "out", tmp_path / "back", "--from", tmp_path / "elsewhere"))

    def test_verdicts_that_are_gone_are_named(self, path, tmp_path, datadiet):
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "verdicts_file": "gone.parquet"}))
        done = datadiet("restore", path, tmp_path / "back")
        assert (done.code, f"{tmp_path}/gone.parquet: is missing" in done.complaint) == (2, True)


def test_a_page_is_made_wherever_one_stands(datadiet, pets, tmp_path, monkeypatch):
    monkeypatch.chdir(pets)
    datadiet("dedup", ".", "../out")
    monkeypatch.chdir(tmp_path)
    assert datadiet("report", "out.report.json").code == 0
    assert datadiet("report", "out.report.json", "in").code == 0
    assert datadiet("report", "out.report.json", "-o", "other.html").code == 0


def test_a_link_or_a_device_is_no_place_for_a_file(datadiet, pets, tmp_path):
    datadiet("dedup", pets, tmp_path / "out")
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    for command in (
        ["report", tmp_path / "out.report.json", "-o"],
        ["baseline", tmp_path / "out.report.json"],
        ["init", pets],
    ):
        assert "is no regular file" in datadiet(*command, link, "--force").complaint
    assert link.is_symlink()


def many_verdicts(output):
    """Put the verdicts of a report beside it, as those of a large run are."""
    path = Path(f"{output}.report.json")
    document = json.loads(path.read_bytes())
    sidecar = path.with_name("out.verdicts.parquet")
    verdict_frame(document, None).write_parquet(sidecar)
    path.write_text(json.dumps({**document, "verdicts": [], "verdicts_file": sidecar.name}))
    return path, sidecar


def test_names_that_are_no_utf8_are_known_beside_a_report(datadiet, tmp_path):
    source = class_folders(tmp_path / "in", {"k/a.png": 1, "k/\udcff.png": 1, "k/b.png": 2})
    datadiet("dedup", source, tmp_path / "out")
    path, _ = many_verdicts(tmp_path / "out")
    assert datadiet("baseline", path, "-").code == 0
    assert datadiet("rethreshold", path, "--max-distance", 4).code == 0


@pytest.mark.parametrize("command", ["report", "baseline", "restore", "explain", "diff"])
def test_a_file_beside_a_report_that_is_damaged_ends_in_one_line(command, datadiet, pets, tmp_path):
    datadiet("dedup", pets, tmp_path / "out")
    path, sidecar = many_verdicts(tmp_path / "out")
    whole = sidecar.read_bytes()
    rest = {"restore": [tmp_path / "back"], "explain": ["cat/a.png"], "diff": [path], "baseline": ["-"]}.get(
        command, []
    )
    for place in range(4, len(whole), 37):
        sidecar.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        ran = datadiet(command, path, *rest)
        assert ran.code in (0, 2), ran.err
        assert ran.code == 0 or ran.complaint
        if command == "restore" and not ran.code:
            shutil.rmtree(tmp_path / "back")


@pytest.mark.parametrize("form", ["json", "json-lines", "github", "html"])
def test_a_reader_that_goes_away_is_no_damage(form, path, datadiet_process):
    read, write = os.pipe()
    os.close(read)
    ran = datadiet_process("report", path, "--format", form, "-o", "-", stdout=write)
    os.close(write)
    assert (ran.code, ran.err) == (141, "")


def test_a_full_disk_is_no_damage(path, datadiet_process):
    with open("/dev/full", "wb") as full:
        ran = datadiet_process("report", path, "--format", "json", stdout=full)
    assert ran.code == 2
    assert "damaged" not in ran.err
    assert "No space left on device" in ran.err
