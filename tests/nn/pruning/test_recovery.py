"""Pruned networks get back what they can, and learn on."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from datadiet_cli.nn.predicting import predict
from datadiet_cli.nn.pruning.base import Structure, cut, slices_of
from datadiet_cli.nn.pruning.recovery import reestimate, scale_dropout
from datadiet_cli.nn.resize import resize_to
from datadiet_cli.nn.training import fit
from tests.nn.lessons import CPU, cnn, mlp, pictures, recipe, same, users, vectors
from tests.nn.pruning.test_penalty import hidden_group

SAMPLES = vectors(stop=300)


def test_all_weights_move_after_units_were_cut_out():
    model = fit(mlp(SAMPLES), SAMPLES, recipe(epochs=1), seed=0, device=CPU).model
    sizes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    slices = slices_of(Structure((hidden_group(),), {}, sizes), {"encoder.layers.0": np.arange(32) % 3 > 0})
    resize_to(model, cut(model.state_dict(), slices))
    before = copy.deepcopy(model.state_dict())
    fitted = fit(model, SAMPLES, recipe(), seed=1, device=CPU).model
    assert fitted.head.weight.shape == (10, 21)
    for name, parameter in fitted.named_parameters():
        assert bool((parameter != before[name]).any()), name


@pytest.mark.parametrize("batch", [2, 50, 299])
def test_statistics_are_those_of_all_samples(batch):
    model = mlp(SAMPLES)
    fit(model, SAMPLES, recipe(epochs=1), seed=0, device=CPU)
    model.encoder.layers[0].weight.data[::2] *= 3
    old = copy.deepcopy(model)
    given = model.encoder.layers[0](model.encoder.rows(SAMPLES.inputs[0])).detach().double().numpy()
    norm = model.encoder.layers[1].train()
    assert reestimate(model, SAMPLES, device=CPU, batch=batch) == 1
    np.testing.assert_allclose(norm.running_mean, given.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.running_var, given.var(axis=0, ddof=1), rtol=1e-4)
    assert (norm.momentum, norm.training, model.training) == (0.1, True, False)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, old.state_dict()[name])}
    assert {name.rpartition(".")[2] for name in changed} <= {"running_mean", "running_var", "num_batches_tracked"}


def test_statistics_bring_a_pruned_network_back():
    samples, others = pictures(0, 500), pictures(500, 800)
    model = fit(cnn(samples, 0.2), samples, recipe(epochs=8), seed=0, device=CPU).model
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            prune.l1_unstructured(module, "weight", amount=0.6)
            prune.remove(module, "weight")

    def right(own):
        return float((predict(own, others, device=CPU).argmax(1) == others.target.numpy()).mean())

    ordered = samples.rows(torch.argsort(samples.target, stable=True))
    before, stream = right(model), torch.get_rng_state()
    mixed, sorted_ = copy.deepcopy(model), copy.deepcopy(model)
    assert reestimate(mixed, samples, device=CPU) == reestimate(sorted_, ordered, device=CPU) == 3
    assert right(mixed) > before + 0.1
    assert right(sorted_) == pytest.approx(right(mixed), abs=0.03)
    few = copy.deepcopy(model)
    reestimate(few, ordered, device=CPU, limit=100)
    assert right(few) > before + 0.1
    assert torch.equal(stream, torch.get_rng_state())


def test_norms_that_keep_nothing_or_are_not_reached_stay():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.frozen = nn.BatchNorm1d(64, track_running_stats=False)
            self.idle, self.used = nn.BatchNorm1d(64), nn.BatchNorm1d(64)
            self.idle.running_mean.fill_(7)

        def forward(self, x):
            return self.used(self.used(self.frozen(x)))

    model = Odd()
    assert reestimate(model, SAMPLES, device=CPU) == 1
    assert bool((model.idle.running_mean == 7).all())
    assert bool((model.used.running_mean != 0).any())
    assert reestimate(users(SAMPLES), SAMPLES, device=CPU) == 0


def test_statistics_that_cannot_be_taken_leave_all_as_it_was():
    model = mlp(SAMPLES)
    model.encoder.layers[0].weight.data[3] = math.inf
    old = copy.deepcopy(model)
    with pytest.raises(ValueError, match="not finite"):
        reestimate(model, SAMPLES, device=CPU)
    for rows in ([], [0]):
        with pytest.raises(ValueError, match="at least 2 samples"):
            reestimate(model, SAMPLES.rows(torch.tensor(rows, dtype=torch.int64)), device=CPU)
    assert same(model, old)
    assert (model.encoder.layers[1].momentum, model.encoder.layers[1].training) == (0.1, False)


def test_dropout_follows_the_share_of_the_dense_network():
    model = nn.ModuleDict(
        {
            "ours": mlp(SAMPLES, 0.4),
            "torch": nn.Dropout2d(0.2),
            "off": nn.Dropout(0.0),
            "lstm": nn.LSTM(4, 4, 2, dropout=0.1),
            "attention": nn.MultiheadAttention(4, 2, dropout=0.5),
        }
    )
    dense = copy.deepcopy(model)
    changed = scale_dropout(model, 0.25)
    assert changed == {
        name: (p, pytest.approx(p / 2))
        for name, p in {"ours.dropout": 0.4, "torch": 0.2, "lstm": 0.1, "attention": 0.5}.items()
    }
    again = scale_dropout(model, 0.09, dense)
    assert (model["ours"].dropout.p, model["lstm"].dropout) == (pytest.approx(0.12), pytest.approx(0.03))
    assert again["torch"] == (0.2, pytest.approx(0.06))
    for kept in (0.0, 1.1, math.nan):
        with pytest.raises(ValueError, match="share of weights"):
            scale_dropout(model, kept)
