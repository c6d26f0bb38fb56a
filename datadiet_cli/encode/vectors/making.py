"""Vectors of files: each file is opened once, and none whose content is remembered."""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.cache import Cache, NoCache
from datadiet_cli.encode.cached import Made, remembered
from datadiet_cli.encode.elsewhere import told
from datadiet_cli.encode.vectors import EXPORTED, NETWORKS, load
from datadiet_cli.encode.vectors.grid import on_grid
from datadiet_cli.engine import Engine
from datadiet_cli.errors import MissingExtraError

Kernel = Callable[..., Made]
_HERE = secrets.token_hex(8)
"""Names this process."""
UNREACHABLE = "unreachable"
"""The one cause that the content has no part in."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors of n samples.

    Attributes:
        grid: (n, d) int16, as `grid.on_grid` gives them; zeros for a sample that has none.
        causes: (n,) object, why a sample could not be read, or None.
        plain: (n,) uint64, not 0 for a sample with too little content to have a vector: equal for those that are the
            same all over.
        similarity: the cosine from which on two samples count as copies, unless the user says otherwise.
    """

    grid: NDArray[np.int16]
    causes: NDArray[np.object_]
    plain: NDArray[np.uint64]
    similarity: float


class About(NamedTuple):
    """What those who do not compute with an encoder have to know of it; see `encode.vectors`."""

    dimensions: int
    similarity: float
    namespace: str


@dataclass(frozen=True)
class Choice:
    """An encoder by name, to be made where it is used.

    Attributes:
        kind: of the data.
        name: of the encoder, or the path of a .pt2 file.
        device: ``auto``, ``cpu`` or ``cuda``.
        digest: of the file's bytes, for a .pt2 file.
        step: who wants it, for messages.
        data: (m,) uint8, these bytes: another machine need not have the file. None to read it.
        home: the process that this was made in.
    """

    kind: str
    name: str
    device: str
    digest: str = ""
    step: str = field(default="dedup", compare=False)
    data: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)
    home: str = field(default=_HERE, compare=False, repr=False)

    @property
    def on_device(self) -> bool:
        """Whether it computes on a GPU where there is one."""
        return self.name in NETWORKS or self.name.endswith(EXPORTED)

    def make(self) -> Any:
        """The encoder; once in a process.

        Raises:
            MissingExtraError: it is not installed.
        """
        if self.home != _HERE and self.on_device:
            from datadiet_cli.nn.device import work_for_others

            work_for_others()
        try:
            with _MAKING:
                return _made(self)
        except MissingExtraError as error:
            raise MissingExtraError(f"{self.step}: {error}") from error

    def about(self, engine: Engine) -> About:
        """What there is to know of the encoder, as it is where it computes: vectors of a GPU have names of their own.

        Args:
            engine: will compute with it.

        Raises:
            MissingExtraError: it is not installed.
        """
        if self.on_device:
            return told(_about, self, self.device, engine)
        return _about([self])


def _about(choices: Sequence[Choice]) -> About:
    encoder = choices[0].make()
    return About(encoder.dimensions, encoder.similarity, encoder.namespace)


_MAKING = threading.Lock()


@lru_cache(maxsize=2)
def _made(choice: Choice) -> Any:
    if choice.name.endswith(EXPORTED):
        from datadiet_cli.encode.vectors.exported import Exported

        return Exported(choice.device, choice.name, choice.digest, choice.data)
    return load(choice.kind, choice.name)(choice.device)


def row_type(dimensions: int) -> np.dtype[np.void]:
    """What is remembered of a file: the number of its cause (0 for none), its plain key, its vector."""
    return np.dtype([("cause", "u1"), ("plain", "<u8"), ("vector", "<i2", (dimensions,))])


def as_rows(
    vectors: NDArray[np.floating], causes: Sequence[str | None], plain: NDArray[np.uint64], codes: Sequence[str]
) -> Made:
    """Pack what a kernel made of k files. A cause that may go away with the content unchanged is not remembered.

    Args:
        vectors: (k, d) of any length.
        causes: k codes, or None.
        plain: (k,) uint64; a vector beside a plain key is left out.
        codes: all causes there may be.
    """
    rows = np.zeros(len(vectors), dtype=row_type(vectors.shape[1]))
    rows["cause"] = [0 if cause is None else codes.index(cause) + 1 for cause in causes]
    good = rows["cause"] == 0
    rows["plain"][good] = plain[good]
    usable = good & (plain == 0)
    rows["vector"][usable] = on_grid(vectors[usable])
    lasting = np.array([cause != UNREACHABLE for cause in causes], dtype=bool)
    return rows.view(np.uint8).reshape(len(rows), -1), lasting


def vectors_of(
    paths: Sequence[str],
    choice: Choice,
    kernel: Kernel,
    *args: Any,
    namespace: str,
    codes: Sequence[str],
    chunk: int,
    cache: Cache | NoCache,
    engine: Engine,
    progress: Callable[[int], None],
) -> Vectors:
    """Vectors of files.

    Args:
        paths: the files.
        choice: the encoder.
        kernel: ``kernel(paths, choice, *args)`` gives what `as_rows` does.
        args: passed on to the kernel.
        namespace: of what is remembered, beside the encoder's.
        codes: all causes there may be.
        chunk: files a call of the kernel.
        cache: where vectors are remembered.
        engine: runs the kernel.
        progress: told of files done.
    """
    n, encoder = len(paths), choice.about(engine)
    kind = row_type(encoder.dimensions)
    vectors = Vectors(
        engine.zeros((n, encoder.dimensions), np.int16),
        np.full(n, None, dtype=object),
        np.zeros(n, dtype=np.uint64),
        encoder.similarity,
    )
    names = np.array([None, *codes], dtype=object)
    where = f"vectors/{namespace}/{encoder.namespace}"
    for positions, rows in remembered(
        paths,
        where,
        kind.itemsize,
        kernel,
        choice,
        *args,
        cache=cache,
        engine=engine,
        chunk=chunk,
        progress=progress,
        on_device=choice.on_device,
    ):
        made = np.ascontiguousarray(rows).view(kind).ravel()
        vectors.grid[positions], vectors.plain[positions] = made["vector"], made["plain"]
        vectors.causes[positions] = names[made["cause"]]
    return vectors
