"""`datadiet denoise` from the command line: what goes, why, what is told, and what is never touched."""

import json

import numpy as np
import pytest

from tests.conftest import Cli, class_folders, names, report, save, table, tree_digest

ONLY_INVALID = ("--quality", "none", "--outliers", "none", "--labels", "none")
ONLY_LABELS = ("--invalid", "none", "--quality", "none", "--outliers", "none")


def verdicts(output):
    return {row["id"]: row for row in report(output)["verdicts"]}


@pytest.fixture
def pets(tmp_path):
    """Two classes of ten pictures, with files that cannot be read among them."""
    files = {f"train/{name}/{i}.png": 10 * k + i for k, name in enumerate(("cat", "dog")) for i in range(10)}
    root = class_folders(tmp_path / "pets", {**files, "test/cat/t.png": 50, "test/dog/u.png": 51})
    (root / "train/cat/empty.png").write_bytes(b"")
    (root / "train/cat/page.jpg").write_bytes(b"<html>no picture</html>")
    whole = (root / "train/dog/3.png").read_bytes()
    (root / "train/dog/cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "test/dog/cut.png").write_bytes(whole[: len(whole) // 2])
    return root


CAUSES = {"train/cat/empty.png": "empty", "train/cat/page.jpg": "not-an-image", "train/dog/cut.png": "truncated"}


class TestBrokenFiles:
    def test_each_goes_with_its_cause_and_the_run_goes_on(self, pets, tmp_path, datadiet: Cli):
        before = tree_digest(pets)
        ran = datadiet("denoise", pets, tmp_path / "out", *ONLY_INVALID)
        assert ran.code == 3
        found = verdicts(tmp_path / "out")
        dropped = {name: row["detail"] for name, row in found.items() if row["action"] == "drop"}
        assert {name: words.split(":")[0] for name, words in dropped.items()} == CAUSES
        assert found["test/dog/cut.png"]["action"] == "flag", "evaluation data is never dropped"
        assert names(tmp_path / "out") == names(pets) - set(CAUSES)
        assert tree_digest(pets) == before

    def test_or_is_only_named(self, pets, tmp_path, datadiet: Cli):
        assert datadiet("denoise", pets, tmp_path / "out", *ONLY_INVALID, "--invalid-action", "flag").code == 3
        assert names(tmp_path / "out") == names(pets)

    def test_a_bomb_is_one(self, pets, tmp_path, datadiet: Cli):
        ran = datadiet("denoise", pets, "--dry-run", *ONLY_INVALID, "--max-pixels", "1000", "--json")
        rows = json.loads(ran.out)["verdicts"]
        assert {row["detail"].split(":")[0] for row in rows if row["id"].endswith("/1.png")} == {"bomb"}

    def test_unknown_files_are_broken_when_empty(self, tmp_path, datadiet: Cli):
        for name, content in {"a.xyz": b"1", "b.xyz": b"", "c.xyz": b"2"}.items():
            (tmp_path / "in" / "k").mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / "k" / name).write_bytes(content)
        ran = datadiet("denoise", tmp_path / "in", "--dry-run", "--list", "dropped")
        assert ran.ids == ["k/b.xyz"]
        assert "outliers: not looked for" in ran.err


