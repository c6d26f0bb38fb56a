"""Model files: what is written answers like the model in memory, and nothing else is loaded."""

import io
import json
import runpy
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from datadiet_cli.errors import InputError, OutputError
from datadiet_cli.nn import modelfile
from datadiet_cli.nn.models import Model, build, from_program
from datadiet_cli.nn.rehydrate import program_field
from datadiet_cli.nn.spec import Spec
from tests.nn.fields import CLASSES, FIELDS, ROWS, TAKES, samples_of, spec_of

SAVED = ("small-cnn", "mlp", "joined")
_JOINED = ("text", "numbers")


def _inputs(name: str, n: int = ROWS, seed: int = 0) -> list[torch.Tensor]:
    return [samples_of(kind, n, seed) for kind in (_JOINED if name == "joined" else TAKES[name])]


def _spec(name: str) -> Spec:
    if name == "joined":
        return Spec(name, tuple(FIELDS[kind] for kind in _JOINED), CLASSES, {"dropout": 0.2}, "label")
    return spec_of(name, () if name == "mlp" else CLASSES, dropout=0.2)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Model]]:
    """Three models, a regression among them, one step into their training, and the folders they were written to."""
    found = {}
    for name in SAVED:
        folder, given = tmp_path_factory.mktemp("models") / name, _inputs(name)
        model = build(_spec(name), given, torch.linspace(5, 9, ROWS), seed=2).train()
        model(*given).sum().backward()
        modelfile.save(str(folder), model, _spec(name), examples=given, extra={"seed": 2})
        assert model.training
        found[name] = (folder, model.eval())
    return found


@pytest.mark.parametrize("name", SAVED)
def test_files_answer_like_the_model_in_memory(saved: dict[str, tuple[Path, Model]], name: str) -> None:
    folder, model = saved[name]
    given = _inputs(name, seed=1)
    again, spec = modelfile.load(str(folder))
    assert spec == _spec(name)
    with torch.no_grad():
        expected = model(*given)
        assert torch.equal(again(*given), expected)
        # By torch alone, as somebody without this program would.
        program = torch.export.load(io.BytesIO((folder / "model.pt2").read_bytes())).module()
        torch.testing.assert_close(program(*given), expected)
        torch.testing.assert_close(program(*[part[:1] for part in given]), expected[:1])
        network = modelfile.load_program(str(folder / "model.pt2"))
        torch.testing.assert_close(network(*given), expected)
    assert {key for key, _ in network.named_parameters()} == {key for key, _ in model.named_parameters()}
    described = json.loads((folder / "model.json").read_text())
    assert described["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert described["largest_difference"] < 1e-5
    assert described["extra"] == {"seed": 2}
    assert {key: tuple(shape) for key, shape in described["shapes"].items()} == {
        key: tuple(value.shape) for key, value in load_file(folder / "model.safetensors").items()
    }


def test_no_sample_is_kept_in_a_model(tmp_path: Path) -> None:
    secret = torch.full((2, 5), 1234.5678)
    spec = Spec("linear", (FIELDS["vector"],), CLASSES)
    modelfile.save(str(tmp_path), build(spec), spec, examples=[secret])
    needle = secret[0, :2].numpy().tobytes()
    assert not any(needle in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda folder: shutil.rmtree(folder), "is not a folder that datadiet train wrote"),
        (lambda folder: (folder / "model.json").write_text("{"), "model.json is not a model's description"),
        (lambda folder: (folder / "model.json").write_text("[]"), "model.json is not a model's description"),
        (lambda folder: _change(folder, datadiet_model=99), "of version 99, not 1"),
        (lambda folder: _change(folder, model="resnet99"), "there is no model resnet99"),
        (lambda folder: _change(folder, fields=[]), "cannot be built again"),
        (lambda folder: _change(folder, options={"hidden": -1}), "cannot be built again: hidden is -1"),
        (lambda folder: _change(folder, classes=["a", "b"]), "does not belong to model.json beside it: head.bias"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors cannot be read: No such file"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"PK" * 99), "model.safetensors is damaged"),
        (lambda folder: save_file({"a": torch.ones(1)}, folder / "model.safetensors"), "does not belong to"),
    ],
)
def test_damaged_models_are_refused_in_a_line(
    saved: dict[str, tuple[Path, Model]], tmp_path: Path, damage: object, why: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved["mlp"][0], folder)
    assert callable(damage)
    damage(folder)
    with pytest.raises(InputError, match=why) as error:
        modelfile.load(str(folder))
    assert "\n" not in str(error.value)


