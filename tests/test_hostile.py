"""Datasets that do not mean well: odd names, links, pipes, bombs and damaged files are verdicts, never crashes."""

import json
import os
import zlib
from pathlib import Path
from struct import pack

import pytest

from tests.conftest import Cli, Ran, class_folders, names, picture, report, save, table, tree_digest

ODD_NAMES = [
    b"[/].png",
    b"[red].png",
    b"[bold]x[/bold].png",
    b"two\nlines.png",
    b"tab\tand\rreturn.png",
    b"\x1b[31mred\x1b[0m\x07.png",
    b"\xff\xfe not utf-8.png",
    b"caf\xc3\xa9 \xe2\x80\xae right to left.png",
    b"--force.png",
    b"-.png",
    b" .png",
    b"*?$(touch boom)`'\".png",
    b"back\\slash.png",
    b"l" * 251 + b".png",
]


def verdicts(output: Path) -> dict[str, dict]:
    """The verdicts of a published report, by id."""
    return {row["id"]: row for row in report(output)["verdicts"]}


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_clean(text: str) -> bool:
    """Whether nothing in a text can steer a terminal or turn it around."""
    return all(line.isprintable() for line in text.split("\n"))


class TestNames:
    @pytest.fixture
    def odd(self, tmp_path) -> Path:
        """Pictures of odd names, and a copy of each, with a longer name, in another folder."""
        root = tmp_path / "in"
        for seed, name in enumerate(ODD_NAMES):
            save(root / "cat" / os.fsdecode(name), seed)
            save(root / "cat-copies-with-longer-ids" / os.fsdecode(name), seed)
        return root

    def test_come_through_byte_for_byte(self, odd, tmp_path, datadiet: Cli):
        before = tree_digest(odd)
        ran = datadiet("dedup", odd, tmp_path / "out", "--scope", "within-class", "--verbose")
        assert ran.code == 0
        assert is_clean(ran.err)
        for folder in ("cat", "cat-copies-with-longer-ids"):
            assert files_in(tmp_path / "out" / folder) == files_in(odd / folder)
        assert tree_digest(odd) == before

    def test_in_verdicts_lists_and_the_report(self, odd, tmp_path, datadiet: Cli):
        labelled = tmp_path / "flat"
        labelled.mkdir()
        (odd / "cat").rename(labelled / "a")
        (odd / "cat-copies-with-longer-ids").rename(labelled / "a/more")
        ran = datadiet("dedup", labelled, tmp_path / "out", "--list", "dropped", "-0", "--verbose")
        assert ran.code == 0
        assert is_clean(ran.err)
        dropped = [b"a/more/" + name for name in ODD_NAMES]
        assert ran.out.endswith(b"\0")
        assert sorted(ran.out.split(b"\0")[:-1]) == sorted(dropped)
        assert {os.fsencode(name) for name in verdicts(tmp_path / "out")} == set(dropped)
        again = datadiet("dedup", labelled, tmp_path / "out", "--list", "dropped", "-0")
        assert "up to date" in again.err
        assert again.out == ran.out

    @pytest.mark.parametrize("name", [*(name for name in ODD_NAMES[:13] if b"/" not in name), "漢".encode() * 78])
    def test_of_input_and_output(self, tmp_path, datadiet: Cli, name, monkeypatch):
        monkeypatch.chdir(tmp_path)
        output = os.fsdecode(name.removesuffix(b".png"))
        source = f"in{output}"[:60]
        class_folders(tmp_path / source, {"a/a.png": 1})
        ran = datadiet("dedup", "--", source, output)
        assert ran.code == 0, ran.err
        assert is_clean(ran.err)
        assert files_in(tmp_path / output) == files_in(tmp_path / source)
        assert report(tmp_path / output)["published"]

    def test_inspect_and_init_can_say_them(self, odd, datadiet: Cli, tmp_path):
        shown = datadiet("inspect", odd)
        assert shown.code == 0
        assert is_clean(shown.out.decode())
        assert json.loads(datadiet("inspect", odd, "--json").out)["samples"] == 2 * len(ODD_NAMES)
        (tmp_path / "in").rename(tmp_path / "ti\nc \"tac: #'")
        assert datadiet("init", tmp_path / "ti\nc \"tac: #'", tmp_path / "p.yaml").code == 0
        assert datadiet("run", tmp_path / "p.yaml", "--dry-run", "--quiet").code == 0

    def test_ids_of_a_table_cannot_steer_the_terminal(self, tmp_path, datadiet: Cli):
        source = table(tmp_path / "in.csv", ["id\x1b[2J", "x"], [["\x1b]0;a\x07", "1"], ["b[/red]", "1"]])
        ran = datadiet("dedup", source, tmp_path / "out.csv", "--verbose", "--id-column", "id\x1b[2J")
        assert ran.code == 0
        assert is_clean(ran.err)
        wrong = datadiet("dedup", source, tmp_path / "new.csv", "--label", "\x1b[2J")
        assert wrong.code == 2
        assert is_clean(wrong.complaint)


