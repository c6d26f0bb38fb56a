"""What is kept of every picture: hashes and facts in memory, a small picture on disk."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import PIL
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.cached import remembered
from datadiet_cli.encode.opening import CAUSES
from datadiet_cli.encode.pictures import SMALL, Sketch, pixel_digests, sketch_files
from datadiet_cli.encode.spool import Spool
from datadiet_cli.methods.agreement import plain, residual
from datadiet_cli.methods.hashes import HASHES, flatness, sharpness, turned_hashes
from datadiet_cli.methods.turns import TURNS
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.pool import Pool, at_once

FLAT = 4.0
"""Standard deviation, in gray levels, below which a picture has no content that a hash could tell."""
SHARP = 256
PICTURES_AT_ONCE = 32
SMALL_AT_ONCE = 256
"""Pictures that a worker is handed, and small ones where there are many."""
VERSION = 1
"""Of all that makes a row; to be raised with any change of numbers."""

_CAUSES = [None, *CAUSES]
ROW = np.dtype(
    [
        ("small", np.uint8, (SMALL, SMALL)),
        ("hashes", np.uint64, (TURNS,)),
        ("digest", np.uint8, (16,)),
        ("sides", np.int64, (2,)),
        ("sharpness", np.float64),
        ("cause", np.uint8),
        ("guarded", np.bool_),
        ("tones", np.uint8),
        ("lossy", np.bool_),
    ]
)
"""What is kept of one picture."""


@dataclass(frozen=True, eq=False)
class Looks:
    """What is known of n pictures: little enough in memory for millions of them, or on disk.

    Attributes:
        causes: (n,) object, why a picture could not be read, or None.
        hashes: (n, 8) uint64, in the eight orientations of `methods.turns`.
        digests: (n, 16) uint8, of all pixels; only where guarded, unless the method compares pixels.
        guarded: (n,) bool, flat, animated or with too little detail: only equal pixels make it a copy.
        sides: (n, 2) int64, width and height.
        tones: (n,) uint8, 2 for colours, 1 for gray levels, 0 for black and white; lossy: (n,) bool, by the format.
        sharpness: (n,) float64, if asked for.
        contents: (n, 2) uint64, digests of the files; zeros where unknown.
        small: (64, 64) gray pictures.
    """

    causes: NDArray[np.object_]
    hashes: NDArray[np.uint64]
    digests: NDArray[np.uint8]
    guarded: NDArray[np.bool_]
    sides: NDArray[np.int64]
    tones: NDArray[np.uint8]
    lossy: NDArray[np.bool_]
    sharpness: NDArray[np.float64]
    contents: NDArray[np.uint64]
    small: Spool

    def __len__(self) -> int:
        return len(self.causes)


def look(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Looks:
    """Decode every picture once, or recall what was made of its bytes before."""
    n, zeros = len(pool), context.engine.zeros
    looks = Looks(
        causes=np.full(n, None, dtype=object),
        hashes=zeros((n, TURNS), np.uint64),
        digests=zeros((n, 16), np.uint8),
        guarded=zeros((n,), np.bool_),
        sides=zeros((n, 2), np.int64),
        tones=zeros((n,), np.uint8),
        lossy=zeros((n,), np.bool_),
        sharpness=zeros((n,), np.float64),
        contents=zeros((n, 2), np.uint64),
        small=stack.enter_context(Spool((SMALL, SMALL))),
    )
    sketch, name = _sketch(settings, context.max_pixels), settings.method
    with quiet_libraries():
        found = remembered(
            pool.paths,
            f"picture/{VERSION}/pillow-{PIL.__version__}/{name}/{sketch}",
            ROW.itemsize,
            look_at_files,
            sketch,
            name,
            cache=context.cache,
            engine=context.engine,
            chunk=at_once(pool.bytes, PICTURES_AT_ONCE, SMALL_AT_ONCE),
            progress=context.progress("looking at pictures", n),
        )
        for positions, rows in found:
            _keep(looks, positions, rows.view(ROW)[:, 0])
    looks.contents[:] = found.digests
    return looks


def look_at_files(paths: Sequence[str], sketch: Sketch, name: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Sketch pictures and hash them: (k, width) rows, and (k,) bool, which of them to remember."""
    found = sketch_files(paths, sketch)
    rows = np.zeros(len(paths), dtype=ROW)
    rows["small"], rows["sides"] = found.small, found.sides
    rows["tones"], rows["lossy"] = found.tones, ~found.lossless
    rows["guarded"] = found.animated
    if name in HASHES:
        rows["hashes"] = turned_hashes(name, found.thumbnail, found.lying)
        if sketch.full_hash is not None:
            rows["hashes"][:, 0] = found.full_hash
        rows["guarded"] |= found.unhashed | (flatness(found.small) < FLAT) | plain(residual(found.small))
    if sketch.sharp:
        rows["sharpness"] = sharpness(found.sharp)
    causes = found.cause
    todo = np.flatnonzero((causes == None) & (rows["guarded"] | (name not in HASHES)))  # noqa: E711 - elementwise
    rows["digest"][todo], causes[todo] = pixel_digests([paths[i] for i in todo.tolist()], sketch)
    rows[causes != None] = np.zeros((), dtype=ROW)  # noqa: E711 - elementwise
    rows["cause"] = [_CAUSES.index(cause) for cause in causes]
    return rows.view(np.uint8).reshape(len(paths), ROW.itemsize), causes != "unreachable"


def _sketch(settings: Dedup, max_pixels: int) -> Sketch:
    method = HASHES.get(settings.method)
    full = method is not None and settings.decode == "full"
    return Sketch(
        size=method.size if method else None,
        mode=method.mode if method else "L",
        full_hash=settings.method if full else None,
        sharp=SHARP if settings.prefer == "sharpest" else 0,
        upright=settings.invariance != "none",
        max_pixels=max_pixels,
    )


def _keep(looks: Looks, positions: NDArray[np.int64], rows: NDArray[np.void]) -> None:
    looks.causes[positions] = np.array(_CAUSES, dtype=object)[rows["cause"]]
    looks.hashes[positions], looks.digests[positions] = rows["hashes"], rows["digest"]
    looks.guarded[positions], looks.sides[positions] = rows["guarded"], rows["sides"]
    looks.tones[positions], looks.lossy[positions] = rows["tones"], rows["lossy"]
    looks.sharpness[positions] = rows["sharpness"]
    looks.small.put(positions, rows["small"])
