"""Once a folder was looked at, no later run decodes anything of it, whatever its settings."""

import builtins
import os
import time

import pytest
from PIL import Image

from tests.conftest import class_folders, picture, tree_digest


@pytest.fixture
def opened(monkeypatch):
    """The pictures that are opened from here on."""
    found = []
    real = Image.open

    def counting(file, *rest, **more):
        found.append(file)
        return real(file, *rest, **more)

    monkeypatch.setattr(Image, "open", counting)
    return found


@pytest.fixture
def photos(tmp_path):
    """Pictures with copies that are edited, so that pairs get every kind of look."""
    root = class_folders(tmp_path / "in", {f"cat/{i}.png": i for i in range(4)} | {"dog/0.png": 0})
    picture(1, 300).save(root / "dog/1.jpg", quality=60)
    picture(1, 300).transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((10, 10, 290, 290)).save(root / "cat/1-turned.png")
    (root / "cat/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    return root


LINES = [
    ["--method", "phash"],
    ["--method", "phash", "--level", "thorough"],
    ["--method", "dhash"],
    ["--method", "pixels"],
    ["--method", "embedding", "--encoder", "classical"],
]


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_a_later_run_reads_no_pixels(datadiet, photos, opened, line):
    first = datadiet("dedup", photos, "--dry-run", "--list", "dropped", *line)
    assert opened, "the first run looks at the pictures"
    opened.clear()
    for engine in ("serial", "threads"):
        again = datadiet("dedup", photos, "--dry-run", "--list", "dropped", "--rerun", "--engine", engine, *line)
        assert (again.code, again.ids) == (first.code, first.ids)
    assert opened == []


def test_another_threshold_and_a_moved_folder_read_no_pixels(datadiet, photos, opened):
    datadiet("dedup", photos, "--dry-run", "--max-distance", "12")
    opened.clear()
    moved = photos.rename(photos.with_name("moved"))
    done = datadiet("dedup", moved, "--dry-run", "--max-distance", "4", "--scope", "within-class")
    assert done.code == 3
    assert opened == []


def test_only_what_is_new_is_looked_at(datadiet, photos, opened):
    datadiet("dedup", photos, "--dry-run")
    opened.clear()
    picture(77).save(photos / "dog/new.png")
    datadiet("dedup", photos, "--dry-run")
    assert {os.path.basename(getattr(file, "name", file)) for file in opened} == {"new.png"}


def test_an_unchanged_file_is_not_even_opened(datadiet, photos, monkeypatch):
    old = time.time() - 100
    for path in photos.rglob("*.png"):
        os.utime(path, (old, old))
    time.sleep(2.1)  # a file whose time of change is just now is not trusted
    datadiet("dedup", photos, "--dry-run")
    before = tree_digest(photos)
    found = []
    real = (builtins.open, os.open)

    def watch(open_one):
        def opening(file, *rest, **more):
            if isinstance(file, str | bytes | os.PathLike) and os.fsdecode(file).startswith(str(photos)):
                found.append(file)
            return open_one(file, *rest, **more)

        return opening

    monkeypatch.setattr(builtins, "open", watch(real[0]))
    monkeypatch.setattr(os, "open", watch(real[1]))
    datadiet("dedup", photos, "--dry-run", "--rerun")
    assert found == []
    assert tree_digest(photos) == before


def test_without_a_cache_everything_is_looked_at_again(datadiet, photos, opened):
    datadiet("dedup", photos, "--dry-run", "--no-cache")
    once = len(opened)
    datadiet("dedup", photos, "--dry-run", "--no-cache")
    assert len(opened) == 2 * once > 0
