"""A Dask cluster: the same answers as anywhere, and what happens when something of it is lost."""

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from datadiet_cli.encode import cached
from datadiet_cli.encode.elsewhere import told
from datadiet_cli.engine import Engine, Limits
from datadiet_cli.errors import ConfigError, DatadietError, ExitCode, InputError
from tests import cluster_kernels as kernels
from tests.clusters import four, kill, launcher  # noqa: F401 - fixtures
from tests.conftest import class_folders, report, tree_digest

SAMPLES = Path(__file__).parent.parent / "sample_data"


def content(root):
    """What an OUTPUT holds, whoever made it."""
    if root.is_file():
        return root.read_bytes()
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def verdicts(output):
    """What the report of an OUTPUT says of each sample."""
    found = report(output)["verdicts"]
    assert found
    return found


def on(cluster):
    return "--engine", "dask", "--scheduler", cluster.address


@pytest.fixture
def photos(tmp_path):
    """200 pictures of two classes; every fifth has a copy."""
    names = {f"{'cat' if i % 2 else 'dog'}/{i:03d}.png": i - (i % 10 == 1) for i in range(200)}
    return class_folders(tmp_path / "in", names)


RUNS = {
    "images": ("dedup", SAMPLES / "images"),
    "texts": ("dedup", SAMPLES / "texts.csv", "--similarity", "0.3", "--method", "minhash"),
    "rows": ("dedup", SAMPLES / "table.csv"),
    "sounds": (
        "dedup",
        SAMPLES / "sounds",
        "--label-pattern",
        "^([a-z]+)_",
        "--similarity",
        "0.8",
        "--method",
        "embedding",
    ),
    "labels": ("denoise", SAMPLES / "table.csv", "--label", "cultivar", "--folds", "3"),
}


@pytest.mark.parametrize("what", RUNS)
def test_the_same_answer_on_four_processes(what, four, datadiet, tmp_path):  # noqa: F811
    step, source, *flags = RUNS[what]
    here, there = tmp_path / f"here{source.suffix}", tmp_path / f"there{source.suffix}"
    for output, engine in ((here, ("--engine", "threads")), (there, on(four))):
        ran = datadiet(step, source, output, *flags, "--no-cache", *engine)
        assert ran.code in (ExitCode.DONE, ExitCode.UNREADABLE), ran.err
        assert "Traceback" not in ran.err
    assert content(there) == content(here)
    assert verdicts(there) == verdicts(here)
    made = report(there)["environment"]["engine"]
    assert made["name"] == "dask"
    if what != "rows":  # so few are not worth sending
        assert (made["workers"], made["threads"], made["versions"]["numpy"]) == (4, 4, np.__version__)


