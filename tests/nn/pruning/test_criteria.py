"""What weights and units are worth, against loops written out, autograd, and Torch-Pruning."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.device import computing
from datadiet_cli.nn.optimising import losses_of, scale_of
from datadiet_cli.nn.pruning.base import Group, Member, Structure
from datadiet_cli.nn.pruning.criteria import CRITERIA, weight_scores
from datadiet_cli.nn.pruning.units import unit_scores
from tests.nn.lessons import CPU, mlp, numbers, vectors

OF_WEIGHTS = [name for name, criterion in CRITERIA.items() if "weights" in criterion.structures]
TOLD_BY_DATA = [name for name, criterion in CRITERIA.items() if criterion.data]


@pytest.fixture(autouse=True)
def one_thread():
    with computing(CPU, 1):
        yield


def seeded(make, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def noise(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Residual(nn.Module):
    """Two coupled convolutions with batch norms, and linear layers after a flattening."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.fc1, self.drop, self.fc2 = nn.Linear(16, 5), nn.Dropout(0.5), nn.Linear(5, 3)
        for norm in (self.norm1, self.norm2):
            nn.init.normal_(norm.weight)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, x):
        x = self.norm1(self.conv1(x)).relu()
        x = (x + self.norm2(self.conv2(x))).relu()
        x = nn.functional.max_pool2d(x, 2).flatten(1)
        return self.fc2(self.drop(self.fc1(x).relu()))


