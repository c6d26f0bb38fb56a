"""How a run on a Dask cluster ends before its time, and what of it is left then: nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from datadiet_cli.engine import Engine, Limits
from datadiet_cli.errors import ExitCode
from tests import cluster_kernels as kernels
from tests.clusters import four, launcher  # noqa: F401 - fixtures


class TestInterrupted:
    SCRIPT = """
import sys
from datadiet_cli.__main__ import run
from datadiet_cli import cli
from datadiet_cli.engine import Engine, Limits
from tests import cluster_kernels as kernels

def go(arguments):
    with Engine("dask", 2, Limits(sys.argv[1] or None)) as engine:
        list(engine.map(kernels.note, list(range(60)), sys.argv[2], 30.0, chunk=1))

cli.command = lambda: lambda arguments, **_: go(arguments)
from datadiet_cli.__main__ import main
main(["x"])
"""

    def started(self, folder, scheduler=""):
        """A process whose calls last, and are under way; what is not its own on stderr is a fault."""
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-c", self.SCRIPT, scheduler, str(folder)],
            stderr=subprocess.PIPE, cwd=Path(__file__).parent, start_new_session=True,
            env={**os.environ, "PYTHONPATH": f"{Path(__file__).parent.parent}", "TMPDIR": str(folder.parent)},
        )  # fmt: skip
        until = time.monotonic() + 60
        while not list(folder.iterdir()) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        return process

    @pytest.mark.parametrize(("number", "code", "words"), [
        (signal.SIGINT, ExitCode.INTERRUPTED, "interrupted; nothing was published"),
        (signal.SIGTERM, ExitCode.TERMINATED, "terminated; nothing was published"),
    ])  # fmt: skip
    def test_a_cluster_of_our_own_is_gone(self, tmp_path, number, code, words):
        process = self.started(tmp_path / "work")
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        listening = [
            (each.laddr.ip, one.pid) for one in [psutil.Process(process.pid), *children]
            for each in one.net_connections("inet") if each.status == psutil.CONN_LISTEN
        ]  # fmt: skip
        assert listening
        assert {ip for ip, _ in listening} == {"127.0.0.1"}
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        with process:
            said = process.stderr.read()
        assert (process.returncode, said.decode()) == (code, f"datadiet: {words}\n")
        assert not psutil.wait_procs(children, timeout=5)[1]
        assert [path.name for path in tmp_path.iterdir()] == ["work"]

    def test_and_is_gone_when_nobody_can_end_it(self, tmp_path):
        process = self.started(tmp_path / "work")
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        with process:
            process.kill()
        assert not psutil.wait_procs(children, timeout=10)[1]

    def test_only_our_own_calls_are_cancelled(self, four, tmp_path):  # noqa: F811
        (tmp_path / "theirs").mkdir()
        with Engine("dask", None, Limits(four.address)) as other:
            theirs = other.map(kernels.note, list(range(24)), str(tmp_path / "theirs"), 0.02, chunk=1)
            next(theirs)
            with Engine("dask", None, Limits(four.address)) as mine:
                (tmp_path / "mine").mkdir()
                made = mine.map(kernels.note, list(range(60)), str(tmp_path / "mine"), 0.1, chunk=1)
                next(made)
                made.close()
            assert [part.start for part, _ in theirs] == list(range(1, 24))
        assert len(list((tmp_path / "mine").iterdir())) < 30


def test_in_process_nothing_listens():
    before = {each.laddr for each in psutil.Process().net_connections("inet")}
    with Engine("dask", 2, Limits("inproc")) as engine:
        assert [part for _, part in engine.map(kernels.doubled, [1, 2], chunk=1)] == [[2], [4]]
        assert {each.laddr for each in psutil.Process().net_connections("inet")} == before


def test_other_engines_know_nothing_of_dask(pets, tmp_path):
    script = (
        "import sys; from datadiet_cli.__main__ import run; run(sys.argv[1:]); "
        "print([name for name in sys.modules if name.split('.')[0] in ('dask', 'distributed', 'tornado')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "dedup", pets, tmp_path / "out", "--quiet"], capture_output=True, check=True
    )
    assert done.stdout == b"[]\n"
