"""`datadiet rethreshold`: the decision of another threshold, out of the report alone."""

import json

import pytest
from PIL import Image

from tests.conftest import class_folders, picture, save, table


def verdicts(document):
    return [{k: v for k, v in row.items() if k != "detail"} for row in document["verdicts"]]


def ladder(root):
    """One picture and ever poorer copies of it, in two splits, and others."""
    class_folders(root, {"train/cat/b.png": 2, "train/dog/c.png": 3, "test/cat/d.png": 4})
    original = picture(1).resize((160, 160))
    original.save(root / "train/cat/a.png")
    for number, side in enumerate((120, 40, 24, 16, 12)):
        place = ("train/cat", "train/dog", "test/cat")[number % 3]
        original.resize((side, side), Image.Resampling.BOX).resize((160, 160)).save(root / f"{place}/a{side}.png")
    return root


def test_a_stricter_threshold_decides_as_a_run_would(datadiet, tmp_path):
    raw = ladder(tmp_path / "raw")
    wide = ["dedup", raw, tmp_path / "out", "--max-distance", "14", "--min-correlation", "0.2"]
    assert datadiet(*wide).code == 0
    seen = set()
    for distance in (14, 8, 4, 2, 0):
        replayed = datadiet(
            "rethreshold", tmp_path / "out.report.json", "--max-distance", distance, "--json", "--quiet"
        )
        fresh = datadiet(
            "dedup", raw, "--max-distance", distance, "--min-correlation", "0.2", "--dry-run", "--json", "--quiet"
        )
        assert verdicts(json.loads(replayed.out)) == verdicts(json.loads(fresh.out))
        seen.add(len(json.loads(fresh.out)["verdicts"]))
    assert len(seen) > 1, "the thresholds decide differently"


def test_no_picture_is_opened_and_the_copy_is_written(datadiet, tmp_path, monkeypatch):
    raw = ladder(tmp_path / "raw")
    datadiet("dedup", raw, tmp_path / "out")
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("a picture was opened"))
    done = datadiet("rethreshold", tmp_path / "out.report.json", tmp_path / "strict", "--max-distance", "0")
    assert done.code == 0, done.err
    kept = sorted(p.name for p in (tmp_path / "strict").rglob("*.png"))
    again = json.loads((tmp_path / "strict.report.json").read_text())
    assert (
        len(kept)
        == again["output"]["samples"]
        >= json.loads((tmp_path / "out.report.json").read_text())["output"]["samples"]
    )


def test_unreadable_samples_are_still_named(datadiet, tmp_path):
    raw = class_folders(tmp_path / "raw", {"a.png": 1, "b.png": 1})
    (raw / "broken.png").write_bytes(b"no picture")
    assert datadiet("dedup", raw, tmp_path / "out").code == 3
    done = datadiet("rethreshold", tmp_path / "out.report.json", "--max-distance", "0")
    assert done.code == 3
    assert "broken.png" in done.err


def test_what_cannot_be_replayed_is_said_in_a_line(datadiet, tmp_path):
    raw = class_folders(tmp_path / "raw", {"a.png": 1, "b.png": 1})
    datadiet("dedup", raw, tmp_path / "out")
    report = tmp_path / "out.report.json"
    rows = table(tmp_path / "rows.csv", ["a"], [["1"], ["1"]])
    datadiet("dedup", rows, tmp_path / "kept.csv")
    (tmp_path / "other.json").write_text("{}")

    def said(*line):
        done = datadiet("rethreshold", *line)
        assert (done.code, len(done.err.splitlines())) == (2, 1)
        return done.err

    assert "run dedup again" in said(report, "--max-distance", "64")
    datadiet("rethreshold", report, tmp_path / "again", "--max-distance", "3")
    assert "name the report of the dedup" in said(tmp_path / "again.report.json", "--max-distance", "2")
    damaged = json.loads(report.read_text())
    damaged["comparisons"]["pairs"][0] = ["a.png"]
    (tmp_path / "damaged.report.json").write_text(json.dumps(damaged))
    assert "damaged" in said(tmp_path / "damaged.report.json", "--max-distance", "3")
    assert "--similarity: did not decide" in said(report, "--similarity", "0.9")
    assert "only equality" in said(tmp_path / "kept.csv.report.json")
    assert "no report" in said(tmp_path / "other.json")
    assert "cannot be read" in said(tmp_path / "none.json")
    save(raw / "new.png", 9)
    assert "has changed" in said(report, "--max-distance", "0")


def test_the_report_shows_the_closest_calls(datadiet, tmp_path):
    raw = ladder(tmp_path / "raw")
    datadiet("dedup", raw, tmp_path / "out", "--max-distance", "4")
    metrics = json.loads((tmp_path / "out.report.json").read_text())["steps"][1]["metrics"]
    calls, (histogram,) = metrics["closest_calls"], metrics["histograms"]
    assert (histogram["of"], histogram["threshold"], histogram["side"]) == ("duplicate", 4, "below")
    assert histogram["inclusive"] is True
    assert not [call for call in [*calls["copies"], *calls["no_copies"]] if "foreign" in call]
    assert sum(histogram["counts"]) >= len(calls["copies"]) + len(calls["no_copies"])
    assert calls["copies"]
    assert calls["no_copies"], "a candidate just beyond the threshold is shown"
    assert all(call["score"] <= 4 for call in calls["copies"])


def test_what_a_rethreshold_made_is_not_up_to_date_for_a_run(datadiet, tmp_path):
    raw = ladder(tmp_path / "raw")
    datadiet("dedup", raw, tmp_path / "out")
    datadiet("rethreshold", tmp_path / "out.report.json", tmp_path / "strict", "--max-distance", "2")
    done = datadiet("dedup", raw, tmp_path / "strict", "--max-distance", "2", "--force")
    assert "up to date" not in done.err


def test_another_dataset_that_changed_is_noticed(datadiet, tmp_path):
    raw = ladder(tmp_path / "raw")
    known = class_folders(tmp_path / "known", {"x.png": 2, "y.png": 7})
    datadiet("dedup", raw, tmp_path / "out", "--against", known)
    again = ("rethreshold", tmp_path / "out.report.json", "--max-distance", "2")
    assert "contamination" in datadiet(*again).err
    (known / "x.png").unlink()
    assert "has changed" in datadiet(*again).complaint
