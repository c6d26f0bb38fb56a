"""The sample data is what its truth file says, can be made again, and is scored right."""

import csv
import filecmp
import io
import json
import subprocess
import sys
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

HOME = Path(__file__).parent.parent / "sample_data"
IMAGES = HOME / "images"
TRUTH = json.loads((HOME / "truth.json").read_text(encoding="utf-8"))
PARTS = ("images", "table")
UNREADABLE = ("truncated", "empty", "not-an-image")
COPIES = ("exact-copy", "re-encoded", "resized", "brightness", "leak", "other-class-copy")


def planted(part, *faults):
    return [entry for entry in TRUTH[part] if entry["fault"] in faults]


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def picture(name):
    image = Image.open(io.BytesIO((IMAGES / name).read_bytes()))
    image.load()
    return image


@pytest.fixture(scope="module")
def rows():
    with open(HOME / "table.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def hashes():
    broken = {entry["id"] for entry in planted("images", *UNREADABLE)}
    return {name: imagehash.phash(picture(name)) for name in files(IMAGES) if name not in broken}


# --- the pictures


def test_the_whole_stays_small():
    assert sum(p.stat().st_size for p in HOME.rglob("*") if "__pycache__" not in p.parts) < 5_000_000


def test_every_name_in_the_truth_exists_and_is_planted_once():
    for part, known in (("images", set(files(IMAGES))), ("table", {str(i) for i in range(200)})):
        touched = [e["id"] for e in TRUTH[part]] + [e["of"] for e in TRUTH[part] if "of" in e]
        assert set(touched) <= known
        assert len(touched) == len(set(touched))


def test_copies_of_the_same_bytes_are_the_same_bytes():
    pairs = [e for e in planted("images", *COPIES) if e["how"] == "same bytes"]
    assert {e["fault"] for e in pairs} == {"exact-copy", "leak", "other-class-copy"}
    for entry in pairs:
        assert (IMAGES / entry["id"]).read_bytes() == (IMAGES / entry["of"]).read_bytes()


def test_no_other_two_files_are_the_same():
    pairs = {frozenset((e["id"], e["of"])) for e in planted("images", *COPIES)}
    seen = {}
    for name in files(IMAGES):
        content = (IMAGES / name).read_bytes()
        assert content not in seen or frozenset((name, seen[content])) in pairs
        seen[content] = name


def test_copies_look_like_their_originals(hashes):
    assert all(hashes[e["id"]] - hashes[e["of"]] <= 6 for e in planted("images", *COPIES))


def test_pictures_without_a_copy_look_like_no_other(hashes):
    not_unique = {e["id"] for e in planted("images", *COPIES, "hard-negative")}
    bits = np.array([h.hash.ravel() for name, h in hashes.items() if name not in not_unique])
    distance = (bits[:, None] != bits[None]).sum(axis=2)
    assert distance[np.triu_indices(len(bits), 1)].min() > 12


def test_flat_hard_negatives_have_one_hash_and_different_colours(hashes):
    flat = [e["id"] for e in planted("images", "hard-negative") if "wall" in e["how"]]
    assert hashes[flat[0]] == hashes[flat[1]]
    colours = [picture(name).getcolors()[0][1] for name in flat]
    assert np.abs(np.subtract(*colours)).max() > 50


def test_copies_are_smaller_by_as_much_as_said():
    scales = {"half the width and height": 0.5, "a quarter of the width and height": 0.25}
    for entry in planted("images", "resized"):
        sizes = [picture(entry[side]).size for side in ("id", "of")]
        assert np.allclose(sizes[0], np.multiply(sizes[1], scales[entry["how"]]), rtol=0, atol=1)


def test_copies_are_where_the_fault_says():
    for entry in planted("images", *COPIES):
        (split, label, _), (of_split, of_label, _) = entry["id"].split("/"), entry["of"].split("/")
        assert (split, of_split) == ("train", "test" if entry["fault"] == "leak" else "train")
        assert (label != of_label) == (entry["fault"] == "other-class-copy")
    for entry in planted("images", "mislabelled"):
        assert entry["id"].split("/")[1] != entry["true_label"]


@pytest.mark.parametrize("fault", UNREADABLE)
def test_broken_files_cannot_be_decoded(fault):
    for entry in planted("images", fault):
        with pytest.raises(OSError, match=r"truncated|cannot identify"):
            picture(entry["id"])


# --- the table


def test_exact_duplicates_are_the_only_equal_records(rows):
    expected = {frozenset((int(e["id"]), int(e["of"]))) for e in planted("table", "exact-duplicate")}
    equal = {frozenset((i, j)) for i in range(len(rows)) for j in range(i) if rows[i] == rows[j]}
    assert equal == expected
    assert len(expected) == 12


def test_near_duplicates_differ_by_next_to_nothing(rows):
    retyped = 0
    for entry in planted("table", "near-duplicate"):
        copy, of = rows[int(entry["id"])], rows[int(entry["of"])]
        assert copy["cultivar"] == of["cultivar"]
        assert copy["body"].strip().lower() == of["body"]
        retyped += copy["body"] != of["body"]
        names = [name for name in of if name not in ("body", "cultivar")]
        pairs = [(float(copy[name]), float(of[name])) for name in names]
        assert sum(a != b for a, b in pairs) == 5
        assert all(abs(a - b) < 1e-6 * b for a, b in pairs)
    assert 0 < retyped < len(planted("table", "near-duplicate"))


def test_empty_cells_are_the_missing_ones(rows):
    empty = {(str(i), name) for i, row in enumerate(rows) for name, cell in row.items() if cell == ""}
    assert empty == {(e["id"], e["columns"]) for e in planted("table", "missing")}


def test_outliers_are_ten_times_too_large(rows):
    for entry in planted("table", "outlier"):
        for name in entry["columns"].split():
            column = [float(row[name]) for row in rows if row[name]]
            assert float(rows[int(entry["id"])][name]) > 2.5 * np.median(column)


def test_flipped_labels_are_other_classes_of_the_table(rows):
    classes = {row["cultivar"] for row in rows}
    for entry in planted("table", "flipped-label"):
        assert rows[int(entry["id"])]["cultivar"] in classes - {entry["true_label"]}


# --- the scripts


def run(*words):
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)


