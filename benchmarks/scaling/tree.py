"""Run a command and watch its whole tree of processes: workers are not always children that the kernel counts."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_EVERY = 0.1
"""Seconds between two looks: what a process does after the last is not seen."""
_TICK = os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Cost:
    """What a command and all processes below it took.

    Attributes:
        wall: seconds.
        cpu: seconds in user and system mode of all processes.
        coordinator_cpu: those of the process that was started; with a cluster of its own that is the scheduler, too.
        memory: the most that all held at once, MiB: what each has of its own, and pages of files (programs, arrays that
            are mapped) as the one has them that has the most, since most of them are shared.
        coordinator: the most that the process that was started held, MiB, with what it maps of files.
        own: the same without, since pages of files can go and come back, MiB.
        network: bytes through the loopback device, if the command had one to itself.
        scratch: the most bytes in the folder of temporary files.
        answer: digest of what it wrote to stdout.
    """

    wall: float = 0.0
    cpu: float = 0.0
    coordinator_cpu: float = 0.0
    memory: float = 0.0
    coordinator: float = 0.0
    own: float = 0.0
    network: int | None = None
    scratch: int = 0
    answer: str = ""
    seconds: dict[int, float] = field(default_factory=dict, repr=False)

    def told(self) -> dict[str, Any]:
        """For a file of results."""
        return {name: value for name, value in asdict(self).items() if name != "seconds"}


def own_network() -> bool:
    """Whether a command can have a loopback device to itself, so that its bytes can be counted."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], check=False).returncode == 0


def watched(command: Sequence[str | os.PathLike[str]], scratch: Path, *, alone: bool) -> Cost:
    """Run a command to its end.

    Args:
        command: it and its arguments.
        scratch: where it puts temporary files; looked at as it runs.
        alone: whether to give it a loopback device of its own: see `own_network`.

    Raises:
        SystemExit: it failed.
    """
    words = [os.fspath(word) for word in command]
    if alone:
        words = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATADIET_")}
    environment |= {"PYTHONPATH": f"{_ROOT}{os.pathsep}{_ROOT / 'benchmarks'}", "TMPDIR": str(scratch)}
    cost, over = Cost(), threading.Event()
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        child = subprocess.Popen(words, stdout=output, stderr=subprocess.DEVNULL, env=environment)
        watcher = threading.Thread(target=_watch, args=(child.pid, scratch, cost, over, alone))
        watcher.start()
        _, status, usage = os.wait4(child.pid, 0)
        cost.wall = time.perf_counter() - started
        over.set()
        watcher.join()
        output.seek(0)
        cost.answer = hashlib.sha256(output.read()).hexdigest()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 3):
        raise SystemExit(f"exit code {child.returncode}: {' '.join(words)}")
    # The kernel's own count has those that were waited for, ours the others as far as they were seen.
    cost.cpu = max(sum(cost.seconds.values()), usage.ru_utime + usage.ru_stime)
    cost.coordinator_cpu = cost.seconds.get(child.pid, 0.0)
    return cost


def _watch(root: int, scratch: Path, cost: Cost, over: threading.Event, alone: bool) -> None:
    while not over.wait(_EVERY):
        own, files = 0, 0
        for pid in _tree(root):
            try:
                cost.seconds[pid] = _seconds(pid)
                held = _status(pid)
                own += held["RssAnon"] + held["RssShmem"]
                files = max(files, held["RssFile"])
            except (OSError, ValueError, LookupError):  # it is gone by now
                continue
        cost.memory = max(cost.memory, (own + files) / 1024)
        cost.scratch = max(cost.scratch, _size(scratch))
        try:
            held = _status(root)
            cost.coordinator = max(cost.coordinator, held["VmHWM"] / 1024)
            cost.own = max(cost.own, (held["RssAnon"] + held["RssShmem"]) / 1024)
            if alone:
                cost.network = max(cost.network or 0, _loopback(root))
        except (OSError, ValueError, LookupError):
            continue


def _tree(root: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(name))
            except (OSError, IndexError):
                continue
    found, ahead = [], [root]
    while ahead:
        pid = ahead.pop()
        found.append(pid)
        ahead += parents.get(pid, [])
    return found


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _status(pid: int) -> dict[str, int]:
    """What the kernel says that a process holds, in kiB."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {line[0].rstrip(":"): int(line[1]) for line in lines if line[-1] == "kB"}


def _loopback(pid: int) -> int:
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.strip().startswith("lo:"))


def _size(folder: Path) -> int:
    size = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                size += os.stat(os.path.join(place, name)).st_blocks * 512
            except OSError:
                continue
    return size
