"""Files of both sides of a comparison: found by name and by content."""

import shutil

import numpy as np
from PIL import Image

from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.steps.evaluating.pairing import counterparts
from tests.conftest import class_folders
from tests.steps.test_pairing import trial


def photos(root, moved=()):
    """Pictures, each with its seed; some of them in another class's folder and by another name."""
    files = {f"{kind}/{i:02}.png": 100 * k + i for k, kind in enumerate(("cat", "dog")) for i in range(12)}
    return class_folders(root, {f"dog/was-{n.replace('/', '-')}" if n in moved else n: s for n, s in files.items()})


def test_files_are_found_by_name_and_by_content(tmp_path):
    before = photos(tmp_path / "before")
    moved = ("cat/03.png", "cat/07.png", "cat/09.png")
    after = photos(tmp_path / "after", moved)
    (after / "dog" / "05.png").unlink()
    found = trial(after, before, reading=Reading())
    one, other = found.before, found.after
    digests = [
        [p.read_bytes() for p in (root / name for name in material.dataset.ids)]
        for root, material in ((before, one.material), (after, other.material))
    ]
    judged = {digests[0][i] for i in one.rows.tolist()}
    assert not judged & {digests[1][i] for i in other.train.tolist()}
    assert not judged & {digests[0][i] for i in one.train.tolist()}
    assert len(one.train) == 24 - len(judged)
    gone = (before / "dog" / "05.png").read_bytes()
    assert len(other.train) == len(one.train) - (gone not in judged)


def test_files_that_were_numbered_anew(tmp_path):
    """A name that another file has now says nothing, if that one is there by another name."""
    before, after = tmp_path / "before", tmp_path / "after"
    class_folders(before, {f"{k}/{i:02}.png": 100 * j + i for j, k in enumerate("ab") for i in range(8)})
    class_folders(after, {f"{k}/{i:02}.png": 100 * j + i + 1 for j, k in enumerate("ab") for i in range(7)})
    place = counterparts(open_dataset(str(before)), open_dataset(str(after)), same_source=False)
    assert place.tolist() == [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15]


def test_files_made_smaller(tmp_path):
    """A file whose bytes are new is known by its name."""
    files = {f"{k}/{i:02}.png": 100 * j + i for j, k in enumerate("ab") for i in range(4)}
    before, after = class_folders(tmp_path / "before", files), class_folders(tmp_path / "after", files)
    for name in files:
        with Image.open(after / name) as whole:
            whole.resize((16, 16)).save(after / name)
    (after / "a" / "02.png").unlink()
    place = counterparts(open_dataset(str(before)), open_dataset(str(after)), same_source=False)
    assert place.tolist() == [0, 1, 3, 4, 5, 6, 7]


def test_a_folder_with_splits(tmp_path):
    before = tmp_path / "before"
    for split, first in (("train", 0), ("test", 50)):
        class_folders(
            before / split, {f"{k}/{i}.png": 100 * j + first + i for j, k in enumerate("ab") for i in range(4)}
        )
    after = tmp_path / "after"
    shutil.copytree(before, after)
    (after / "train" / "a" / "1.png").unlink()
    found = trial(after, before, reading=Reading())
    assert [len(s.train) for s in (found.before, found.after)] == [8, 7]
    assert [len(s.rows) for s in (found.before, found.after)] == [8, 8]
    assert {name.split("/")[0] for name in np.array(found.after.test.dataset.ids)[found.after.rows]} == {"test"}