def test_make_makes_the_same_again(tmp_path):
    done = run("-W", "error", HOME / "make.py", tmp_path / "again")
    assert (done.returncode, done.stderr) == (0, "")
    again = tmp_path / "again"
    truth = json.loads((again / "truth.json").read_text(encoding="utf-8"))
    assert all(truth[part] == TRUTH[part] for part in PARTS)
    assert files(again / "images") == files(IMAGES)
    for table in ("table.csv", "texts.csv"):
        assert (again / table).read_bytes() == (HOME / table).read_bytes()
    assert files(again / "sounds") == files(HOME / "sounds")
    if truth["made_with"] == TRUTH["made_with"]:
        assert filecmp.cmpfiles(again / "images", IMAGES, files(IMAGES), shallow=False)[1:] == ([], [])
        sounds = HOME / "sounds"
        assert filecmp.cmpfiles(again / "sounds", sounds, files(sounds), shallow=False)[1:] == ([], [])


def test_make_leaves_a_stranger_s_images_alone(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.jpg").write_bytes(b"precious")
    done = run(HOME / "make.py", tmp_path)
    assert done.returncode == 1
    assert "was not made by this script" in done.stderr
    assert files(tmp_path) == ["images/mine.jpg"]


def verdict(sample, action="drop", reason="duplicate", witness=None):
    return {"step": "dedup", "id": sample, "action": action, "reason": reason, "witness": witness}


def score(tmp_path, verdicts, path="sample_data/images", *options):
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"input": {"path": path}, "verdicts": verdicts}))
    done = run(HOME / "score.py", report, *options)
    assert (done.returncode, done.stderr) == (0, "")
    table = [line for line in done.stdout.splitlines()[1:] if ": " not in line]
    words = {line.split()[0]: line.split(maxsplit=2)[2] for line in table if not line.startswith("false")}
    return words | {"false drops": table[-1].split()[-1]}, done.stdout


