"""The files in configs/ work as they stand, and find what is planted in the sample data."""

import json
import re
from pathlib import Path

import pytest

from datadiet_cli.config.base import Common
from datadiet_cli.config.load import load_pipeline, load_step
from datadiet_cli.config.pipeline import Pipeline
from datadiet_cli.config.registry import STEPS, settings_of
from sample_data import score
from tests.conftest import Cli, names, report, tree_digest

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
TRUTH = json.loads((ROOT / "sample_data/truth.json").read_text(encoding="utf-8"))
FOUND = {
    "images": {"exact-copy", "re-encoded", "resized", "brightness", "leak", "other-class-copy",
               "truncated", "empty", "not-an-image", "hard-negative"},
    "table": {"exact-duplicate", "near-duplicate", "missing", "outlier", "flipped-label", "hard-negative"},
}  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_the_file_of_a_step_says_the_defaults(step):
    common, settings = load_step(step, CONFIGS / f"{step}.yaml", {}, {})
    assert settings == settings_of(step)()
    assert common == Common()


@pytest.mark.parametrize("step", STEPS)
def test_the_file_of_a_step_says_all_there_is(tmp_path, step):
    """Every setting is there, as a comment where it has no value by default, and the comments are good values."""
    text = (CONFIGS / f"{step}.yaml").read_text(encoding="utf-8")
    bare = re.sub(r"^# (\w+:)", r"\1", text, flags=re.MULTILINE)
    (tmp_path / "all.yaml").write_text(bare, encoding="utf-8")
    common, settings = load_step(step, tmp_path / "all.yaml", {}, {})
    model = settings_of(step)
    assert set(re.findall(r"^(\w+):", bare, re.MULTILINE)) == model.model_fields.keys() | Common.model_fields.keys()
    optional = [name for name, field in model.model_fields.items() if field.default is None]
    assert settings.model_copy(update=dict.fromkeys(optional)) == model()
    assert common.delimiter == ";"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_file_loads_and_names_its_schema(path):
    if path.name.startswith(("quickstart", "prove", "diet")):
        assert isinstance(load_pipeline(path, {}, {}), Pipeline)
        schema = "pipeline"
    else:
        schema = next(step for step in STEPS if path.stem == step or path.stem.startswith(f"{step}-"))
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
    # Record 173 is odd by nature, and wines of different growers may be alike.
    assert len(score.false_drops(TRUTH[part], found)) <= (0 if part == "images" else 2)
    wrong = [fault for fault in TRUTH[part] if fault["fault"] == "mislabelled"]
    assert sum(score.other_found(fault, found) for fault in wrong) >= len(wrong) - 1
    assert told["figures"]["leaks"] == sum(fault["fault"] == "leak" for fault in faults)

    dropped = {verdict["id"] for verdict in told["verdicts"] if verdict["action"] == "drop"}
    assert len(dropped) == told["figures"]["removed"]
    if part == "images":
        assert names(tmp_path / name) == names(ROOT / "sample_data" / name) - dropped
    else:
        imputed = {verdict["id"] for verdict in told["verdicts"] if verdict["action"] == "impute"}
        lines = (ROOT / "sample_data" / name).read_bytes().splitlines(keepends=True)
        kept = [(str(number), line) for number, line in enumerate(lines, start=-1) if str(number) not in dropped]
        written = (tmp_path / name).read_bytes().splitlines(keepends=True)
        assert len(written) == len(kept)
        assert {number for (number, line), now in zip(kept, written, strict=True) if line != now} == imputed - dropped
