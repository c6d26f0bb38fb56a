"""`datadiet train`, cut off: it goes on where it was, and what comes of it is the same."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from datadiet_cli.__main__ import run
from tests.conftest import Cli, names
from tests.lessons import Made, count_steps, different, dying, learned, letters, things, without_program

KILLED = dying(23)
"""The command line, killed in the middle of a pass."""


@pytest.fixture
def no_program():
    with without_program():
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A training of two models, four passes of four batches each."""
    root = tmp_path_factory.mktemp("undisturbed")
    source, flags = things(root)
    flags = [*flags, "--epochs", "4", "--batch-size", "15", "--models", "2"]
    with without_program():
        assert run(["train", str(source), str(root / "model"), *flags, "--no-cache", "--quiet"]) == 0
    return Made(source, flags, root / "model")


def goes_on(undisturbed, arguments, taken, datadiet: Cli):
    """Run it again: no pass is done twice, and what comes of it is the same to the last bit."""
    out = Path(arguments[2])
    assert names(out.parent) == set()
    assert datadiet(*arguments).code == 0
    assert different(out, undisturbed.folder) == set()
    assert learned(out) == learned(undisturbed.folder)
    assert os.listdir(Path(os.environ["DATADIET_CACHE_DIR"]) / "training") == []
    return len(taken)


@pytest.mark.usefixtures("no_program")
def test_an_interrupted_training_goes_on(undisturbed, tmp_path, datadiet: Cli, monkeypatch):
    """Ctrl-C in the third pass of the first model."""
    arguments = ["train", str(undisturbed.source), str(tmp_path / "model"), *undisturbed.flags]
    with monkeypatch.context() as patch:
        count_steps(patch, fail=11)
        ran = datadiet(*arguments, "--quiet")
    assert ran.code == 130
    assert ran.complaint == "interrupted; nothing was published; the same command goes on from the last full epoch"
    assert goes_on(undisturbed, arguments, count_steps(monkeypatch), datadiet) == 32 - 8


@pytest.mark.usefixtures("no_program")
def test_a_killed_training_goes_on(undisturbed, tmp_path, datadiet: Cli, monkeypatch):
    """The power fails in the second pass of the second model: the first is not trained again."""
    arguments = ["train", str(undisturbed.source), str(tmp_path / "model"), *undisturbed.flags]
    ran = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, timeout=200, check=False)
    assert ran.returncode == -signal.SIGKILL
    assert goes_on(undisturbed, arguments, count_steps(monkeypatch), datadiet) == 32 - 20


@pytest.mark.parametrize("flag", ["--no-cache", "--rerun"])
def test_nobody_is_told_to_go_on_with_what_is_not_there(flag, undisturbed, tmp_path, datadiet: Cli, monkeypatch):
    count_steps(monkeypatch, fail=9)
    ran = datadiet("train", undisturbed.source, tmp_path / "model", *undisturbed.flags, flag, "--quiet")
    assert (ran.code, ran.complaint) == (130, "interrupted; nothing was published")
    assert names(tmp_path) == set()


@pytest.mark.usefixtures("no_program")
def test_other_content_does_not_go_on_with_a_checkpoint(tmp_path, datadiet: Cli, monkeypatch):
    """A training of other pictures of the same names starts from the beginning."""
    source, flags = letters(tmp_path)
    arguments = ["train", source, tmp_path / "model", *flags, "--epochs", "3"]
    with monkeypatch.context() as patch:
        count_steps(patch, fail=3)
        assert datadiet(*arguments).code == 130
    path = source / "train" / "big" / "00.txt"
    path.write_text(path.read_text() + " prize")
    taken = count_steps(monkeypatch)
    assert datadiet(*arguments).code == 0
    assert len(taken) == 3
