"""`datadiet prune-model` of what it cannot open, or cannot do: one line each, and nothing is written."""

import json
import pickle
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from datadiet_cli.nn.exporting import quiet
from tests.conftest import Cli, names, report, table, tree_digest
from tests.lessons import by_steady_clock, learned, made, to_prune, without_program
from tests.nn.archives import Attack, Small, attacks, in_config, rewritten

WEIGHTS, N_OF_M = ["--structure", "weights"], ["--structure", "n:m"]


@pytest.fixture(autouse=True)
def quick():
    """No program is written or timed, which takes longer than all else."""
    with without_program(), by_steady_clock():
        yield


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--sparsity", "0"], "--sparsity 0% takes nothing away; it must be between 0 and 1"),
        (["--sparsity", "1"], "--sparsity 100% takes everything away; it must be between 0 and 1"),
        ([*WEIGHTS, "--sparsity", "0%"], "takes nothing away"),
        ([*WEIGHTS, "--sparsity", "100%"], "takes everything away"),
        (["--sparsity", "101%"], "sparsity"),
        (["--sparsity", "-5%"], "sparsity"),
        (["--sparsity", "30%", "--macs", "30%"], "sparsity and macs both say how much goes; give one of them"),
        (["--size", "5", *WEIGHTS], "must be a number of bytes with its unit, such as 5MB"),
        (["--size", "0MB"], "must be a number of bytes"),
        (["--latency", "60%"], "such as 0.6x"),
        (["--latency", "1.5x"], "such as 0.6x"),
        ([*N_OF_M, "--pattern", "4:2"], "such as '2:4'"),
        ([*N_OF_M, "--sparsity", "40%"], "the pattern says how much goes, 2:4"),
        ([*N_OF_M, "--params", "40%"], "--params: with n:m the pattern says how much goes"),
        ([*N_OF_M, "--schedule", "iterative"], "n of m goes at once"),
        (["--threshold", "0.1"], "--threshold is for weights"),
        (["--quantile", "10%"], "--quantile is for weights"),
        ([*WEIGHTS, "--macs", "50%"], "zeros are multiplied like all numbers"),
        ([*WEIGHTS, "--latency", "0.5x"], "zeros are multiplied like all numbers"),
        ([*WEIGHTS, "--threshold", "1", "--schedule", "iterative"], "--schedule iterative goes by --sparsity"),
        (["--max-accuracy-drop", "1%", "--schedule", "adaptive"], "take --schedule one-shot"),
        (["--scope", "row"], "--scope row is for weights"),
        (["--schedule", "adaptive", "--validation", "0"], "goes by validation samples, and there are none"),
        (
            ["--keep-layers", "encoder.nothing"],
            "--keep-layers encoder.nothing: the model has no such layer with weights; it has",
        ),
        (["--keep-layers", "encoder.layers.5"], "the model has no such layer with weights"),
        (["--keep-layers", "*"], "no channel of it can go"),
        ([*WEIGHTS, "--keep-layers", "*"], "no layer to prune"),
        ([*WEIGHTS, "--criterion", "bn-scale"], "bn-scale"),
        (["--criterion", "guess"], "guess"),
        (["--device", "cuda"], "--device cuda"),
    ],
)
def test_settings(flags, words, tmp_path, datadiet: Cli):
    if "cuda" in flags and torch.cuda.is_available():
        pytest.skip("there is one")
    before = names(tmp_path)
    ran = datadiet(*to_prune("things", *flags)(tmp_path / "small"))
    assert ran.code == 2
    assert words in ran.complaint
    assert names(tmp_path) == before


def test_a_fine_tuning_that_diverges(tmp_path, datadiet: Cli):
    flags = ["--optimiser", "sgd", "--learning-rate", "100", "--epochs", "30", "--batch-size", "4"]
    assert (
        "fine-tuning: training diverged at epoch 1" in datadiet(*to_prune("prices", *flags)(tmp_path / "x")).complaint
    )
    assert names(tmp_path) == set()


