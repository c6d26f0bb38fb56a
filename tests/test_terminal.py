"""What people see: bars only on a terminal, names as text, one screen, in the width and colours that it has."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.report.screen import Line, Screen, cells, fold
from datadiet_cli.report.terminal import met, printable
from tests.conftest import Cli, class_folders, command, said_on

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# What moves the cursor, and what it erases then: bars.
MOVES = re.compile(r"\x1b\[[0-9;?]*[A-Za-ln-z]")
ANNOUNCED = """
import sys, time
from datadiet_cli.report.terminal import placed, progress_bars
label = sys.argv[1]
with progress_bars(quiet=False) as announce:
    tells = [placed(announce, 2, 5, "denoise")(label, 400) for _ in range(9)]
    for _ in range(4):
        for tell in tells:
            tell(100)
        time.sleep(0.12)
"""


def on_a_terminal(*arguments, size=(80, 24), **environment):
    """What a command writes to a stderr that is a terminal."""
    return of_a_process(command(*arguments), size, environment).encode()


def of_a_process(arguments, size, environment):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", **environment}
    run = subprocess.Popen(arguments, stderr=theirs, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=env)
    os.close(theirs)
    return said_on(ours, run)


def rows(said):
    """The rows that stay on a screen when the bars are gone."""
    text = MOVES.split(said)[-1] if MOVES.search(said) else said
    return text.replace("\r\n", "\n").strip("\r\n").split("\n")


def test_bars_are_for_terminals(pets, datadiet: Cli):
    assert b"looking at pictures" in on_a_terminal("dedup", pets, "--dry-run")
    assert on_a_terminal("dedup", pets, "--dry-run", "--quiet") == b""
    assert "looking at pictures" not in datadiet("dedup", pets, "--dry-run").err


def test_colours_are_left_out_on_request(pets):
    assert b"\x1b[3" not in on_a_terminal("dedup", pets, "--dry-run", NO_COLOR="1")
    assert b"\x1b" not in on_a_terminal("dedup", pets, "--dry-run", TERM="dumb")


def test_gates_are_told_in_words_and_colour(pets):
    said = on_a_terminal("dedup", pets, "--dry-run", "--max-removed", "0%").decode()
    assert re.search(r"\x1b\[1;31m.*FAILED with .*\x1b\[0m", said)
    assert "\x1b[1mdedup\x1b[0m" in said
    said = on_a_terminal("dedup", pets, "--dry-run", "--max-removed", "50%").decode()
    assert re.search(r"\x1b\[32m.*passed with .*\x1b\[0m", said)


@pytest.mark.parametrize("width", [40, 60, 200])
def test_the_summary_says_the_same_in_any_width(width, pets, datadiet: Cli):
    asked = ("dedup", pets, "--dry-run", "--max-removed", "50%", "--method", "phash")
    piped = datadiet(*asked)
    shown = rows(COLOURS.sub("", on_a_terminal(*asked, size=(width, 50)).decode()))
    assert " ".join(" ".join(shown).split()) == " ".join(piped.err.split())
    # A path is one word; it is not broken, to be copied.
    assert all(len(row) <= width or len(row.split()) == 1 for row in shown)


def test_colours_can_be_forced_into_a_pipe(pets, datadiet: Cli, monkeypatch):
    asked = ("dedup", pets, "--dry-run", "--max-removed", "50%")
    plain = datadiet(*asked).err
    monkeypatch.setenv("FORCE_COLOR", "1")
    painted = datadiet(*asked).err
    assert painted != plain
    assert COLOURS.sub("", painted) == plain


def test_many_unreadable_files_fill_no_screen(tmp_path, datadiet: Cli):
    root = class_folders(tmp_path / "in", {"a.png": 1})
    for number in range(40):
        (root / f"broken-{number:02}.png").write_bytes(b"no picture")
    ran = datadiet("dedup", root, "--dry-run")
    assert ran.code == 3
    assert len(ran.err.splitlines()) < 24
    assert "and 30 more" in ran.err


LONG = [
    Line("  balance    ", "dropped 9", "step"),
    *(Line("    ", f"class-{n} ####", kind="bars") for n in range(12)),
    *(Line("    ", f"candidate-{n}", kind="candidates") for n in range(6)),
    Line("    ", "not proved", kind="words"),
    *(Line("    ", f"figure-{n}", kind="table") for n in range(9)),
    Line("  gate       ", "samples >= 100: passed with 196", "good", whole=True),
    Line("", "OUTPUT: done", whole=True),
]


@pytest.mark.parametrize(
    ("height", "gone"),
    [(40, []), (30, ["class"]), (18, ["class", "candidate"]), (10, ["class", "candidate", "figure"])],
)
def test_what_matters_least_goes_first_where_a_screen_is_low(height, gone):
    said = Screen(80, height).show(LONG)
    assert len(said.split("\n")) < height
    for name, count in {"class": 12, "candidate": 6, "figure": 9}.items():
        assert (f"{name}-0" in said) == (name not in gone)
        assert (f"{count} lines more, in the report" in said) == (name in gone)
    for kept in ("dropped 9", "not proved", "passed with 196", "OUTPUT: done"):
        assert kept in said


def test_nothing_is_left_out_of_a_pipe():
    said = Screen().show([*LONG, Line("  note       ", "word " * 2000, "note")])
    assert said.split("\n")[:-1] == [line.first + line.text for line in LONG]
    assert said.count("word") == 2000


def test_a_note_without_end_is_cut_and_that_is_said():
    said = Screen(60, 24).show([Line("  note       ", "word " * 2000, "note"), *LONG[-2:]])
    assert len(said.split("\n")) < 12
    assert "and more, in the report" in said


@pytest.mark.parametrize("width", [40, 60, 200])
@pytest.mark.parametrize(
    "label", ["looking at pictures", "[/] [bold]<img onerror>\x1b[2J\n:smile: \udce9 " + "x" * 10_000]
)
def test_bars_tell_place_rate_and_time_left(width, label):
    arguments = [sys.executable, "-c", ANNOUNCED, os.fsencode(label) if "\udce9" in label else label]
    said = of_a_process(arguments, (width, 24), {})
    assert "2/5 denois" in said
    assert "/s" in said
    assert "\x1b[2J" not in said
    assert "\n:smile" not in said
    if width == 200:
        assert ("samples/s" in said) == (label == "looking at pictures")
        assert "[/] [bold]<img" in said or "looking at pictures" in said
    frames = re.split(r"\x1b\[[0-9]*A|\x1b\[2K|\r\n|\r", said)
    assert max(cells(MOVES.sub("", COLOURS.sub("", frame))) for frame in frames) <= width


@given(st.text())
def test_names_are_shown_without_control_codes(text):
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


@given(st.text(alphabet=st.sampled_from("ab %中é\u0301"), max_size=60), st.integers(-5, 20))
def test_a_folded_text_keeps_its_words(text, width):
    folded = fold(text, width)
    assert " ".join(folded).split() == text.split()
    assert all(cells(row) <= max(width, 1) or len(row.replace(" %", "%").split()) == 1 for row in folded)
    assert fold(text, 1000) == [text]


def test_a_terminal_of_five_columns_is_written_to(tmp_path):
    root = class_folders(tmp_path / "été 中文", {"cät/ä.png": 1, "cät/ö.png": 1})
    (root / "cät" / "leer é.png").write_bytes(b"no picture")
    said = on_a_terminal("dedup", root, "--dry-run", "--verbose", COLUMNS="5").decode()
    assert "Traceback" not in said
    assert "internal error" not in said
    assert "leer é.png" in " ".join(said.split())


@pytest.mark.parametrize("height", range(1, 34))
def test_a_line_makes_no_room_for_one_that_says_it_is_gone(height):
    lines = [Line("  step       ", "did", "step"), Line("    ", "figure", kind="table"), *LONG]
    said = Screen(80, height).show(lines)
    assert "figure\n" in said
    assert " 1 line more" not in said


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("<= 0.60x", 0.6234220705150086, "0.6234"),
        ("<= 22,000 bytes", 21_512.0, "21,512"),
        ("<= 5%", 0.123456, "12.35%"),
        ("== 0", 1_234_567, "1,234,567"),
        (">= 4", 0.0, "0"),
    ],
)
def test_what_a_gate_met_is_told_in_digits_that_count(limit, value, said):
    assert met({"limit": limit, "value": value, "passed": True}) == said


def test_what_a_gate_failed_by_is_seen():
    assert met({"limit": "<= 0.12344", "value": 0.123441, "passed": False}) == "0.123441"
