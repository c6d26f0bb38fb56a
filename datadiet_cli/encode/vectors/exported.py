"""An encoder of the user's own, from a file written by `torch.export.save`."""

import hashlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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
        given: (m,) uint8, what `scan.checked` gave for the file; None to read it.

    Raises:
        InputError: the file may not be loaded, or was changed meanwhile.
        ConfigError: the network is of another kind.
    """

    similarity = 0.97

    def __init__(self, device: str, path: str, digest: str = "", given: NDArray[np.uint8] | None = None) -> None:
        data = checked(path) if given is None else given.tobytes()
        found = digest_of(data)
        if digest and found != digest:
            raise InputError(f"{path} was changed while it was used")
        import torch

        self._device = device_of(device)
        self.namespace = f"exported/{found}/torch-{torch.__version__}/{self._device.type}"
        with _quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own code
            try:
                program = torch.export.load(io.BytesIO(data))
                self._module = program.module().to(self._device)
            except Exception as error:
                raise InputError(f"{path} cannot be loaded by torch {torch.__version__}") from error
            self.size, self._batch = _input_of(program, path)
            self._path = path
            self.dimensions = self._try()

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode (k, height, width, 3) pictures as (k, d) vectors."""
        return in_batches(self._forward, (pictures,), self._batch, self._device)

    def _forward(self, pictures: "torch.Tensor") -> "torch.Tensor":
        out = self._module((pictures.permute(0, 3, 1, 2).float() / 255.0).contiguous())
        if not hasattr(out, "is_complex"):
            raise self._refused(f"gives a {type(out).__name__}; it must give one tensor")
        if out.is_complex():
            raise self._refused("gives complex numbers")
        if out.ndim < 1 or len(out) != len(pictures):
            raise self._refused(f"gives {len(out) if out.ndim else 1} rows for {len(pictures)} pictures")
        found: torch.Tensor = out
        return found

    def _refused(self, why: str) -> ConfigError:
        return ConfigError(f"--encoder {self._path}: the network {why}")

    def _try(self) -> int:
        """Look at what it makes of a few pictures; their number of dimensions."""
        width, height = self.size
        noise = np.random.default_rng(0).integers(0, 256, (self._batch, height, width, 3), dtype=np.uint8)
        try:
            out, again, turned = self(noise), self(noise), self(noise[::-1])[::-1]
        except ConfigError:
            raise
        except Exception as error:
            raise self._refused(f"fails on a picture of {width} x {height}") from error
        if out.ndim != 2 or not 0 < out.shape[1] <= _MOST_DIMENSIONS:
            raise self._refused(
                f"gives {' x '.join(map(str, out.shape[1:]))} numbers for a picture; "
                f"it must give a single row of at most {_MOST_DIMENSIONS:,}"
            )
        if not np.isfinite(out).all():
            raise self._refused("gives what are no finite numbers")
        room = 1e-3 * float(np.abs(out).max())
        if not np.allclose(out, again, rtol=0, atol=room):
            raise self._refused("gives other numbers each time; export it in evaluation mode, network.eval()")
        if not np.allclose(out, turned, rtol=0, atol=room):
            raise self._refused(
                "gives a picture other numbers beside other pictures; export it in evaluation mode, network.eval()"
            )
        return int(out.shape[1])


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch logs of a file it cannot load: it is told in a line of ours."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


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
    if shape and (of := str(inputs[0].dtype).removeprefix("torch.")) != "float32":
        raise ConfigError(f"--encoder {path}: the network takes {of} numbers; it must take float32")
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
