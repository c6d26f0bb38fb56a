"""The group lasso, against autograd and by what it does."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from datadiet_cli.nn.pruning.base import Group, Member
from datadiet_cli.nn.pruning.guides import GroupLasso
from datadiet_cli.nn.training import Penalty, fit
from tests.nn.lessons import CPU, mlp, recipe, vectors

SAMPLES = vectors(stop=300)
OTHERS = vectors(300, 500)


def hidden_group(width=32):
    """The hidden units of `mlp`."""
    at = np.arange(width)
    places = [("encoder.layers.0.weight", 0, True), ("head.weight", 1, False)]
    places += [(f"encoder.layers.1.{name}", 0, False) for name in ("weight", "bias", "running_mean", "running_var")]
    members = tuple(Member(name, dim, at, at, makes) for name, dim, makes in places)
    return Group("encoder.layers.0", "channels", width, members, "")


def test_group_lasso_is_its_sum_written_out():
    draw = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Conv1d(6, 4, 3), nn.Linear(5, 4))
    for parameter in model.parameters():
        parameter.data.normal_(generator=draw)
    at = np.arange(6)
    pairs = Group("0", "heads", 3, (
        Member("0.weight", 0, at, at // 2, True),
        Member("0.weight", 1, at[::-1].copy(), at[::-1] // 2, False),  # what lies in both counts twice
        Member("1.weight", 0, at, at // 2, False),
        Member("1.running_mean", 0, at, at // 2, False),
        Member("2.weight", 1, at, at // 2, False),
    ), "")  # fmt: skip
    some = Group("3", "channels", 2, (Member("3.weight", 0, np.array([3, 1]), np.array([0, 1]), True),), "")
    model[1].bias.data.zero_()
    model[3].weight.data[1] = 0  # a unit of zeros
    model[2].bias.requires_grad_(False)
    own = dict(model.named_parameters())

    def norm(tensors):
        whole = torch.cat([tensor.flatten() for tensor in tensors])
        return math.sqrt(len(whole)) * (whole.square().sum() + 1e-30).sqrt()

    value = 0.5 * norm([own["3.weight"][3]])
    for first in (0, 2, 4):
        two = slice(first, first + 2)
        parts = [own["0.weight"][two], own["0.weight"][:, two], own["1.weight"][two], own["2.weight"][:, two]]
        value = value + 0.5 * norm(parts)
    value.backward()
    wanted = {name: parameter.grad.clone() for name, parameter in own.items() if parameter.grad is not None}
    for name, parameter in own.items():
        parameter.grad = torch.full_like(parameter, 2.0) if name in wanted else None
    lasso = GroupLasso(model, Penalty([pairs, some], 0.5))
    assert lasso.value() == pytest.approx(float(value.detach()), rel=1e-6)
    lasso.add()
    for name, gradient in wanted.items():
        torch.testing.assert_close(own[name].grad - 2.0, gradient, rtol=1e-5, atol=1e-6)


def test_group_lasso_empties_whole_units():
    how = recipe(epochs=60, learning_rate=0.05, weight_decay=0.0)

    def trained(penalty):
        fitted = fit(mlp(SAMPLES), SAMPLES, how, seed=0, device=CPU, penalty=penalty, validation=OTHERS)
        own = fitted.model
        weights = torch.cat([own.encoder.layers[0].weight, own.head.weight.T], 1).detach()
        return int((weights.norm(dim=1) < 1e-4).sum()), fitted.history[-1]["validation_accuracy"]

    none, free = trained(None)
    empty, held = trained(Penalty([hidden_group()], 8e-3))
    assert none == 0
    assert 8 < empty < 24
    assert held > free - 0.1