def test_workers_were_started_elsewhere(four, datadiet, photos, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.chdir(photos.parent)
    (tmp_path / "shared").mkdir()
    ran = datadiet("dedup", photos.name, "out", "--no-cache", "--shared-dir", "shared", *on(four))
    assert ran.code == ExitCode.DONE, ran.err
    assert os.listdir("shared") == []


def test_the_same_figures_of_trainings(launcher, datadiet, tmp_path):  # noqa: F811
    cluster = launcher.cluster(1)  # each would have to import torch
    flags = "--label cultivar --model linear --seeds 2 --epochs 2 --controls none --no-cache".split()
    found = []
    for name, engine in (("here", ("--engine", "threads")), ("there", on(cluster))):
        place = tmp_path / f"{name}.json"
        source = SAMPLES / "table.csv"
        assert datadiet("evaluate", source, place, "--against", source, *flags, *engine).code == ExitCode.DONE
        found.append(json.loads(place.read_bytes())["steps"])
    cluster.close()
    for steps in found:
        for step in steps:
            step.pop("seconds", None)
            step.pop("timings", None)
    assert found[0] == found[1]


def test_a_worker_is_killed_in_the_middle(four, launcher, datadiet, photos, tmp_path):  # noqa: F811
    victims = [launcher.start("worker", scheduler=four.address, die=True, call=1) for _ in range(2)]
    for name, engine in (("serial", ("--engine", "serial")), ("dask", on(four))):
        assert datadiet("dedup", photos, tmp_path / name, "--no-cache", *engine).code == ExitCode.DONE
    assert not all(psutil.pid_exists(victim["pid"]) for victim in victims)
    for victim in victims:
        kill(victim["pid"])
    assert content(tmp_path / "dask") == content(tmp_path / "serial")
    assert verdicts(tmp_path / "dask") == verdicts(tmp_path / "serial")


def test_the_scheduler_is_lost_and_a_rerun_goes_on(launcher, datadiet, datadiet_process, photos, monkeypatch, tmp_path):  # noqa: F811
    scheduler = launcher.start("scheduler")
    # Two looks at the files, then pictures, 32 a call: the fifth call is the fourth of pictures.
    worker = launcher.start("worker", scheduler=scheduler["address"], end=scheduler["pid"], call=6)
    before = tree_digest(photos)
    ran = datadiet_process("dedup", photos, tmp_path / "out", "--engine", "dask", "--scheduler", scheduler["address"])
    kill(worker["pid"])
    assert ran.code == ExitCode.USAGE
    assert "the Dask scheduler was lost" in ran.complaint
    assert "run the same command again" in ran.complaint
    assert not list(tmp_path.glob("out*"))
    assert tree_digest(photos) == before
    made, run_kernel = [], cached._run_kernel

    def counted(tasks, *args):
        made.extend(tasks)
        return run_kernel(tasks, *args)

    monkeypatch.setattr(cached, "_run_kernel", counted)
    assert datadiet("dedup", photos, tmp_path / "out", "--engine", "serial").code == ExitCode.DONE
    contents = 180  # twenty of the pictures are copies
    assert 0 < len(made) <= contents - 2 * 32


class TestOneLine:
    """What goes wrong is said in one line, as on one machine."""

    @pytest.mark.parametrize(
        ("how", "kind", "words"),
        [
            ("config", ConfigError, "seven\nis not allowed"),
            ("input", InputError, "pic\udcff.png: seven"),
            ("other", ArithmeticError, "seven"),
            ("memory", DatadietError, "ran out of memory; give each worker more"),
            ("disk", OSError, f"/data/seven on {os.uname().nodename}"),
        ],
    )
    def test_of_a_kernel(self, four, how, kind, words):  # noqa: F811
        with Engine("dask", None, Limits(four.address)) as engine:
            with pytest.raises(kind) as caught:
                list(engine.map(kernels.fail_at_7, list(range(20)), how, chunk=2))
            assert words in str(caught.value) + str(getattr(caught.value, "filename", ""))
            assert [part for _, part in engine.map(kernels.doubled, [1, 2], chunk=1)] == [[2], [4]]

    def test_of_a_call_that_kills_every_worker(self, launcher):  # noqa: F811
        cluster = launcher.cluster(4)
        with (
            Engine("dask", None, Limits(cluster.address)) as engine,
            pytest.raises(DatadietError, match="several Dask workers died while they worked on the same samples"),
        ):
            list(engine.map(kernels.die, [1], chunk=1))
        cluster.close()

    def test_of_workers_that_are_all_gone(self, launcher, monkeypatch):  # noqa: F811
        monkeypatch.setattr("datadiet_cli.engine.cluster.WAIT", 1)
        monkeypatch.setattr("datadiet_cli.engine.cluster._LOOK", 0.2)
        cluster = launcher.cluster(1)
        with (
            Engine("dask", None, Limits(cluster.address)) as engine,
            pytest.raises(DatadietError, match="all Dask workers are gone"),
        ):
            list(engine.map(kernels.die, [1], chunk=1))
        cluster.close()

    def test_of_no_scheduler(self, monkeypatch, tmp_path):
        monkeypatch.setattr("datadiet_cli.engine.cluster.CONNECT", 0.2)
        for place, words in (
            ("tcp://127.0.0.1:1", "no Dask scheduler that this machine can talk to"),
            (str(tmp_path / "none.json"), "no such scheduler file"),
            ("tls://127.0.0.1:1", "DASK_DISTRIBUTED__COMM__TLS__CA_FILE"),
        ):
            with pytest.raises(ConfigError, match=words) as caught, Engine("dask", 1, Limits(place)) as engine:
                list(engine.map(kernels.doubled, [1], chunk=1))
            assert "\n" not in str(caught.value)

    def test_of_no_workers(self, launcher, monkeypatch):  # noqa: F811
        monkeypatch.setattr("datadiet_cli.engine.cluster.WAIT", 0.2)
        cluster = launcher.cluster(0)
        with (
            pytest.raises(ConfigError, match="it has no workers, and none came within"),
            Engine("dask", None, Limits(cluster.address)) as engine,
        ):
            list(engine.map(kernels.doubled, [1], chunk=1))
        cluster.close()


@pytest.fixture
def scheduler(launcher):  # noqa: F811
    found = launcher.start("scheduler")
    yield found
    kill(found["pid"])


class TestWhoTakesPart:
    """Workers that would give other answers, or none, are refused."""

    def refused(self, scheduler, **limits):
        limits = Limits(scheduler["address"], **limits)
        with pytest.raises(ConfigError) as caught, Engine("dask", None, limits) as engine:
            list(engine.map(kernels.doubled, [1], chunk=1))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_versions(self, launcher, scheduler, tmp_path):  # noqa: F811
        fake = tmp_path / "numpy-0.1.dist-info"
        fake.mkdir()
        (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.1\n")
        worker = launcher.start("worker", scheduler=scheduler["address"], fake=str(tmp_path))
        said = self.refused(scheduler)
        kill(worker["pid"])
        assert f"{worker['address']}: it has numpy 0.1 (here {np.__version__})" in said
        assert "install the same versions everywhere" in said

    def test_a_late_one(self, launcher, scheduler, tmp_path):  # noqa: F811
        fake = tmp_path / "scipy-0.1.dist-info"
        fake.mkdir()
        (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.1\n")
        first = launcher.start("worker", scheduler=scheduler["address"])
        with Engine("dask", None, Limits(scheduler["address"])) as engine:
            assert [part for _, part in engine.map(kernels.doubled, [1], chunk=1)] == [[2]]
            late = launcher.start("worker", scheduler=scheduler["address"], fake=str(tmp_path))
            with pytest.raises(ConfigError, match=r"cannot take part: it has scipy 0\.1"):
                list(engine.map(kernels.pid, list(range(20)), chunk=1))
        kill(first["pid"]), kill(late["pid"])

    def test_datadiet(self, launcher, scheduler):  # noqa: F811
        worker = launcher.start("worker", scheduler=scheduler["address"], without="datadiet_cli")
        assert "it does not have datadiet" in self.refused(scheduler)
        kill(worker["pid"])
        other = launcher.start("scheduler", without="datadiet_cli")
        worker = launcher.start("worker", scheduler=other["address"])
        assert "the Dask scheduler does not have datadiet" in self.refused(other)
        kill(worker["pid"]), kill(other["pid"])

    def test_input_and_shared_folder(self, four, tmp_path):  # noqa: F811
        address = {"address": four.address}
        # The launcher's folder is theirs; that a path means nothing to them is as good as on another machine.
        said = self.refused(address, inputs=("/no/such/a.png",))
        assert "it does not see /no/such/a.png" in said
        assert "cannot take part" in said


def test_what_is_shared_arrives(four):  # noqa: F811
    rng = np.random.default_rng(0)
    data = rng.integers(0, 9, (40, 5000)), ["word"] * 30_000
    with Engine("dask", None, Limits(four.address, memory=1 << 20)) as engine:
        found = list(engine.each(kernels.total, data, range(40)))
        large = engine.zeros((40, 5000), np.int64)
        large[:] = data[0]
        again = list(engine.each(kernels.total, (large, data[1]), range(40)))
    assert found == again == (data[0].sum(axis=1) + 30_000).tolist()


def test_what_was_finished_is_kept(four, tmp_path):  # noqa: F811
    found = []

    def deal(pieces, error):
        with (
            Engine("dask", None, Limits(four.address, shared_dir=str(tmp_path))) as engine,
            suppress(ArithmeticError),
            engine.kept_exchange("the key", 2) as exchange,
        ):
            found.append(sum(made for _, made in engine.map(kernels.deal, list(range(pieces)), exchange, chunk=1)))
            assert exchange.read(1, range(pieces))["value"].tolist() == [-i for i in range(pieces)]
            if error:
                raise ArithmeticError

    deal(8, error=True)
    deal(12, error=False)
    deal(12, error=False)
    assert found == [8, 4, 12]
    assert not list(tmp_path.iterdir())


def test_tasks_go_where_the_device_is(four, launcher, monkeypatch):  # noqa: F811
    limits = Limits(four.address, device="cuda")
    said = r"--device cuda: no worker of .* has a GPU to give"
    with pytest.raises(ConfigError, match=said), Engine("dask", None, limits) as engine:
        list(engine.map(kernels.pid, [1], chunk=1))
    worker = launcher.start("worker", scheduler=four.address, resources={"GPU": 1})
    with Engine("dask", None, Limits(four.address, device="auto")) as engine:
        found = {who for _, who in engine.map(kernels.pid, list(range(6)), chunk=1, on_device=True)}
        others = {who for _, who in engine.map(kernels.pid, list(range(20)), chunk=1)}
        monkeypatch.setattr("datadiet_cli.encode.elsewhere._sees_gpu", lambda: False)
        asked = told(kernels.pid, 1, "auto", engine), told(kernels.pid, 1, "cpu", engine)
    kill(worker["pid"])
    assert found == {worker["pid"]}
    assert len(others) > 1
    assert asked == (worker["pid"], os.getpid())
