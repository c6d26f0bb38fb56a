"""A Dask cluster on several hosts, and behind TLS."""

import os
import shutil
import subprocess
import tempfile

import numpy as np
import pytest
from distributed import Security

from datadiet_cli.engine import Engine, Limits
from datadiet_cli.errors import ConfigError, ExitCode
from tests import cluster_kernels as kernels
from tests.clusters import kill, launcher  # noqa: F401 - fixture
from tests.conftest import class_folders

SPACES = "network namespaces, each with an address and temporary folders of its own"
FOLDERS = "processes with temporary folders of their own"


def _ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False).returncode == 0


@pytest.fixture
def hosts(tmp_path):
    """What makes three processes three hosts: (what they are, how to start the scheduler, how to start the workers)."""
    own = tmp_path / "own"
    own.mkdir()
    bridge = f"ddbr{os.getpid() % 100_000}"
    spaces = [f"{bridge}-{number}" for number in (2, 3)]
    net = f"10.{os.getpid() % 199 + 40}.{os.getpid() % 251}"
    may = os.geteuid() == 0 and shutil.which("ip") is not None
    if may and _ip("link", "add", bridge, "type", "bridge") and _ip("netns", "add", spaces[0]):
        try:
            _ip("addr", "add", f"{net}.1/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            for number, space in enumerate(spaces, 2):
                _ip("netns", "add", space)
                _ip("link", "add", f"{bridge}v{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
                _ip("link", "set", f"{bridge}v{number}", "master", bridge, "up")
                _ip("-n", space, "addr", "add", f"{net}.{number}/24", "dev", "eth0")
                _ip("-n", space, "link", "set", "eth0", "up")
            workers = [
                {"netns": space, "host": f"{net}.{number}", "hidden": str(own)}
                for number, space in enumerate(spaces, 2)
            ]
            yield SPACES, {"host": f"{net}.1"}, workers
        finally:
            for number, space in enumerate(spaces, 2):
                _ip("link", "del", f"{bridge}v{number}")
                _ip("netns", "del", space)
            _ip("link", "del", bridge)
    else:
        folders = [tmp_path / f"own-{number}" for number in (1, 2)]
        for folder in folders:
            folder.mkdir()
        yield FOLDERS, {}, [{"env": {"TMPDIR": str(folder)}} for folder in folders]


def test_several_hosts(hosts, launcher, datadiet, monkeypatch, record_testsuite_property, tmp_path):  # noqa: F811
    which, first, others = hosts
    record_testsuite_property("hosts", which)
    photos = class_folders(tmp_path / "in", {f"a/{i:02d}.png": i - (i % 5 == 1) for i in range(70)})
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "own"))
    scheduler = launcher.start("scheduler", **first)
    workers = [launcher.start("worker", scheduler=scheduler["address"], **how) for how in others]
    data = np.arange(50_000).reshape(5, -1), []
    try:
        with Engine("dask", None, Limits(scheduler["address"], str(shared))) as engine:
            found = {who for _, who in engine.map(kernels.pid, list(range(8)), chunk=1)}
            assert found == {worker["pid"] for worker in workers}, which
            assert list(engine.each(kernels.total, data, range(5))) == data[0].sum(axis=1).tolist(), which
        if which == SPACES:
            with Engine("dask", None, Limits(scheduler["address"])) as engine:
                assert len(list(engine.map(kernels.doubled, [1, 2], chunk=1))) == 2
                with pytest.raises(ConfigError, match=r"it cannot write to .*/own, .* --shared-dir"):
                    list(engine.each(kernels.total, data, range(5)))
        there = "--engine", "dask", "--scheduler", scheduler["address"], "--shared-dir", shared
        for output, engine in (("here", ("--engine", "serial")), ("there", there)):
            ran = datadiet("dedup", photos, tmp_path / output, "--no-cache", "--memory-limit", "1MB", *engine)
            assert ran.code == ExitCode.DONE, (which, ran.err)
        kept = [{path.name for path in (tmp_path / name).rglob("*.png")} for name in ("here", "there")]
        assert kept[0] == kept[1], which
        assert len(kept[0]) == 56
        assert not list(shared.iterdir())
        if which == SPACES:  # what they do not see is refused, and not reported as unreadable
            hidden = class_folders(tmp_path / "own" / "in", {"a/1.png": 1, "a/2.png": 2})
            ran = datadiet("dedup", hidden, tmp_path / "more", "--no-cache", *there)
            assert ran.code == ExitCode.USAGE
            assert "it does not see" in ran.complaint
    finally:
        for one in [*workers, scheduler]:
            kill(one["pid"])


def test_tls(launcher, datadiet_process, pets, tmp_path):  # noqa: F811
    made, paths = Security.temporary(), []
    for name in ("ca_file", "client_cert", "client_key"):
        path = tmp_path / f"{name}.pem"
        path.write_text(getattr(made, f"tls_{name}"))
        paths.append(str(path))
    scheduler = launcher.start("scheduler", tls=paths)
    worker = launcher.start("worker", scheduler=scheduler["address"], tls=paths)
    assert scheduler["address"].startswith("tls://")
    settings = {
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": paths[0],
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": paths[1],
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": paths[2],
    }
    try:
        ran = datadiet_process(
            "dedup", pets, tmp_path / "out", "--engine", "dask", "--scheduler", scheduler["address"],
            env={**os.environ, **settings},
        )  # fmt: skip
        assert ran.code == ExitCode.DONE, ran.err
        assert "1 worker" in ran.err
        with (
            pytest.raises(ConfigError, match="DASK_DISTRIBUTED__COMM__TLS__CA_FILE") as caught,
            Engine("dask", None, Limits(scheduler["address"])) as engine,
        ):
            list(engine.map(kernels.doubled, [1], chunk=1))
        assert "\n" not in str(caught.value)
    finally:
        kill(worker["pid"])
        kill(scheduler["pid"])
