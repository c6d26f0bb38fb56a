"""The files in configs/ work as they stand, and find what is planted in the sample data."""

import json
import re
from pathlib import Path

import pytest

from datadiet_cli.config.base import Common
from datadiet_cli.config.dedup import Dedup
from datadiet_cli.config.load import load_pipeline, load_step
from datadiet_cli.config.pipeline import Pipeline
from sample_data import score
from tests.conftest import Cli, names, report, tree_digest

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
TRUTH = json.loads((ROOT / "sample_data/truth.json").read_text(encoding="utf-8"))
# What `dedup` is there to find; other steps look for the rest.
FOUND = {
    "images": {"exact-copy", "re-encoded", "resized", "brightness", "leak", "other-class-copy",
               "truncated", "empty", "not-an-image", "hard-negative"},
    "table": {"exact-duplicate", "near-duplicate", "hard-negative"},
}  # fmt: skip


def test_dedup_yaml_says_the_defaults():
    common, settings = load_step("dedup", CONFIGS / "dedup.yaml", {}, {})
    assert settings == Dedup()
    assert common == Common()


def test_dedup_yaml_says_all_there_is(tmp_path):
    """Every setting is there, as a comment where it has no value by default, and the comments are good values."""
    text = (CONFIGS / "dedup.yaml").read_text(encoding="utf-8")
    bare = re.sub(r"^# (\w+:)", r"\1", text, flags=re.MULTILINE)
    (tmp_path / "all.yaml").write_text(bare, encoding="utf-8")
    common, settings = load_step("dedup", tmp_path / "all.yaml", {}, {})
    assert set(re.findall(r"^(\w+):", bare, re.MULTILINE)) == Dedup.model_fields.keys() | Common.model_fields.keys()
    without = dict.fromkeys(["columns", "similarity", "shingle_size", "sort_by", "against", "max_distance"])
    assert settings.model_copy(update=without) == Dedup()
    assert common.delimiter == ";"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_file_loads_and_names_its_schema(path):
    if path.name.startswith("quickstart"):
        assert isinstance(load_pipeline(path, {}, {}), Pipeline)
        schema = "pipeline"
    else:
        schema = path.stem.partition("-")[0]
        load_step(schema, path, {}, {})
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={schema}.schema.json"
    assert (CONFIGS / f"{schema}.schema.json").exists()


@pytest.mark.parametrize(
    ("config", "part", "name", "code"),
    [("quickstart.yaml", "images", "images", 3), ("quickstart-table.yaml", "table", "table.csv", 0)],
)
def test_quickstarts_find_what_is_planted(tmp_path, monkeypatch, datadiet: Cli, config, part, name, code):
    monkeypatch.chdir(ROOT)
    before = tree_digest(ROOT / "sample_data" / name)
    ran = datadiet("run", f"configs/{config}", "--input", f"sample_data/{name}", "--output", tmp_path / name)
    assert ran.code == code
    assert tree_digest(ROOT / "sample_data" / name) == before

    told = report(tmp_path / name)
    found = score.Report.of(told["verdicts"])
    faults = [fault for fault in TRUTH[part] if fault["fault"] in FOUND[part]]
    assert len(faults) >= 20
    assert [fault for fault in faults if not score.FINDERS[fault["fault"]](fault, found)] == []
    assert score.false_drops(TRUTH[part], found) == []
    assert told["figures"]["leaks"] == sum(fault["fault"] == "leak" for fault in faults)

    dropped = {verdict["id"] for verdict in told["verdicts"] if verdict["action"] == "drop"}
    assert len(dropped) == told["figures"]["removed"]
    if part == "images":
        assert names(tmp_path / name) == names(ROOT / "sample_data" / name) - dropped
    else:
        lines = (ROOT / "sample_data" / name).read_bytes().splitlines(keepends=True)
        kept = [line for number, line in enumerate(lines, start=-1) if str(number) not in dropped]
        assert (tmp_path / name).read_bytes() == b"".join(kept)
