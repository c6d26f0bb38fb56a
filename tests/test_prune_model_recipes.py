"""The configurations of prune-model do what they say."""

from pathlib import Path

from safetensors.numpy import load_file

from datadiet_cli.nn import modelfile
from tests.conftest import Cli, report, tree_digest
from tests.lessons import by_steady_clock, learned, made, without_program

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"


def test_the_smallest_file(tmp_path, datadiet: Cli):
    """Nine of ten weights are gone after four rounds, and the file is a fraction of what it was once compressed."""
    old = made("pictures")
    flags = ["-c", CONFIGS / "prune-model-weights.yaml", "--epochs", "4", "--controls", "none"]
    with without_program(), by_steady_clock():
        assert datadiet("prune-model", old.folder, tmp_path / "o", "--data", old.source, *flags).code == 0
    told = learned(tmp_path / "o")
    assert [round(one["share"], 2) for one in told["rounds"]] == [0.52, 0.79, 0.89, 0.9]
    assert told["gone"] > 0.89
    assert told["costs"]["pruned"]["compressed"] < 0.25 * told["costs"]["dense"]["compressed"]
    assert told["costs"]["pruned"]["macs"] == told["costs"]["dense"]["macs"]


def test_as_small_as_can_be_proved(tmp_path, datadiet: Cli):
    """A few samples prove nothing, and nothing is written; a larger loss is proved, in multiples of four channels."""
    old = made("pictures")
    call = ["prune-model", old.folder, tmp_path / "o", "--data", old.source, "--epochs", "1", "--controls", "none"]
    with without_program(), by_steady_clock():
        ran = datadiet(*call, "-c", CONFIGS / "prune-model-drop.yaml")
        assert ran.code == 1
        assert not (tmp_path / "o").exists()
        assert "validation samples can prove a loss of" in ran.err
        ran = datadiet(*call, "-c", CONFIGS / "prune-model-drop.yaml", "--max-accuracy-drop", "100%")
    assert ran.code == 0, ran.err
    assert learned(tmp_path / "o")["target"]["share"] == 0.8
    state = load_file(tmp_path / "o" / "model.safetensors")
    assert all(len(state[f"encoder.layers.{n}.weight"]) % 4 == 0 for n in (0, 4, 8))


def test_training_pruning_and_comparing_in_one_pipeline(tmp_path, monkeypatch, datadiet: Cli):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(modelfile, "_reopen", lambda *_: None)
    before = tree_digest(ROOT / "sample_data" / "images")
    ran = datadiet("run", "configs/prove-model.yaml", "--output", tmp_path / "images")
    assert ran.code == 3, ran.err  # three samples cannot be read, on purpose
    assert tree_digest(ROOT / "sample_data" / "images") == before
    told = report(tmp_path / "images")
    assert [step["name"] for step in told["steps"]] == ["open", "train", "prune-model", "evaluate"]
    assert set(told["artefacts"]) == {".model", ".pruned", ".layers.csv"}
    one, other = told["steps"][2]["metrics"], told["steps"][3]["metrics"]["protocols"]["models"]
    assert one["target"]["reached"] <= 0.4
    # What pruning says of itself is what the comparison of the two models finds.
    for name, stage in (("before", "dense"), ("after", "fine_tuned")):
        assert other["arms"][name]["metrics"]["accuracy"]["mean"] == one["stages"][stage]["accuracy"]
    assert other["arms"]["after"]["cost"]["macs"] <= 0.4 * other["arms"]["before"]["cost"]["macs"]
    assert {gate["name"]: gate["passed"] for gate in told["gates"]} == {"pruned": True, "macs": True}
