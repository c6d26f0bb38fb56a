"""Files of models whose layers were made narrower, and of networks whose weights were made elsewhere."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from datadiet_cli.errors import InputError, OutputError
from datadiet_cli.nn import modelfile
from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.exporting import difference
from datadiet_cli.nn.models import Model, build
from datadiet_cli.nn.pruning.base import Slices, cut
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.reopening import reopened
from datadiet_cli.nn.resize import resize_to
from datadiet_cli.nn.spec import Spec
from datadiet_cli.nn.training import fit
from datadiet_cli.steps.teaching.starting import started
from tests.nn.fields import CLASSES, FIELDS, ROWS, inputs_of, samples_of, spec_of


def _spec(name: str) -> Spec:
    return spec_of(name, () if name == "mlp" else CLASSES, dropout=0.2)


def _change(folder: Path, **values: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _kept(n: int, *gone: int) -> np.ndarray:
    return np.setdiff1d(np.arange(n), gone)


_BLOCK = ("1.weight", "1.bias", "1.running_mean", "1.running_var")
CUTS: dict[str, Slices] = {
    "small-cnn": {
        "encoder.layers.0.weight": {0: _kept(16, 0, 5, 9)},
        **{f"encoder.layers.{name}": {0: _kept(16, 0, 5, 9)} for name in _BLOCK},
        "encoder.layers.4.weight": {1: _kept(16, 0, 5, 9)},
        "encoder.layers.8.weight": {0: _kept(64, 63)},
        **{f"encoder.layers.{name.replace('1.', '9.')}": {0: _kept(64, 63)} for name in _BLOCK},
        "head.weight": {1: _kept(128, 63, 127)},
    },
    "mlp": {
        "encoder.layers.3.weight": {0: _kept(128, 2, 3)},
        **{f"encoder.layers.{name.replace('1.', '4.')}": {0: _kept(128, 2, 3)} for name in _BLOCK},
        "head.weight": {1: _kept(128, 2, 3)},
    },
}
"""Units of a layer, whatever describes them, and what takes them."""


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Model]]:
    """Models with layers of which units were taken out, and their folders."""
    found = {}
    for name, slices in CUTS.items():
        spec, given = _spec(name), inputs_of(name)
        model = build(spec, given, torch.linspace(5, 9, ROWS), seed=2)
        resize_to(model, cut(model.state_dict(), slices))
        folder = tmp_path_factory.mktemp("pruned") / name
        modelfile.save(str(folder), model, spec, examples=[part[:2] for part in given])
        found[name] = (folder, model)
    return found


@pytest.mark.parametrize("name", CUTS)
def test_a_pruned_model_comes_back_as_narrow_as_it_is(pruned: dict[str, tuple[Path, Model]], name: str) -> None:
    folder, model = pruned[name]
    again, spec = modelfile.load(str(folder))
    given = inputs_of(name, seed=1)
    assert torch.equal(again(*given), model(*given))
    assert spec == _spec(name)
    assert again.head.in_features == again.encoder.width == {"small-cnn": 126, "mlp": 126}[name]
    described = json.loads((folder / "model.json").read_text())
    assert described["resized"] is True
    assert described["parameters"] == sum(value.numel() for value in model.parameters())
    assert described["parameters"] < sum(value.numel() for value in build(spec).parameters())
    assert described["differences"].keys() == {"model.pt2", "model.safetensors"}
    assert described["largest_difference"] == max(described["differences"].values())


@pytest.mark.parametrize("classes", [CLASSES, ("x", "y"), CLASSES[::-1]])
def test_training_goes_on_from_a_pruned_model(pruned: dict[str, tuple[Path, Model]], classes: tuple[str, ...]) -> None:
    """It stays as narrow; of other classes its head is new, and the rest is what was learned."""
    folder, old = pruned["small-cnn"]
    given = inputs_of("small-cnn", seed=5)
    spec = replace(_spec("small-cnn"), classes=classes)
    samples = Samples(tuple(given), torch.arange(ROWS) % len(classes))
    model, again = (started(str(folder), spec, samples, 3, None) for _ in range(2))
    before, after = old.state_dict(), model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == (set() if classes == CLASSES else {"head.weight", "head.bias"})
    assert model.head.in_features == model.encoder.width == 126
    assert model(*given).shape == (ROWS, len(classes))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in after.items())
    fitted = fit(model, samples, Recipe(epochs=1, batch_size=8), seed=0, device=torch.device("cpu"))
    assert not torch.equal(fitted.model.state_dict()["encoder.layers.0.weight"], before["encoder.layers.0.weight"])
    assert fitted.model.state_dict()["encoder.layers.0.weight"].shape == (13, 3, 3, 3)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda folder: _change(folder, resized=False), "has shape .*, not "),
        (lambda folder: _change(folder, resized="yes"), "has shape .*, not "),
        (lambda folder: _change(folder, shapes={}), r"has shape \(.*\), not None"),
        (lambda folder: _change(folder, shapes=[1]), "is not a model's description, or is damaged"),
        (lambda folder: _change(folder, shapes={"a": "b"}), "is not a model's description, or is damaged"),
        (lambda folder: _reshape(folder, "head.bias", (4,)), "head.bias has shape"),
        (lambda folder: _reshape(folder, "head.bias", (4,), told=True), r"head \(Linear\) cannot have bias"),
        (lambda folder: _reshape(folder, "more", (4,), told=True), "the network has no tensor more"),
    ],
)
def test_pruned_models_whose_files_do_not_belong_together_are_refused(
    pruned: dict[str, tuple[Path, Model]], tmp_path: Path, damage: object, why: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(pruned["mlp"][0], folder)
    assert callable(damage)
    damage(folder)
    with pytest.raises(InputError, match=why) as error:
        modelfile.load(str(folder))
    assert "\n" not in str(error.value)


def _reshape(folder: Path, name: str, shape: tuple[int, ...], told: bool = False) -> None:
    state = load_file(folder / "model.safetensors")
    save_file({**state, name: torch.ones(shape)}, folder / "model.safetensors")
    if told:
        shapes = json.loads((folder / "model.json").read_text())["shapes"]
        _change(folder, shapes={**shapes, name: list(shape)})


_THEIRS = """
from torch import nn