def _change(folder: Path, **values: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "cannot be read"),
        (b"", "is not a network saved by torch"),
        (b"PK\x03\x04" + bytes(99), "is not a network"),
    ],
)
def test_what_is_no_program_is_refused(tmp_path: Path, data: bytes | None, why: str) -> None:
    path = tmp_path / "model.pt2"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=why):
        modelfile.load_program(str(path))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spec = Spec("linear", (FIELDS["vector"],), CLASSES)
    with pytest.raises(OutputError, match="the model cannot be written: Not a directory"):
        modelfile.save(str(tmp_path / "file" / "model"), build(spec), spec, examples=[samples_of("vector")])


class _Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(x if x.sum() > 0 else -x)
        return found


def test_what_cannot_be_exported_is_said_without_a_word_from_torch(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"cannot be exported by torch\.export: ") as error:
        modelfile.exported(_Branching().eval(), [torch.ones(2, 5)])
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


class _Users(nn.Module):
    """A network of somebody else, for pictures of 12 pixels from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.3))
        self.classifier = nn.Linear(6, 4)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.classifier(self.stem(pictures - 0.5).mean((2, 3)))
        return found


def test_a_program_goes_on_under_a_new_head_and_comes_back_from_its_folder(tmp_path: Path) -> None:
    users, pictures = _Users().eval(), samples_of("image")
    path = tmp_path / "users.pt2"
    program = torch.export.export(users, (torch.rand(2, 3, 12, 12),), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, path)
    network = modelfile.load_program(str(path))
    field = program_field(network)

    kept = from_program(Spec("program", (field,), tuple("wxyz")), network)
    torch.testing.assert_close(kept(pictures), users(pictures.float() / 255))

    spec = Spec("program", (field,), CLASSES)
    model = from_program(spec, network, seed=3)
    assert (model.head.in_features, model.head.out_features) == (6, 3)
    model.train()
    torch.optim.SGD(model.parameters(), 0.1).step(lambda: _backward(model(pictures)))
    model.eval()
    assert not torch.equal(model.features(pictures), kept.features(pictures))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        modelfile.save(str(tmp_path / "tuned"), model, spec, examples=[pictures[:2]], loader=True)
    again, read = modelfile.load(str(tmp_path / "tuned"))
    assert read == spec
    torch.testing.assert_close(again(pictures), model(pictures))
    assert again.state_dict().keys() == model.state_dict().keys()
    # Their own class takes the weights, too, whatever its head was.
    theirs = runpy.run_path(str(tmp_path / "tuned" / "load_model.py"))["load"](_Users)
    torch.testing.assert_close(theirs(pictures.float() / 255), model(pictures))
    assert again.encoder.place == model.encoder.place == "classifier"
    again.train()
    assert any(isinstance(part, nn.Dropout) and part.training for part in again.encoder.modules())


def _backward(out: torch.Tensor) -> float:
    loss = out.square().mean()
    loss.backward()
    return float(loss.detach())


def test_a_program_that_ends_otherwise_is_refused() -> None:
    spec = Spec("program", (FIELDS["vector"],), CLASSES)
    for network, why in ((nn.Sequential(nn.Linear(5, 3), nn.Sigmoid()), "without a softmax"), (nn.ReLU(), "no linear")):
        with pytest.raises(ValueError, match=why):
            from_program(spec, network)
    with pytest.raises(ValueError, match="built from that file"):
        build(spec)


def test_a_network_of_your_own_is_called_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from torch import nn\ndef net(classes, h):\n    return nn.Sequential(nn.Linear(5, h), nn.Linear(h, classes))\n"
    )
    (tmp_path / "their_module.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    options = {"factory": "their_module:net", "arguments": {"h": 4}}
    spec = Spec("factory", (FIELDS["vector"],), CLASSES, options)
    model = build(spec, inputs := [samples_of("vector")], seed=9)
    modelfile.save(str(tmp_path / "model"), model, spec, examples=inputs)
    again, _ = modelfile.load(str(tmp_path / "model"))
    assert torch.equal(again(*inputs), model(*inputs))
