"""What an engine may use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What an engine may use besides the cores of this machine.

    Attributes:
        scheduler: address or file of a Dask scheduler; None for a cluster of its own on this machine.
        shared_dir: folder that this machine and all workers see; None for the one of temporary files.
        memory: bytes that a single thing held in memory should leave room in; None for no limit.
        device: ``auto``, ``cpu`` or ``cuda``, for which workers are asked.
        inputs: some files of INPUT that kernels open: workers that do not see them are refused.
    """

    scheduler: str | None = None
    shared_dir: str | None = None
    memory: int | None = None
    device: str = "cpu"
    inputs: tuple[str, ...] = ()
