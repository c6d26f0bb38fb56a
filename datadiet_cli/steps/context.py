"""What every step may use besides its dataset and settings."""

from collections.abc import Callable
from dataclasses import dataclass, field

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.encode.cache import Cache, NoCache
from datadiet_cli.engine import Engine
from datadiet_cli.outcome import Outcome


def _silent(_label: str, _total: int) -> Callable[[int], None]:
    return lambda _done: None


def _no_folder() -> str:
    raise RuntimeError("a step wants a folder outside of a run")


@dataclass(frozen=True)
class Context:
    """The run around a step.

    Attributes:
        engine: maps functions over samples.
        seed: for whatever is drawn at random.
        device: ``auto``, ``cpu`` or ``cuda``.
        max_pixels: larger pictures are taken for decompression bombs.
        progress: announces work (a label and its total); the function it gives is told of items done.
        cache: what was made of contents before.
        reading: how tables and folders are read, INPUT and others alike.
        replay: an earlier outcome, with the comparisons to decide by, instead of looking at the samples.
        new_folder: makes a folder to put something in, which is gone when the run ends.
        checkpoints: folder where a training keeps what it needs to go on after it was interrupted; None for nowhere.
        rerun: whether everything is to be computed again, and no checkpoint taken up.
        opened: the dataset as the run began.
        models: the models that earlier steps of the run made, in order: name of the step, and the folder.
    """

    engine: Engine = field(default_factory=lambda: Engine("serial"))
    seed: int = 0
    device: str = "auto"
    max_pixels: int = 89_478_485
    progress: Callable[[str, int], Callable[[int], None]] = _silent
    cache: Cache | NoCache = field(default_factory=NoCache)
    reading: Reading = field(default_factory=Reading)
    replay: Outcome | None = None
    new_folder: Callable[[], str] = _no_folder
    checkpoints: str | None = None
    rerun: bool = False
    opened: Dataset | None = None
    models: tuple[tuple[str, str], ...] = ()
