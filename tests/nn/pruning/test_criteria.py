"""What weights are worth, against loops written out and autograd; and what is refused."""

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
from datadiet_cli.nn.pruning.criteria import CRITERIA
from tests.nn.lessons import CPU, mlp, numbers, vectors
from tests.nn.pruning.ranked import (
    MODELS,
    Residual,
    case_of,
    matrices,
    of,
    residual_structure,
    same_state,
    seeded,
    state_of,
    units_of,
)

OF_WEIGHTS = [name for name, criterion in CRITERIA.items() if "weights" in criterion.structures]
TOLD_BY_DATA = [name for name, criterion in CRITERIA.items() if criterion.data]


@pytest.fixture(autouse=True)
def one_thread():
    with computing(CPU, 1):
        yield


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