def net(classes, width=8):
    return nn.Sequential(
        nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, groups=width),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes),
    )
"""
_ALONE = """
import sys
sys.path[:0] = [{theirs!r}, {folder!r}]
import json, torch
from their_net import net
from load_model import load, load_program
from safetensors.torch import load_file
given = load_file({given!r})
network = load(lambda: net(3))
with torch.no_grad():
    answers = [load_program()(given["raw"]).tolist(), network(given["standardised"]).tolist()]
print(json.dumps([answers, sum(value.numel() for value in network.parameters()), "datadiet_cli" in sys.modules]))
"""


def test_a_pruned_network_of_your_own_opens_where_we_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_net.py").write_text(_THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    pictures, folder = samples_of("image"), tmp_path / "model"
    spec = Spec("factory", (FIELDS["image"],), CLASSES, {"factory": "their_net:net"})
    model = build(spec, [pictures], seed=1)
    stays = {0: _kept(8, 1, 6)}
    names = [name for name in model.state_dict() if name.startswith("encoder.body") and "num" not in name]
    model = resize_to(model, cut(model.state_dict(), {**dict.fromkeys(names, stays), "head.weight": {1: stays[0]}}))
    described = modelfile.save(str(folder), model, spec, examples=[pictures[:2]], onnx=True, loader=True, fresh=True)
    assert described["resized"]
    assert described["differences"].keys() == {"model.safetensors", "model.pt2", "model.onnx"}
    again, _ = modelfile.load(str(folder))
    with torch.no_grad():
        expected = model(pictures)
        assert torch.equal(again(pictures), expected)
        given = {"raw": pictures, "standardised": model.encoder.enter(pictures)}
    save_file(given, tmp_path / "given.safetensors")
    code = _ALONE.format(theirs=str(tmp_path), folder=str(folder), given=str(tmp_path / "given.safetensors"))
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=100)
    answers, parameters, ours = json.loads(done.stdout)
    assert not ours
    assert parameters == described["parameters"]
    for answer in answers:
        torch.testing.assert_close(torch.tensor(answer), expected)
    assert "pixels from 0 to 255" in (folder / "load_model.py").read_text()


def test_a_program_that_fails_in_a_process_of_its_own_is_said_in_a_line(pruned: dict[str, tuple[Path, Model]]) -> None:
    folder, model = pruned["mlp"]
    with pytest.raises(OutputError, match=r"model\.json cannot be used in a process of its own: [\w.]+: ") as error:
        reopened(model, inputs_of("mlp", 2), str(folder / "model.json"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (torch.tensor([[1.0, 2.5]]), "model.pt2 answers otherwise than the model in memory, by 0.5"),
        (torch.tensor([[1.0, torch.nan]]), "by nan"),
        (torch.tensor([1.0, 2.0]), r"model.pt2 answers in shape \(2,\), not \(1, 2\)"),
    ],
)
def test_an_answer_that_differs_is_refused(found: torch.Tensor, why: str) -> None:
    with pytest.raises(OutputError, match=why):
        difference("model.pt2", found, torch.tensor([[1.0, 2.0]]))
    assert difference("model.pt2", torch.tensor([[1.0, 2.00005]]), torch.tensor([[1.0, 2.0]])) > 0


@pytest.mark.parametrize("width", [8, 5])
def test_a_network_of_your_own_takes_weights_that_were_made_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    (tmp_path / "their_net.py").write_text(_THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    from their_net import net  # type: ignore[import-not-found]

    theirs, pictures = net(3, width).eval(), samples_of("image")
    path = tmp_path / "theirs.safetensors"
    save_file(theirs.state_dict(), path)
    spec = Spec("factory", (FIELDS["image"],), CLASSES, {"factory": "their_net:net", "raw": True})
    model = modelfile.from_weights(str(path), spec)
    with torch.no_grad():
        torch.testing.assert_close(model(pictures), theirs(pictures.float() / 255))
    if width == 8:
        return
    modelfile.save(str(tmp_path / "model"), model, spec, examples=[pictures[:2]])
    again, _ = modelfile.load(str(tmp_path / "model"))
    assert torch.equal(again(pictures), model(pictures))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"6.bias": None}, "theirs.safetensors: factory their_net:net: .* there is no tensor 6.bias for the network"),
        ({"fc.bias": torch.ones(3)}, "the network has no tensor fc.bias"),
        ({"6.bias": torch.ones(4)}, r"6 \(Linear\) cannot have bias of shape \(4,\)"),
        ({"6.bias": torch.ones(4), "6.weight": torch.ones(4, 8)}, "must end in a torch.nn.Linear of 3 outputs"),
        (None, "theirs.safetensors is damaged"),
    ],
)
def test_weights_of_another_network_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, torch.Tensor | None] | None, why: str
) -> None:
    (tmp_path / "their_net.py").write_text(_THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    from their_net import net

    path = tmp_path / "theirs.safetensors"
    state = {**net(3).state_dict(), **(change or {})}
    save_file({name: value for name, value in state.items() if value is not None}, path)
    if change is None:
        path.write_bytes(path.read_bytes()[:200])
    spec = Spec("factory", (FIELDS["image"],), CLASSES, {"factory": "their_net:net"})
    with pytest.raises((InputError, ValueError), match=why) as error:
        modelfile.from_weights(str(path), spec)
    assert "\n" not in str(error.value)
