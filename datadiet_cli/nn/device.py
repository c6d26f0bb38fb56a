"""Where a network runs, and how samples are sent through it so that none depends on its neighbours."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.errors import ConfigError, DatadietError

if TYPE_CHECKING:
    import torch

_TURN = threading.Lock()
"""One batch at a time: a network uses all cores by itself, and so does a GPU."""
_FOR_OTHERS = threading.Event()
"""Set in a process that works for another one."""
_MOST_WHOLE = 4 << 30
"""Bytes of samples that are kept on a GPU as a whole, if no more than a quarter of what is free there."""


def device_of(name: str) -> "torch.device":
    """The device of this name.

    Args:
        name: ``auto`` (CUDA if there is any), ``cpu`` or ``cuda``.

    Raises:
        ConfigError: there is no CUDA device.
    """
    import torch

    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ConfigError("--device cuda: there is no CUDA device here; use auto or cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def work_for_others() -> None:
    """Say that this process is one of many that work for another: as many as there are cores, or threads of them."""
    _FOR_OTHERS.set()


def in_batches(
    forward: "Callable[..., torch.Tensor]", arrays: tuple[NDArray[np.generic], ...], batch: int, device: "torch.device"
) -> NDArray[np.float32]:
    """Send samples through a network, always so many at a time.

    The last batch is filled up with zeros. So a sample is computed in the same way whoever else there is: libraries
    choose their ways by the shape of a batch. On the same device it gets the same numbers each time; on another one
    they differ in the last digits.

    Args:
        forward: takes a batch of each array as tensors on the device; gives (batch, d) numbers.
        arrays: each (n, ...), of the same n, at least 1.
        batch: samples at a time.
        device: where to.

    Returns:
        (n, d) float32.
    """
    import torch

    n = len(arrays[0])
    found: list[NDArray[np.float32]] = []
    with _turn(device), torch.inference_mode():
        for start in range(0, n, batch):
            parts = [torch.from_numpy(_filled(array[start : start + batch], batch)).to(device) for array in arrays]
            out = forward(*parts)
            found.append(out[: min(batch, n - start)].to("cpu", torch.float32).numpy())
    return np.concatenate(found)


@contextlib.contextmanager
def _turn(device: "torch.device") -> Iterator[None]:
    """A network alone on its device; or, in a process that works for others, one thread for each that runs."""
    import torch

    for_others = _FOR_OTHERS.is_set() or multiprocessing.parent_process() is not None
    if for_others:
        torch.set_num_threads(1)  # each thread has a number of its own
    if for_others and device.type == "cpu":
        yield
        return
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with _TURN, flags:
        yield


def _filled(part: NDArray[np.generic], batch: int) -> NDArray[np.generic]:
    whole = np.zeros((batch, *part.shape[1:]), dtype=part.dtype)
    whole[: len(part)] = part
    return whole


def to_device(tensors: "Sequence[torch.Tensor]", device: "torch.device") -> "tuple[torch.Tensor, ...]":
    """Bring tensors to a device; every transfer of a training goes through here.

    Those on the device already are given back as they are. To CUDA they go from pinned memory, and the CPU does not
    wait for their arrival; CUDA keeps the order.
    """
    if device.type == "cuda":
        return tuple(
            (tensor.pin_memory() if tensor.device.type == "cpu" else tensor).to(device, non_blocking=True)
            for tensor in tensors
        )
    return tuple(tensor.to(device) for tensor in tensors)


def fits_whole(size: int, device: "torch.device") -> bool:
    """Whether so many bytes of samples may be kept on a device as a whole; on the CPU they are there already."""
    import torch

    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return size <= min(_MOST_WHOLE, free // 4)


class _Shared:
    """A setting of the whole process: made by the first who wants it, taken back by the last."""

    def __init__(self, what: str, make: "Callable[[int], contextlib.ExitStack]") -> None:
        self._what, self._make = what, make
        self._lock = threading.Lock()
        self._users = 0
        self._value = 0
        self._made = contextlib.ExitStack()

    @contextlib.contextmanager
    def held(self, value: int) -> Iterator[None]:
        with self._lock:
            if self._users and self._value != value:
                raise ValueError(f"{self._what} is {self._value} for a training that is running, and cannot be {value}")
            if not self._users:
                self._made, self._value = self._make(value), value
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._made.close()


def _set_threads(count: int) -> contextlib.ExitStack:
    import torch

    stack = contextlib.ExitStack()
    stack.callback(torch.set_num_threads, torch.get_num_threads())
    torch.set_num_threads(count)
    return stack


def _set_deterministic(_: int) -> contextlib.ExitStack:
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    stack = contextlib.ExitStack()
    before = torch.are_deterministic_algorithms_enabled()
    lax = torch.is_deterministic_algorithms_warn_only_enabled()
    stack.callback(torch.use_deterministic_algorithms, before, warn_only=lax)
    torch.use_deterministic_algorithms(True)
    stack.callback(setattr, torch.backends.cuda.matmul, "allow_tf32", torch.backends.cuda.matmul.allow_tf32)
    torch.backends.cuda.matmul.allow_tf32 = False
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    stack.enter_context(flags)
    return stack


_THREADS = _Shared("the number of threads", _set_threads)
_DETERMINISTIC = _Shared("determinism", _set_deterministic)


@contextlib.contextmanager
def computing(device: "torch.device", threads: int) -> Iterator[None]:
    """Set torch up for a training that gives the same numbers each time; all is as before afterwards.

    The number of threads is one for the whole process. So trainings may run side by side in threads if all ask for the
    same; the last one to end puts back what was before the first. OpenMP keeps a number for each thread besides, which
    stays in a thread whose training ends while others go on.

    On CUDA, only deterministic algorithms are used, an operation that has none is refused, and float32 is not rounded
    to TF32. cuBLAS needs ``CUBLAS_WORKSPACE_CONFIG`` for that, which is set to ``:4096:8`` unless it is there; it is
    read at the first use of CUDA, so whoever uses CUDA before must set it.

    Args:
        device: where the training runs.
        threads: of the CPU, at least 1.

    Raises:
        ValueError: another training is running with another number of threads.
        DatadietError: on CUDA, the network has an operation without a deterministic algorithm.
    """
    import torch

    with contextlib.ExitStack() as stack:
        stack.enter_context(_THREADS.held(threads))
        torch.set_num_threads(threads)  # OpenMP keeps a number for each thread besides
        stack.enter_context(deterministic(device))
        yield


@contextlib.contextmanager
def deterministic(device: "torch.device") -> Iterator[None]:
    """The part of `computing` that is about CUDA, for whoever only predicts; on a CPU there is nothing to set.

    Raises:
        DatadietError: the network has an operation without a deterministic algorithm.
    """
    if device.type != "cuda":
        yield
        return
    with _DETERMINISTIC.held(1):
        try:
            yield
        except RuntimeError as error:
            operation, refused, _ = str(error).partition(" does not have a deterministic implementation")
            if not refused:
                raise
            raise DatadietError(
                f"torch has no deterministic algorithm for {operation}, so two runs on CUDA would differ; "
                "take --device cpu"
            ) from None


@contextlib.contextmanager
def memory_in_words(words: str) -> Iterator[None]:
    """Say in words that memory ran out.

    Raises:
        DatadietError: it did.
    """
    import torch

    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise DatadietError(words) from None
    except RuntimeError as error:
        # The allocator of the CPU has no class of its own.
        if "can't allocate memory" not in str(error):
            raise
        raise DatadietError(words) from None