class TestTables:
    @pytest.fixture
    def people(self, tmp_path):
        rows = [[str(20 + i % 50), ("m", "f")[i % 2], f"{1 + i / 7:.2f}", "abc"[i % 3]] for i in range(60)]
        rows[3][0], rows[7][1], rows[9][2] = "-5", "x", ""
        rows[11] = ["", "", "", "a"]
        return table(tmp_path / "people.csv", ["age", "sex", "size", "class"], rows)

    SCHEMA = ("--ranges", "age=0..120", "--allowed", "sex=m|f", "--label", "class")

    def test_impossible_and_empty_rows_go_and_say_why(self, people, tmp_path, datadiet: Cli):
        assert datadiet("denoise", people, tmp_path / "out.csv", *ONLY_INVALID, *self.SCHEMA).code == 0
        found = verdicts(tmp_path / "out.csv")
        assert {name: row["reason"] for name, row in found.items()} == {
            "3": "impossible", "7": "impossible", "11": "too-empty",
        }  # fmt: skip
        assert found["3"]["evidence"] == {"columns": {"age": "-5"}}
        assert "-5" in found["3"]["detail"]
        lines = people.read_bytes().splitlines(keepends=True)
        kept = [line for number, line in enumerate(lines, -1) if str(number) not in found]
        assert (tmp_path / "out.csv").read_bytes() == b"".join(kept), "what stays is the bytes it was"

    def test_what_is_missing_is_put_in_and_nothing_else_changes(self, people, tmp_path, datadiet: Cli):
        arguments = (*ONLY_INVALID, *self.SCHEMA, "--missing", "median")
        assert datadiet("denoise", people, tmp_path / "out.csv", *arguments).code == 0
        row = verdicts(tmp_path / "out.csv")["9"]
        assert (row["action"], row["reason"]) == ("impute", "missing")
        value = row["evidence"]["columns"]["size"]
        assert len(value.partition(".")[2]) <= 2, "as the column is written"
        assert f"29,f,{value},a\n" in (tmp_path / "out.csv").read_text()
        assert report(tmp_path / "out.csv")["figures"]["imputed"] == 1

    def test_a_schema_may_stand_in_a_file(self, people, tmp_path, datadiet: Cli):
        (tmp_path / "d.yaml").write_text(
            "ranges: {age: [0, 120]}\nallowed: {sex: [m, f]}\nquality: none\noutliers: none\nlabels: none\n"
        )
        listed = ("--dry-run", "--list", "dropped", "--label", "class")
        ran = datadiet("denoise", people, "-c", tmp_path / "d.yaml", *listed)
        assert ran.ids == ["3", "7", "11"]

    def test_scaling_can_be_done_again(self, people, tmp_path, datadiet: Cli):
        arguments = ("--invalid", "none", *ONLY_INVALID, "--standardise", "zscore", "--label", "class")
        assert datadiet("denoise", people, tmp_path / "out.csv", *arguments).code == 0
        learned = json.loads((tmp_path / "out.csv.transform.json").read_text())
        assert (learned["datadiet_transform"], [step["step"] for step in learned["steps"]]) == (2, ["denoise"])
        assert report(tmp_path / "out.csv")["artefacts"] == [".transform.json"]
        sizes = [line.split(",")[2] for line in (tmp_path / "out.csv").read_text().splitlines()[1:]]
        values = np.array([float(cell) for cell in sizes if cell])
        assert abs(values.mean()) < 1e-6
        assert abs(values.std() - 1) < 0.02

    def test_files_of_such_names_that_no_run_made_stay(self, people, tmp_path, datadiet: Cli):
        (tmp_path / "out.csv.weights.csv").write_text("mine")
        arguments = ("denoise", people, tmp_path / "out.csv", *ONLY_INVALID, "--label", "class")
        assert datadiet(*arguments, "--missing", "mean").code == 0
        assert (tmp_path / "out.csv.transform.json").exists()
        assert datadiet(*arguments, "--force").code == 0
        assert not (tmp_path / "out.csv.transform.json").exists(), "it says nothing of the new output"
        assert (tmp_path / "out.csv.weights.csv").read_text() == "mine"

    def test_an_artefact_that_is_gone_is_made_again(self, people, tmp_path, datadiet: Cli):
        arguments = ("denoise", people, tmp_path / "out.csv", *ONLY_INVALID, "--missing", "mean", "--label", "class")
        assert datadiet(*arguments).code == 0
        assert "up to date" in datadiet(*arguments).err
        (tmp_path / "out.csv.transform.json").unlink()
        assert datadiet(*arguments, "--force").code == 0
        assert (tmp_path / "out.csv.transform.json").exists()

    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            (("--ranges", "height=0..3"), "no such column"),
            (("--allowed", "hair=red"), "no such column"),
            (("--columns", "weight"), "no such column"),
            (("--checks", "blurry"), "no check 'blurry'"),
            (("--ranges", "age"), "must be COLUMN=LOW..HIGH"),
            (("--encoder", "efficientnet-lite0"), "has no such column"),
            (("--task", "regression"), "needs labels that are numbers"),
            (("--labels", "knn", "--label", "class", "--pred-probs", "nothing.npy"), "nothing.npy"),
        ],
    )
    def test_what_cannot_be_is_said_in_a_line(self, people, datadiet: Cli, flags, said):
        ran = datadiet("denoise", people, "--dry-run", *(() if "--label" in flags else ("--label", "class")), *flags)
        assert ran.code == 2
        assert said in ran.complaint


