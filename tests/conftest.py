"""What the tests of the command line share: ways to run it, small real datasets, and a digest of a whole tree."""

import csv
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from datadiet_cli.__main__ import run

# How long an example takes says more about the machine than about the code; CI tries the same examples every time.
settings.register_profile("datadiet", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("datadiet")


@dataclass(frozen=True)
class Ran:
    """How a command ended: exit code, stdout as the bytes it is, stderr as text."""

    code: int
    out: bytes
    err: str

    @property
    def complaint(self) -> str:
        """The one line that stderr must hold when a command was refused, without its prefix."""
        assert "Traceback" not in self.err
        assert "internal error" not in self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("datadiet: ")
        return lines[0].removeprefix("datadiet: ")

    @property
    def ids(self) -> list[str]:
        """What `--list` printed."""
        return os.fsdecode(self.out).splitlines()


Cli = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory, monkeypatch):
    """No setting and no remembered step of the machine may reach a test."""
    for name in [name for name in os.environ if name.startswith("DATADIET_")]:
        monkeypatch.delenv(name)
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    # The page takes longer than many a run: tests of it ask for it.
    monkeypatch.setenv("DATADIET_HTML", "false")
    monkeypatch.setenv("DATADIET_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def datadiet(capfdbinary) -> Cli:
    """Run the command line in this process: the fast way."""

    def call(*arguments: object) -> Ran:
        capfdbinary.readouterr()
        code = run([os.fspath(a) if isinstance(a, os.PathLike) else str(a) for a in arguments])
        out, err = capfdbinary.readouterr()
        return Ran(int(code), out, err.decode())

    return call


def command(*arguments: object) -> list[str]:
    """The argument vector of a real process."""
    return [sys.executable, "-m", "datadiet_cli", *map(str, arguments)]


@pytest.fixture
def datadiet_process() -> Cli:
    """Run the command line as a process of its own, for what only a process can show."""

    def call(*arguments: object, **options: Any) -> Ran:
        options.setdefault("stdout", subprocess.PIPE)
        done = subprocess.run(
            command(*arguments), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=100, check=False, **options
        )
        return Ran(done.returncode, done.stdout or b"", done.stderr.decode())

    return call


def said_on(terminal: int, process: subprocess.Popen[bytes]) -> str:
    """All that a process writes to a terminal whose other end this is, until it is gone."""
    said = b""
    while True:
        try:
            said += os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
    os.close(terminal)
    process.wait(timeout=60)
    return said.decode()


def picture(seed: int, side: int = 64) -> Image.Image:
    """A picture like no other seed's: smooth shapes under fine texture, as a photograph has."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    shapes = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=np.int16)
    texture = rng.integers(-20, 21, (side, side, 1), dtype=np.int16)
    return Image.fromarray(np.clip(shapes + texture, 0, 255).astype(np.uint8))


def save(path: Path, seed: int) -> Path:
    """Save the picture of a seed, and make the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path)
    return path


def class_folders(root: Path, files: Mapping[str, int]) -> Path:
    """Make a folder of pictures, each name with its seed, in the order given: the same seed makes a copy."""
    for name, seed in files.items():
        save(root / name, seed)
    return root


CATS_AND_DOGS = {"cat/a.png": 1, "cat/b.png": 2, "cat/copy-of-a.png": 1, "dog/c.png": 3, "dog/d.png": 4}
"""Two classes, five pictures, one of them to go."""


@pytest.fixture
def pets(tmp_path) -> Path:
    """INPUT: two classes of pictures with one copy."""
    return class_folders(tmp_path / "in", CATS_AND_DOGS)


def table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], end: str = "\n") -> Path:
    """Write a CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=end)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def tree_digest(root: Path) -> str:
    """Digest everything below a folder, or a file: names, bytes, modes and times; where links lead; not atime."""
    digest = hashlib.blake2b(digest_size=16)
    paths = [os.fsencode(root)]
    if root.is_dir():
        for folder, folders, files in os.walk(os.fsencode(root)):
            paths += [os.path.join(folder, name) for name in folders + files]
    for path in sorted(paths):
        status = os.lstat(path)
        # A stage beside OUTPUT comes and goes: the top's own time is not part of what it holds.
        stamp = 0 if path == os.fsencode(root) and stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
        digest.update(repr((path, status.st_mode, status.st_size, stamp)).encode())
        if stat.S_ISREG(status.st_mode):
            digest.update(Path(os.fsdecode(path)).read_bytes())
        elif stat.S_ISLNK(status.st_mode):
            digest.update(os.readlink(path))
    return digest.hexdigest()


def names(root: Path) -> set[str]:
    """Relative paths of everything below a folder."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def report(output: Path) -> dict[str, Any]:
    """The report of a published OUTPUT."""
    return dict(json.loads(Path(f"{output}.report.json").read_bytes()))


def write_pipeline(path: Path, text: str) -> Path:
    """Write a pipeline file from `in` to `out` beside it."""
    path.write_text(f"input: {path.parent / 'in'}\noutput: {path.parent / 'out'}\n{text}")
    return path
