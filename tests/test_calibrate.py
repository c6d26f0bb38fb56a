"""`datadiet calibrate`: known faults in a sample, what is found of them, and what is proposed."""

import json
import os
import tempfile

import numpy as np
import pytest
from PIL import Image

from tests.conftest import class_folders, picture, table, tree_digest

QUICK = ("--fault", "exact-copy", "--fault", "flip", "--fault", "truncated", "--fault", "dark")


@pytest.fixture
def photos(tmp_path):
    return class_folders(tmp_path / "in", {f"{'ab'[i % 2]}/{i:02d}.png": 50 + i for i in range(40)})


def rows(count=60):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(count, 4)) + 3 * (np.arange(count) % 2)[:, None]
    return [(*(f"{x:.6f}" for x in row), "ab"[i % 2]) for i, row in enumerate(values)]


HEADER = ("w", "x", "y", "z", "kind")


def part(document, name):
    return next(part for part in document["parts"] if part["part"] == name)


def now(found, sweep=0):
    return next(point for point in found["sweeps"][sweep]["points"] if point["configured"])


def test_planted_faults_are_found_and_input_is_left_alone(photos, datadiet, monkeypatch, tmp_path):
    room = tmp_path / "temporary"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    before, cached = tree_digest(photos), os.listdir(os.environ["DATADIET_CACHE_DIR"])
    ran = datadiet("calibrate", photos, "--json", *QUICK)
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert tree_digest(photos) == before
    assert os.listdir(room) == []
    assert os.listdir(os.environ["DATADIET_CACHE_DIR"]) == cached
    assert document["samples"] == document["input"]["training"] == 40
    copies = part(document, "copies")
    assert {name: fault["planted"] for name, fault in copies["faults"].items()} == {"exact-copy": 2, "flip": 2}
    assert [now(copies)["recall"][name]["share"] for name in ("exact-copy", "flip")] == [1, 1]
    assert now(copies)["false"]["named"] == 0
    assert now(copies)["value"] == 12
    zero = copies["sweeps"][0]["points"][0]
    assert (zero["value"], zero["recall"]["exact-copy"]["found"]) == (0, 2)
    assert now(part(document, "broken"))["recall"]["truncated"]["found"] == 1
    assert now(part(document, "quality"))["recall"]["dark"]["found"] == 1
    assert "max_distance" in ran.err
    assert "[12]" in ran.err
    assert all(len(line) <= 100 for line in ran.err.splitlines() if "/" not in line)


def test_the_same_numbers_whatever_the_workers_the_engine_and_the_times_of_files(photos, datadiet):
    one = datadiet("calibrate", photos, "--json", "--quiet", "--workers", 1, *QUICK)
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        os.utime(path, (number * 7919 % 100_000, number * 104_729 % 100_000))
    two = datadiet("calibrate", photos, "--json", "--quiet", "--workers", 3, "--engine", "serial", *QUICK)
    assert one.code == two.code == 0
    assert one.err == two.err == ""
    assert one.out == two.out
    other = datadiet("calibrate", photos, "--json", "--quiet", "--seed", 1, *QUICK)
    assert json.loads(other.out)["seed"] == 1


def test_the_order_of_the_rows_changes_no_number(tmp_path, datadiet):
    there = rows()
    mixed = [there[i] for i in np.random.default_rng(1).permutation(len(there))]
    documents = []
    faults = ["--fault=exact-copy", "--fault=noise-1e-6", "--fault=mostly-missing", "--fault=label-flip"]
    for name, records in (("a.csv", there), ("b.csv", mixed)):
        path = table(tmp_path / name, HEADER, records)
        ran = datadiet("calibrate", path, "--label", "kind", "--json", "--quiet", *faults)
        assert ran.code == 0, ran.err
        document = json.loads(ran.out)
        for found in document["parts"]:
            for one in found["sweeps"]:
                for point in one["points"]:
                    del point["false"]["first"]
            for one in found["others"]:
                del one["false"]["first"]
        documents.append(document | {"input": None})
    assert documents[0] == documents[1]
    copies = part(documents[0], "copies")
    assert now(copies)["recall"]["exact-copy"]["share"] == 1
    assert "noise-1e-6" in copies["missed"]
    assert any(other["settings"]["method"] == "near" and "noise-1e-6" in other["finds"] for other in copies["others"])
    assert now(part(documents[0], "labels"))["recall"]["label-flip"]["of"] == 1


