"""`datadiet cache`: what is remembered, and how to forget it, whatever state it is in."""

import fcntl
import json
import os
from pathlib import Path

import numpy as np
import pytest

from datadiet_cli.__main__ import run
from datadiet_cli.commands.cache import clear, info
from datadiet_cli.encode import cachefile
from datadiet_cli.encode.cache import Cache
from datadiet_cli.encode.filestates import FILES
from datadiet_cli.errors import DatadietError
from tests.conftest import Cli, names, table


@pytest.fixture
def folder() -> Path:
    """Where the cache lies in this test."""
    return Path(os.environ["DATADIET_CACHE_DIR"])


def fill(namespace: str, n: int, width: int) -> None:
    with Cache(os.environ) as cache:
        digests = np.arange(1, 2 * n + 1, dtype=np.uint64).reshape(n, 2)
        cache.store(namespace, digests, np.zeros((n, width), dtype=np.uint8))


def told(capsys) -> dict:
    capsys.readouterr()
    assert info(os.environ, json=True) == 0
    return json.loads(capsys.readouterr().out)


def in_words(capsys) -> str:
    capsys.readouterr()
    assert info(os.environ, json=False) == 0
    return capsys.readouterr().out


def test_what_is_remembered_is_told_and_forgotten(folder, tmp_path, capsys):
    rows = table(tmp_path / "in.csv", ["a"], [["x"], ["x"]])
    assert run(["dedup", str(rows), "--dry-run"]) == 0
    left = told(capsys)
    fill("sketch/1", 30, 100)
    fill("tokens/2", 5, 10)
    fill(FILES, 7, 32)
    facts = told(capsys)
    assert facts["folder"] == str(folder)
    assert facts["contents"]["sketch/1"] == {"rows": 30, "bytes": 3000}
    assert facts["contents"]["tokens/2"] == {"rows": 5, "bytes": 50}
    assert facts["files"] - left["files"] == 7
    assert facts["steps"]["number"] == 1
    assert facts["steps"]["bytes"] == sum(path.stat().st_size for path in (folder / "steps").iterdir())
    assert facts["bytes"] == facts["steps"]["bytes"] + (folder / cachefile.FILE).stat().st_size
    assert facts["trouble"] is None
    words = in_words(capsys)
    assert str(folder) in words
    assert "sketch/1: 30, 3.0 kB" in words
    assert clear(os.environ) == 0
    assert "freed" in capsys.readouterr().out
    assert list((folder / "steps").iterdir()) == []
    after = told(capsys)
    assert (after["bytes"], after["contents"], after["files"], after["steps"]["number"]) == (0, {}, 0, 0)


@pytest.mark.parametrize("there", [True, False])
def test_nothing_remembered(folder, capsys, there):
    if not there:
        folder.rmdir()
    assert told(capsys)["bytes"] == 0
    assert clear(os.environ) == 0
    assert "0 B freed" in capsys.readouterr().out
    assert folder.exists() is there
    assert not there or list(folder.iterdir()) == []


@pytest.mark.parametrize("content", [b"no database, but words\n" * 500, bytes(9999)], ids=["words", "zeros"])
def test_a_damaged_cache_is_told_and_forgotten(folder, capsys, content):
    (folder / cachefile.FILE).write_bytes(content)
    assert told(capsys)["trouble"] == "is damaged"
    assert "is damaged" in in_words(capsys)
    assert (folder / cachefile.FILE).read_bytes() == content
    assert clear(os.environ) == 0
    assert list(folder.iterdir()) == []


def test_a_file_where_the_folder_should_be(folder, capsys):
    folder.rmdir()
    folder.write_text("mine")
    assert told(capsys)["trouble"] == "is no folder"
    with pytest.raises(DatadietError, match="cannot be cleared"):
        clear(os.environ)
    assert folder.read_text() == "mine"


def test_a_cache_in_use_is_not_cleared(folder):
    with Cache(os.environ) as cache:
        assert cache.enabled
        with pytest.raises(DatadietError, match="a run uses the cache"):
            clear(os.environ)
    assert clear(os.environ) == 0


def test_a_cache_that_is_being_cleared_is_told(folder, capsys):
    fill("sketch/1", 3, 10)
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert told(capsys)["trouble"]
    os.close(lock)
    assert told(capsys)["trouble"] is None


def test_what_is_not_ours_stays(folder):
    """The variable may name a folder that has other things in it."""
    steps = folder / "steps"
    steps.mkdir()
    mine = [folder / "notes.txt", steps / "walk.npz", steps / "0123456789abcdef0123456789abcdef.npz.txt"]
    ours = [steps / f"{'0' * 32}.npz", steps / f".{'0' * 32}.npz.{'a' * 12}.partial"]
    for path in (*mine, *ours):
        path.write_text("x")
    assert clear(os.environ) == 0
    assert all(path.exists() for path in mine)
    assert not any(path.exists() for path in ours)


def test_control_codes_in_names_are_shown_as_text(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("DATADIET_CACHE_DIR", str(tmp_path / "a\x1b[31mb"))
    assert "\x1b" not in in_words(capsys)


def test_interrupted_trainings_are_counted_and_forgotten(datadiet: Cli):
    """Nothing else that lies there is touched."""
    root = Path(os.environ["DATADIET_CACHE_DIR"]) / "training"
    kept = root / f"train-{'0a' * 16}" / "model-0"
    kept.mkdir(parents=True)
    (kept / "checkpoint.safetensors").write_bytes(bytes(1000))
    (root / "mine").mkdir()
    assert "trainings   1 interrupted, 1.0 kB" in datadiet("cache").out.decode()
    assert json.loads(datadiet("cache", "info", "--json").out)["trainings"] == {"number": 1, "bytes": 1000}
    assert datadiet("cache", "clear").code == 0
    assert names(root) == {"mine"}
