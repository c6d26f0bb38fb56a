"""A remembered decision serves only the very input it was made for, and nothing of the user's is swept away."""

import pytest

from tests.conftest import Cli, class_folders

FILES = {"cat/b.png": 2, "cat/c.png": 1, "cat/d.png": 1, "dog/e.png": 3}


def dropped(datadiet: Cli, root, *flags):
    return datadiet("dedup", root, "--dry-run", "--list", "dropped", *flags).ids


@pytest.mark.parametrize("target", ["nowhere", "/etc", "a.png"])
def test_a_new_link_does_not_shift_what_was_remembered(tmp_path, datadiet: Cli, target):
    """A link that cannot be read takes part in the numbering of samples, so it must take part in the key."""
    root = class_folders(tmp_path / "in", FILES)
    assert dropped(datadiet, root) == ["cat/d.png"]
    (root / "cat" / "a.png").symlink_to(target)
    assert dropped(datadiet, root) == ["cat/a.png", "cat/d.png"]
    assert dropped(datadiet, root, "--no-cache") == ["cat/a.png", "cat/d.png"]


def test_a_published_copy_is_not_up_to_date_after_a_new_link(tmp_path, datadiet: Cli):
    root = class_folders(tmp_path / "in", FILES)
    assert datadiet("dedup", root, tmp_path / "out").code == 0
    (root / "cat" / "a.png").symlink_to("nowhere")
    assert datadiet("dedup", root, tmp_path / "out", "--force").code == 3


def test_only_what_a_run_left_is_swept(tmp_path, datadiet: Cli):
    """A hidden folder beside OUTPUT that merely resembles a stage is the user's."""
    root = class_folders(tmp_path / "in", FILES)
    mine = [".out.old.partial", ".out.partial", ".out.backup-0123456789ab.partial"]
    for name in mine:
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious.txt").write_text("mine")
    left = tmp_path / ".out.0123456789ab.partial"
    left.mkdir()
    assert datadiet("dedup", root, tmp_path / "out").code == 0
    assert all((tmp_path / name / "precious.txt").exists() for name in mine)
    assert not left.exists()
