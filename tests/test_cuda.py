"""What takes `--device` works on a GPU: twice the same, and about what a processor gives. Skipped without one."""

import contextlib
import copy
import json
import os

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from datadiet_cli.errors import DatadietError
from datadiet_cli.nn import modelfile
from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.dynamic import DYNAMIC
from datadiet_cli.nn.gradients import full_gradient_norms
from datadiet_cli.nn.models import DEFAULTS, MODELS, build
from datadiet_cli.nn.predicting import features, predict
from datadiet_cli.nn.pruning.criteria import CRITERIA
from datadiet_cli.nn.pruning.masks import n_of_m
from datadiet_cli.nn.pruning.recovery import reestimate
from datadiet_cli.nn.pruning.shrink import examined
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Field, Spec
from datadiet_cli.nn.training import Penalty, Teacher, fit
from tests.conftest import Cli, report, table
from tests.lessons import different, made, to_prune, without_program
from tests.nn.pruning.ranked import case_of, matrices, of, seeded, units_of
from tests.nn.pruning.zoo import program_of

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


def to_rank(model):
    """A network with samples, and the groups of its units."""
    if model == "courses":
        return *case_of("courses"), None
    shown = samples(model, 48)
    one = network(model, shown).eval()
    return one, shown, examined(one, Spec(model, FIELDS[model], ("a", "b", "c")), shown.inputs).structure


def alike(here, there):
    """Two rankings: the same names, and hardly two values in another order."""
    assert list(here) == list(there)
    if not here:
        return
    flat = [np.concatenate([np.asarray(one[name], dtype=np.float64).ravel() for name in one]) for one in (here, there)]
    assert np.isfinite(flat[1]).all()
    assert np.array_equal(*flat) or spearmanr(*flat).statistic > 0.999


@pytest.mark.parametrize("model", [*MODELS, "courses"])
def test_criteria(model):
    """What weights and units are worth is the same bits twice, and ranks them as a processor does."""
    one, shown, structure = to_rank(model)
    for name, criterion in CRITERIA.items():
        asked = [lambda device, name=name: of(name, one, shown, matrices(one), device=device)]
        if structure is not None and structure.groups:
            asked.append(lambda device, name=name: units_of(name, one, structure, shown, device=device))
        for ask in asked if "weights" in criterion.structures else asked[1:]:
            here, there, again = ask(CPU), ask(GPU), ask(GPU)
            assert all(np.array_equal(there[key], again[key]) for key in there), name
            alike(here, there)


@pytest.mark.parametrize("model", MODELS)
def test_what_heals(model):
    """Masks, a teacher, a penalty and batch norms: the same bits twice, what is gone stays gone, and all comes back."""
    one, shown, structure = to_rank(model)
    draw = torch.Generator().manual_seed(0)
    masks = {name: torch.rand(one.get_parameter(name).shape, generator=draw) > 0.5 for name in matrices(one)}
    penalty = Penalty(structure.groups, 1e-3) if structure.groups else None
    teacher = Teacher(copy.deepcopy(one), 0.5, 2.0)
    recipe = Recipe(epochs=2, batch_size=16, augment=())

    given = {"masks": masks, "teacher": teacher, "penalty": penalty, "validation": shown}
    first, second = (fit(copy.deepcopy(one), shown, recipe, seed=0, device=GPU, **given) for _ in range(2))
    norms, _ = (reestimate(done.model, shown, device=GPU) for done in (first, second))
    assert same(first, second)
    assert not any(first.model.get_parameter(name).detach()[~mask].any() for name, mask in masks.items())
    assert {own.device for own in first.model.state_dict().values()} == {CPU}
    assert reestimate(second.model, shown, device=CPU) == norms
    for name, tensor in first.model.state_dict().items():
        torch.testing.assert_close(tensor, second.model.state_dict()[name], rtol=1e-3, atol=1e-3)


def test_two_of_four_is_what_sparse_kernels_take():
    torch.manual_seed(0)
    layer = nn.Linear(256, 128).half().cuda()
    scores = {"weight": layer.weight.detach().abs().float().cpu()}
    (mask,) = n_of_m(scores, scores, n=2, m=4).values()
    layer.weight.data.mul_(mask.cuda())
    given = torch.randn(64, 256, device=GPU, dtype=torch.float16)
    dense = layer(given)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr("warnings.warn", lambda *_, **__: None)  # that they are a prototype
        layer.weight = nn.Parameter(torch.sparse.to_sparse_semi_structured(layer.weight.data))
        torch.testing.assert_close(layer(given), dense, rtol=1e-2, atol=1e-2)


