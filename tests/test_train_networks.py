"""`datadiet train` from a model, and with a network of one's own."""

import os
import sys

from tests.conftest import Cli, names
from tests.lessons import changed, learned, made, shade, weights, without_program


def test_from_a_model(tmp_path, datadiet: Cli):
    """Frozen, nothing changes but the head; of other classes the head is new, and the rest is what was learned."""
    old, out = made("pictures"), tmp_path / "model"
    flags = ["--epochs", "1", "--from-model", old.folder, "--freeze"]
    with without_program():
        assert datadiet("train", old.source, out, *flags).code == 0
    before, after = weights(old.folder), weights(out)
    assert before.keys() == after.keys()
    assert {"head.weight"} <= changed(before, after) <= {"head.weight", "head.bias"}
    assert abs(before["head.weight"] - after["head.weight"]).max() < 0.1
    for path in list(old.source.rglob("*.png")):
        other = "abc"[int(path.stem) % 3]
        shade(tmp_path / "in" / other / path.name, other == "a", int(path.stem))
    assert datadiet("train", tmp_path / "in", tmp_path / "new", *flags).code == 0
    after = weights(tmp_path / "new")
    assert learned(tmp_path / "new")["classes"] == ["a", "b", "c"]
    assert after["head.weight"].shape[0] == 3
    assert changed(before, after) == {"head.weight", "head.bias"}


def test_from_a_program(tmp_path, datadiet: Cli):
    """A .pt2 file goes on learning, and what comes of it can be used and gone on with."""
    old, out = made("pictures"), tmp_path / "model"
    flags = ["--from-model", old.folder / "model.pt2", "--freeze", "--epochs", "1"]
    assert datadiet("train", old.source, out, *flags).code == 0
    assert learned(out)["test"]["accuracy"] == 1
    assert learned(out)["model"] == "program"
    assert "backbone.pt2" in names(out)
    ran = datadiet("predict", out, old.source, "-")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 25
    again = ["--from-model", out, "--freeze", "--epochs", "1", "--record", "none"]
    with without_program():
        assert datadiet("train", old.source, tmp_path / "second", *again).code == 0
    assert changed(weights(out), weights(tmp_path / "second")) <= {"head.weight", "head.bias"}


FACTORY = """
from torch import nn

def network(classes, width=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(432, width), nn.Dropout(0.1),
                         nn.ReLU(), nn.Linear(width, classes))

def broken(classes):
    raise RuntimeError("it is" + chr(10) + "too late")

def number(classes):
    return 3

def soft(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(432, classes), nn.Softmax(1))
"""


def test_a_network_of_ones_own(tmp_path, datadiet: Cli, monkeypatch):
    """It is found in the current folder, however the command was started, and used to predict."""
    name = f"mine_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    source, flags = made("pictures").source, ["--image-size", "12", "--epochs", "3"]
    own = ["--factory", f"{name}:network", "--factory-args", "width=6"]
    ran = datadiet("train", source, "model", *flags, *own, "--augment", "none")
    assert ran.code == 0, ran.err
    assert learned(tmp_path / "model")["model"] == "factory"
    assert (tmp_path / "model" / "model.pt2").exists()
    assert [v.shape for n, v in weights(tmp_path / "model").items() if n == "head.weight"] == [(2, 6)]
    # A model from elsewhere must not choose what runs.
    refused = datadiet("predict", "model", source, "out.csv")
    assert (refused.code, f"--factory {name}:network allows" in refused.complaint) == (2, True)
    assert datadiet("predict", "model", source, "out.csv", "--factory", f"{name}:network").code == 0
    again = datadiet("train", source, "more", "--epochs", "1", "--from-model", "model", "--factory", f"{name}:network")
    assert again.code == 0, again.err
    (tmp_path / f"{name}.py").write_text(FACTORY + "\n# edited\n")
    ran = datadiet("train", source, "model", *flags, *own, "--augment", "none")
    assert (ran.code, "exists already" in ran.complaint) == (2, True), "an edited network is not up to date"
    for what, words in {
        f"{name}:broken": "RuntimeError: it is",
        f"{name}:number": "it must give a torch.nn.Module",
        f"{name}:soft": "without a softmax",
        f"{name}:nothing": "has no attribute 'nothing'",
        "no_such_module:x": "No module named 'no_such_module'",
        name: "must be package.module:callable",
    }.items():
        ran = datadiet("train", source, "no", *flags, "--factory", what)
        assert (ran.code, words in ran.complaint) == (2, True), ran.err
        assert ran.complaint.startswith("train: factory")
    bad = datadiet("train", source, "no", *flags, "--factory", f"{name}:network", "--factory-args", "width")
    assert "must be NAME=VALUE" in bad.complaint
    assert not (tmp_path / "no").exists()
