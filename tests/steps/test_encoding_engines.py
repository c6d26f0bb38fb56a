"""Vectors are the same wherever they are made, and an encoder's file need not be there."""

import threading
from pathlib import Path

import numpy as np
import pytest

from datadiet_cli.encode.cache import NoCache
from datadiet_cli.encode.vectors import images
from datadiet_cli.encode.vectors.exported import digest_of
from datadiet_cli.encode.vectors.making import Choice, vectors_of
from datadiet_cli.engine import Engine, Limits
from datadiet_cli.nn import device
from datadiet_cli.nn.scan import checked
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.vectors import by_runs, few_of_files, of_images, of_sounds

SAMPLES = Path(__file__).parent.parent.parent / "sample_data"


@pytest.fixture(scope="module", params=["processes", "dask"])
def engine(request):
    limits = Limits(scheduler="inproc" if request.param == "dask" else None, memory=1 << 14)
    with Engine(request.param, 2, limits) as made:
        yield made


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A .pt2 file, too large to travel with each call."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    path = tmp_path_factory.mktemp("network") / "encoder.pt2"
    torch.export.save(torch.export.export(layers.eval(), (torch.rand(2, 3, 24, 24),)), path)
    return str(path)


def pictures():
    return sorted(map(str, (SAMPLES / "images" / "train").rglob("*.jpg")))[:20]


def same(one, other):
    for part in ("grid", "causes", "plain"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


def test_a_network_from_a_file_that_workers_do_not_have(engine, network):
    paths, data = [*pictures(), "gone.jpg"], checked(network)
    choice = Choice("image", "nowhere.pt2", "cpu", digest_of(data), data=np.frombuffer(data, dtype=np.uint8))
    made = vectors_of(
        paths, choice, images.encode_images, 1 << 30, namespace="", codes=images.CODES, chunk=8, cache=NoCache(),
        engine=engine, progress=lambda _: None,
    )  # fmt: skip
    same(made, of_images(paths, network, Context(device="cpu"), "dedup"))


def test_what_learns_from_texts(engine, tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for number in range(40):
        path = tmp_path / f"{number}.txt"
        path.write_text(" ".join(rng.choice(["a cat", "one dog", "some mice", "many words", "few"], 30)))
        paths.append(str(path))
    (tmp_path / "7.txt").write_text("x")
    same(by_runs([*paths, "gone.txt"], Context(engine=engine)), by_runs([*paths, "gone.txt"], Context()))
    learn = np.arange(len(paths) + 1) % 2 > 0
    one, other = (
        few_of_files("text", [*paths, None], learn, "classical", context, "x")
        for context in (Context(engine=engine), Context())
    )
    np.testing.assert_array_equal(one.values, other.values)


def test_sounds(engine):
    pytest.importorskip("soundfile")
    paths = sorted(str(path) for path in (SAMPLES / "sounds").rglob("*.*"))[:12]
    same(
        of_sounds(paths, "mfcc", Context(engine=engine), "dedup"),
        of_sounds(paths, "mfcc", Context(), "dedup"),
    )


def test_a_network_runs_on_one_thread_where_it_works_for_others(monkeypatch):
    """However such a process was started: there are as many calls as cores."""
    import torch

    monkeypatch.setattr(device, "_FOR_OTHERS", threading.Event())
    seen = []

    def forward(x):
        seen.append(torch.get_num_threads())
        return x

    def run():
        device.in_batches(forward, (np.zeros((1, 2), dtype=np.float32),), 1, torch.device("cpu"))

    device.work_for_others()
    runner = threading.Thread(target=run)
    runner.start()
    runner.join()
    assert seen == [1]
