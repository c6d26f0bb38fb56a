"""The pipelines that choose, train and prove, as configs/ has them, on every kind of sample data."""

from pathlib import Path

import pytest

from tests.conftest import Cli, report, tree_digest

ROOT = Path(__file__).parent.parent
KINDS = {
    "table": ("table.csv", 0, {".model", ".transform.json"}),
    "images": ("images", 3, {".features.parquet", ".model", ".transform.json"}),
    "text": ("texts.csv", 0, {".features.parquet", ".model", ".transform.json", ".transform.safetensors"}),
    "audio": ("sounds", 0, {".features.parquet", ".model", ".transform.json"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_choosing_training_and_proving_in_one_pipeline(tmp_path, monkeypatch, datadiet: Cli, kind):
    name, code, artefacts = KINDS[kind]
    monkeypatch.chdir(ROOT)
    before = tree_digest(ROOT / "sample_data" / name)
    output = tmp_path / name
    ran = datadiet("run", f"configs/prove-{kind}.yaml", "--output", output)
    assert ran.code == code, ran.err
    assert tree_digest(ROOT / "sample_data" / name) == before

    told = report(output)
    assert [step["name"] for step in told["steps"]] == ["open", "select-features", "train", "evaluate"]
    assert set(told["artefacts"]) == artefacts
    assert all((tmp_path / f"{name}{ending}").exists() for ending in artefacts)
    kept = [column for column in told["columns"] if column["action"] == "keep" and column["rank"] is not None]
    dropped = [column for column in told["columns"] if column["action"] == "drop"]
    assert kept
    assert dropped
    assert max(column["rank"] for column in kept) == len(kept)
    assert 0.3 < told["figures"]["accuracy"] <= 1
    assert told["figures"]["accuracy_drop"] >= told["figures"]["accuracy_lost"]
    block = told["steps"][3]["metrics"]["protocols"]["epochs"]
    assert set(block["arms"]) == {"before", "after"}
    assert block["verdict"]["resolution"] > 0
