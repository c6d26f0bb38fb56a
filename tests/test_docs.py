"""What the documents show is what happens: console blocks are run, other commands parsed, links looked up."""

import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

from datadiet_cli.cli import command
from datadiet_cli.config.base import Common
from datadiet_cli.config.load import load_common, load_pipeline, load_step
from datadiet_cli.config.registry import STEPS
from datadiet_cli.errors import ExitCode
from datadiet_cli.flags import divide
from tests import shown
from tests.conftest import Cli
from tests.shown import OTHERS, PAGES, ROOT, named

# Words that stand for what the reader has.
STAND_INS = {"SHELL": "bash", "STEP": "dedup", "F": "json", "FORMAT": "json"}
# Other programs, whose flags are not ours to check.
FOREIGN = {"jdupes", "make", "pip", "python"}


@pytest.fixture
def shell(tmp_path):
    """A copy of what the documents speak of, and a shell there that knows `datadiet` and `make`."""
    for name in ("sample_data", "configs", "Makefile", "pyproject.toml", "constraints-dev.txt"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, line in {
        "datadiet": f'exec "{sys.executable}" -m datadiet_cli "$@"',
        "python": f'exec "{sys.executable}" "$@"',
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{line}\n")
        (tools / name).chmod(0o755)

    def run(line):
        line = re.sub(r"^make\b", f"make --no-print-directory -o .venv/.ready BIN={tools}", line)
        env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        # Other tests do without the pages for people; who follows the documents gets them.
        env.pop("DATADIET_HTML", None)
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=env, check=False, timeout=200,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout.decode().replace(str(tools), ".venv/bin")

    return run


@pytest.mark.parametrize("page", [page for page in PAGES if any(shown.sessions(page))], ids=named)
def test_console_blocks_show_what_is_printed(page, shell):
    for line, output in shown.sessions(page):
        assert shell(line) == output, line


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", prose):
        if "://" not in target:
            place = page.parent / target if target else page
            assert place.exists(), target
            assert not anchor or anchor in shown.slugs(place), f"{target}#{anchor}"


def check_call(arguments):
    """Hold the arguments of a `datadiet` against the command line and the settings; nothing is run."""
    from typer.exceptions import Exit

    name, *rest = [STAND_INS.get(word, re.sub(r"^\{\w+\}$", "1", word)) for word in arguments]
    if name in ("--version", "--help"):
        return
    assert name in command().commands, f"no such command: {name}"
    try:
        params = command().commands[name].make_context(name, rest).params
    except Exit:  # --help
        return
    given = {key: list(value) if isinstance(value, tuple) else value for key, value in params.items()}
    common = {key: value for key, value in given.items() if key in Common.model_fields and value not in (None, [])}
    if name in STEPS:
        config = given.pop("config")
        flags = {key: value for key, value in given.items() if key not in ("input", "output")}
        load_step(name, config and ROOT / config, divide(flags)[1], {})
    elif name == "run" and (ROOT / given["pipeline"]).exists():
        load_pipeline(ROOT / given["pipeline"], common, {})
    else:
        load_common(common, {})


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=named)
def test_commands_that_are_shown_exist_with_their_flags_and_values(page):
    for arguments in shown.commands(page) if page.suffix == ".md" else shown.commands_in_file(page):
        # In the text a command may be named without its arguments; in a comment of another file datadiet may be.
        if page.suffix == ".md" or arguments[0] in command().commands:
            check_call([*arguments, "--help"] if len(arguments) == 1 else arguments)


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent != ROOT / "benchmarks"], ids=named)
def test_flags_that_are_named_exist(page):
    options = {word for one in command().commands.values() for param in one.params for word in _words(param)}
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    spans = [span for span in re.findall(r"`([^`]+)`", prose) if span.split()[0] not in FOREIGN]
    assert {flag for span in spans for flag in re.findall(r"(?<!\S)--[a-z][\w-]*\w(?![\w-])", span)} <= options | {
        "--help",
        "--version",
    }


