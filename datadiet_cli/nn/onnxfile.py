"""A model as an ONNX file, for runtimes other than torch, and that runtime itself."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.errors import MissingExtraError, OutputError
from datadiet_cli.nn.exporting import difference, exported, in_a_line, on_cpu, other_sizes, quiet, two_at_least

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

_MOST_INLINE = 1_900_000_000
"""Bytes of weights in the file itself; the format ends at 2 GB, and more lie in ``FILE.data`` beside it."""


def need_onnx() -> None:
    """See whether ONNX files can be written and run.

    Raises:
        MissingExtraError: a package is not installed.
    """
    try:
        with quiet():
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"model.onnx is written and tried with onnx, onnxscript and onnxruntime, and {error.name} is not "
            "installed: pip install 'datadiet[onnx]'"
        ) from error


def write_onnx(
    model: "nn.Module", examples: "Sequence[Tensor]", path: str, *, program: "ExportedProgram | None" = None
) -> float:
    """Write a model as ONNX for batches of any size, and compare what ONNX Runtime answers with it.

    Inputs are called ``input_0`` and so on, the answer ``output``.

    Args:
        model: on any device, in any mode; it is left as it is.
        examples: raw samples, (n, ...) tensors with n >= 1, one per input, on the CPU.
        path: of the file; it is written anew.
        program: the model as `exported` gives it, if there is one already.

    Returns:
        The largest difference, at the given number of samples and others.

    Raises:
        MissingExtraError: a package is not installed.
        ValueError: torch cannot export the model.
        OutputError: the file cannot be written, or answers otherwise than the model.
    """
    import torch

    need_onnx()
    ours, given = on_cpu(model), two_at_least(examples)
    if program is None:
        program = exported(ours, given)
    _write(program, len(given), path)
    session, largest = OrtSession(path), 0.0
    with torch.inference_mode():
        for batch in other_sizes(given):
            expected = ours(*batch)
            largest = max(largest, difference(path, torch.from_numpy(session(*batch)), expected))
    return largest


def _write(program: "ExportedProgram", inputs: int, path: str) -> None:
    import torch
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    names = [f"input_{number}" for number in range(inputs)]
    with quiet(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # torch tells how far it is
        try:
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=names,
                output_names=["output"],
                dynamic_shapes=tuple({0: "n"} for _ in names),
            )
        except Exception as error:
            raise ValueError(f"the model cannot be exported by torch.onnx: {in_a_line(error)}") from error
        assert made is not None  # noqa: S101 - as the exporter by torch.export always gives one
        # torch notes for every operation which line of whose file it stems from.
        ClearMetadataAndDocStringPass()(made.model)
        weights = sum(value.numel() * value.element_size() for value in program.state_dict.values())
        try:
            made.save(path, external_data=weights > _MOST_INLINE)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None


class OrtSession:
    """An ONNX file in ONNX Runtime, on the CPU.

    Args:
        path: of the file.
        threads: that one operation may use; operations run one after the other.

    Attributes:
        runtime: its name and version.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        OutputError: it cannot open the file.
    """

    def __init__(self, path: str, threads: int = 1) -> None:
        need_onnx()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4
        self._path = path
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        try:
            self._session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise OutputError(f"{path} cannot be opened by {self.runtime}: {in_a_line(error)}") from error
        self._names = [given.name for given in self._session.get_inputs()]

    def __call__(self, *inputs: "Tensor | NDArray[Any]") -> NDArray[Any]:
        """What the model answers to (n, ...) arrays or tensors on the CPU, one per input.

        Raises:
            OutputError: it fails.
        """
        given = {name: np.asarray(value) for name, value in zip(self._names, inputs, strict=True)}
        try:
            found: NDArray[Any] = self._session.run(None, given)[0]
        except Exception as error:
            raise OutputError(f"{self._path} fails in {self.runtime}: {in_a_line(error)}") from error
        return found


def ort_session(path: str, threads: int = 1) -> OrtSession:
    """An ONNX file as something that can be called and timed; see `OrtSession`."""
    return OrtSession(path, threads)