LINES = {
    **{name: ["--criterion", name] for name in CRITERIA},
    "weights": ["--structure", "weights", "--criterion", "lamp", "--scope", "layer"],
    "two of four": ["--structure", "n:m", "--criterion", "wanda"],
    "a teacher": ["--distil", "50%", "--regularise", "group"],
    "rounds": ["--schedule", "iterative", "--rounds", "2", "--criterion", "gradient"],
    "as far as it goes": ["--schedule", "adaptive", "--tolerance", "50%", "--rounds", "2"],
    "controls": ["--controls", "random", "--controls", "scratch", "--sensitivity", "--onnx"],
}


@pytest.mark.parametrize("line", LINES)
def test_prune_model(line, tmp_path, monkeypatch, datadiet: Cli):
    told = []
    with contextlib.ExitStack() as stack:
        if line != "controls":
            # What is written is read again in a process of its own, which takes longer than all else.
            stack.enter_context(without_program())
            monkeypatch.setattr(modelfile, "_reopen", lambda *_: None)
        for number in range(2):
            out = tmp_path / f"out{number}"
            ran = datadiet(*to_prune("pictures", "--device", "cuda", "--no-cache", *LINES[line])(out))
            assert ran.code == 0, ran.err
            told.append(report(out))
            taken = told[-1]["run"]["steps"][-1]["timings"]["latency"]["after"][0]
            assert taken["processor"] == torch.cuda.get_device_name()
            for fact in ("run", "output"):
                del told[-1][fact]
    assert json.dumps(told[0]) == json.dumps(told[1])
    assert "model.safetensors" not in different(tmp_path / "out0", tmp_path / "out1")


class Rows(nn.Module):
    """A picture row by row, through a layer that takes courses."""

    def __init__(self, kind):
        super().__init__()
        self.enter, self.head = nn.Linear(24, 16), nn.Linear(16, 2)
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False) if kind == "encoder" else None
        self.states = nn.LSTM(16, 16, batch_first=True) if kind == "lstm" else None

    def forward(self, x):
        x = self.enter(x.flatten(2).unflatten(2, (8, 8)).movedim(2, 1).flatten(2))
        return self.head((self.body(x) if self.states is None else self.states(x)[0]).mean(1))


class Pooled(nn.Module):
    """A network whose gradient torch cannot take on CUDA in a way that is the same each time."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), nn.Linear(72, 2)

    def forward(self, x):
        return self.head(nn.functional.adaptive_avg_pool2d(self.two(self.one(x).relu()), 3).relu().flatten(1))


def exported(network, path):
    torch.export.save(program_of(network.eval(), torch.rand(2, 3, 8, 8)), path)
    return path


@pytest.mark.parametrize("kind", ["encoder", "lstm"])
def test_a_program(kind, tmp_path, datadiet: Cli, datadiet_process: Cli):
    """Exported networks are pruned and trained on a GPU, and what becomes of them needs none."""
    data = made("pictures").source
    given, out = exported(seeded(lambda: Rows(kind)), tmp_path / "given.pt2"), tmp_path / "out"
    flags = ["--criterion", "gradient", "--distil", "30%", "--epochs", "2", "--device", "cuda"]
    ran = datadiet("prune-model", given, out, "--data", data, *flags)
    assert ran.code == 0, ran.err
    costs = report(out)["steps"][-1]["metrics"]["costs"]
    assert costs["pruned"]["macs"] < costs["dense"]["macs"]
    blind = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ran = datadiet_process("predict", out, data, tmp_path / "said.csv", env=blind)
    assert ran.code == 0, ran.err


def test_what_is_never_twice_the_same_is_refused(tmp_path, datadiet: Cli):
    given = exported(seeded(Pooled), tmp_path / "given.pt2")
    call = ["prune-model", given, tmp_path / "out", "--data", made("pictures").source]
    ran = datadiet(*call, "--device", "cuda")
    assert ran.code != 0
    assert "adaptive_avg_pool2d_backward_cuda" in ran.complaint
    assert "--device cpu" in ran.complaint
    pictures = Samples((torch.rand(8, 3, 8, 8),), torch.arange(8) % 2)
    with pytest.raises(DatadietError, match="deterministic"):
        fit(seeded(Pooled), pictures, Recipe(epochs=1), seed=0, device=GPU)
