"""`datadiet prune-model` from the command line: every criterion of every structure, and what is written of it."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import polars as pl
import pytest
import torch

from datadiet_cli.config.prune_model import Criterion
from datadiet_cli.nn.modelfile import load
from tests.conftest import Cli, names, report, tree_digest, write_pipeline
from tests.lessons import (
    MODEL_FILES,
    by_steady_clock,
    count_steps,
    different,
    dying,
    learned,
    made,
    to_prune,
    weights,
    without_program,
)

CRITERIA = Criterion.__args__
STRUCTURES = ("channels", "weights", "n:m")


@pytest.fixture
def quick():
    """No program is written or timed, which takes longer than all else."""
    with without_program(), by_steady_clock():
        yield


def parameters(folder: Path):
    """What a training changes, by name."""
    return {name: tensor for name, tensor in weights(folder).items() if name.endswith((".weight", ".bias"))}


def counted(folder: Path):
    """What a model costs, by its file alone: an mlp multiplies each weight of a matrix once."""
    tensors = parameters(folder)
    matrices = [tensor for tensor in tensors.values() if tensor.ndim == 2]
    return {
        "parameters": sum(tensor.size for tensor in tensors.values()),
        "nonzero": sum(int(np.count_nonzero(tensor)) for tensor in tensors.values()),
        "macs": sum(tensor.size for tensor in matrices),
        "macs_nonzero": sum(int(np.count_nonzero(tensor)) for tensor in matrices),
    }


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_of_every_structure(criterion, structure, tmp_path, datadiet: Cli):
    """Less is left, and as much as the report says; twice the same; what was read is as it was."""
    given, out = made("things"), tmp_path / "small"
    before = [tree_digest(path) for path in (given.source, given.folder)]
    call = to_prune("things", "--criterion", criterion, "--structure", structure, "--no-cache")
    ran = datadiet(*call(out))
    assert [tree_digest(path) for path in (given.source, given.folder)] == before
    if criterion == "bn-scale" and structure != "channels":
        assert ran.code == 2
        assert "bn-scale" in ran.complaint
        assert names(tmp_path) == set()
        return
    assert (ran.code, ran.err) == (0, "")
    told = learned(out)
    figures = {name: {key: told["costs"][name][key] for key in counted(out)} for name in ("dense", "pruned")}
    assert figures == {"dense": counted(given.folder), "pruned": counted(out)}
    assert counted(out)["nonzero"] < 0.6 * counted(given.folder)["nonzero"]
    assert (counted(out)["macs"] < counted(given.folder)["macs"]) == (structure == "channels")
    tensors = weights(out)
    inner = [tensor for name, tensor in tensors.items() if tensor.ndim == 2 and name != "head.weight"]
    if structure == "channels":
        assert told["gone"] == pytest.approx(1 - sum(map(len, inner)) / 256)
    else:
        zeros = sum(int((tensor == 0).sum()) for tensor in inner)
        assert told["gone"] == pytest.approx(zeros / sum(tensor.size for tensor in inner))
        assert np.count_nonzero(tensors["head.weight"]) == tensors["head.weight"].size
        assert any("do not make dense kernels faster" in note for note in told["notes"])
    assert told["gone"] == pytest.approx(0.5, abs=0.02)
    if criterion in ("random", "gradient"):
        assert datadiet(*call(tmp_path / "again"), "--engine", "serial").code == 0
        assert different(out, tmp_path / "again") == set()
        assert learned(tmp_path / "again") == told


def test_all_of_it(tmp_path, datadiet: Cli):
    """Files that are opened in processes of their own, controls, seeds, tables, and times."""
    given, out = made("pictures"), tmp_path / "small"
    before = [tree_digest(path) for path in (given.source, given.folder)]
    flags = ["--sparsity", "40%", "--epochs", "2", "--seeds", "2", "--onnx", "--sensitivity", "--criterion", "gradient"]
    call = ["prune-model", given.folder, out, "--data", given.source, "--device", "cpu", *flags]
    ran = datadiet(*call)
    assert ran.code == 0, ran.err
    assert [tree_digest(path) for path in (given.source, given.folder)] == before
    files = MODEL_FILES | {"load_model.py", "model.onnx"}
    beside = {f"small.{ending}" for ending in ("report.json", "layers.csv", "sensitivity.csv")}
    assert names(tmp_path) == {"small"} | {f"small/{name}" for name in files} | beside
    document, told = report(out), learned(out)
    jsonschema.Draft202012Validator(json.loads(datadiet("schema", "report").out)).validate(document)

    block = told["protocols"]["pruning"]
    assert set(block["arms"]) == {"before", "after", "random", "scratch"}
    assert set(told["stages"]) == {"dense", "pruned", "recalibrated", "fine_tuned"}
    for stage in told["stages"].values():
        assert {"accuracy", "per_class", "macro", "roc_curve"} <= stage.keys()
        assert stage["samples"] == 4
    assert told["files"]["differences"].keys() == {"model.pt2", "model.safetensors", "model.onnx"}
    assert max(told["files"]["differences"].values()) < 1e-4
    timings = document["run"]["steps"][-1]["timings"]
    assert {name: len(seconds) for name, seconds in timings["training"]["pruning"].items()} == {
        "after": 2, "random": 2, "scratch": 2,
    }  # fmt: skip
    times = timings["latency"]
    assert {name: [one["batch"] for one in each] for name, each in times.items()} == {
        name: [1, 16] for name in ("before", "after", "after in ONNX Runtime")
    }
    assert all(one["threads"] == 1 and one["runtime"] and one["cpu"] > 0 for each in times.values() for one in each)
    assert "latency" not in json.dumps(document["steps"][-1]["metrics"])

    tensors = parameters(out)
    raw = b"".join(tensor.tobytes() for _, tensor in sorted(weights(out).items()))
    assert told["costs"]["pruned"]["bytes"] == len(raw)
    assert told["costs"]["pruned"]["compressed"] == pytest.approx(len(gzip.compress(raw, 6)), abs=20)
    assert told["costs"]["pruned"]["parameters"] == sum(tensor.size for tensor in tensors.values())
    # 12 x 12 pixels, pooled to 6 x 6 and 3 x 3: each weight is used at each place.
    sizes = {f"encoder.layers.{place}.weight": pixels for place, pixels in ((0, 144), (4, 36), (8, 9))}
    macs = sum(tensors[name].size * pixels for name, pixels in sizes.items()) + tensors["head.weight"].size
    assert told["costs"]["pruned"]["macs"] == macs
    layers = pl.read_csv(tmp_path / "small.layers.csv")
    assert layers["macs_after"].sum() == macs
    shapes = {f"{layer}.weight": shape for layer, shape in layers.select("layer", "shape_after").iter_rows()}
    assert {name: "x".join(map(str, tensors[name].shape)) for name in shapes if name in sizes} == {
        name: shapes[name] for name in sizes
    }
    alone = pl.read_csv(tmp_path / "small.sensitivity.csv")
    assert len(alone) == 9
    assert set(alone["share"]) == {0.3, 0.5, 0.7}

    # As the page of the command has it; that no line of ours is needed has been seen to when it was written.
    shades = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 3, 12, 12), dtype=np.uint8))
    program = torch.export.load(out / "model.pt2").module()
    with torch.no_grad():
        torch.testing.assert_close(program(shades), load(str(out))[0](shades))

    kept = tree_digest(out)
    assert "up to date" in datadiet(*call).err
    assert tree_digest(out) == kept
    assert "exists already" in datadiet(*call, "--round-to", "4").complaint


@pytest.mark.usefixtures("quick")
def test_what_comes_out_is_a_model_like_any_other(tmp_path, datadiet: Cli):
    """It predicts, is compared with the dense one, is pruned again, and goes on learning."""
    given, out = made("pictures"), tmp_path / "small"
    assert datadiet(*to_prune("pictures")(out)).code == 0
    ran = datadiet("predict", out, given.source, "-")
    assert ran.code == 0, ran.err
    assert len(ran.out.splitlines()) == 25
    found = tmp_path / "compared.json"
    call = ["evaluate", "--model", out, "--against-model", given.folder, "--test", given.source, found]
    assert datadiet(*call).code == 0
    arms = json.loads(found.read_bytes())["steps"][-1]["metrics"]["protocols"]["models"]["arms"]
    costs = {name: arm["cost"]["macs"] for name, arm in arms.items()}
    told = learned(out)["costs"]
    assert costs == {"after": told["pruned"]["macs"], "before": told["dense"]["macs"]}
    again = ["prune-model", out, tmp_path / "smaller", "--data", given.source, "--epochs", "1", "--controls", "none"]
    assert datadiet(*again).code == 0
    second = learned(tmp_path / "smaller")["costs"]
    assert second["dense"]["parameters"] == told["pruned"]["parameters"] > 1.5 * second["pruned"]["parameters"]
    taught = tmp_path / "taught"
    flags = ["--from-model", tmp_path / "smaller", "--epochs", "1", "--record", "none"]
    assert datadiet("train", given.source, taught, *flags).code == 0
    shapes = [{name: tensor.shape for name, tensor in weights(f).items()} for f in (tmp_path / "smaller", taught)]
    assert shapes[0] == shapes[1]


@pytest.mark.usefixtures("quick")
def test_in_a_pipeline(tmp_path, datadiet: Cli):
    """Train, prune what was trained, and compare the two; the pruned model stands beside OUTPUT."""
    given = made("things")
    (tmp_path / "in.csv").write_bytes(given.source.read_bytes())
    text = """label: kind
