"""Dask schedulers and workers for tests: real processes, forked from one that has imported everything already.

Run as a program it is that process: it reads JSON lines that say whom to start, and all end when it does.
"""

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


class Launcher:
    """Starts schedulers and workers, and knows how to end them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = (folder / "launcher.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "clusters.py"), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log, cwd=folder,
            env={**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        self._made = 0

    def start(self, role: str, **how: Any) -> dict[str, Any]:
        """Start a ``scheduler`` or a ``worker``; give its ``pid`` and ``address``. See `_live` for how."""
        return self.starting(role, **how)()

    def starting(self, role: str, **how: Any) -> Callable[[], dict[str, Any]]:
        """As `start`; what is given waits until it is up."""
        self._made += 1
        name = f"{role}-{self._made}"
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"role": role, "name": name, **how}).encode() + b"\n")
        self._process.stdin.flush()
        return lambda: self._up(name)

    def cluster(self, workers: int = 2, **how: Any) -> "Running":
        """Start a scheduler and workers."""
        scheduler = self.start("scheduler")
        waiting = [self.starting("worker", scheduler=scheduler["address"], **how) for _ in range(workers)]
        return Running(scheduler, [up() for up in waiting])

    def _up(self, name: str) -> dict[str, Any]:
        place, until = self.folder / f"{name}.json", time.monotonic() + 60
        while not place.exists():
            assert time.monotonic() < until, (self.folder / f"{name}.log").read_text()
            assert self._process.poll() is None, (self.folder / "launcher.log").read_text()
            time.sleep(0.01)
        return dict(json.loads(place.read_text()))

    def close(self) -> None:
        """End all of them."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._log.close()


class Running:
    """A cluster of processes."""

    def __init__(self, scheduler: dict[str, Any], workers: list[dict[str, Any]]) -> None:
        self.scheduler, self.workers = scheduler, workers
        self.address: str = scheduler["address"]

    def close(self) -> None:
        for one in [*self.workers, self.scheduler]:
            kill(one["pid"])


def kill(pid: int) -> None:
    """SIGKILL; it may be gone already."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def launched(folder: Path) -> Iterator[Launcher]:
    launcher = Launcher(folder)
    try:
        yield launcher
    finally:
        launcher.close()


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """What starts processes of clusters."""
    with launched(tmp_path_factory.mktemp("clusters")) as found:
        yield found


@pytest.fixture(scope="session")
def four(launcher: Launcher) -> Running:
    """A scheduler and four workers, which no test may harm."""
    return launcher.cluster(4)


def _live(how: dict[str, Any], folder: Path) -> None:
    """Be a scheduler or a worker.

    Args:
        how: ``role`` and ``name``; for a worker ``scheduler``, its address. And perhaps: ``host``; ``netns``, the
            network namespace to live in; ``fake``, a folder to look for packages in first; ``without``, a package
            that it does not have; ``resources``; ``die`` or ``end`` (the process of this id) at so many-th ``call``;
            ``tls``, the paths of CA, certificate and key; ``env``; ``hidden``, a folder whose content it does not
            see, as on another machine.
        folder: where it says that it is up.
    """
    from distributed import Security

    from datadiet_cli.engine.local import QuietScheduler, QuietWorker

    os.environ.update(how.get("env", {}))
    mine = folder / how["name"]
    mine.mkdir()
    tempfile.tempdir = how.get("env", {}).get("TMPDIR", str(mine))
    libc = ctypes.CDLL(None, use_errno=True)
    if "hidden" in how:
        assert libc.unshare(0x20000) == 0, ctypes.get_errno()
        assert libc.mount(b"none", b"/", None, 0x44000, None) == 0, ctypes.get_errno()  # nobody else is to lose it
        assert libc.mount(b"none", how["hidden"].encode(), b"tmpfs", 0, None) == 0, ctypes.get_errno()
    if "netns" in how:
        with open(f"/var/run/netns/{how['netns']}") as space:
            assert libc.setns(space.fileno(), 0x40000000) == 0, ctypes.get_errno()
    if "fake" in how:
        sys.path.insert(0, how["fake"])
    if "end" in how or "die" in how:
        _end(how.get("end", os.getpid()), how.get("call", 3))
    options: dict[str, Any] = {"host": how.get("host", "127.0.0.1")}
    if "tls" in how:
        ca, cert, key = how["tls"]
        names = {f"tls_{role}_{what}": path for role in ("scheduler", "worker", "client")
                 for what, path in (("cert", cert), ("key", key))}  # fmt: skip
        options |= {"security": Security(tls_ca_file=ca, require_encryption=True, **names), "protocol": "tls"}
    if how["role"] == "worker":
        one: Any = lambda: QuietWorker(  # noqa: E731 - it wants a running loop
            how["scheduler"], nthreads=1, local_directory=str(mine), memory_limit=0, death_timeout=30,
            resources=how.get("resources"), **options,
        )  # fmt: skip
    else:
        one = lambda: QuietScheduler(port=0, **options)  # noqa: E731

    async def run() -> None:
        async with one() as server:
            if "without" in how:
                _forget(how["without"])
            place = folder / f"{how['name']}.json"
            place.with_suffix(".tmp").write_text(json.dumps({"pid": os.getpid(), "address": server.address}))
            place.with_suffix(".tmp").rename(place)
            await server.finished()

    asyncio.run(run())


def _end(pid: int, call: int) -> None:
    """End a process by SIGKILL in the middle of the n-th call that is worked on here."""
    from datadiet_cli.engine.calling import Checked

    calls = iter(range(call - 1, -1, -1))
    before = Checked.__call__

    def counted(self: Any) -> Any:
        if next(calls, 1) == 0:
            time.sleep(0.3)  # what was finished before is with those who asked
            os.kill(pid, signal.SIGKILL)
            time.sleep(30)
        return before(self)

    Checked.__call__ = counted  # type: ignore[method-assign]


def _forget(package: str) -> None:
    """Be without a package."""

    class Missing:
        def find_spec(self, name: str, *_: object) -> None:
            if name.partition(".")[0] == package:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
    sys.meta_path.insert(0, Missing())  # type: ignore[arg-type]


def _main(folder: Path) -> None:
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401
    import polars  # noqa: F401
    import sklearn.linear_model  # noqa: F401

    import datadiet_cli.encode.cached
    import datadiet_cli.engine.cluster
    import datadiet_cli.engine.local  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin.buffer:
        how = json.loads(line)
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            log = os.open(folder / f"{how['name']}.log", os.O_WRONLY | os.O_CREAT)
            os.dup2(log, 1), os.dup2(log, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            try:
                _live(how, folder)
            finally:
                os._exit(0)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