def _words(param):
    return [*param.opts, *param.secondary_opts]


def test_commands_are_told_from_the_shell_around_them():
    line = "A=1 datadiet dedup a b 2>&1 | head -1 && ! .venv/bin/datadiet run 'x y' > out # datadiet never"
    assert list(shown.called(line)) == [["dedup", "a", "b"], ["run", "x y"]]
    with pytest.raises(Exception, match="speling"):
        check_call(["dedup", "a", "b", "--speling", "4"])
    with pytest.raises(Exception, match="must be one of"):
        check_call(["dedup", "a", "b", "--method", "fonetic"])


@pytest.mark.parametrize("page", [page for page in PAGES if shown.fenced(page, "yaml")], ids=named)
def test_pipelines_that_are_shown_are_read(page, tmp_path):
    for block in shown.fenced(page, "yaml"):
        if re.search(r"^(input|steps):", block, re.MULTILINE):
            (tmp_path / "shown.yaml").write_text(block, encoding="utf-8")
            load_pipeline(tmp_path / "shown.yaml", {}, {})


def test_the_readme_names_every_command():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("run", "inspect", "init", "schema", *STEPS):
        assert f"`datadiet {name} " in text


def test_the_settings_page_is_current(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    subprocess.run(
        [sys.executable, tmp_path / "docs" / "make_settings.py"],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (tmp_path / "docs" / "settings.md").read_text() == (ROOT / "docs" / "settings.md").read_text()


def test_every_exit_code_is_explained():
    text = (ROOT / "docs/exit-codes.md").read_text(encoding="utf-8")
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == {int(code) for code in ExitCode}


def test_every_gate_is_explained():
    from datadiet_cli.config.pipeline import METRICS

    text = (ROOT / "docs/pipelines.md").read_text(encoding="utf-8")
    rows = " ".join(row.split("|")[1] for row in text.splitlines() if row.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", rows)) == set(METRICS)


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", index)}
    assert set(ROOT.glob("docs/*.md")) <= linked | {ROOT / "docs/README.md"}
    methods = (ROOT / "docs/methods/README.md").read_text(encoding="utf-8")
    assert all(f"]({page.name})" in methods for page in ROOT.glob("docs/methods/*.md") if page.name != "README.md")


def test_tests_that_hold_a_promise_exist():
    page = ROOT / "docs/security.md"
    rows = [row for row in page.read_text(encoding="utf-8").splitlines() if "](../tests/" in row]
    assert len(rows) > 15
    for row in rows:
        for target, names in re.findall(r"\]\((\.\./tests/[^)]+)\)((?:,? `\w+`)+)", row):
            text = (page.parent / target).read_text(encoding="utf-8")
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"\b(?:def|class) {name}\b", text), f"{target}: {name}"


def test_no_run_opens_a_connection(tmp_path, monkeypatch, datadiet: Cli):
    def refuse(*arguments, **more):
        raise AssertionError(f"a connection to {arguments}")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    (tmp_path / "p.yaml").write_text("label: label\nsteps:\n  - dedup\n  - denoise: {labels: none}\n")
    texts = ROOT / "sample_data/texts.csv"
    ran = datadiet("run", tmp_path / "p.yaml", "--input", texts, "--output", tmp_path / "o.csv")
    assert ran.code == 0, ran.err


SENDS = "engine/sharing.py"
"""What goes from process to process within a run travels as pickles; this alone reads them, from the call itself."""


def test_no_code_of_ours_can_unpickle_what_lies_in_a_file():
    for path in (ROOT / "datadiet_cli").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        modules = "pickle|joblib|dill|cloudpickle|shelve|marshal"
        assert "pickle.load(" not in text, path
        assert path.match(SENDS) or not re.search(rf"^\s*(import|from) ({modules})\b", text, re.MULTILINE), path
        assert "allow_pickle=True" not in text, path
        for line in re.findall(r".*torch\.load\(.*", text):
            assert "weights_only=True" in line, path
