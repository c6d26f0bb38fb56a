"""What takes `--device` works on a GPU: twice the same, and about what a processor gives. Skipped without one."""

import json

import numpy as np
import pytest
import torch

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.dynamic import DYNAMIC
from datadiet_cli.nn.gradients import full_gradient_norms
from datadiet_cli.nn.models import DEFAULTS, MODELS, build
from datadiet_cli.nn.predicting import features, predict
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Field, Spec
from datadiet_cli.nn.training import fit
from tests.conftest import Cli, report, table

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

SURE = ["--max-noise", "100%"]
CPU, GPU = torch.device("cpu"), torch.device("cuda")
NUMBERS = Field("numbers", "numbers", {"columns": ["a", "b", "c"]})
CATEGORIES = Field("categories", "categories", {"columns": ["d"], "values": [["x", "y"]]})
FIELDS = {
    "linear": (NUMBERS, CATEGORIES),
    "mlp": (NUMBERS, CATEGORIES),
    "small-cnn": (Field("image", "image", {"size": 32}),),
    "resnet8": (Field("image", "image", {"size": 32}),),
    "resnet20": (Field("image", "image", {"size": 32}),),
    "text": (Field("text", "text", {"buckets": 1 << 12, "length": 16}),),
    "audio": (Field("audio", "audio", {"rate": 8000, "samples": 8000}),),
    "joined": (NUMBERS, CATEGORIES, Field("image", "image", {"size": 32})),
}


def samples(model, n=96):
    """Samples whose class is told by what they are."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    raw = {
        "image": (rng.integers(0, 80, (n, 3, 32, 32)) + 80 * y[:, None, None, None]).astype(np.uint8),
        "audio": (rng.normal(0, 900, (n, 8000)) * (1 + 4 * y[:, None])).astype(np.int16),
        "text": (rng.integers(1, 9, (n, 16)) + 20 * y[:, None]).astype(np.int32),
        "numbers": (rng.normal(0, 1, (n, 3)) + y[:, None]).astype(np.float32),
        "categories": (1 + (y[:, None] > 0)).astype(np.int64),
    }
    return Samples(tuple(torch.from_numpy(raw[field.kind]) for field in FIELDS[model]), torch.from_numpy(y))


def network(model, shown):
    return build(Spec(model, FIELDS[model], ("a", "b", "c")), shown.inputs, seed=3)


def trained(model, device, **said):
    shown = samples(model)
    own = {"augment": (), **{k: v for k, v in DEFAULTS[model].items() if k in ("optimiser", "learning_rate")}, **said}
    return fit(network(model, shown), shown, Recipe(epochs=4, batch_size=32, **own), seed=1, device=device)


def same(one, other):
    left, right = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("model", MODELS)
def test_a_training_twice(model):
    """On a GPU a training gives the same bits twice, and about the losses that a processor gets."""
    there, here = trained(model, GPU), trained(model, CPU)
    assert same(there, trained(model, GPU))
    assert next(there.model.parameters()).device == CPU
    assert there.history[-1]["loss"] == pytest.approx(here.history[-1]["loss"], rel=0.25, abs=0.05)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_augmentation_and_half_precision(precision):
    said = {"augment": ("flip", "crop", "cutout"), "precision": precision}
    assert same(trained("small-cnn", GPU, **said), trained("small-cnn", GPU, **said))


@pytest.mark.parametrize("way", DYNAMIC)
def test_dynamic_pruning(way):
    there, here = trained("mlp", GPU, dynamic=way), trained("mlp", CPU, dynamic=way)
    assert same(there, trained("mlp", GPU, dynamic=way))
    assert there.history[0]["samples_seen"] == here.history[0]["samples_seen"]


@pytest.mark.parametrize("model", MODELS)
def test_what_a_model_says(model):
    shown = samples(model)
    one = trained(model, CPU).model
    for ask in (predict, features):
        here, there = ask(one, shown, device=CPU), ask(one, shown, device=GPU)
        assert np.allclose(here, there, rtol=1e-2, atol=1e-2 * np.abs(here).max())
    one.to("cpu")
    here, there = (full_gradient_norms(one, shown, device) for device in (CPU, GPU))
    assert np.allclose(here, there, rtol=2e-2, atol=1e-2 * here.max())


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = rng.normal(0, 1, (300, 4)) + y[:, None]
    cells = [
        [*(f"{v:.3f}" for v in x[i]), "abc"[y[i]], "test" if i % 4 == 0 else "train"] for i in range(300)
    ]  # fmt: skip
    return table(tmp_path_factory.mktemp("rows") / "rows.csv", ["p", "q", "r", "s", "kind", "part"], cells)


@pytest.mark.parametrize(
    "line",
    [
        ["train", "--dynamic", "adaptive"],
        ["select-samples", "--method", "el2n", "--models", "1", "--space", "model", *SURE],
        ["select-samples", "--method", "grand", "--gradient", "full", "--models", "1", *SURE],
        ["select-samples", "--candidates", "random", "--candidates", "aum"],
    ],
)
def test_commands(line, rows, tmp_path, datadiet: Cli):
    told = []
    for number in range(2):
        out = tmp_path / f"out{number}{'' if line[0] == 'train' else '.csv'}"
        flags = ["--label", "kind", "--split", "part", "--device", "cuda", "--epochs", "6", "--no-cache"]
        ran = datadiet(*line[:1], rows, out, *line[1:], *flags)
        assert ran.code == 0, ran.err
        told.append(report(out))
        del told[-1]["run"], told[-1]["output"]["path"]
    assert json.dumps(told[0]) == json.dumps(told[1])


def test_evaluate(rows, tmp_path, datadiet: Cli):
    half = tmp_path / "half.csv"
    flags = ["--label", "kind", "--split", "part", "--device", "cuda"]
    assert datadiet("select-samples", rows, half, "--method", "random", *flags).code == 0
    ran = datadiet("evaluate", half, "--against", rows, "--seeds", "2", "--epochs", "4", *flags, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["figures"]["accuracy"] > 0.5
