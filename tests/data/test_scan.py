import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.scan import UNCOPYABLE, scan
from datadiet_cli.errors import InputError
from tests.data.trees import write

FILES = [
    "a.txt",
    "a/b.txt",
    "a b.txt",
    "B/c.txt",
    "a/B/é.txt",
    "a-/x.txt",
    "Z.txt",
    "漢/1.txt",
    "漢/10.txt",
    "漢/2.txt",
]


def paths(found):
    return [entry.path for entry in found.entries]


def causes(found):
    return {entry.path: entry.cause for entry in found.entries if entry.cause}


@pytest.mark.parametrize("seed", range(5))
def test_the_order_is_that_of_the_paths(tmp_path, seed):
    shuffled = random.Random(seed).sample(FILES, len(FILES))
    found = scan(str(write(tmp_path, dict.fromkeys(shuffled, "x"))))
    assert paths(found) == sorted(FILES)
    assert found.directories == ["B", "a", "a-", "a/B", "漢"]
    assert scan(f"{tmp_path}/") == found


def test_sizes_and_times(tmp_path):
    write(tmp_path, {"a.txt": "four", "deep/b.txt": "", "none/": ""})
    os.utime(tmp_path / "a.txt", ns=(1, 10**18 + 1))
    found = scan(str(tmp_path))
    assert [(entry.path, entry.size) for entry in found.entries] == [("a.txt", 4), ("deep/b.txt", 0)]
    assert found.entries[0].mtime_ns == 10**18 + 1
    assert found.directories == ["deep", "none"]


@given(
    names=st.sets(
        st.binary(min_size=1, max_size=6).filter(lambda n: not set(n) & set(b"/\0") and n not in (b".", b".."))
    )
)
def test_any_name_is_found_as_it_is(tmp_path_factory, names):
    root = os.fsencode(tmp_path_factory.mktemp("names"))
    for name in names:
        os.close(os.open(os.path.join(root, name), os.O_CREAT | os.O_WRONLY))
    found = scan(os.fsdecode(root))
    assert {os.fsencode(path) for path in paths(found)} == names
    assert paths(found) == sorted(paths(found))


ASTRAY = {
    "dangling.txt": "dangling-symlink",
    "itself.txt": "symlink-loop",
    "one.txt": "symlink-loop",
    "two.txt": "symlink-loop",
    "pipe.txt": "not-a-regular-file",
    "to-pipe.txt": "not-a-regular-file",
}
"""Links and others of `TestLinks` that are no files, followed or not."""


class TestLinks:
    @pytest.fixture
    def root(self, tmp_path):
        """A folder with links of every kind, and what they lead to beside it."""
        write(tmp_path / "out", {"secret.txt": "secret", "inner/s.txt": "s"})
        root = write(tmp_path / "in", {"a.txt": "four", "deep/b.txt": "b"})
        for name, target in {
            "to-file.txt": "a.txt",
            "deep/to-parent.txt": "../a.txt",
            "deep/absolute.txt": root / "a.txt",
            "dangling.txt": "nothing.txt",
            "itself.txt": "itself.txt",
            "one.txt": "two.txt",
            "two.txt": "one.txt",
            "outside.txt": "../out/secret.txt",
            "over.txt": "outside.txt",
            "folder": "deep",
            "outer": "../out/inner",
            "deep/up": "..",
        }.items():
            (root / name).symlink_to(target)
        os.mkfifo(root / "pipe.txt")
        (root / "to-pipe.txt").symlink_to("pipe.txt")
        return root

    def test_are_not_followed_out_or_to_folders(self, root):
        found = scan(str(root))
        assert causes(found) == ASTRAY | {
            "outside.txt": "symlink-outside-input",
            "over.txt": "symlink-outside-input",
            "folder": "symlink-to-directory",
            "outer": "symlink-to-directory",
            "deep/up": "symlink-to-directory",
        }
        assert set(causes(found).values()) == UNCOPYABLE.keys() - {"no-file-name"}  # that is of objects in a store
        assert found.directories == ["deep"]

    def test_inside_count_as_the_files_they_lead_to(self, root):
        sizes = {entry.path: entry.size for entry in scan(str(root)).entries if entry.cause is None}
        four = ("a.txt", "to-file.txt", "deep/to-parent.txt", "deep/absolute.txt")
        assert sizes == {**dict.fromkeys(four, 4), "deep/b.txt": 1}

    def test_are_followed_on_request_but_never_in_circles(self, root):
        found = scan(str(root), follow_symlinks=True)
        listed_anyway = dict.fromkeys(("deep/up", "folder"), "symlink-loop")
        assert causes(found) == ASTRAY | listed_anyway
        assert found.directories == ["deep", "outer"]
        assert {"outside.txt", "over.txt", "outer/s.txt"} <= set(paths(found))

    def test_folders_outside_that_link_to_each_other_are_walked_once(self, tmp_path):
        names = [f"d{i}" for i in range(12)]
        for name in names:
            write(tmp_path / "out" / name, {f"{name}.txt": name})
            for other in names:
                (tmp_path / "out" / name / other).symlink_to(tmp_path / "out" / other)
        write(tmp_path / "in", {"a.txt": "a"})
        (tmp_path / "in/door").symlink_to(tmp_path / "out/d0")
        found = scan(str(tmp_path / "in"), follow_symlinks=True)
        readable = [entry.path for entry in found.entries if entry.cause is None]
        assert sorted(path.rpartition("/")[2] for path in readable) == sorted(["a.txt", *(f"{n}.txt" for n in names)])

    def test_a_root_that_is_a_link_is_a_folder(self, root, tmp_path):
        (tmp_path / "alias").symlink_to("in")
        assert scan(str(tmp_path / "alias")) == scan(str(root))

    def test_a_neighbour_that_starts_like_input_is_outside(self, root, tmp_path):
        write(tmp_path / "in-secret", {"s.txt": "s"})
        (root / "near.txt").symlink_to("../in-secret/s.txt")
        assert causes(scan(str(root)))["near.txt"] == "symlink-outside-input"

    def test_causes_are_those_of_the_samples(self, root):
        dataset = open_dataset(str(root))
        told = {dataset.ids[row]: cause for row, cause in dataset.source.causes().items()}
        assert told == causes(scan(str(root)))
        followed = open_dataset(str(root), Reading(follow_symlinks=True))
        assert followed.source.causes().keys() < dataset.source.causes().keys()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    write(tmp_path, {"a.txt": "a", "closed/b.txt": "b"})
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(InputError, match=r"closed/?: cannot be listed: .*give read permission"):
            scan(str(tmp_path))
    finally:
        (tmp_path / "closed").chmod(0o700)