class Courses(nn.Module):
    """Tokens through an embedding, attention and a recurrent layer."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(7, 8)
        self.attention = nn.TransformerEncoderLayer(8, 2, 6, batch_first=True)
        self.recurrent = nn.LSTM(8, 4, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.recurrent(self.attention(self.words(x)))[0].mean(1))


MODELS = {
    "residual": (Residual, lambda: noise(23, 2, 4, 4)),
    "courses": (Courses, lambda: torch.arange(23 * 5).remainder(7).view(23, 5)),
}


def case_of(name):
    make, inputs = MODELS[name]
    return seeded(make), Samples((inputs(),), torch.arange(23) % 3)


def matrices(model):
    return [name for name, weight in model.named_parameters() if weight.dim() > 1]


def of(criterion, model, samples, names=None, **changes):
    names = matrices(model) if names is None else names
    return weight_scores(criterion, model, names, samples, **{"device": CPU, "seed": 0, "batch": 8, **changes})


def units_of(criterion, model, structure, samples=None, **changes):
    return unit_scores(criterion, model, structure, samples, **{"device": CPU, "seed": 0, "batch": 8, **changes})


def member(tensor, dim, units, each=1, makes=False):
    """Where each unit has so many neighbouring positions."""
    return Member(tensor, dim, np.arange(units * each), np.arange(units * each) // each, makes)


def structure_of(model, **groups):
    sizes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return Structure(tuple(Group(name, "channels", *of_group, "") for name, of_group in groups.items()), {}, sizes)


def residual_structure(model):
    norms = [
        member(f"norm{i}.{what}", 0, 4) for i in (1, 2) for what in ("weight", "bias", "running_mean", "running_var")
    ]
    coupled = [member("conv1.weight", 0, 4, makes=True), member("conv2.weight", 0, 4, makes=True)]
    taken = [member("conv2.weight", 1, 4), member("fc1.weight", 1, 4, each=4), member("conv2.bias", 0, 4)]
    fc = [member("fc1.weight", 0, 5, makes=True), member("fc1.bias", 0, 5), member("fc2.weight", 1, 5)]
    return structure_of(model, conv1=(4, (*coupled, *taken, *norms)), fc1=(5, tuple(fc)))


def state_of(model):
    values = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    grads = [(weight.requires_grad, weight.grad) for weight in model.parameters()]
    hooks = [len(module._forward_hooks) for module in model.modules()]
    return values, modes, grads, hooks, torch.get_rng_state()


def same_state(one, other):
    assert all(torch.equal(value, other[0][name]) for name, value in one[0].items())
    assert one[1:4] == other[1:4]
    assert torch.equal(one[4], other[4])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("criterion", OF_WEIGHTS)
def test_scores_of_weights(criterion, name):
    """They are numbers from 0 on, the same each time, and leave no trace; frozen weights have them too."""
    model, samples = case_of(name)
    model.train()
    names = [name for name, _ in model.named_parameters()]
    next(model.modules()).get_submodule("head" if name == "courses" else "norm2").eval()
    open_scores = of(criterion, model, samples, names)
    model.get_parameter(names[0]).requires_grad_(False)
    before = state_of(model)
    found = of(criterion, model, samples, names)
    same_state(before, state_of(model))
    for own in names:
        assert (found[own].dtype, found[own].shape) == (torch.float32, model.get_parameter(own).shape)
        assert torch.isfinite(found[own]).all()
        assert (found[own] >= 0).all()
        assert torch.equal(found[own], open_scores[own])
    some = matrices(model)[1:3]
    alone = of(criterion, model, samples, some)
    assert list(alone) == some
    factor = max(float(alone[own].sum() / found[own].sum()) for own in some) if criterion == "snip" else 1.0
    if criterion not in ("wanda", "activation"):  # by what layers around tell
        for own in some:
            torch.testing.assert_close(alone[own], found[own] * factor)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_scores_of_units(criterion):
    model, samples = case_of("residual")
    model.train().conv1.requires_grad_(False)
    structure, before = residual_structure(model), state_of(model)
    found, again = (units_of(criterion, model, structure, samples) for _ in range(2))
    same_state(before, state_of(model))
    assert list(found) == (["conv1"] if criterion == "bn-scale" else ["conv1", "fc1"])
    for group, scores in found.items():
        assert (scores.dtype, scores.shape) == (np.float64, (structure.group(group).units,))
        assert np.isfinite(scores).all()
        assert scores.min() >= 0
        assert len(set(scores)) > 1
        np.testing.assert_array_equal(scores, again[group])
        if criterion not in ("random", "lamp"):
            assert scores.mean() == pytest.approx(1)


def batch_gradients(model, samples, batch):
    """Weight times gradient of each batch, by the `backward` of a copy, for batches of one size."""
    own = copy.deepcopy(model).eval().requires_grad_(True)
    assert len(samples) % batch == 0
    for start in range(0, len(samples), batch):
        part = samples.rows(torch.arange(start, start + batch))
        own.zero_grad()
        losses_of(own(*part.inputs), part.target, scale_of(own, samples.target)).mean().backward()
        yield {name: (weight * weight.grad).detach().double() for name, weight in own.named_parameters()}


@pytest.mark.parametrize("of_numbers", [False, True])
def test_gradients_batch_by_batch(of_numbers):
    samples = (numbers() if of_numbers else vectors()).rows(torch.arange(60))
    model = mlp(samples, dropout=0.5)
    terms = list(batch_gradients(model, samples, 20))
    expected = {
        "gradient": lambda name: sum(term[name].abs() for term in terms),
        "fisher": lambda name: sum(term[name].square() for term in terms),
        "snip": lambda name: sum(term[name] for term in terms).abs(),
    }
    for criterion, by_hand in expected.items():
        found = of(criterion, model, samples, batch=20)
        total = sum(by_hand(name).sum() for name in found) if criterion == "snip" else 1
        for name, scores in found.items():
            torch.testing.assert_close(scores, (by_hand(name) / total).float(), rtol=1e-4, atol=1e-12)
    assert float(sum(scores.sum() for scores in of("snip", model, samples).values())) == pytest.approx(1, rel=1e-5)


def test_what_order_and_batches_change():
    model, samples = case_of("courses")
    turned = samples.rows(torch.arange(23).flip(0))
    within = samples.rows(torch.cat([torch.arange(6).flip(0), torch.arange(6, 23)]))
    for criterion in ("snip", "wanda", "activation"):
        once = of(criterion, model, samples)
        for changed in (of(criterion, model, turned), of(criterion, model, samples, batch=5)):
            for name, scores in once.items():
                torch.testing.assert_close(changed[name], scores, rtol=1e-3, atol=1e-7)
    once, again, apart = (of("gradient", model, own) for own in (samples, within, turned))
    assert all(torch.allclose(once[name], again[name], rtol=1e-3, atol=1e-7) for name in once)
    # Of 23 samples at most 8 at a time, three batches of nearly one size, the first of 8 again when they are turned.
    assert not all(torch.allclose(once[name], apart[name], rtol=1e-3, atol=1e-7) for name in once)
    # The whole in one batch: then nothing cancels, and both are the same.
    snip, one = of("snip", model, samples, batch=23), of("gradient", model, samples, batch=23)
    total = sum(scores.sum() for scores in one.values())
    assert all(torch.allclose(snip[name], one[name] / total) for name in snip)


LAYERS = {
    "linear": (lambda: nn.Linear(6, 4), lambda: noise(9, 3, 6)),
    "embedding": (lambda: nn.Embedding(5, 4), lambda: torch.tensor([[0, 1, 1], [4, 4, 1], [2, 0, 4]])),
    "conv": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2), lambda: noise(5, 4, 8, 7)),
    "grouped": (
        lambda: nn.Conv2d(4, 6, 3, padding="same", groups=2, padding_mode="circular"),
        lambda: noise(5, 4, 5, 5),
    ),
    "depthwise": (lambda: nn.Conv1d(3, 6, 3, groups=3, padding=1), lambda: noise(5, 3, 7)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 3, 3, 2, padding=1, output_padding=1), lambda: noise(5, 4, 3, 4)),
    "turned groups": (lambda: nn.ConvTranspose1d(4, 6, 3, groups=2, padding=1), lambda: noise(5, 4, 6)),
}


def alone(name):
    make, inputs = LAYERS[name]
    layer = seeded(make)
    x = inputs()
    return layer, Samples((x,), torch.zeros(len(x), dtype=torch.int64))


@pytest.mark.parametrize("name", LAYERS)
def test_wanda_is_what_the_output_loses(name):
    """The norm of all that changes when one weight becomes 0."""
    layer, samples = alone(name)
    found = of("wanda", layer, samples, ["weight"], batch=2)["weight"]
    with torch.no_grad():
        whole = layer(*samples.inputs)
        expected = torch.empty_like(found)
        for place in np.ndindex(*found.shape):
            kept = layer.weight[place].item()
            layer.weight[place] = 0
            expected[place] = (layer(*samples.inputs) - whole).norm()
            layer.weight[place] = kept
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
def test_activation_follows_the_row(name):
    """Abs(w) times the mean abs(output) of the channels that change with the weight."""
    layer, samples = alone(name)
    found = of("activation", layer, samples, ["weight"], batch=2)["weight"]
    with torch.no_grad():
        whole = layer(*samples.inputs)
        dims = (0, 1) if name in ("linear", "embedding") else (0, *range(2, whole.dim()))
        means = whole.abs().mean(dims)
        for place in np.ndindex(*found.shape):
            kept = layer.weight[place].item()
            layer.weight[place] = 9
            changed = (layer(*samples.inputs) - whole).abs().sum(dims).nonzero()
            layer.weight[place] = kept
            if len(changed):
                assert len(changed) == 1
                assert float(found[place]) == pytest.approx(abs(kept) * float(means[changed[0, 0]]), rel=1e-4)


class Attending(nn.Module):
    """Attention from one part of the input to two others."""

    def __init__(self, **changes):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True, **changes)

    def forward(self, x):
        return self.attention(x[..., :4], x[..., 4:8], value=x[..., 8:])[0].mean(1)


@pytest.mark.parametrize("packed", [True, False])
def test_attention_is_told_by_query_key_and_value(packed):
    width = 4 if packed else 5
    model = seeded(lambda: Attending() if packed else Attending(vdim=5))
    x = noise(6, 3, 8 + width) * torch.linspace(1, 30, 8 + width)
    samples = Samples((x,), torch.arange(6) % 3)
    asked = x[..., :4], x[..., 4:8], x[..., 8:]
    names = ["in_proj_weight"] if packed else [f"{one}_proj_weight" for one in "qkv"]
    names = [f"attention.{name}" for name in names]
    wanda, activation = (of(criterion, model, samples, names) for criterion in ("wanda", "activation"))
    own = [part for name in names for part in model.get_parameter(name).detach().split(4)]
    biases = model.attention.in_proj_bias.detach().split(4)
    norms, outputs = [], []
    for weight, bias, part in zip(own, biases, asked, strict=True):
        norms.append(weight.abs() * part.flatten(0, 1).norm(dim=0))
        outputs.append(weight.abs() * (part @ weight.T + bias).abs().mean((0, 1))[:, None])
    for found, expected in ((wanda, norms), (activation, outputs)):
        for one, other in zip([part for name in names for part in found[name].split(4)], expected, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers_are_told_by_inputs_and_states(kind):
    model = seeded(lambda: nn.Sequential(kind(3, 4, batch_first=True, bidirectional=True)))
    x = noise(6, 5, 3)
    with torch.no_grad():
        states = model(x)[0]
    model.forward = lambda x: model[0](x)[0][:, -1]
    samples = Samples((x,), torch.arange(6) % 3)
    wanda, activation = (of(criterion, model, samples) for criterion in ("wanda", "activation"))
    for end, part in (("", states[..., :4]), ("_reverse", states[..., 4:])):
        weights = {what: getattr(model[0], f"weight_{what}_l0{end}").detach().abs() for what in ("ih", "hh")}
        for what, taken in (("ih", x), ("hh", part)):
            norms = taken.flatten(0, 1).norm(dim=0)
            torch.testing.assert_close(wanda[f"0.weight_{what}_l0{end}"], weights[what] * norms)
            mean = part.abs().mean((0, 1)).repeat(len(weights[what]) // 4)[:, None]
            torch.testing.assert_close(activation[f"0.weight_{what}_l0{end}"], weights[what] * mean)


def test_packed_projections_and_layers_that_tell_nothing():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.in_proj_weight = nn.Parameter(noise(12, 4))

        def forward(self, x):
            return nn.functional.linear(x, self.in_proj_weight)

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.scale = Packed(), nn.Parameter(noise(12, 1))

        def forward(self, x):
            return self.inner(x) * self.scale[:, 0]

    model, x = Odd(), noise(6, 4)
    names, samples = ["inner.in_proj_weight", "scale"], Samples((x,), torch.arange(6))
    norms = x.norm(dim=0)
    found = of("wanda", model, samples, names)
    torch.testing.assert_close(found[names[0]], model.inner.in_proj_weight.detach().abs() * norms)
    torch.testing.assert_close(found["scale"], model.scale.detach().abs() * norms.mean())


def test_a_shared_weight_counts_what_both_layers_take():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.head.weight = self.words.weight

        def forward(self, x):
            return self.head(self.words(x))

    model, tokens = seeded(Tied), torch.tensor([0, 1, 1, 4])
    found = of("wanda", model, Samples((tokens,), tokens), ["words.weight", "head.weight"])
    weight = model.words.weight.detach()
    squares = torch.bincount(tokens, minlength=5)[:, None] + weight[tokens].square().sum(0)
    torch.testing.assert_close(found["words.weight"], weight.abs() * squares.sqrt())
    assert torch.equal(found["words.weight"], found["head.weight"])


@given(st.lists(st.sampled_from([0.0, 1e-20, 0.5, -0.5, 2.0, -3.0]), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_lamp_by_its_definition(values):
    model = nn.Linear(len(values), 1)
    model.weight.data = torch.tensor([values])
    found = of("lamp", model, None, ["weight"])["weight"][0]
    squares = np.square(model.weight.detach().double().numpy()[0])
    order = sorted(range(len(values)), key=lambda i: (squares[i], i))
    for place, i in enumerate(order):
        rest = sum(squares[j] for j in order[place:])
        assert float(found[i]) == pytest.approx(squares[i] / rest if rest else 0, rel=1e-6)
    ranked = [float(found[i]) for i in order]
    assert ranked == sorted(ranked)


def test_chance_and_magnitude():
    model, _ = case_of("residual")
    one, other = (of("random", model, None, seed=seed) for seed in (0, 1))
    alone = of("random", model, None, ["fc2.weight"])
    assert torch.equal(one["fc2.weight"], alone["fc2.weight"])
    assert not torch.equal(one["fc2.weight"], other["fc2.weight"])
    everything = torch.cat([scores.flatten() for scores in one.values()])
    assert len(everything.unique()) == len(everything)
    assert everything.mean() == pytest.approx(0.5, abs=0.05)
    weights = {name: model.get_parameter(name).detach() for name in matrices(model)}
    found = of("magnitude", model, None)
    assert all(torch.equal(found[name], weight.abs()) for name, weight in weights.items())
    model.fc1.weight.data *= 2
    assert torch.equal(of("magnitude", model, None)["fc1.weight"], 2 * found["fc1.weight"])


def by_torch_pruning(model, importance, layer, x):
    tp = pytest.importorskip("torch_pruning")
    graph = tp.DependencyGraph().build_dependency(model.eval(), example_inputs=x)
    cut = tp.prune_conv_out_channels if isinstance(layer, nn.Conv2d) else tp.prune_linear_out_channels
    return importance(tp)(graph.get_pruning_group(layer, cut, list(range(len(layer.weight))))).numpy()


IMPORTANCES = {
    ("magnitude", "l1"): lambda tp: tp.importance.GroupMagnitudeImportance(p=1),
    ("magnitude", "l2"): lambda tp: tp.importance.GroupMagnitudeImportance(p=2),
    ("lamp", "l1"): lambda tp: tp.importance.LAMPImportance(),
    ("bn-scale", "l1"): lambda tp: tp.importance.BNScaleImportance(),
    ("gradient", "l1"): lambda tp: tp.importance.GroupTaylorImportance(),
}


@pytest.mark.parametrize(("criterion", "norm"), IMPORTANCES)
def test_units_as_torch_pruning_has_them(criterion, norm):
    model, samples = case_of("residual")
    structure = residual_structure(model)
    if criterion == "gradient":
        # It leaves the scales of batch norms out of this one.
        model.norm1, model.norm2 = nn.Identity(), nn.Identity()
        kept = [one for one in structure.group("conv1").members if not one.tensor.startswith("norm")]
        structure = structure_of(model, conv1=(4, tuple(kept)), fc1=(5, structure.group("fc1").members))
    found = units_of(criterion, model, structure, samples, norm=norm, batch=23)
    reference = copy.deepcopy(model).eval()
    losses_of(reference(*samples.inputs), samples.target, 1.0).mean().backward()
    for name, scores in found.items():
        layer = reference.get_submodule(name)
        expected = by_torch_pruning(reference, IMPORTANCES[criterion, norm], layer, samples.inputs[0][:2])
        np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_units_by_what_flows_through_them():
    model, samples = case_of("residual")
    structure = residual_structure(model)
    given = {}
    model.eval()
    for name in ("conv1", "conv2", "fc1", "fc2"):
        model.get_submodule(name).register_forward_hook(
            lambda _, args, out, name=name: given.update({name: (args[0].detach(), out.detach())})
        )
    with torch.no_grad():
        model(*samples.inputs)
    means = [given[name][1].abs().mean((0, 2, 3)).double() for name in ("conv1", "conv2")]
    expected = sum(mean / mean.mean() for mean in means).numpy() / 2
    fc1 = given["fc1"][1].abs().mean(0).numpy()
    found = units_of("activation", model, structure, samples)
    np.testing.assert_allclose(found["conv1"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["fc1"], fc1 / fc1.mean(), rtol=1e-5)
    weights = of("wanda", model, samples)
    taken = weights["conv2.weight"].sum((0, 2, 3)) + weights["fc1.weight"].view(5, 4, 4).sum((0, 2))
    found = units_of("wanda", model, structure, samples)
    np.testing.assert_allclose(found["conv1"], taken / taken.mean(), rtol=1e-5)
    taken = weights["fc2.weight"].sum(0)
    np.testing.assert_allclose(found["fc1"], taken / taken.mean(), rtol=1e-5)


def test_units_of_nothing_and_units_that_cannot_be_ranked():
    model, samples = case_of("residual")
    for name in ("fc1.weight", "fc2.weight"):
        model.get_parameter(name).data.zero_()
    structure = residual_structure(model)
    for criterion in ("magnitude", "gradient", "wanda"):
        np.testing.assert_array_equal(units_of(criterion, model, structure, samples)["fc1"], 1)
    np.testing.assert_array_equal(units_of("lamp", model, structure)["fc1"], 0)
    assert units_of("magnitude", model, Structure(())) == {}
    plain = structure_of(model, head=(3, (member("fc2.bias", 0, 3),)))
    for criterion in set(CRITERIA) - {"random"}:
        assert units_of(criterion, model, plain, samples) == {}


def test_a_network_that_computes_without_gradients():
    class Still(Residual):
        def forward(self, x):
            with torch.no_grad():
                return super().forward(x)

    _, samples = case_of("residual")
    with pytest.raises(ValueError, match="no gradient reaches the weights"):
        of("gradient", seeded(Still), samples)
    # A weight that has no part in the answer is worth nothing.
    model = seeded(Residual)
    model.spare = nn.Linear(2, 2)
    assert not of("gradient", model, samples)["spare.weight"].any()


@pytest.mark.parametrize("criterion", TOLD_BY_DATA)
def test_criteria_that_need_data_say_so(criterion):
    model, samples = case_of("residual")
    structure = residual_structure(model)
    none = samples.rows(torch.empty(0, dtype=torch.int64))
    for given_samples, message in ((None, "a dataset"), (none, "samples, and the dataset has none")):
        with pytest.raises(ValueError, match=f"^the criterion {criterion} needs {message}$"):
            of(criterion, model, given_samples)
        with pytest.raises(ValueError, match=f"^the criterion {criterion} needs {message}$"):
            units_of(criterion, model, structure, given_samples)


@pytest.mark.parametrize("criterion", [name for name in CRITERIA if name != "random"])
def test_weights_that_are_no_numbers(criterion):
    model, samples = case_of("residual")
    structure = residual_structure(model)
    for name in ("conv1.weight", "norm1.weight"):
        model.get_parameter(name).data.view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match="no finite numbers"):
        units_of(criterion, model, structure, samples)
    if criterion != "bn-scale":
        with pytest.raises(ValueError, match="no finite numbers"):
            of(criterion, model, samples)


def test_what_is_refused():
    model, samples = case_of("residual")
    structure = residual_structure(model)
    other = Samples(samples.inputs, torch.arange(23))
    for message, call in {
        "there is no criterion 'best'; there are random, magnitude": lambda: of("best", model, None),
        "bn-scale ranks channels, and not single weights": lambda: of("bn-scale", model, None),
        "there is no norm 'l3'": lambda: of("magnitude", model, None, norm="l3"),
        "batches of 0": lambda: of("gradient", model, samples, batch=0),
        "the model has no weights fc9.weight": lambda: of("magnitude", model, None, ["fc9.weight"]),
        "the target has class 22, and the model knows 3": lambda: of("fisher", model, other, batch=23),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
    model.fc1 = nn.Linear(16, 6)
    with pytest.raises(ValueError, match=r"another model: fc1.weight has shape \(6, 16\)"):
        units_of("magnitude", model, structure)
    model.fc1 = nn.Identity()
    with pytest.raises(ValueError, match=r"another model: fc1\.weight is not in this one"):
        units_of("magnitude", model, structure)
