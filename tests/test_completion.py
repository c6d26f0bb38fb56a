"""What the TAB key offers: in the shells themselves, where they are installed."""

import os
import pty
import re
import shutil
import subprocess
import sys

import pytest

from datadiet_cli.cli import app
from datadiet_cli.commands.completion import SCRIPTS
from datadiet_cli.completing import answer, complete
from datadiet_cli.config.registry import STEPS
from tests.conftest import said_on

# Keys, and the words that the shell then has on its line.
TYPED = [
    ("ded\t--metho\tfing\tmy\tou", ["dedup", "--method", "fingerprint", "my data/ou"]),
    ("dedup --method=fing\t-c se\t", ["dedup", "--method=fingerprint", "-c", "settings.yaml"]),
]
START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], ""),
    "zsh": (["zsh", "-f", "-i"], "bindkey -e; autoload -Uz compinit; compinit -D -u; "),
}


def needs(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


@pytest.fixture
def folder(tmp_path):
    """A folder to type in, with `datadiet` and the scripts at hand."""
    here = tmp_path / "here"
    (here / "my data").mkdir(parents=True)
    (here / "settings.yaml").write_text("seed: 1\n")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "datadiet").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m datadiet_cli "$@"\n')
    (tools / "datadiet").chmod(0o755)
    for shell, script in SCRIPTS.items():
        (tmp_path / shell).write_text(script)
    return here


def environment(folder):
    tools = folder.parent / "bin"
    kept = {name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "PYTHONPATH")}
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "HOME": str(folder.parent), "TERM": "dumb", "PS1": "$ "}


def typed_in(arguments, keys, folder):
    """What an interactive shell writes when these keys are pressed."""
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        arguments, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment(folder),
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, keys.encode())
    return said_on(ours, shell)


@pytest.mark.parametrize("shell", START)
def test_the_tab_key_completes_commands_flags_choices_and_files(shell, folder):
    needs(shell)
    arguments, begin = START[shell]
    # To the start of the line, where a command that shows its words is put before what was completed.
    lines = "".join(f"datadiet {keys}\x01printf '<%s>' \r" for keys, _ in TYPED)
    said = typed_in(arguments, f"{begin}source {folder.parent / shell}\r{lines}exit\r", folder)
    for _, words in TYPED:
        assert "".join(f"<{word}>" for word in ["datadiet", *words]) in said, said


def test_fish_completes_too(folder):
    needs("fish")

    def offered(line):
        script = f"source {folder.parent / 'fish'}; complete --do-complete '{line}'"
        done = subprocess.run(
            ["fish", "--no-config", "-c", script], cwd=folder, env=environment(folder), check=True,
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return [row.partition("\t")[0] for row in done.stdout.decode().splitlines()]

    assert offered("datadiet ded") == ["dedup"]
    assert offered("datadiet dedup --method=fing") == ["--method=fingerprint"]
    assert offered("datadiet dedup m") == ["my data/"]
    assert offered("datadiet dedup --config=se") == ["--config=settings.yaml"]
    assert offered("datadiet dedup -c se") == ["settings.yaml"]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_is_printed_and_nothing_is_edited(shell, datadiet, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    ran = datadiet("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.decode() == SCRIPTS[shell]
    assert not any(tmp_path.iterdir())


def test_an_unknown_shell_is_refused(datadiet):
    ran = datadiet("completion", "tcsh")
    assert ran.code == 2
    assert "bash" in ran.complaint


def test_the_answer_costs_no_library_that_runs_need(folder):
    env = {**os.environ, "_DATADIET_COMPLETE": "bash"}
    arguments = [sys.executable, "-X", "importtime", "-m", "datadiet_cli", "dedup", "--meth"]
    done = subprocess.run(arguments, env=env, check=True, capture_output=True)
    assert done.stdout.decode().startswith("words\n--method\t")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.decode().splitlines()}
    assert not loaded & {"torch", "numpy", "sklearn", "scipy", "polars", "PIL", "rich", "jinja2"}


@pytest.mark.parametrize("command", [command.name for command in app.registered_commands])
def test_every_flag_of_help_is_offered(command, datadiet):
    text = datadiet(command, "--help").out.decode()
    rows = re.findall(r"^  (-.*?)(?:  |$)", text, re.MULTILINE)
    shown = {flag for row in rows for flag in re.findall(r"--[a-z][a-z0-9-]*", row)}
    assert len(shown) > (20 if command in STEPS else 0)
    kind, words = complete(app, [command, "--"])
    assert kind == "words"
    assert shown <= {word for word, _ in words}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["dedup", "--force", "--forc"], []),  # once is enough
        (["dedup", "--against", "a", "--agains"], ["--against"]),  # these add up
        (["dedup", "--seed", ""], None),  # a number
        (["dedup", "--", "--meth"], "files"),
        (["dedup", "--method=phash", "--list", "ke"], ["kept"]),
        (["calibrate", "--fault", "watermark", "--fault", "label-"], ["label-flip"]),
        (["dedup", "--label=", "--forc"], ["--force"]),
        (["cache", ""], ["info", "clear"]),
        (["inspect", "-q", "--js"], ["--json"]),
        (["no-such", ""], None),
        (["--ver"], ["--version"]),
        (["bal"], ["balance"]),
    ],
)
def test_what_is_offered_depends_on_what_is_there(words, offered):
    kind, found = complete(app, words)
    if offered is None or offered == "files":
        assert kind == (offered or "nothing")
    else:
        assert [word for word, _ in found] == offered


@pytest.mark.parametrize(
    ("shell", "words", "offered"),
    [
        ("bash", ["dedup", "--method", "=", "fing"], ["--method=fingerprint"]),
        ("bash", ["dedup", "--label", "=", "a", "=", "b", "in", "out", "--forc"], ["--force"]),
        ("bash", ["dedup", "--label", "=", "--forc"], ["--force"]),
        ("bash", ["run", "a", "=", "b.yaml", "--forc"], ["--force"]),
        ("bash", ["dedup", "--method", "="], ["--method=phash"]),
        ("zsh", ["dedup", "--label=", "in", "--forc"], ["--force"]),
        ("fish", ["dedup", "--label=a=b", "in", "--method=fing"], ["--method=fingerprint"]),
    ],
)
def test_each_shell_has_words_of_its_own(shell, words, offered):
    kind, *found = answer(app, words, shell).splitlines()
    assert kind == "words"
    assert set(offered) <= {line.partition("\t")[0] for line in found}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_an_empty_value_swallows_no_word(shell):
    # Two arguments are there, so that options are next.
    assert answer(app, ["dedup", "--label=", "in", "out", ""], shell).startswith("words\n--")
    assert answer(app, ["dedup", "--label=", "in", ""], shell) == "files"


def test_meanings_are_one_line(folder):
    for line in answer(app, ["run", "--"], "fish").splitlines()[1:]:
        assert re.fullmatch(r"--[a-z-]+\t[^\t]+", line)
