"""ONNX files: what ONNX Runtime answers is what the model answers, for any number of samples."""

import builtins
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from datadiet_cli.errors import MissingExtraError, OutputError
from datadiet_cli.nn.models import build
from datadiet_cli.nn.onnxfile import ort_session, write_onnx
from tests.nn.fields import inputs_of, spec_of


@pytest.mark.parametrize("name", ["small-cnn", "mlp"])
def test_onnx_runtime_answers_like_the_model(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, model = tmp_path / "model.onnx", build(spec_of(name), inputs_of(name)).train()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        largest = write_onnx(model, inputs_of(name, 3), str(path))
    assert capfd.readouterr() == ("", "")
    assert model.training
    assert largest < 1e-4
    given, session = inputs_of(name, 7, seed=4), ort_session(str(path), threads=2)
    expected = model.eval()(*given).detach()
    torch.testing.assert_close(torch.from_numpy(session(*given)), expected, rtol=1e-4, atol=1e-4)
    assert np.array_equal(session(*[part.numpy() for part in given]), session(*given))
    assert session.runtime.startswith("onnxruntime ")

    written = onnx.load(str(path))
    onnx.checker.check_model(written, full_check=True)
    assert [part.name for part in written.graph.input] == [f"input_{i}" for i in range(len(given))]
    assert written.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    used = {name for node in written.graph.node for name in node.input}
    assert {part.name for part in written.graph.initializer} <= used
    assert __file__.rpartition("tests")[0].encode() not in path.read_bytes()  # no line of anybody's file


class _Unknown(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.eigvals(x.unsqueeze(2) * x.unsqueeze(1)).abs()


def test_what_onnx_has_no_operation_for_is_said_in_a_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"cannot be exported by torch\.onnx: ") as error:
        write_onnx(_Unknown(), [torch.rand(2, 3)], str(tmp_path / "model.onnx"))
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_cannot_be_written_or_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        write_onnx(nn.Linear(3, 2), [torch.rand(2, 3)], str(tmp_path / "none" / "model.onnx"))
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(OutputError, match="cannot be opened by onnxruntime"):
        ort_session(str(tmp_path / "model.onnx"))


def test_an_extra_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: object, **named: object) -> object:
        if name == "onnxscript":
            raise ModuleNotFoundError("No module named 'onnxscript'", name="onnxscript")
        return real(name, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"onnxscript is not installed: pip install 'datadiet\[onnx\]'"):
        write_onnx(nn.Linear(3, 2), [torch.rand(2, 3)], str(tmp_path / "model.onnx"))