def test_a_better_threshold_is_proposed_and_the_file_that_is_written_runs(photos, datadiet, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text(
        "seed: 3\nmax_removed: 40%\nsteps:\n  - dedup: {max_distance: 0, prefer: first}\n"
        "  - denoise: {outliers: none, labels: none}\n"
        'expect:\n  samples: ">= 10"\n'
    )
    wanted = tmp_path / "better.yaml"
    faults = ("--fault", "flip", "--fault", "rotate-90", "--fault", "crop-5")
    ran = datadiet("calibrate", photos, "-c", config, "--json", "--write", wanted, *faults)
    assert ran.code == 0, ran.err
    proposal = part(json.loads(ran.out), "copies")["proposal"]
    assert proposal["setting"] == "max_distance"
    assert proposal["recall"] > proposal["recall_before"]
    text = wanted.read_text()
    assert f"max_distance: {proposal['value']}" in text
    assert "# copies: finds" in text
    assert "prefer:" in text
    assert "  - denoise:" in text
    assert datadiet("run", wanted, "--dry-run").code == 0
    refused = datadiet("calibrate", photos, "-c", config, "--write", wanted, *faults)
    assert refused.code == 2
    assert "exists already" in refused.complaint
    assert wanted.read_text() == text
    again = datadiet("calibrate", photos, "-c", wanted, "--json", "--force", "--write", wanted, *faults)
    assert part(json.loads(again.out), "copies")["proposal"]["setting"] == ""


def test_replayed_thresholds_say_what_a_run_says(photos, datadiet, tmp_path):
    shares = {}
    for distance in (4, 12):
        config = tmp_path / f"{distance}.yaml"
        config.write_text(f"max_distance: {distance}\n")
        ran = datadiet("calibrate", photos, "-c", config, "--json", "--fault", "crop-5", "--fault", "tones")
        sweep = part(json.loads(ran.out), "copies")["sweeps"][0]
        for point in sweep["points"]:
            del point["configured"]
        shares[distance] = {point["value"]: point for point in sweep["points"]}
    # What was run at the one is decided anew at the other.
    assert shares[4] == shares[12]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_tables_of_every_format(form, tmp_path, datadiet):
    import polars as pl

    frame = pl.DataFrame(
        [[float(cell) for cell in row[:4]] + [row[4]] for row in rows(40)], schema=HEADER, orient="row"
    )
    path = tmp_path / f"in.{form}"
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[form](path)
    ran = datadiet("calibrate", path, "--label", "kind", "--json", "--quiet", "--fault", "exact-copy")
    assert ran.code == 0, ran.err
    assert now(part(json.loads(ran.out), "copies"))["recall"]["exact-copy"]["found"] == 2


def test_hostile_ids_and_cells_are_shown_as_what_they_are(tmp_path, datadiet):
    evil = "<img onerror>[/]|\x1b[31m\nx"
    records = [(f"{evil}{i // 2}", i // 2, "ab"[i % 2]) for i in range(40)]
    path = table(tmp_path / "in.csv", ("text", "n", "kind"), records)
    ran = datadiet("calibrate", path, "--label", "kind", "--id-column", "n", "--fault", "exact-copy")
    assert ran.code == 2
    assert "--id-column" in ran.complaint
    records = [(f"{evil}{i // 2}", f"{evil}-{i}", "ab"[i // 2 % 2]) for i in range(40)]
    path = table(tmp_path / "ids.csv", ("text", "n", "kind"), records)
    ran = datadiet("calibrate", path, "--label", "kind", "--id-column", "n", "--fault", "exact-copy")
    assert ran.code == 0, ran.err
    assert "\x1b" not in ran.err
    assert "50.0 % of untouched samples" in ran.err
    assert "<img onerror>[/]|\\x1b[31m\\nx" in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fault", "flop"), "no kind of fault 'flop'; did you mean 'flip'?"),
        (("--max-false", "2"), "--max-false: must be a percentage"),
        (("--fault", "typos"), "nothing can be planted"),
    ],
)
def test_wrong_usage_is_one_line(arguments, words, photos, datadiet):
    ran = datadiet("calibrate", photos, *arguments)
    assert ran.code == 2
    assert words in ran.complaint


def test_settings_without_a_step_to_judge_and_too_few_samples_are_refused(photos, datadiet, tmp_path, pets):
    config = tmp_path / "c.yaml"
    config.write_text("steps: [balance]\n")
    assert "neither dedup nor denoise" in datadiet("calibrate", photos, "-c", config).complaint
    config.write_text("treshold: 3\n")
    assert datadiet("calibrate", photos, "-c", config).code == 2
    few = class_folders(tmp_path / "few", {f"a/{i}.png": i for i in range(19)})
    assert "19 training samples" in datadiet("calibrate", few).complaint


def test_a_family_that_is_switched_off_is_not_planted_for(photos, datadiet, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("outliers: none\nlabels: none\nquality: none\n")
    ran = datadiet("calibrate", photos, "-c", config, "--json")
    document = json.loads(ran.out)
    assert [found["part"] for found in document["parts"]] == ["broken"]
    assert document["not_planted"]["dark"] == "quality: none"
    assert document["not_planted"]["flip"] == "there is no dedup"


@pytest.mark.parametrize(
    ("own", "more", "proposed"),
    [
        (0.3, "", {"max_distance": 12}),
        # The default distance at this correlation names some, too; both defaults name none.
        (0.4, "min_correlation: 0.5\n", {"min_correlation": 0.75}),
        # A distance of 0 names as few, and would switch all of it off.
        (0.5, "verify: false\n", {"max_distance": 12}),
    ],
)
def test_a_configured_value_that_is_too_loose_is_taken_back(own, more, proposed, datadiet, tmp_path):
    # Each has much of one and the same picture in it, so that they agree in detail and hardly in their hashes.
    (tmp_path / "in").mkdir()
    for i in range(24):
        Image.blend(picture(0), picture(i + 1), own).save(tmp_path / f"in/{i:02d}.png")
    config = tmp_path / "c.yaml"
    config.write_text(f"max_distance: 30\n{more}")
    ran = datadiet("calibrate", tmp_path / "in", "-c", config, "--json", "--quiet", "--fault", "exact-copy")
    assert ran.code == 0, ran.err
    proposal = part(json.loads(ran.out), "copies")["proposal"]
    assert proposal["settings"] == proposed
    assert proposal["words"].endswith("which the default leaves alone, and finds no planted fault less")


def test_limits_of_ones_own_are_no_default(photos, datadiet, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("quality: auto\nlimits: [dark=200]\noutliers: none\nlabels: none\n")
    ran = datadiet("calibrate", photos, "-c", config, "--json", "--quiet", "--fault", "dark")
    assert ran.code == 0, ran.err
    quality = part(json.loads(ran.out), "quality")
    assert now(quality)["false"]["named"] > 30
    assert not any(point["default"] for point in quality["sweeps"][0]["points"])
    assert "untouched samples" in quality["proposal"]["words"]
    assert "default" in quality["proposal"]["words"]


@pytest.mark.parametrize("most", [12, 11])
def test_a_search_that_is_refused_is_tried_less_wide(most, datadiet, tmp_path, monkeypatch):
    from datadiet_cli.errors import InputError
    from datadiet_cli.steps.likeness import texts

    within = texts._within

    def refusing(values, reach, context):
        if reach > most + 1:
            raise InputError("too many pairs")
        return within(values, reach, context)

    monkeypatch.setattr(texts, "_within", refusing)
    words = np.array("the old piano is out of tune and nobody has looked at roof since storm".split())
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for i in range(40):
        (tmp_path / f"in/{i:02d}.txt").write_text(" ".join(rng.permutation(np.repeat(words, 4))))
    config = tmp_path / "c.yaml"
    config.write_text(f"method: simhash\nmax_distance: {most}\n")
    ran = datadiet("calibrate", tmp_path / "in", "-c", config, "--json", "--quiet", "--fault", "exact-copy")
    assert ran.code == 0, ran.err
    points = part(json.loads(ran.out), "copies")["sweeps"][0]["points"]
    assert [point["value"] for point in points] == [0, 2, 4, 6, 8, 10, most]
    assert [point["value"] for point in points if point["default"]] == [10]


def test_dedup_that_stands_behind_denoise_tells_the_copies_as_well(datadiet, tmp_path):
    photos = class_folders(tmp_path / "in", {f"a/{i:02d}.png": i // 20 * 100 + i % 30 for i in range(40)})
    config, shares = tmp_path / "c.yaml", []
    for order in ("dedup, denoise", "denoise, dedup"):
        config.write_text(f"steps: [{order}]\n")
        ran = datadiet("calibrate", photos, "-c", config, "--json", "--quiet", "--fault", "flip")
        assert ran.code == 0, ran.err
        shares.append(part(json.loads(ran.out), "copies"))
    assert shares[0] == shares[1]


def test_numbers_are_told_though_the_proposal_cannot_be_written(photos, datadiet, tmp_path, monkeypatch):
    from datadiet_cli.commands import calibrate
    from datadiet_cli.errors import OutputError

    def full(path, content):
        raise OutputError(f"{path}: the disk is full")

    monkeypatch.setattr(calibrate, "write_atomically", full)
    ran = datadiet("calibrate", photos, "--json", "--write", tmp_path / "p.yaml", "--fault", "exact-copy")
    assert ran.code == 2
    assert "the disk is full" in ran.err
    assert json.loads(ran.out)["samples"] == 40


@pytest.mark.parametrize("inside", [False, True])
def test_the_output_that_is_proposed_lies_outside_input(inside, photos, datadiet, tmp_path, monkeypatch):
    monkeypatch.chdir(photos / "a" if inside else photos)
    wanted, config = tmp_path / "p.yaml", tmp_path / "c.yaml"
    config.write_text("method: exact\n")
    place = ".." if inside else "."
    ran = datadiet("calibrate", place, "-c", config, "--write", wanted, "--quiet", "--fault", "exact-copy")
    assert ran.code == 0, ran.err
    assert f'output: "{photos}-diet"' in wanted.read_text()
    assert datadiet("run", wanted, "--dry-run").code == 0
