"""The files in docs/recipes do what they say: as far as their tools are at hand, with these, else line by line."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.conftest import CATS_AND_DOGS, class_folders, save

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "docs" / "recipes"
HOOKS = ROOT / ".pre-commit-hooks.yaml"
SETTINGS = """input: data
steps:
  - dedup: {method: exact}
expect:
  removed: "<= 30%"
  samples: ">= 4"
"""
"""Those of the recipes, without what takes long."""
CLEAN = {name: seed for name, seed in CATS_AND_DOGS.items() if "copy" not in name}


@pytest.fixture
def shell(tmp_path):
    """Bash in a folder with the settings of the recipes, and `datadiet` at hand."""
    here = tmp_path / "project"
    here.mkdir()
    (here / "datadiet.yaml").write_text(SETTINGS)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "datadiet").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m datadiet_cli "$@"\n')
    (tools / "datadiet").chmod(0o755)

    def run(script, **environment):
        env = {
            **os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path), **environment,
        }  # fmt: skip
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=here, env=env, check=False,
            capture_output=True, stdin=subprocess.DEVNULL, timeout=100,
        )  # fmt: skip

    run.here = here
    return run


def recipe(name):
    return yaml.safe_load((RECIPES / name).read_text(encoding="utf-8"))


def report(path):
    return json.loads(path.read_bytes())


def test_make_runs_once_and_again_when_the_data_are_newer(shell):
    shutil.copy(RECIPES / "Makefile", shell.here)
    class_folders(shell.here / "raw" / "pets", CATS_AND_DOGS)
    class_folders(shell.here / "raw" / "birds", {f"a b/{n} c.png": 10 + n for n in range(4)})

    made = shell("make")
    assert made.returncode == 0, made.stderr
    assert report(shell.here / "clean" / "pets.report.json")["output"]["samples"] == 4
    assert report(shell.here / "clean" / "birds.report.json")["output"]["samples"] == 4
    again = shell("make")
    assert (again.returncode, again.stderr) == (0, b"")
    assert b"datadiet" not in again.stdout

    # Deep in a folder, where the time of raw/birds does not show it.
    os.utime(save(shell.here / "raw" / "birds" / "a b" / "new one.png", 99))
    once_more = shell("make")
    assert once_more.returncode == 0, once_more.stderr
    assert once_more.stdout.count(b"datadiet run") == 1
    assert report(shell.here / "clean" / "birds.report.json")["output"]["samples"] == 5
    assert b"datadiet" not in shell("make").stdout

    checked = shell("make --keep-going check")
    assert checked.returncode == 2
    assert b"check-pets" in checked.stderr
    assert b"check-birds" not in checked.stderr


def test_a_makefile_tries_again_after_a_failure(shell):
    shutil.copy(RECIPES / "Makefile", shell.here)
    class_folders(shell.here / "raw" / "few", {"a/a.png": 1})
    assert shell("make").returncode == 2
    assert not (shell.here / "clean" / "few.report.json").exists()
    assert b"datadiet run" in shell("make").stdout


def pre_commit():
    """How pre-commit is called, if it is installed."""
    if importlib.util.find_spec("pre_commit") is not None:
        return f'"{sys.executable}" -m pre_commit'
    if shutil.which("pre-commit") is None:
        pytest.skip("pre-commit is not installed")
    return "pre-commit"


def test_hooks_are_run_by_pre_commit(shell, tmp_path):
    call = pre_commit()
    checked = shell(f"{call} validate-manifest '{HOOKS}' && {call} validate-config '{RECIPES}/pre-commit-config.yaml'")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    # The hooks of the example as pre-commit would read them from the manifest, but with what is installed here.
    manifest = {hook["id"]: hook for hook in yaml.safe_load(HOOKS.read_text(encoding="utf-8"))}
    asked = recipe("pre-commit-config.yaml")["repos"][0]["hooks"]
    hooks = [{**manifest[hook["id"]], **hook, "language": "system"} for hook in asked]
    (shell.here / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": hooks}]}))
    class_folders(shell.here / "data", CLEAN)
    run = f"git add --all && {call} run"
    home = {
        "PRE_COMMIT_HOME": str(tmp_path / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PRE_COMMIT_COLOR": "never",
    }
    assert shell("git init --quiet", **home).returncode == 0
    good = shell(run, **home)
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.count(b"Passed") == 2

    save(shell.here / "data" / "cat" / "copy.png", 1)
    bad = shell(run, **home)
    assert bad.returncode == 1
    assert b"duplicate" in bad.stdout


ARGUMENTS = {"datadiet-check": "datadiet.yaml", "datadiet-verify": "clean"}


@pytest.mark.parametrize("dirty", [False, True], ids=["clean", "dirty"])
@pytest.mark.parametrize("hook", yaml.safe_load(HOOKS.read_text(encoding="utf-8")), ids=lambda hook: hook["id"])
def test_each_hook_passes_clean_data_and_fails_on_dirty_ones(hook, dirty, tmp_path, datadiet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "data", CLEAN)
    Path("datadiet.yaml").write_text(SETTINGS)
    if hook["id"] == "datadiet-verify":
        assert datadiet("dedup", "data", "clean").code == 0
    if dirty:
        # A copy; in the copy that is verified, a file that was not there.
        save(tmp_path / ("clean" if hook["id"] == "datadiet-verify" else "data") / "cat" / "again.png", 1)
    program, *words = hook["entry"].split()
    flags = ["--quality-action", "drop"] if hook["id"] == "datadiet-denoise" else []
    if flags and dirty:
        Image.new("RGB", (64, 64)).save(tmp_path / "data" / "cat" / "black.png")
    ran = datadiet(*words, ARGUMENTS.get(hook["id"], "data"), *flags)
    assert (program, ran.code) == ("datadiet", int(dirty)), ran.err
    assert hook["language"] == "python"
    assert not hook["pass_filenames"]


def test_the_pipeline_of_the_recipes_lets_nothing_change(tmp_path, datadiet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "data", CATS_AND_DOGS)
    ran = datadiet("run", RECIPES / "datadiet.yaml", "--check")
    assert ran.code == 1
    assert "removed <= 30%: passed" in ran.err
    assert "check == 0: FAILED" in ran.err


def check_of_github():
    steps = {step.get("name"): step for step in recipe("github-actions.yml")["jobs"]["diet"]["steps"]}
    return steps["Check"]["run"]


def test_the_actions_are_pinned_and_may_write_nothing():
    workflow = recipe("github-actions.yml")
    uses = [step["uses"] for step in workflow["jobs"]["diet"]["steps"] if "uses" in step]
    assert len(uses) == 3
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", one) for one in uses)
    assert workflow["permissions"] == {"contents": "read"}


def test_the_step_for_github_says_what_was_found(shell):
    class_folders(shell.here / "data", CATS_AND_DOGS)
    summary = shell.here / "summary.md"
    ran = shell(check_of_github(), GITHUB_STEP_SUMMARY=str(summary), GITHUB_ACTIONS="true")
    assert ran.returncode == 1, ran.stderr
    assert b"copy-of-a.png" in ran.stdout
    assert b"::warning" in ran.stdout or b"::error" in ran.stdout
    assert "duplicate" in summary.read_text()
    assert "<html" in (shell.here / "diet.report.html").read_text()


def test_the_step_for_github_stops_at_a_mistake(shell):
    (shell.here / "datadiet.yaml").write_text("steps: []\nno-such: 1\n")
    assert shell(check_of_github()).returncode == 2
    assert not (shell.here / "diet.report.html").exists()


def test_the_job_for_gitlab_passes_clean_data_and_gives_tests_and_a_page(shell):
    job = recipe("gitlab-ci.yml")["diet"]
    class_folders(shell.here / "data", CLEAN)
    # GitLab runs the lines in one shell, which stops at the first that fails.
    ran = shell("\n".join(job["script"]))
    assert ran.returncode == 0, ran.stderr
    for name in (*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]):
        assert (shell.here / name).stat().st_size


def command_of_dvc():
    stage = recipe("dvc.yaml")["stages"]["diet"]
    return stage["cmd"], [*stage["outs"], *(next(iter(one)) for one in stage["metrics"])]


def command_of_snakemake():
    text = (RECIPES / "Snakefile").read_text(encoding="utf-8")
    values = dict(re.findall(r'^ +(\w+)=(?:directory\()?"([^"]+)"', text, re.MULTILINE))
    line = "".join(re.findall(r'^ +"(.+)"$', text, re.MULTILINE)).replace("{threads}", "2")
    return re.sub(r"\{(?:input|output)\.(\w+)\}", lambda found: values[found[1]], line), [
        values["clean"],
        values["report"],
    ]


@pytest.mark.parametrize("command", [command_of_dvc, command_of_snakemake], ids=["dvc", "snakemake"])
def test_the_command_of_a_stage_makes_what_it_says(command, shell):
    line, products = command()
    if command is command_of_dvc:
        # Once, as they are.
        shutil.copy(RECIPES / "datadiet.yaml", shell.here)
    class_folders(shell.here / "data" / "raw", CATS_AND_DOGS)
    ran = shell(line)
    assert ran.returncode == 0, ran.stderr
    assert all((shell.here / product).exists() for product in products)


def test_the_container_is_not_root_and_starts_datadiet():
    lines = (RECIPES / "Dockerfile").read_text(encoding="utf-8").splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM")]
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", base) for base in bases)
    assert 'ENTRYPOINT ["datadiet"]' in lines
    assert lines.index("USER datadiet") > max(i for i, line in enumerate(lines) if line.startswith("RUN"))
    installs = re.findall(r"pip install (\S+)", "\n".join(lines))
    assert set(installs) == {"--no-cache-dir"}


def test_every_recipe_is_listed():
    listed = (RECIPES / "README.md").read_text(encoding="utf-8")
    for path in RECIPES.iterdir():
        assert path.name == "README.md" or f"]({path.name})" in listed
