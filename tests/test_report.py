"""The report says it all, and the decisions in it do not depend on how or where a run went."""

import json
import os

import jsonschema
import polars as pl
import pytest

from tests.conftest import Cli, class_folders, names, report, table, tree_digest, write_pipeline


class TestReport:
    @pytest.fixture
    def valid(self, datadiet: Cli):
        """Check a document against the schema that datadiet prints."""
        schema = json.loads(datadiet("schema", "report").out)
        jsonschema.Draft202012Validator.check_schema(schema)
        return jsonschema.Draft202012Validator(schema).validate

    def test_keeps_to_its_schema(self, pets, tmp_path, datadiet: Cli, valid):
        (pets / "cat/cut.png").write_bytes(b"\x89PNG")
        table(tmp_path / "in.csv", ["x"], [[1], [1]])
        class_folders(tmp_path / "flat", {"a.png": 1, "b.png": 2})
        table(tmp_path / "flat/metadata.csv", ["file_name", "label"], [["a.png", "x"], ["gone.png", "y"]])
        for name in ("in", "in.csv", "flat"):
            datadiet("dedup", tmp_path / name, tmp_path / f"out-{name}")
            valid(report(tmp_path / f"out-{name}"))
        valid(json.loads(datadiet("dedup", pets, "--check", "--max-removed", "0%", "--json").out))

    def test_every_removal_has_a_reason_and_a_witness_that_stays(self, pets, tmp_path, datadiet: Cli):
        kept = datadiet("dedup", pets, tmp_path / "out", "--list", "kept").ids
        document = report(tmp_path / "out")
        assert document["figures"]["removed"] == len(document["verdicts"]) == 1
        for row in document["verdicts"]:
            assert (row["id"], row["reason"], row["witness"]) == ("cat/copy-of-a.png", "duplicate", "cat/a.png")
            assert row["score"] <= row["threshold"]
            assert row["witness"] in kept

    def test_very_many_verdicts_stand_in_a_file_beside_it(self, tmp_path, datadiet: Cli, valid):
        source = table(tmp_path / "in.csv", ["x"], [[number % 9000] for number in range(30_000)])
        arguments = ["dedup", source, tmp_path / "out.csv", "--json"]
        printed = datadiet(*arguments).out
        document = report(tmp_path / "out.csv")
        valid(document)
        assert document["verdicts"] == []
        assert document["verdicts_count"] == 21_000
        assert json.loads(datadiet(*arguments).out) == json.loads(printed)
        rows = pl.read_parquet(tmp_path / document["verdicts_file"])
        assert rows.to_dicts() == json.loads(printed)["verdicts"]
        assert rows["id"].to_list() == [str(number) for number in range(9000, 30_000)]
        assert rows["witness"].to_list() == [str(number % 9000) for number in range(9000, 30_000)]
        assert set(os.listdir(tmp_path)) == {"in.csv", "out.csv", "out.csv.report.json", document["verdicts_file"]}
        # A smaller result takes the file away that would no longer be true.
        table(source, ["x"], [[1], [1]])
        assert datadiet("dedup", source, tmp_path / "out.csv", "--force").code == 0
        assert set(os.listdir(tmp_path)) == {"in.csv", "out.csv", "out.csv.report.json"}

    def test_precedence_shows_in_the_effective_settings(self, pets, tmp_path, datadiet: Cli, monkeypatch):
        config = tmp_path / "c.yaml"
        config.write_text("max_distance: 1\nprefer: first\nseed: 1\nscope: within-class\n")
        monkeypatch.setenv("DATADIET_DEDUP_MAX_DISTANCE", "2")
        monkeypatch.setenv("DATADIET_DEDUP_PREFER", "newest")
        monkeypatch.setenv("DATADIET_SEED", "2")
        assert datadiet("dedup", pets, tmp_path / "out", "-c", config, "--max-distance", 3, "--seed", 0).code == 0
        document = report(tmp_path / "out")
        step = document["steps"][-1]["settings"]
        assert (step["max_distance"], step["prefer"], step["scope"], step["verify"]) == (
            3,
            "newest",
            "within-class",
            True,
        )
        assert document["settings"]["seed"] == 0
        assert document["settings"]["unreadable"] == "keep"