class TestLinks:
    @pytest.fixture
    def linked(self, tmp_path) -> Path:
        root = class_folders(tmp_path / "in", {"cat/a.png": 1, "cat/b.png": 2})
        save(tmp_path / "secret.png", 3)
        class_folders(tmp_path / "secrets", {"s.png": 4})
        targets = {
            "dangling": "nowhere.png",
            "itself": "itself.png",
            "inside": "a.png",
            "outside": "../../secret.png",
            "up": "..",
            "folder": "../../secrets",
            "device": "/dev/zero",
        }
        for name, target in targets.items():
            (root / f"cat/{name}{'' if name in ('up', 'folder') else '.png'}").symlink_to(target)
        return root

    def test_are_not_followed_out_of_input(self, linked, tmp_path, datadiet: Cli):
        before = tree_digest(tmp_path / "in")
        ran = datadiet("dedup", linked, tmp_path / "out")
        assert ran.code == 3
        causes = {
            i: row["detail"].split(":")[0]
            for i, row in verdicts(tmp_path / "out").items()
            if row["reason"] == "unreadable"
        }
        assert causes == {
            "cat/dangling.png": "dangling-symlink",
            "cat/itself.png": "symlink-loop",
            "cat/outside.png": "symlink-outside-input",
            "cat/up": "symlink-to-directory",
            "cat/folder": "symlink-to-directory",
            "cat/device.png": "not-a-regular-file",
        }
        assert all(row["action"] == "drop" for row in verdicts(tmp_path / "out").values())
        assert names(tmp_path / "out") == {"cat", "cat/a.png", "cat/b.png"}
        assert tree_digest(tmp_path / "in") == before

    def test_are_followed_on_request(self, linked, tmp_path, datadiet: Cli):
        ran = datadiet("dedup", linked, tmp_path / "out", "--follow-symlinks")
        assert ran.code == 3
        kept = names(tmp_path / "out")
        assert {"cat/a.png", "cat/b.png", "cat/outside.png", "cat/folder/s.png"} <= kept
        assert not (tmp_path / "out/cat/outside.png").is_symlink()
        assert verdicts(tmp_path / "out")["cat/up"]["detail"].startswith("symlink-loop")
        assert not (tmp_path / "out/cat/up").exists()

    def test_output_never_holds_a_link_unasked(self, linked, tmp_path, datadiet: Cli):
        datadiet("dedup", linked, tmp_path / "out", "--method", "exact", "--scope", "within-class")
        assert [path for path in (tmp_path / "out").rglob("*") if path.is_symlink()] == []

    def test_hard_links_become_files_of_their_own(self, pets, tmp_path, datadiet: Cli):
        os.link(pets / "cat/b.png", pets / "dog/same-as-b.png")
        before = tree_digest(pets)
        assert datadiet("dedup", pets, tmp_path / "out", "--scope", "within-class").code == 0
        assert os.stat(tmp_path / "out/cat/b.png").st_nlink == 1
        assert tree_digest(pets) == before
        (tmp_path / "out/cat/b.png").write_bytes(b"changed")
        assert tree_digest(pets) == before

    @pytest.mark.parametrize("kind", ["hardlink", "symlink"])
    def test_link_on_request(self, pets, tmp_path, datadiet: Cli, kind):
        assert datadiet("dedup", pets, tmp_path / "out", "--link", kind).code == 0
        assert os.path.samefile(tmp_path / "out/cat/b.png", pets / "cat/b.png")
        assert (tmp_path / "out/cat/b.png").is_symlink() == (kind == "symlink")

    def test_a_pipe_does_not_hang(self, pets, tmp_path, datadiet_process: Cli):
        os.mkfifo(pets / "cat/pipe.png")
        os.mkfifo(pets / "labels.csv")
        ran = datadiet_process("dedup", pets, tmp_path / "out")
        assert ran.code == 3
        assert verdicts(tmp_path / "out")["cat/pipe.png"]["detail"].startswith("not-a-regular-file")
        assert report(tmp_path / "out")["input"]["skipped"] == ["labels.csv"]
        assert not (tmp_path / "out/labels.csv").exists()


