"""An encoder of the user's own, from a file written by `torch.export.save`."""

import hashlib
import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.device import device_of, in_batches
from datadiet_cli.nn.scan import checked

if TYPE_CHECKING:
    import torch

_MOST_DIMENSIONS = 32768


class Exported:
    """A network that takes pictures, (n, 3, height, width) float32 from 0 to 1, and gives (n, d) numbers.

    Height and width are those it was exported with, and the number of pictures may be fixed or free. The network is
    exported in evaluation mode, and does for itself whatever else its input needs, such as taking off a mean:

        torch.export.save(torch.export.export(network.eval(), (torch.rand(2, 3, 96, 96),)), "encoder.pt2")

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        path: of the file.
        digest: what its bytes must have; empty to take any.

    Raises:
        InputError: the file may not be loaded, or was changed meanwhile.
        ConfigError: the network is of another kind.
    """

    similarity = 0.97

    def __init__(self, device: str, path: str, digest: str = "") -> None:
        data = checked(path)
        found = digest_of(data)
        if digest and found != digest:
            raise InputError(f"{path} was changed while it was used")
        import torch

        self._device = device_of(device)
        self.namespace = f"exported/{found}/torch-{torch.__version__}/{self._device.type}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own code
            try:
                program = torch.export.load(io.BytesIO(data))
                self._module = program.module().to(self._device)
            except Exception as error:
                raise InputError(f"{path} cannot be loaded by torch {torch.__version__}") from error
            self.size, self._batch = _input_of(program, path)
            self.dimensions = self._try(path)

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode (k, height, width, 3) pictures as (k, d) vectors."""
        return in_batches(self._forward, (pictures,), self._batch, self._device)

    def _forward(self, pictures: "torch.Tensor") -> "torch.Tensor":
        out: torch.Tensor = self._module((pictures.permute(0, 3, 1, 2).float() / 255.0).contiguous())
        return out

    def _try(self, path: str) -> int:
        width, height = self.size
        try:
            out = self(np.zeros((1, height, width, 3), dtype=np.uint8))
        except Exception as error:
            raise ConfigError(f"--encoder {path}: the network fails on a picture of {width} x {height}") from error
        if out.ndim != 2 or not 0 < out.shape[1] <= _MOST_DIMENSIONS:
            raise ConfigError(
                f"--encoder {path}: the network gives {' x '.join(map(str, out.shape[1:]))} numbers for a picture; "
                f"it must give a single row of at most {_MOST_DIMENSIONS:,}"
            )
        return int(out.shape[1])


def digest_of(data: bytes) -> str:
    """A name for bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _input_of(program: Any, path: str) -> tuple[tuple[int, int], int]:
    """The (width, height) of the pictures that a program takes, and how many at a time."""
    inputs = [
        node.meta["val"]
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in program.graph_signature.user_inputs
    ]
    shape = tuple(inputs[0].shape) if len(inputs) == 1 and hasattr(inputs[0], "shape") else ()
    if len(shape) != 4 or shape[1] != 3 or not all(isinstance(side, int) for side in shape[1:]):
        told = " and ".join(str(tuple(getattr(value, "shape", ()))) for value in inputs)
        raise ConfigError(
            f"--encoder {path}: the network takes {told or 'nothing'}; it must take pictures, (n, 3, height, width) "
            "with height and width fixed"
        )
    if isinstance(shape[0], int):
        return (shape[3], shape[2]), shape[0]
    limits = program.range_constraints.get(shape[0].node.expr)
    most = int(limits.upper) if limits is not None and limits.upper < 1 << 20 else 32
    least = int(limits.lower) if limits is not None and limits.lower > 0 else 1
    return (shape[3], shape[2]), max(min(32, most), least)
