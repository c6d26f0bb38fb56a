"""What people see: bars only on a terminal, names as text, one screen."""

import os
import pty
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.report.terminal import printable
from tests.conftest import Cli, class_folders, command


def on_a_terminal(*arguments):
    """What a command writes to a stderr that is a terminal."""
    ours, theirs = pty.openpty()
    run = subprocess.Popen(command(*arguments), stderr=theirs, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    os.close(theirs)
    said = b""
    while True:
        try:
            said += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    run.wait(timeout=60)
    return said


def test_bars_are_for_terminals(pets, datadiet_process: Cli):
    assert b"looking at pictures" in on_a_terminal("dedup", pets, "--dry-run")
    assert b"looking at pictures" not in on_a_terminal("dedup", pets, "--dry-run", "--quiet")
    assert "looking at pictures" not in datadiet_process("dedup", pets, "--dry-run").err


def test_colours_are_left_out_on_request(pets, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert b"\x1b[3" not in on_a_terminal("dedup", pets, "--dry-run")


def test_many_unreadable_files_fill_no_screen(tmp_path, datadiet: Cli):
    root = class_folders(tmp_path / "in", {"a.png": 1})
    for number in range(40):
        (root / f"broken-{number:02}.png").write_bytes(b"no picture")
    ran = datadiet("dedup", root, "--dry-run")
    assert ran.code == 3
    assert len(ran.err.splitlines()) < 24
    assert "and 30 more" in ran.err


@given(st.text())
def test_names_are_shown_without_control_codes(text):
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