class TestBrakes:
    """Impossible values say exactly what would go."""

    @pytest.fixture
    def data(self, tmp_path):
        rows = [[str(-1 if (c == "a" and i < 6) or (c == "b" and i < 1) else i), c] for c in "ab" for i in range(10)]
        return table(tmp_path / "in.csv", ["x", "y"], rows)

    FLAGS = (*ONLY_INVALID, "--ranges", "x=0..", "--label", "y")

    @pytest.mark.parametrize(
        ("brake", "gate"),
        [
            (("--max-dropped", "30%"), "max_dropped <= 30%: FAILED with 35.00%"),
            (("--max-dropped-per-class", "50%"), "max_dropped_per_class (a) <= 50%: FAILED with 60.00%"),
            (("--min-per-class", "5"), "min_per_class (a) >= 5: FAILED with 4"),
        ],
    )
    def test_a_broken_limit_fails_and_publishes_nothing(self, data, tmp_path, datadiet: Cli, brake, gate):
        ran = datadiet("denoise", data, tmp_path / "out.csv", *self.FLAGS, *brake)
        assert ran.code == 1
        assert gate in ran.err
        assert not (tmp_path / "out.csv").exists()

    @pytest.mark.parametrize(
        ("brake", "left"),
        [
            (("--max-dropped", "30%"), {"a": 4, "b": 10}),
            (("--max-dropped", "1", "--max-dropped-per-class", "50%"), {"a": 5, "b": 9}),
            (("--max-dropped", "1", "--min-per-class", "5"), {"a": 5, "b": 9}),
            (("--max-dropped", "0%"), {"a": 10, "b": 10}),
        ],
    )
    def test_or_lets_only_so_many_go(self, data, tmp_path, datadiet: Cli, brake, left):
        ran = datadiet("denoise", data, tmp_path / "out.csv", *self.FLAGS, *brake, "--on-limit", "cap")
        assert ran.code == 0
        told = report(tmp_path / "out.csv")
        assert sum(told["output"]["classes"].values()) == sum(left.values())
        kept = [row for row in told["verdicts"] if row["action"] == "flag"]
        assert kept
        assert all("kept: " in row["detail"] for row in kept)

    def test_a_limit_that_holds_says_nothing(self, data, tmp_path, datadiet: Cli):
        ran = datadiet("denoise", data, tmp_path / "out.csv", *self.FLAGS, "--max-dropped", "35%")
        assert ran.code == 0
        assert report(tmp_path / "out.csv")["gates"] == []

    def test_no_class_is_emptied(self, tmp_path, datadiet: Cli):
        data = table(tmp_path / "in.csv", ["x", "y"], [["-1", "a"], ["-2", "a"], ["3", "b"], ["4", "b"]])
        assert datadiet("denoise", data, tmp_path / "out.csv", *self.FLAGS, "--max-dropped", "50%").code == 0
        told = report(tmp_path / "out.csv")
        assert told["output"]["classes"] == {"a": 1, "b": 2}
        assert any("last" in (row["detail"] or "") for row in told["verdicts"])


