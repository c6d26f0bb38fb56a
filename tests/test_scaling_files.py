"""What the documents and recipes say of clusters: their commands are run as written, their files hold together."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.conftest import Cli
from tests.shown import ROOT, fenced
from tests.test_docs import check_call

dask_cli = pytest.importorskip("distributed.cli.dask_scheduler")
RECIPES = ROOT / "docs" / "recipes"
PAGE = ROOT / "docs" / "scaling.md"
COMPOSE = yaml.safe_load((RECIPES / "docker-compose.yml").read_text(encoding="utf-8"))
KUBERNETES = list(yaml.safe_load_all((RECIPES / "kubernetes.yaml").read_text(encoding="utf-8")))
PODS = {one["metadata"]["name"]: one["spec"]["template"] for one in KUBERNETES if "template" in one.get("spec", {})}


def check_dask(words):
    """Hold the arguments of a `dask` against its own command line."""
    from distributed.cli.dask_scheduler import main as scheduler
    from distributed.cli.dask_worker import main as worker

    given = {"scheduler": scheduler, "worker": worker}[words[0]].make_context(words[0], list(words[1:])).params
    # What Dask does not know it hands to modules that nobody names here.
    assert not given["preload_argv"], given["preload_argv"]


def section(heading):
    """The `sh` blocks below a heading of the page."""
    text = PAGE.read_text(encoding="utf-8")
    part = re.split(r"^##+ ", text, flags=re.MULTILINE)
    found = next(one for one in part if one.startswith(f"{heading}\n"))
    return re.findall(r"^```sh\n(.*?)^```", found, re.DOTALL | re.MULTILINE)


def test_the_commands_of_dask_that_are_shown_exist():
    lines = [line for block in fenced(PAGE, "sh") for line in block.splitlines()]
    calls = [shlex.split(line.rstrip(" &").partition("dask ")[2]) for line in lines if re.search(r"\bdask \w+ ", line)]
    assert len(calls) >= 7
    for words in calls:
        check_dask(words)


@contextmanager
def running(line, folder, environment):
    """A command of a terminal of its own, until the others are done."""
    child = subprocess.Popen(
        ["bash", "-c", line], cwd=folder, env=environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.mark.parametrize("heading", ["By hand", "Several machines"])
def test_a_cluster_is_started_as_the_page_says(heading, tmp_path, datadiet: Cli):
    """Only addresses, ports and the shared folder are others; the several machines are this one."""
    blocks = section(heading)
    if any("openssl" in block for block in blocks) and shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (tmp_path / "shared").mkdir()
    for place in (tmp_path / "shared" / "raw", tmp_path / "sample_data" / "images"):
        shutil.copytree(ROOT / "sample_data" / "images" / "test", place)
        shutil.copy(place / "animal" / "chelsea-03.jpg", place / "animal" / "copy.jpg")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, module in {"datadiet": "datadiet_cli", "dask": "dask"}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        (tools / name).chmod(0o755)
    scheduler, pages = map(str, free_ports(2))
    for old, new in {"10.0.0.1": "127.0.0.1", "/mnt/shared": str(tmp_path / "shared")}.items():
        blocks = [block.replace(old, new) for block in blocks]
    blocks = [block.replace("8786", scheduler).replace("8787", pages) for block in blocks]
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    lines = "".join(blocks).splitlines()
    before = [line for line in lines if line.startswith("openssl")]
    exports = "".join(f"{line}\n" for line in lines if line.startswith("export"))
    if before:
        subprocess.run(["bash", "-ec", "\n".join(before)], cwd=tmp_path, check=True, capture_output=True)
    with ExitStack() as stack:
        for line in lines:
            if line.startswith("dask"):
                stack.enter_context(running(f"{exports}exec {line}", tmp_path, environment))
        command = next(line for line in lines if line.startswith("datadiet"))
        ran = subprocess.run(
            ["bash", "-c", exports + command], cwd=tmp_path, env=environment, check=False, capture_output=True
        )
    assert ran.returncode == 0, ran.stderr.decode()[-3000:]
    words = shlex.split(command)
    source, output = tmp_path / words[2], tmp_path / words[3]
    told = json.loads(Path(f"{output}.report.json").read_bytes())
    assert told["environment"]["engine"]["scheduler"] == words[words.index("--scheduler") + 1]
    assert told["environment"]["engine"]["workers"] in (1, 2)  # the second may have been late
    assert told["figures"]["removed"] == 1
    assert datadiet("dedup", source, tmp_path / "here").code == 0
    assert contents(output) == contents(tmp_path / "here")
    # Nothing but what was asked for stays in the shared folder.
    assert {path.name.partition(".")[0] for path in (tmp_path / "shared").iterdir()} <= {"raw", "clean"}


class TestCompose:
    def test_says_what_compose_knows(self):
        assert COMPOSE.keys() == {"name", "x-common", "services", "networks"}
        known = {
            "image", "user", "working_dir", "volumes", "networks", "environment", "read_only", "tmpfs", "cap_drop",
            "security_opt", "entrypoint", "command", "healthcheck", "restart", "depends_on", "profiles",
        }  # fmt: skip
        for service in COMPOSE["services"].values():
            assert service.keys() <= known
            assert set(service["networks"]) <= COMPOSE["networks"].keys()
            for name, when in service.get("depends_on", {}).items():
                assert when == {"condition": "service_healthy"}
                assert "healthcheck" in COMPOSE["services"][name]

    def test_nobody_outside_can_reach_the_scheduler(self):
        assert COMPOSE["networks"] == {"inside": {"internal": True}}
        for service in COMPOSE["services"].values():
            assert "ports" not in service
            assert service["networks"] == ["inside"]
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]

    def test_all_see_the_same_at_the_same_place(self):
        assert len({json.dumps([one["image"], one["volumes"]]) for one in COMPOSE["services"].values()}) == 1

    def test_commands_are_commands(self):
        for service in COMPOSE["services"].values():
            words = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in service["entrypoint"] + service["command"]]
            (check_dask if words[0] == "dask" else check_call)(words[1:])

    def test_settings_of_the_client_are_settings(self):
        from datadiet_cli.config.load import load_common

        environment = COMPOSE["services"]["client"]["environment"]
        common = load_common({}, {name: value for name, value in environment.items() if name.startswith("DATADIET_")})
        assert common.engine == "dask"
        assert common.scheduler == "tcp://scheduler:8786"


class TestKubernetes:
    def test_is_valid(self):
        import kubernetes_validate

        for one in KUBERNETES:
            kubernetes_validate.validate(one, "1.33", strict=True)

    def test_has_what_a_cluster_needs(self):
        kinds = [one["kind"] for one in KUBERNETES]
        assert sorted(kinds) == [
            "ConfigMap", "Deployment", "Deployment", "Job", "NetworkPolicy", "PersistentVolumeClaim", "Service",
        ]  # fmt: skip
        assert len({one["metadata"]["name"] + one["kind"] for one in KUBERNETES}) == len(kinds)

    def test_selectors_find_their_pods(self):
        labels = {name: pod["metadata"]["labels"].items() for name, pod in PODS.items()}
        for one in KUBERNETES:
            match one["kind"]:
                case "Deployment":
                    assert one["spec"]["selector"]["matchLabels"].items() <= labels[one["metadata"]["name"]]
                case "Service":
                    found = [name for name, own in labels.items() if one["spec"]["selector"].items() <= own]
                    assert found == ["datadiet-scheduler"]
                    ports = PODS["datadiet-scheduler"]["spec"]["containers"][0]["ports"]
                    assert {port["targetPort"] for port in one["spec"]["ports"]} <= {port["name"] for port in ports}
                case "NetworkPolicy":
                    assert all(one["spec"]["podSelector"]["matchLabels"].items() <= own for own in labels.values())

    @pytest.mark.parametrize("name", PODS)
    def test_pods_hold_together_and_may_do_little(self, name):
        spec = PODS[name]["spec"]
        (container,) = spec["containers"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
        assert spec["securityContext"]["runAsNonRoot"]
        assert not spec["automountServiceAccountToken"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
        claims = {one["metadata"]["name"] for one in KUBERNETES if one["kind"] == "PersistentVolumeClaim"}
        assert {
            v["persistentVolumeClaim"]["claimName"] for v in volumes.values() if "persistentVolumeClaim" in v
        } <= claims
        settings = {one["metadata"]["name"] for one in KUBERNETES if one["kind"] == "ConfigMap"}
        assert {source["configMapRef"]["name"] for source in container["envFrom"]} <= settings
        ports = {port["name"] for port in container.get("ports", [])}
        probes = [value for key, value in container.items() if key.endswith("Probe")]
        assert {probe["httpGet"]["port"] for probe in probes} <= ports

    def test_commands_are_commands_and_find_the_scheduler(self):
        service = next(one for one in KUBERNETES if one["kind"] == "Service")
        address = f"tls://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
        for name in ("datadiet-scheduler", "datadiet-worker"):
            container = PODS[name]["spec"]["containers"][0]
            words = container["command"] + container["args"]
            assert words[0] == "dask"
            check_dask(words[1:])
        assert address in words
        line = PODS["datadiet"]["spec"]["containers"][0]["args"][0]
        words = shlex.split(line.partition(" || ")[0])
        assert words[0] == "datadiet"
        assert address in words
        check_call(words[1:])

    def test_what_dask_is_told_is_what_dask_knows(self):
        import dask
        import distributed

        told = next(one["data"] for one in KUBERNETES if one["kind"] == "ConfigMap")
        assert distributed
        for name, value in told.items():
            assert isinstance(value, str)
            if name.startswith("DASK_"):
                place = name.removeprefix("DASK_").lower().replace("__", ".").replace("_", "-")
                assert dask.config.get(place, "unknown") != "unknown", place

    def test_all_have_the_same_image_and_see_the_same(self):
        containers = [pod["spec"]["containers"][0] for pod in PODS.values()]
        assert len({one["image"] for one in containers}) == 1
        data = [[m["mountPath"] for m in one["volumeMounts"] if m["name"] == "data"] for one in containers]
        assert sorted(data) == [[], ["/data"], ["/data"]]


def test_the_model_goes_on_as_what_was_measured(monkeypatch):
    """Against figures made so that the answer can be said beforehand."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from scaling.model import Cluster, measured, rows

    results = [
        {
            "job": "j", "engine": engine, "limit": limit, "size": n, "coordinator_cpu": 1 + 1e-5 * n,
            "cpu": 1 + 1e-5 * n + 2 + (n / 1e4) ** 2, "own": 100 + n / 2**20 * 200, "network": 50 * n,
            "coordinator": 100 + n / 2**20 * 200,
            "memory": 500 + n / 2**20 * 200, "scratch": 80 * n if limit else 0,
        }
        for n in (100, 10_000, 100_000)
        for engine, limit in (("dask", False), ("dask", True), ("threads", False))
    ]  # fmt: skip
    one = measured(results, "j", 2)
    assert one.power == pytest.approx(2, abs=0.1)  # the coordinator's part is in it
    assert one.workers == pytest.approx(100, rel=1e-3)
    assert (one.coordinator, one.memory, one.network, one.files) == pytest.approx((1e-5, 200, 50, 80))
    assert (one.held, one.worker) == pytest.approx((100 * 2**20, 200 * 2**20))
    one = replace(one, power=2)
    told = {name: there for name, _, there in rows(one, Cluster(1e7, 10, 10, 0.5, 1e8, 1e9))}
    assert told["CPU of workers"] == "5.6 h"  # 1e6 s on 100 cores, busy half of the time
    assert told["CPU of the coordinator"] == "2 min"
    assert told["network of the coordinator"] == "500 MB, 5 s"
    assert told["memory of the coordinator"] == "2 GB"
    assert told["all of it"].endswith("most of it workers")


def test_both_say_that_they_were_not_run():
    for name in ("docker-compose.yml", "kubernetes.yaml"):
        assert "not run" in (RECIPES / name).read_text(encoding="utf-8").partition("\n\n")[0].replace("\n# ", " ")
