"""A program that was written, opened again where nothing of ours is loaded: in a process of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from datadiet_cli.errors import OutputError
from datadiet_cli.nn.exporting import difference, other_sizes

if TYPE_CHECKING:
    from torch import Tensor, nn

_SECONDS = 600
_ASKED = """

if __name__ == "__main__":
    import sys

    from safetensors.torch import load_file, save_file

    given, found = load_file("given.safetensors"), {}
    names = sorted(given, key=lambda name: [int(part) for part in name.split(".")])
    batches = {name.split(".")[0]: [] for name in names}
    for name in names:
        batches[name.split(".")[0]].append(given[name])
    with torch.inference_mode():
        program = load_program(sys.argv[1])
        for number, batch in batches.items():
            found[f"program.{number}"] = program(*batch).contiguous()
    if len(sys.argv) > 2:
        import onnxruntime

        session = onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])
        for number, batch in batches.items():
            arrays = {to.name: part.numpy() for to, part in zip(session.get_inputs(), batch)}
            found[f"onnx.{number}"] = torch.from_numpy(session.run(None, arrays)[0])
    assert not any(name.partition(".")[0] == "datadiet_cli" for name in sys.modules)
    save_file(found, "found.safetensors")
"""
"""Goes on where the text of `standalone` ends."""


def reopened(
    model: "nn.Module", examples: "Sequence[Tensor]", program: str, onnx: str | None = None
) -> dict[str, float]:
    """Ask files in a fresh process what they answer, by the code that is written beside them, and without ours.

    Args:
        model: what they were written from, on the CPU and in evaluation mode.
        examples: raw samples, one tensor per field, on the CPU; other numbers of them are tried, too.
        program: path of a .pt2 file.
        onnx: path of an ONNX file.

    Returns:
        By path: the largest difference.

    Raises:
        OutputError: a file cannot be opened, fails, or answers otherwise than the model.
    """
    import inspect

    import torch
    from safetensors.torch import load_file, save_file

    from datadiet_cli.nn import standalone

    batches = other_sizes(examples)
    paths = {"program": program, **({} if onnx is None else {"onnx": onnx})}
    with tempfile.TemporaryDirectory(prefix="datadiet-") as folder:
        given = {f"{i}.{j}": part.contiguous() for i, batch in enumerate(batches) for j, part in enumerate(batch)}
        save_file({name: part.clone() for name, part in given.items()}, os.path.join(folder, "given.safetensors"))
        with open(os.path.join(folder, "ask.py"), "w", encoding="utf-8") as file:
            file.write(inspect.getsource(standalone) + _ASKED)
        _run([os.path.join(folder, "ask.py"), *map(os.path.abspath, paths.values())], folder, program)
        found = load_file(os.path.join(folder, "found.safetensors"))
    largest: dict[str, float] = {}
    with torch.inference_mode():
        for number, batch in enumerate(batches):
            expected = model(*batch)
            for kind, path in paths.items():
                apart = difference(path, found[f"{kind}.{number}"], expected)
                largest[path] = max(largest.get(path, 0.0), apart)
    return largest


def _run(arguments: Sequence[str], folder: str, path: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - python itself, with code of ours
            [sys.executable, "-W", "ignore", *arguments],
            cwd=folder, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise OutputError(f"{path} does not answer within {_SECONDS} seconds in a process of its own") from None
    if done.returncode:
        told = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]
        raise OutputError(f"{path} cannot be used in a process of its own: {told}")
