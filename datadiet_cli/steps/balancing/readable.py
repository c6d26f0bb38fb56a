"""Whether files can be read in full: nothing is made of one that cannot."""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.errors import MissingExtraError
from datadiet_cli.steps.balancing.base import Ints, Task

_AT_ONCE = 16


def causes_at(task: Task, positions: Ints) -> NDArray[np.object_]:
    """(k,) why the samples at some positions cannot be read, or None; rows and files of unknown kinds always can."""
    causes = np.full(len(positions), None, dtype=object)
    source, context = task.dataset.source, task.context
    if not isinstance(source, FolderSource) or source.kind == "file" or not _decodes(source.kind):
        return causes
    paths = source.paths(task.dataset.rows[positions])
    encoding = context.reading.table.encoding
    tell = context.progress("reading", len(paths))
    with quiet_libraries():
        for part, found in context.engine.map(
            _causes, paths, source.kind, context.max_pixels, encoding, chunk=_AT_ONCE, progress=tell
        ):
            causes[part] = found
    return causes


def _decodes(kind: str) -> bool:
    """Without its extra, sounds are copied unheard."""
    if kind != "audio":
        return True
    from datadiet_cli.encode.sounds import require_soundfile

    try:
        require_soundfile("repeat")
    except MissingExtraError:
        return False
    return True


def _causes(paths: Sequence[str], kind: str, max_pixels: int, encoding: str | None) -> NDArray[np.object_]:
    if kind == "audio":
        from datadiet_cli.encode.sounds import digest_sounds

        return digest_sounds(paths)[0].cause
    if kind == "text":
        from datadiet_cli.encode.texts import digest_texts

        return digest_texts(paths, encoding)[2]
    causes = np.full(len(paths), None, dtype=object)
    causes[:] = [_cause_of_picture(path, max_pixels) for path in paths]
    return causes


def _cause_of_picture(path: str, max_pixels: int) -> str | None:
    from datadiet_cli.encode.opening import EmptyError, cause_of, open_picture

    try:
        if os.stat(path).st_size == 0:
            raise EmptyError
        with open_picture(path, max_pixels) as picture:
            picture.load()
    except Exception as error:  # Pillow's decoders raise anything on damaged bytes
        return cause_of(error)
    return None
