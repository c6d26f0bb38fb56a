"""Lengths of gradients against passes backward written out."""

import numpy as np
import pytest
import torch
from torch import nn

from datadiet_cli.nn import gradients
from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.device import computing
from datadiet_cli.nn.gradients import full_gradient_norms
from datadiet_cli.nn.models import build
from datadiet_cli.nn.optimising import losses_of, scale_of
from tests.nn.fields import CLASSES, ROWS, TAKES, inputs_of, spec_of
from tests.nn.lessons import CPU, mlp, vectors


@pytest.fixture(autouse=True)
def one_thread():
    with computing(CPU, 1):
        yield


def one_by_one(model, samples):
    found = []
    for row in range(len(samples)):
        own = samples.rows(torch.tensor([row]))
        model.eval().zero_grad()
        losses_of(model(*own.inputs), own.target, scale_of(model, samples.target)).sum().backward()
        parts = [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
        found.append(float(torch.cat(parts).norm()))
    return found


@pytest.mark.parametrize("classes", [CLASSES, ()])
@pytest.mark.parametrize("name", [name for name in TAKES if name != "resnet20"])
def test_every_model_of_ours(name, classes):
    inputs = inputs_of(name)
    target = torch.arange(ROWS) % 3 if classes else torch.linspace(-2, 5, ROWS)
    model = build(spec_of(name, classes, dropout=0.5), inputs, None if classes else target, seed=0)
    samples = Samples(tuple(inputs), target)
    found = full_gradient_norms(model, samples, CPU, batch=10)
    assert (found.dtype, found.shape) == (np.float32, (ROWS,))
    np.testing.assert_allclose(found, one_by_one(model, samples), rtol=1e-3)
    alone = full_gradient_norms(model, samples.rows(torch.tensor([4])), CPU, batch=10)
    assert alone == found[4]


class Course(nn.Module):
    """Rows of a picture of digits in order, through whatever takes courses."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.head = nn.Linear(8, 10)
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x):
        given = x.reshape(-1, 8, 8) / 16
        out = self.inner(given)
        return self.head((out[0] if isinstance(out, tuple) else out)[:, -1])


class InPlace(nn.Module):
    def forward(self, x):
        zeros = torch.zeros(len(x), 8, 8)
        zeros += x
        return zeros


class Branching(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum().item() > 20 else x


INNER = {
    "lstm": lambda: nn.LSTM(8, 8, batch_first=True),
    "gru": lambda: nn.GRU(8, 8, batch_first=True),
    "attention": lambda: nn.TransformerEncoderLayer(8, 2, 8, batch_first=True),
    "in place": InPlace,
    "branch": Branching,
}


@pytest.mark.parametrize("inner", INNER)
def test_networks_that_take_no_batch_of_gradients(inner):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Course(INNER[inner]())
    samples = vectors(stop=12)
    np.testing.assert_allclose(full_gradient_norms(model, samples, CPU), one_by_one(model, samples), rtol=1e-4)


def test_a_linear_model_is_the_closed_form():
    samples = vectors(stop=50)
    model = mlp(samples, name="linear")
    with torch.no_grad():
        errors = model(*samples.inputs).softmax(1) - nn.functional.one_hot(samples.target, 10)
        given = model.features(*samples.inputs)
    expected = errors.norm(dim=1) * (given.square().sum(1) + 1).sqrt()
    found = full_gradient_norms(model, samples, CPU)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


def test_little_room_for_gradients_changes_nothing(monkeypatch):
    samples = vectors(stop=50)
    model = mlp(samples)
    whole = full_gradient_norms(model, samples, CPU)
    monkeypatch.setattr(gradients, "MOST", 1)
    np.testing.assert_allclose(full_gradient_norms(model, samples, CPU), whole, rtol=1e-5)


def test_frozen_weights_do_not_count():
    samples = vectors(stop=20)
    model = mlp(samples)
    whole = full_gradient_norms(model, samples, CPU)
    model.encoder.requires_grad_(False)
    assert (full_gradient_norms(model, samples, CPU) < whole).all()
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="no weights that can learn"):
        full_gradient_norms(model, samples, CPU)


def test_nothing_and_what_is_not_finite():
    samples = vectors(stop=20)
    model = mlp(samples)
    assert full_gradient_norms(model, samples.rows(torch.empty(0, dtype=torch.int64)), CPU).shape == (0,)
    with torch.no_grad():
        model.head.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="gradients of 20 samples are no finite numbers"):
        full_gradient_norms(model, samples, CPU)