def test_places(tmp_path, datadiet: Cli):
    """MODEL, the data and OUTPUT are three places."""
    given, model = made("things"), tmp_path / "model"
    shutil.copytree(given.folder, model)
    kept = tree_digest(model)
    data = ["--data", given.source, *given.flags]
    for arguments, words in (
        ([], "MODEL is missing"),
        ([model], "--data is missing"),
        ([model, *data], "MODEL_DIR is missing"),
        ([model, tmp_path / "x", "--model", model, *data], "both name the model"),
        ([model, model / "small", *data], "OUTPUT lies inside"),
        ([model, model, *data], "exists already"),
        ([model, model, "--force", *data], "name another folder or file"),
        ([model, tmp_path, "--force", *data], str(tmp_path)),
        ([tmp_path / "nowhere", tmp_path / "x", *data], "nowhere: does not exist"),
        ([tmp_path / "nowhere.pt2", tmp_path / "x", *data], "nowhere.pt2: does not exist"),
        ([tmp_path / "nowhere.pth", tmp_path / "x", *data], "nowhere.pth: does not exist"),
        (
            [tmp_path / "nowhere.safetensors", tmp_path / "x", "--factory", "a:b", *data],
            "nowhere.safetensors: does not exist",
        ),
        ([model, tmp_path / "x", "--data", tmp_path / "nothing.csv"], "nothing.csv"),
        ([tmp_path, tmp_path.parent / "x", *data], "model.json"),
    ):
        ran = datadiet("prune-model", *arguments)
        assert ran.code == 2, ran.err
        assert words in ran.complaint
        assert tree_digest(model) == kept
        assert names(tmp_path) == {"model", *(f"model/{name}" for name in names(model))}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("net.pth", "a pickle"),
        ("net.pt", "a pickle or TorchScript"),
        ("net.pkl", "a pickle"),
        ("net.ckpt", "a pickle"),
        ("pytorch_model.bin", "a pickle"),
        ("net.torchscript", "TorchScript"),
        ("net.onnx", "ONNX, which cannot be trained"),
        ("net.h5", "of another library"),
        ("net.csv", "no model that is known here"),
    ],
)
def test_what_is_never_opened(name, kind, tmp_path, datadiet: Cli):
    """It says how to convert it, and runs nothing of it."""
    marker = tmp_path / "marker"
    (tmp_path / name).write_bytes(pickle.dumps(Attack(str(marker))))
    given = made("things")
    ran = datadiet("prune-model", tmp_path / name, tmp_path / "out", "--data", given.source, *given.flags)
    assert ran.code == 2
    assert f"{name}: is {kind}, and is not opened" in ran.complaint
    for part in ("torch.export.save(torch.export.export(", "safetensors.torch.save_file", "--factory package.module"):
        assert part in ran.complaint
    assert names(tmp_path) == {name}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """An honest .pt2 file."""
    path = tmp_path_factory.mktemp("honest") / "net.pt2"

    def exported(classes, where):
        with torch.random.fork_rng(devices=[]), quiet():
            network, sizes = Small(), ({0: torch.export.Dim.AUTO},)
            network.two, network.gain = nn.Linear(4, classes), torch.arange(float(classes))
            made_of = torch.export.export(network.eval(), (torch.rand(2, 3, 12, 12),), dynamic_shapes=sizes)
            torch.export.save(made_of, where)
        return where

    return exported(2, path), exported(3, path.with_name("three.pt2"))