class TestSamples:
    @pytest.fixture
    def many(self, tmp_path) -> dict[str, int]:
        """Names and seeds of pictures, a third of them copies, in the order to make them in."""
        return {f"{'cat' if n % 2 else 'dog'}/{n:03}.png": n - n % 3 // 2 * 2 for n in range(90)}

    def test_engines_and_workers_decide_the_same(self, many, tmp_path, datadiet_process: Cli):
        root = class_folders(tmp_path / "in", many)
        ways = [("serial", 1), ("threads", 1), ("threads", 4), ("processes", 1), ("processes", 4)]
        reports = [
            json.loads(
                datadiet_process(
                    "dedup", root, "--dry-run", "--json", "--no-cache", "--engine", engine, "--workers", workers
                ).out
            )
            for engine, workers in ways
        ]
        assert reports[0]["figures"]["removed"] == 30
        for other in reports[1:]:
            assert other["verdicts"] == reports[0]["verdicts"]
            assert other["steps"] == reports[0]["steps"]

    def test_order_of_files_on_the_disk_does_not_matter(self, many, tmp_path, datadiet: Cli):
        one = class_folders(tmp_path / "one", many)
        two = class_folders(tmp_path / "two", dict(reversed(many.items())))
        kept = [datadiet("dedup", root, "--dry-run", "--list", "kept").ids for root in (one, two)]
        assert len(kept[0]) == 60
        assert kept[0] == kept[1]

    @pytest.mark.parametrize("conflicts", ["flag", "drop-all", "keep-majority"])
    @pytest.mark.parametrize("scope", ["within-class", "across-classes", "across-splits"])
    def test_evaluation_data_and_classes_survive(self, tmp_path, datadiet: Cli, scope, conflicts):
        files = {f"{split}/{label}/{n}.png": 1 for split in ("test", "val") for label in ("cat", "dog") for n in "ab"}
        files |= {"train/cat/1.png": 1, "train/cat/2.png": 1, "train/dog/3.png": 1, "train/owl/4.png": 4}
        files |= {"train/owl/5.png": 4, "train/emu/6.png": 4}
        root = class_folders(tmp_path / "in", files)
        (root / "test/cat/cut.png").write_bytes(b"\x89PNG")
        flags = ["--scope", scope, "--conflicts", conflicts, "--unreadable", "drop"]
        assert datadiet("dedup", root, tmp_path / "out", *flags).code == 3
        for split in ("test", "val"):
            assert names(tmp_path / "out" / split) == names(root / split)
        for label in ("cat", "dog", "owl", "emu"):
            assert os.listdir(tmp_path / "out/train" / label)
        assert len(names(tmp_path / "out/train")) < len(names(root / "train"))

    def test_split_column_of_a_table(self, tmp_path, datadiet: Cli):
        rows = [["x", "train"], ["x", "train"], ["x", "test"], ["x", "test"], ["y", "train"]]
        source = table(tmp_path / "in.csv", ["text", "split"], rows)
        for flags in (["--split", "split"], []):
            output = tmp_path / f"out{len(flags)}.csv"
            assert datadiet("dedup", source, output, *flags).code == 0
            assert output.read_text().splitlines()[-1] == "y,train"
            assert output.read_text().count("x,test") == 2


class TestPipeline:
    STEPS = "steps:\n  - dedup: {method: exact}\n  - dedup: {method: phash}\n"

    def test_intermediate_datasets_on_request(self, pets, tmp_path, datadiet: Cli):
        with (pets / "dog/almost-c.png").open("wb") as file:
            file.write((pets / "dog/c.png").read_bytes() + b"one more byte")
        path = write_pipeline(tmp_path / "p.yaml", self.STEPS)
        assert datadiet("run", path, "--keep-intermediate").code == 0
        between = names(tmp_path / "out.after-1-dedup")
        assert between == names(pets) - {"cat/copy-of-a.png"}
        assert len(names(tmp_path / "out")) == len(between) - 1
        document = report(tmp_path / "out")
        assert [(s["name"], s["samples_in"], s["samples_out"]) for s in document["steps"]] == [
            ("open", 6, 6),
            ("dedup", 6, 5),
            ("dedup", 5, 4),
        ]
        assert [row["step_number"] for row in document["verdicts"]] == [1, 2]

    def test_an_intermediate_in_the_way_is_refused_at_once(self, pets, tmp_path, datadiet: Cli):
        path = write_pipeline(tmp_path / "p.yaml", self.STEPS)
        class_folders(tmp_path / "out.after-1-dedup", {"precious.png": 9})
        before = tree_digest(tmp_path)
        ran = datadiet("run", path, "--keep-intermediate")
        assert ran.code == 2
        assert "out.after-1-dedup: exists already" in ran.complaint
        assert tree_digest(tmp_path) == before

    def test_flags_overrule_the_file(self, pets, tmp_path, datadiet: Cli):
        path = write_pipeline(tmp_path / "p.yaml", self.STEPS)
        assert datadiet("run", path, "--output", tmp_path / "other", "--seed", 7).code == 0
        assert not (tmp_path / "out").exists()
        assert report(tmp_path / "other")["settings"]["seed"] == 7

    def test_a_starter_runs_as_it_stands(self, pets, tmp_path, datadiet: Cli):
        assert datadiet("init", pets, tmp_path / "p.yaml").code == 0
        before = tree_digest(pets)
        assert datadiet("run", tmp_path / "p.yaml").code == 0
        assert len(names(tmp_path / "in-diet")) == len(names(pets)) - 1
        assert tree_digest(pets) == before
