"""Remember what a step decided, so that the same step on the same input is not computed again.

One file a step, in the user's cache folder, named by a digest of everything the decision depends on. A file that cannot
be read is as good as none: the step is computed.
"""

import contextlib
import json
import os
import zipfile
import zlib
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
import xxhash

from datadiet_cli.changesfile import told, understood
from datadiet_cli.columns import ColumnVerdict, Transform
from datadiet_cli.data.publish import write_atomically
from datadiet_cli.encode.cache import cache_folder
from datadiet_cli.outcome import Action, Brake, Comparisons, Outcome, Verdicts

KEEP_FILES = 200
KEEP_BYTES = 512 << 20
_NUMBERS = ("sample", "score", "threshold", "witness")
_WORDS = ("action", "reason", "detail", "evidence")


def key_of(*parts: Any) -> str:
    """Digest JSON values; 32 hexadecimal digits."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return xxhash.xxh3_128_hexdigest(text.encode())


class Memory:
    """Outcomes of earlier runs.

    Args:
        env: environment variables; ``DATADIET_CACHE_DIR`` names another folder than the user's cache folder.
        enabled: whether to remember at all.
    """

    def __init__(self, env: "os._Environ[str] | dict[str, str]", *, enabled: bool = True) -> None:
        self._folder = os.path.join(cache_folder(env), "steps")
        self._enabled = enabled

    def recall(self, key: str) -> Outcome | None:
        """The outcome stored under a key, or None."""
        path = self._path(key)
        if not self._enabled:
            return None
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
                outcome = _unpack(stored)
            os.utime(path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
            return None
        return outcome

    def store(self, key: str, outcome: Outcome) -> None:
        """Store an outcome, unless it made folders; a cache folder that cannot be written is done without."""
        if not self._enabled or outcome.folders:
            return
        buffer = BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **_pack(outcome))
        with contextlib.suppress(OSError):
            os.makedirs(self._folder, exist_ok=True)
            write_atomically(self._path(key), buffer.getvalue())
            self._prune()

    def _path(self, key: str) -> str:
        return os.path.join(self._folder, f"{key}.npz")

    def _prune(self) -> None:
        """Drop the files not used for longest, beyond a number and a size."""
        with os.scandir(self._folder) as items:
            files = sorted(
                ((i.stat().st_mtime_ns, i.stat().st_size, i.path) for i in items if i.name.endswith(".npz")),
                reverse=True,
            )
        total = 0
        for number, (_, size, path) in enumerate(files):
            total += size
            if number >= KEEP_FILES or total > KEEP_BYTES:
                os.unlink(path)


def _pack(outcome: Outcome) -> dict[str, Any]:
    verdicts = outcome.verdicts
    arrays: dict[str, Any] = {name: getattr(verdicts, name) for name in _NUMBERS}
    for name in _WORDS:
        values, codes = np.unique([json.dumps(word) for word in getattr(verdicts, name)], return_inverse=True)
        arrays[name] = codes
        arrays[f"{name}_values"] = values.astype(str)
    arrays["metrics"] = np.array(json.dumps([dict(outcome.metrics), list(outcome.foreign)]))
    # Millions of cells: fast compression, once; the archive's own then has nothing left to do.
    changes = zlib.compress(
        json.dumps([told(outcome.changes), [asdict(brake) for brake in outcome.brakes]]).encode(), 1
    )
    arrays["changes"] = np.frombuffer(changes, dtype=np.uint8)
    further = [dict(outcome.figures), dict(outcome.timings), [asdict(column) for column in outcome.columns]]
    arrays["told"] = np.frombuffer(zlib.compress(json.dumps(further).encode(), 1), dtype=np.uint8)
    if outcome.transform is not None:
        arrays["transform"] = np.array(json.dumps(outcome.transform.document))
        arrays |= {f"transform_{name}": values for name, values in outcome.transform.arrays.items()}
    arrays["artefacts"] = np.array(list(outcome.artefacts), dtype=str)
    arrays |= {f"artefact_{i}": np.frombuffer(v, np.uint8) for i, v in enumerate(outcome.artefacts.values())}
    if outcome.comparisons is not None:
        arrays |= {f"compared_{name}": value for name, value in vars(outcome.comparisons).items()}
    return arrays


def _unpack(stored: Any) -> Outcome:
    columns: dict[str, Any] = {name: stored[name] for name in _NUMBERS}
    for name in _WORDS:
        values = np.array([json.loads(str(word)) for word in stored[f"{name}_values"]] or [None], dtype=object)
        columns[name] = values[stored[name].astype(np.int64)]
    columns["action"] = np.array([Action(word) for word in columns["action"]], dtype=object)
    metrics, foreign = json.loads(str(stored["metrics"]))
    changes, brakes = json.loads(zlib.decompress(stored["changes"].tobytes()))
    figures, timings, columns_told = json.loads(zlib.decompress(stored["told"].tobytes()))
    return Outcome(
        Verdicts(**columns),
        metrics,
        tuple(foreign),
        _comparisons(stored),
        understood(changes),
        [Brake(**brake) for brake in brakes],
        {str(name): stored[f"artefact_{i}"].tobytes() for i, name in enumerate(stored["artefacts"])},
        columns=[ColumnVerdict(**column) for column in columns_told],
        transform=_transform(stored),
        figures=figures,
        timings=timings,
    )


def _transform(stored: Any) -> Transform | None:
    if "transform" not in stored:
        return None
    names = [name for name in stored if name.startswith("transform_")]
    return Transform(
        json.loads(str(stored["transform"])), {name.removeprefix("transform_"): stored[name] for name in names}
    )


def _comparisons(stored: Any) -> Comparisons | None:
    if "compared_sample" not in stored:
        return None
    fields = {name: stored[f"compared_{name}"] for name in Comparisons.__dataclass_fields__}
    return Comparisons(**{name: value if value.ndim else value.item() for name, value in fields.items()})