class TestGivenProbabilities:
    """The user's own model is very sure, so what is wrong is known."""

    @pytest.fixture
    def data(self, tmp_path):
        files = {f"{name}/{i:02d}.png": 100 * k + i for k, name in enumerate(("cat", "dog")) for i in range(20)}
        return class_folders(tmp_path / "in", files)

    @pytest.fixture
    def wrong(self):
        return ["cat/03.png", "dog/11.png"]

    @pytest.fixture
    def probs(self, tmp_path, data, wrong):
        ids = sorted(str(path.relative_to(data)) for path in data.rglob("*.png"))
        p = np.array([[0.97, 0.03] if name.startswith("cat") != (name in wrong) else [0.03, 0.97] for name in ids])
        np.save(tmp_path / "p.npy", p)
        lines = [f"{name},{dog},{cat}" for name, (cat, dog) in reversed(list(zip(ids, p.tolist(), strict=True)))]
        (tmp_path / "p.csv").write_text("\n".join(["id,dog,cat", *lines, ""]))
        return tmp_path / "p.npy"

    def run(self, datadiet, data, probs, *more):
        return datadiet("denoise", data, *more, *ONLY_LABELS, "--pred-probs", probs)

    def test_wrong_labels_go_with_both_probabilities(self, data, probs, wrong, tmp_path, datadiet: Cli):
        assert self.run(datadiet, data, probs, tmp_path / "out").code == 0
        found = verdicts(tmp_path / "out")
        assert sorted(found) == wrong
        assert found["cat/03.png"]["evidence"] == {
            "given": "cat", "suggested": "dog", "given_probability": 0.03, "suggested_probability": 0.97,
        }  # fmt: skip
        told = report(tmp_path / "out")["steps"][1]["metrics"]["labels"]
        low, high = told["noise_rate_interval"]
        assert low <= 0.05 <= high
        assert told["noise_matrix"]["confusions"][0]["given"] in ("cat", "dog")

    def test_a_table_names_classes_and_samples_in_any_order(self, data, probs, wrong, datadiet: Cli):
        ran = self.run(datadiet, data, probs.with_suffix(".csv"), "--dry-run", "--list", "dropped")
        assert ran.ids == wrong

    def test_they_may_get_the_likely_label(self, data, probs, wrong, tmp_path, datadiet: Cli):
        assert self.run(datadiet, data, probs, tmp_path / "out", "--labels-action", "relabel").code == 0
        expected = names(data) - set(wrong) | {"dog/03-2.png", "cat/11-2.png"}
        assert names(tmp_path / "out") == expected
        assert (tmp_path / "out/dog/03-2.png").read_bytes() == (data / "cat/03.png").read_bytes()
        assert report(tmp_path / "out")["figures"]["relabelled"] == 2
        assert report(tmp_path / "out")["output"]["classes"] == {"cat": 20, "dog": 20}

    def test_or_a_small_weight(self, data, probs, wrong, tmp_path, datadiet: Cli):
        assert self.run(datadiet, data, probs, tmp_path / "out", "--labels-action", "weigh").code == 0
        assert names(tmp_path / "out") == names(data)
        lines = (tmp_path / "out.weights.csv").read_text().splitlines()
        assert lines[0] == "id,weight"
        assert len(lines) == 41
        weight = {name: float(value) for name, value in (line.split(",") for line in lines[1:])}
        assert all((weight[name] < 0.1) == (name in wrong) for name in weight)

    def test_a_rerun_remembers_relabelling(self, data, probs, tmp_path, datadiet: Cli):
        arguments = ("--labels-action", "relabel")
        self.run(datadiet, data, probs, tmp_path / "one", *arguments)
        assert self.run(datadiet, data, probs, tmp_path / "two", *arguments).code == 0
        assert report(tmp_path / "two")["run"]["steps"][1]["resumed"]
        assert names(tmp_path / "one") == names(tmp_path / "two")
        assert "dog/03-2.png" in names(tmp_path / "two")

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda p: p[:-1], "rows"),
            (lambda p: p[:, :1], "2 classes"),
            (lambda p: p * 2, "add up"),
            (lambda p: p - 0.5, ""),
            (lambda p: np.where(p > 0.9, np.nan, p), ""),
            (lambda p: p.astype(str), "not numbers"),
        ],
    )
    def test_what_are_no_probabilities(self, data, probs, datadiet: Cli, spoil, said):
        np.save(probs, spoil(np.load(probs)))
        ran = self.run(datadiet, data, probs, "--dry-run")
        assert ran.code == 2
        assert said in ran.complaint
        assert "p.npy" in ran.complaint

    def test_pickles_are_not_opened(self, data, probs, datadiet: Cli):
        np.save(probs, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        ran = self.run(datadiet, data, probs, "--dry-run")
        assert ran.code == 2
        assert "no array of numbers" in ran.complaint


def test_a_pipeline_cleans_and_counts(pets, tmp_path, datadiet: Cli):
    save(pets / "train/cat/again.png", 1)
    path = tmp_path / "p.yaml"
    path.write_text(
        f"input: {pets}\noutput: {tmp_path / 'out'}\nsteps:\n  - dedup\n  - denoise: {{labels: none, outliers: none}}\n"
        'expect:\n  unreadable: "<= 4"\n  mislabelled: "== 0"\n'
    )
    assert datadiet("run", path, "--keep-intermediate").code == 3
    assert len(names(tmp_path / "out.after-1-dedup")) == len(names(pets)) - 1
    assert len(names(tmp_path / "out")) == len(names(pets)) - 4


def test_without_labels_it_says_so_and_goes_on(tmp_path, datadiet: Cli):
    data = table(tmp_path / "in.csv", ["x", "y"], [[str(i), str(i % 7)] for i in range(40)])
    ran = datadiet("denoise", data, tmp_path / "out.csv")
    assert ran.code == 0
    assert "--label names their column" in ran.err
    ran = datadiet("denoise", data, "--dry-run", "--labels", "knn")
    assert ran.code == 2
    assert "--label names their column" in ran.complaint