def bomb(path: Path) -> Path:
    """A PNG of 20,000 x 20,000 pixels in some 50 kB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return pack(">I", len(content)) + kind + content + pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(bytes(2501 * 20_000), 9)
    header = pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def broken_files(folder: Path) -> dict[str, str]:
    """Put files that cannot be read into a folder, and give the cause of each."""
    whole = save(folder / "whole.png", 77)
    content = whole.read_bytes()
    whole.unlink()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    (folder / "empty.jpg").touch()
    (folder / "letter.jpg").write_text("Dear reader,\nthis is no picture.\n")
    (folder / "script.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(boom) run\n")
    bomb(folder / "bomb.png")
    return {
        "cut.png": "truncated",
        "empty.jpg": "empty",
        "letter.jpg": "not-an-image",
        "script.eps": "not-an-image",
        "bomb.png": "bomb",
    }


class TestUnreadable:
    def said(self, ran: Ran, output: Path, folder: str, action: str, causes: dict[str, str]) -> None:
        found = {i: (row["action"], row["detail"]) for i, row in verdicts(output).items() if folder in i}
        assert found == {f"{folder}/{name}": (action, cause) for name, cause in causes.items()}
        assert ran.code == 3
        for name in causes:
            assert f"{folder}/{name}" in ran.err

    @pytest.mark.parametrize("engine", ["threads", "processes"])
    def test_are_kept_and_named(self, tmp_path, datadiet_process: Cli, engine):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1})
        causes = broken_files(root / "cat")
        before = tree_digest(root)
        ran = datadiet_process("dedup", root, tmp_path / "out", "--engine", engine)
        self.said(ran, tmp_path / "out", "cat", "flag", causes)
        assert files_in(tmp_path / "out/cat") == files_in(root / "cat")
        assert tree_digest(root) == before
        # What the decoders mutter about damaged files is not for people.
        assert len(ran.err.splitlines()) == 5 + len(causes)

    def test_are_dropped_on_request_but_not_from_test(self, tmp_path, datadiet: Cli):
        root = class_folders(tmp_path / "in", {"train/cat/a.png": 1, "test/cat/b.png": 2})
        causes = broken_files(root / "train/cat")
        broken_files(root / "test/cat")
        ran = datadiet("dedup", root, tmp_path / "out", "--unreadable", "drop")
        self.said(ran, tmp_path / "out", "train/cat", "drop", causes)
        self.said(ran, tmp_path / "out", "test/cat", "flag", causes)
        assert names(tmp_path / "out/train") == {"cat", "cat/a.png"}
        assert files_in(tmp_path / "out/test/cat") == files_in(root / "test/cat")

    def test_a_class_of_nothing_else_is_not_emptied(self, tmp_path, datadiet: Cli):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1})
        (root / "dog").mkdir()
        causes = broken_files(root / "dog")
        ran = datadiet("dedup", root, tmp_path / "out", "--unreadable", "drop")
        assert ran.code == 3
        assert names(tmp_path / "out/dog") & set(causes)

    def test_max_pixels_is_the_users_choice(self, tmp_path, datadiet: Cli):
        root = class_folders(tmp_path / "in", {"a.png": 1, "b.png": 2})
        picture(3, side=65).save(root / "large.png")
        assert datadiet("dedup", root, tmp_path / "out", "--max-pixels", 64 * 64).code == 3
        assert verdicts(tmp_path / "out")["large.png"]["detail"] == "bomb"
        assert datadiet("dedup", root, tmp_path / "all", "--max-pixels", 65 * 65).code == 0

    def test_inspect_names_them(self, tmp_path, datadiet: Cli):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1})
        causes = broken_files(root / "cat")
        ran = datadiet("inspect", root, "--json")
        assert ran.code == 3
        assert json.loads(ran.out)["unreadable"] == {f"cat/{name}": cause for name, cause in causes.items()}