def test_a_report_without_verdicts_found_nothing(tmp_path):
    words, text = score(tmp_path, [])
    assert words.pop("mislabelled") == "not looked for"
    assert words.pop("hard-negative") == "3 kept"
    assert set(words.values()) == {"0"}
    assert text.count("missed: ") == len(planted("images", *COPIES, *UNREADABLE))


def test_a_perfect_report_found_everything(tmp_path):
    verdicts = [verdict(e["id"], witness=e["of"]) for e in planted("images", *COPIES)]
    verdicts += [verdict(e["id"], "flag", "unreadable") for e in planted("images", *UNREADABLE)]
    verdicts += [verdict(e["id"], "relabel", "label-error") for e in planted("images", "mislabelled")]
    words, text = score(tmp_path, verdicts)
    for fault, found in words.items():
        if fault != "false drops":
            assert found.split()[0] == str(len(planted("images", fault)))
    assert words["false drops"] == "0"
    assert "missed" not in text


def test_either_of_two_equals_may_go_but_not_both(tmp_path):
    first, second = planted("images", "exact-copy")[:2]
    verdicts = [
        verdict(first["of"], witness=first["id"]),
        verdict(second["of"], witness=second["id"]),
        verdict(second["id"], witness=second["of"]),
    ]
    words, text = score(tmp_path, verdicts)
    assert words["exact-copy"] == "2"
    assert words["false drops"] == "1"
    assert f"false drop: {second['of']}" in text


def test_an_original_dropped_for_another_reason_finds_no_copy(tmp_path):
    entry = planted("images", "resized")[0]
    words, _ = score(tmp_path, [verdict(entry["of"], witness="train/animal/other.jpg")])
    assert (words["resized"], words["false drops"]) == ("0", "1")


def test_a_leak_is_mended_only_in_train(tmp_path):
    first, second, third = planted("images", "leak")[:3]
    verdicts = [
        verdict(first["id"], reason="leak", witness=first["of"]),
        verdict(second["id"], "flag", "leak", second["of"]),
        verdict(third["of"], reason="leak", witness="train/animal/other.jpg"),
    ]
    words, text = score(tmp_path, verdicts)
    assert (words["leak"], words["false drops"]) == ("1", "1")
    assert f"false drop: {third['of']}" in text


def test_a_contradiction_may_be_laid_to_either_side(tmp_path):
    first, second = planted("images", "other-class-copy")[:2]
    verdicts = [verdict(first["of"], "flag", "conflict"), verdict(second["of"]), verdict(second["id"])]
    words, _ = score(tmp_path, verdicts)
    assert (words["other-class-copy"], words["false drops"]) == ("2", "0")


def test_a_dropped_hard_negative_and_a_broken_file_called_a_duplicate_count_against(tmp_path):
    hard, empty = planted("images", "hard-negative")[0], planted("images", "empty")[0]
    words, _ = score(tmp_path, [verdict(hard["id"]), verdict(empty["id"], "flag")])
    assert (words["hard-negative"], words["empty"], words["false drops"]) == ("2 kept", "0", "1")


def test_tables_are_known_by_their_path_or_by_the_option(tmp_path):
    entry = planted("table", "near-duplicate")[0]
    verdicts = [verdict(entry["of"], witness=entry["id"])]
    words, _ = score(tmp_path, verdicts, "sample_data/table.csv")
    assert words["near-duplicate"] == "1"
    assert words["outlier"] == words["missing"] == words["flipped-label"] == "not looked for"
    assert score(tmp_path, verdicts, "elsewhere", "--part", "table")[0] == words


def test_a_file_that_is_no_report_is_said_to_be_none(tmp_path):
    (tmp_path / "report.json").write_text("{}")
    done = run(HOME / "score.py", tmp_path / "report.json")
    assert done.returncode == 1
    assert "not a datadiet report" in done.stderr
