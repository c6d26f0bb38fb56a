"""Whatever ends a run in the middle, OUTPUT is whole or as it was, INPUT untouched, and nothing is left lying about."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import CATS_AND_DOGS, Cli, Ran, class_folders, command, names, save, table, tree_digest

MANY = 6_000
"""Files enough that the copy takes long enough to be caught at it."""


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if ".partial" in name]


@pytest.fixture(scope="module")
def _crowd(tmp_path_factory) -> Iterator[Path]:
    root = class_folders(tmp_path_factory.mktemp("crowd") / "in", CATS_AND_DOGS)
    notes = root / "notes"
    notes.mkdir()
    (notes / "0.json").write_text("{}")
    # One file under many names: quick to make, and each is copied as a file of its own.
    for number in range(1, MANY):
        os.link(notes / "0.json", notes / f"{number}.json")
    yield root
    shutil.rmtree(root.parent)


@pytest.fixture
def crowd(_crowd: Path) -> Iterator[Path]:
    """INPUT with very many files, in a folder of its own; it must stay as it is."""
    before = tree_digest(_crowd)
    yield _crowd
    assert tree_digest(_crowd) == before


def has_begun(output: Path) -> bool:
    return any(name.startswith(f".{output.name}.") for name in leftovers(output.parent))


def is_copying(output: Path) -> bool:
    return any(any((output.parent / stage / output.name / "notes").glob("*")) for stage in leftovers(output.parent))


def stopped(number: signal.Signals, when: Callable[[Path], bool], output: Path, *arguments: object) -> Ran:
    """Send a signal to a run as soon as it has come so far."""
    run = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not when(output):
            assert run.poll() is None, "the run ended before it could be stopped"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        run.send_signal(number)
        out, err = run.communicate(timeout=60)
    finally:
        run.kill()
        run.wait()
    return Ran(run.returncode, out, err.decode())


class TestKilled:
    def test_output_is_absent_and_the_next_run_clears_up(self, crowd, tmp_path, datadiet: Cli):
        output = tmp_path / "out"
        ran = stopped(signal.SIGKILL, is_copying, output, "dedup", crowd, output)
        assert ran.code == -signal.SIGKILL
        assert len(leftovers(tmp_path)) == len(os.listdir(tmp_path)) == 1
        assert datadiet("dedup", crowd, output).code == 0
        assert len(os.listdir(output / "notes")) == MANY
        assert set(os.listdir(tmp_path)) == {"out", "out.report.json"}

    def test_the_old_output_is_whole(self, crowd, tmp_path):
        output = class_folders(tmp_path / "out", {"precious.png": 9})
        before = tree_digest(output)
        assert stopped(signal.SIGKILL, is_copying, output, "dedup", crowd, output, "--force").code == -signal.SIGKILL
        assert tree_digest(output) == before

    def test_what_a_living_run_stages_is_left_alone(self, crowd, pets, tmp_path, datadiet: Cli):
        output = tmp_path / "out"
        run = subprocess.Popen(command("dedup", crowd, output), stderr=subprocess.DEVNULL)
        while not is_copying(output) and run.poll() is None:
            time.sleep(0.001)
        run.send_signal(signal.SIGSTOP)
        try:
            stage = leftovers(tmp_path)
            assert datadiet("dedup", pets, output).code == 0
            assert leftovers(tmp_path) == stage
        finally:
            run.send_signal(signal.SIGCONT)
            code = run.wait(timeout=60)
        # The first to finish wins: what is published is never replaced unasked.
        assert code == 2
        assert "notes" not in names(output)
        assert set(os.listdir(tmp_path)) == {"in", "out", "out.report.json"}


@pytest.mark.parametrize("when", [has_begun, is_copying])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
class TestStopped:
    def test_nothing_is_left(self, crowd, tmp_path, number, code, when):
        output = tmp_path / "out"
        ran = stopped(number, when, output, "dedup", crowd, output)
        assert ran.code == code, ran.err
        assert "nothing was published" in ran.complaint
        assert os.listdir(tmp_path) == []

    def test_the_old_output_is_whole(self, crowd, tmp_path, number, code, when):
        output = class_folders(tmp_path / "out", {"precious.png": 9})
        (tmp_path / "out.report.json").write_text("{}")
        before = tree_digest(tmp_path)
        ran = stopped(number, when, output, "dedup", crowd, output, "--force")
        assert ran.code == code
        assert tree_digest(tmp_path) == before


class TestForce:
    def test_replaces_the_whole_of_the_old_output(self, pets, tmp_path, datadiet: Cli):
        output = class_folders(tmp_path / "out", {"cat/old.png": 9})
        before = tree_digest(pets)
        assert datadiet("dedup", pets, output, "--force").code == 0
        assert names(output) == names(pets) - {"cat/copy-of-a.png"}
        assert tree_digest(pets) == before
        assert set(os.listdir(tmp_path)) == {"in", "out", "out.report.json"}

    def test_does_not_write_through_a_hard_link_to_input(self, tmp_path, datadiet: Cli):
        source = table(tmp_path / "in.csv", ["x"], [[1], [1]])
        os.link(source, tmp_path / "out.csv")
        assert datadiet("dedup", source, tmp_path / "out.csv", "--force").code == 0
        assert source.read_text() == "x\n1\n1\n"
        assert (tmp_path / "out.csv").read_text() == "x\n1\n"


def own_mounts(place: Path) -> list[str] | None:
    """How to start a command with mounts of its own, or None."""
    for way in (["unshare", "-m"], ["unshare", "-rm"]):
        trial = [*way, "mount", "-t", "tmpfs", "tmpfs", place]
        if shutil.which("unshare") and subprocess.run(trial, capture_output=True, check=False).returncode == 0:
            return way
    return None


class TestFullDisk:
    @pytest.mark.parametrize("force", [False, True])
    def test_small_file_system(self, pets, tmp_path, force):
        disk = tmp_path / "disk"
        disk.mkdir()
        way = own_mounts(disk)
        if way is None:
            pytest.skip("no mount namespaces here; the next test fills up in another way")
        with (pets / "cat/a.png").open("ab") as file:
            file.write(os.urandom(2_000_000))
        before = tree_digest(tmp_path)
        # The mount is seen by this shell alone, and gone with it.
        script = (
            'mount -t tmpfs -o size=1m tmpfs "$0" || exit 99; mkdir "$0/old"; echo old > "$0/old/file"; '
            '"$@"; code=$?; ls -A "$0"; cat "$0/old/file"; exit $code'
        )
        output = disk / ("old" if force else "new")
        run = [*way, "sh", "-c", script, disk, *command("dedup", pets, output, *(["--force"] if force else []))]
        done = subprocess.run(run, capture_output=True, check=False, timeout=60)
        ran = Ran(done.returncode, done.stdout, done.stderr.decode())
        assert ran.code == 2, ran.err
        assert "No space left on device" in ran.complaint
        assert str(output) in ran.complaint
        assert ran.out == b"old\nold\n"
        assert tree_digest(tmp_path) == before

    def test_file_size_limit(self, pets, tmp_path, datadiet_process: Cli):
        with (pets / "cat/a.png").open("ab") as file:
            file.write(os.urandom(2_000_000))
        before = tree_digest(tmp_path)

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

        ran = datadiet_process("dedup", pets, tmp_path / "out", "--no-cache", preexec_fn=limit)
        assert ran.code == 2
        assert "File too large" in ran.complaint
        assert tree_digest(tmp_path) == before


class TestStandardStreams:
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_reader_of_stdout_goes_away(self, tmp_path, monkeypatch, unbuffered):
        monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
        for number in range(3):
            save(tmp_path / f"in/{'long-name-' * 20}{number}.png", 1)
        run = subprocess.Popen(
            command("dedup", tmp_path / "in", "--dry-run", "--list", "dropped"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert run.stdout is not None
        run.stdout.close()
        assert run.stderr is not None
        err = run.stderr.read().decode()
        run.stderr.close()
        assert run.wait(timeout=60) == 141
        assert "Traceback" not in err
        assert "BrokenPipe" not in err

    @pytest.mark.parametrize("stream", ["1", "2", "0"])
    def test_a_closed_stream_does_not_matter(self, pets, tmp_path, stream):
        script = f'exec {stream}>&-; exec "$@"'
        run = ["sh", "-c", script, "sh", *command("dedup", pets, tmp_path / "out", "--list", "dropped")]
        done = subprocess.run(run, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        assert (tmp_path / "out/dog/d.png").read_bytes() == (pets / "dog/d.png").read_bytes()

    def test_stdout_is_full(self, pets, datadiet_process: Cli):
        with Path("/dev/full").open("wb") as full:
            ran = datadiet_process("dedup", pets, "--dry-run", "--list", "kept", "--quiet", stdout=full)
        assert ran.code == 2
        assert "No space left on device" in ran.complaint

    def test_module_and_script_say_the_same(self, datadiet_process: Cli):
        script = Path(sys.executable).with_name("datadiet")
        if not script.exists():
            pytest.skip("not installed")
        shown = subprocess.run([script, "--version"], capture_output=True, check=True, timeout=60)
        assert shown.stdout == datadiet_process("--version").out