split: part
id_column: id
steps:
  - train: {epochs: 3, record: none}
  - prune-model: {sparsity: 40%, epochs: 1, controls: [none], structure: weights}
  - evaluate: {against_model: trained}
expect:
  accuracy: ">= 10%"
"""
    path = write_pipeline(tmp_path / "p.yaml", text)
    path.write_text(path.read_text().replace("/in\n", "/in.csv\n").replace("/out\n", "/out.csv\n"))
    ran = datadiet("run", path)
    assert ran.code == 0, ran.err
    out = tmp_path / "out.csv"
    assert (Path(f"{out}.pruned") / "load_model.py").exists()
    assert Path(f"{out}.layers.csv").exists()
    assert out.read_bytes() == given.source.read_bytes()
    steps = {step["name"]: step["metrics"] for step in report(out)["steps"]}
    zeros = sum(
        int((tensor == 0).sum()) for name, tensor in weights(Path(f"{out}.pruned")).items() if name.endswith("weight")
    )
    assert (
        steps["prune-model"]["costs"]["dense"]["nonzero"] - steps["prune-model"]["costs"]["pruned"]["nonzero"] == zeros
    )
    assert set(steps["evaluate"]["protocols"]["models"]["arms"]) == {"after", "before"}
    assert "up to date" in datadiet("run", path).err
    for old, new, word in (
        ("  - train: {epochs: 3, record: none}\n", "", "no model; let train come before it"),
        ("{sparsity: 40%", f"{{data: {out}", "in a pipeline it is what the steps before left"),
        (
            "  - prune-model: {sparsity: 40%, epochs: 1, controls: [none], structure: weights}\n",
            "",
            "there must be a train before it, and a prune-model between",
        ),
    ):
        path.write_text(path.read_text().replace("out.csv", "other.csv").replace(old, new))
        ran = datadiet("run", path)
        assert ran.code == 2
        assert word in ran.complaint
        path.write_text(path.read_text().replace(new or "steps:\n", old if new else f"steps:\n{old}"))


ALWAYS = """
from datadiet_cli.steps.pruning import healing
healing.OFTEN = 0
"""


def test_a_killed_run_goes_on(tmp_path, datadiet: Cli, monkeypatch):
    """The power fails in the second round's training: nothing is there, and the next run ends with the same bytes."""
    schedule = ["--structure", "weights", "--schedule", "iterative", "--rounds", "2", "--batch-size", "8"]
    call = to_prune("things", *schedule, "--epochs", "4")
    arguments = [str(one) for one in call(tmp_path / "small")]
    with without_program(), by_steady_clock():
        taken = count_steps(monkeypatch)
        assert datadiet(*call(tmp_path / "other"), "--no-cache").code == 0
        each, beside = len(taken) // 4, names(tmp_path)
        program = [sys.executable, "-c", f"{ALWAYS}{dying(3 * each + 2)}", *arguments]
        assert subprocess.run(program, capture_output=True, timeout=200, check=False).returncode == -9
        assert names(tmp_path) == beside
        taken.clear()
        assert datadiet(*arguments).code == 0
    assert len(taken) == each
    assert different(tmp_path / "small", tmp_path / "other") == set()
    assert learned(tmp_path / "small") == learned(tmp_path / "other")
    assert os.listdir(Path(os.environ["DATADIET_CACHE_DIR"]) / "training") == []
