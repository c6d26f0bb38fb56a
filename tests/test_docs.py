"""What the documents show is what happens: every console block is run, and every link leads somewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from datadiet_cli.config.registry import STEPS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("sample_data/*.md")]
)


def sessions(page):
    """The commands of each console block with what the page says they print."""
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


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

    def run(command):
        command = re.sub(r"^make\b", f"make --no-print-directory -o .venv/.ready BIN={tools}", command)
        env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=env, check=False, timeout=200,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout.decode().replace(str(tools), ".venv/bin")

    return run


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```console" in page.read_text(encoding="utf-8")], ids=lambda p: p.name
)
def test_console_blocks_show_what_is_printed(page, shell):
    for command, output in sessions(page):
        assert shell(command) == output, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


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