def test_hostile_and_damaged_programs(program, tmp_path, datadiet: Cli):
    """Every crafted file is refused in a line before torch sees it; nothing of it runs."""
    given, marker = made("pictures"), tmp_path / "marker"
    path, out = tmp_path / "net.pt2", tmp_path / "out"
    whole = program[0].read_bytes()
    cases = {name: (change, words) for name, (change, words) in attacks(str(marker)).items()}
    for change, words in cases.values():
        rewritten(program[0], path, change)
        ran = datadiet("prune-model", path, out, "--data", given.source)
        assert ran.code == 2
        assert ran.complaint.startswith(str(path))
        assert words in ran.complaint
    for damaged in (b"", b"nothing", whole[: len(whole) // 2], whole[:-30], pickle.dumps(Attack(str(marker)))):
        path.write_bytes(damaged)
        ran = datadiet("prune-model", path, out, "--data", given.source)
        assert ran.code == 2
        assert ran.complaint.startswith(str(path))
    # What is inside the folder of a model is looked at as closely.
    shutil.copytree(given.folder, tmp_path / "model")
    spec = json.loads((tmp_path / "model" / "model.json").read_bytes()) | {"model": "program"}
    spec["fields"] = [{"name": "image", "kind": "image", "options": {"size": 12, "dtype": "float32"}}]
    (tmp_path / "model" / "model.json").write_text(json.dumps(spec))
    rewritten(program[0], tmp_path / "model" / "backbone.pt2", in_config("weights", _pickle_all))
    ran = datadiet("prune-model", tmp_path / "model", out, "--data", given.source)
    assert ran.code == 2
    assert "backbone.pt2" in ran.complaint
    assert not marker.exists()
    assert not out.exists()


def _pickle_all(config):
    for entry in config.values():
        entry.update(use_pickle=True)


def test_models_that_do_not_fit(program, tmp_path, datadiet: Cli):
    """Classes, kinds of samples and labels are those of the model."""
    given, pictures, out = made("things"), made("pictures"), tmp_path / "out"
    rows = pl.read_csv(given.source, infer_schema=False).fill_null("")

    def changed(name, **columns):
        frame = rows.with_columns(**columns)
        return table(tmp_path / name, frame.columns, frame.rows())

    foreign = changed("foreign.csv", kind=pl.lit("huge"))
    unlabelled = changed("unlabelled.csv", kind=pl.lit(""))
    numbers = changed("numbers.csv", kind=pl.Series([f"{i * 1.37:.2f}" for i in range(len(rows))]))
    tested = changed("tested.csv", part=pl.lit("test"))
    single = changed("single.csv", kind=pl.lit("big"))
    lacking = table(tmp_path / "lacking.csv", ["id", "kind", "part"], rows.select("id", "kind", "part").rows())
    empty = table(tmp_path / "empty.csv", rows.columns, [])
    for model, data, words in (
        (given, foreign, "has classes that"),
        (given, unlabelled, "the column is empty"),
        (given, numbers, "has classes that"),
        (given, tested, "no sample is left to learn from"),
        (given, single, "samples of one class only are left to learn from"),
        (given, lacking, "lacks the column 'size' and 2 more, which the model takes"),
        (given, empty, "the column is empty"),
        (given, pictures.source, "is a folder of images, and the model takes numbers, categories"),
        (pictures, given.source, "is a table, and the model takes a folder of image files"),
        (made("prices"), given.source, "the label 'big' is no number, and numbers are predicted"),
    ):
        flags = given.flags if data != pictures.source else []
        ran = datadiet("prune-model", model.folder, out, "--data", data, *flags)
        assert ran.code == 2, (data, ran.err)
        assert words in ran.complaint, data
        assert not out.exists()
    ran = datadiet("prune-model", program[1], out, "--data", pictures.source)
    assert ran.code == 2
    assert "does not give 2 outputs, one for each class of the samples" in ran.complaint


def test_damaged_models(tmp_path, datadiet: Cli):
    """Files that were cut off, changed, or belong to another model."""
    given, model, out = made("things"), tmp_path / "model", tmp_path / "out"
    call = ["prune-model", model, out, "--data", given.source, *given.flags]
    whole = (given.folder / "model.safetensors").read_bytes()

    def without(path: Path):
        path.unlink()

    for name, change in (
        ("model.safetensors", lambda path: path.write_bytes(whole[:-100])),
        ("model.safetensors", lambda path: path.write_bytes(whole[:50])),
        ("model.safetensors", without),
        ("model.safetensors", lambda path: save_file({"head.weight": torch.zeros(2, 3)}, path)),
        ("model.json", lambda path: path.write_text("{")),
        ("model.json", without),
    ):
        shutil.copytree(given.folder, model)
        change(model / name)
        ran = datadiet(*call)
        assert ran.code == 2
        assert name in ran.complaint
        shutil.rmtree(model)
    # What is written of its training is of no use to anybody: it is as if nothing was.
    shutil.copytree(given.folder, model)
    told = json.loads((model / "model.json").read_bytes())
    (model / "model.json").write_text(json.dumps(told | {"extra": None}))
    assert datadiet(*call, "--epochs", "1", "--controls", "none").code == 0
    (model / "model.json").write_text(json.dumps(told | {"extra": {"recipe": {"epochs": "many"}}}))
    ran = datadiet(*call, "--force")
    assert ran.code == 2
    assert "the recipe in its description is damaged" in ran.complaint
    path = tmp_path / "net.safetensors"
    path.write_bytes(whole[: len(whole) // 2])
    ran = datadiet("prune-model", path, *call[2:], "--factory", "torch.nn:Linear")
    assert ran.code == 2


def test_pictures_that_cannot_be_read(tmp_path, datadiet: Cli):
    """Some are named; if all that it is to be judged by are such, it says so."""
    given, data = made("pictures"), tmp_path / "photos"
    shutil.copytree(given.source, data)
    call = ["prune-model", given.folder, tmp_path / "out", "--data", data, "--epochs", "1", "--controls", "none"]
    tested = sorted((data / "test").rglob("*.png"))
    tested[0].write_bytes(b"no picture")
    ran = datadiet(*call)
    assert ran.code == 3
    assert tested[0].name in ran.err
    assert learned(tmp_path / "out")["test_samples"] == len(tested) - 1
    assert [gate["passed"] for gate in report(tmp_path / "out")["gates"]] == [True]
    for path in tested:
        path.write_bytes(b"no picture")
    assert datadiet(*call, "--force").code == 3
    told = learned(tmp_path / "out")
    assert told["test_samples"] == 4
    assert any("because they cannot be read or hold nothing: 4" in note for note in told["notes"])
    assert any("a part of the training data is held out" in note for note in told["notes"])
    for path in data.rglob("*.png"):
        path.write_bytes(b"no picture")
    ran = datadiet(*call, "--force")
    assert ran.code == 2
    assert "no sample is left to learn from; left out, because they cannot be read" in ran.complaint
