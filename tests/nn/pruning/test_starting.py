"""First weights drawn anew, against networks that were built anew."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from datadiet_cli.nn.models import MODELS, build
from datadiet_cli.nn.pruning.base import cut
from datadiet_cli.nn.pruning.starting import fresh, without_start
from datadiet_cli.nn.resize import resize_to
from datadiet_cli.nn.training import fit
from tests.nn.fields import inputs_of, spec_of
from tests.nn.lessons import CPU, mlp, recipe, same, vectors


@pytest.mark.parametrize("name", MODELS)
def test_a_fresh_model_is_one_that_was_built_from_that_seed(name):
    spec, units = spec_of(name, (), dropout=0.2), torch.linspace(3.0, 9.0, 24)
    built = build(spec, inputs_of(name), units, seed=5)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(3).add_(1)
        for module in built.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.add_(1)
    built.dropout.reseed(99)
    old, stream = copy.deepcopy(built), torch.get_rng_state()
    made, wanted = fresh(built, 8), build(spec, inputs_of(name), units, seed=8)
    assert same(made, wanted)
    assert same(built, old)
    assert not same(made, fresh(built, 9))
    assert torch.equal(torch.get_rng_state(), stream)
    assert without_start(built) == ()
    ones = torch.ones(50)
    assert torch.equal(made.dropout.train()(ones), wanted.dropout.train()(ones))


def test_a_model_of_any_width_starts_anew_and_learns():
    samples = vectors(stop=300)
    model = fit(mlp(samples, 0.2), samples, recipe(epochs=1), seed=0, device=CPU).model
    stays = np.arange(0, 32, 3)
    names = [name for name in model.state_dict() if name.startswith("encoder.layers") and "num_" not in name]
    resize_to(model, cut(model.state_dict(), {**{name: {0: stays} for name in names}, "head.weight": {1: stays}}))
    made = fresh(model, 4)
    assert made.head.weight.shape == (10, 11)
    # Bounds of torch's own way: 1 / sqrt(of what comes in).
    for layer in (made.encoder.layers[0], made.head):
        bound = layer.weight.shape[1] ** -0.5
        assert 0.9 * bound < float(layer.weight.detach().abs().max()) <= bound
    assert torch.equal(made.encoder.rows.parts[0].mean, model.encoder.rows.parts[0].mean)
    assert float(made.encoder.layers[1].running_var.sum()) == 11
    history = fit(made, samples, recipe(), seed=0, device=CPU).history
    assert history[-1]["accuracy"] > 0.7


class Tokens(nn.Module):
    """A transformer as users write them, with parameters of its own."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 64))
        self.norm = nn.ParameterDict({"weight": torch.ones(64), "bias": torch.zeros(64)})
        self.register_buffer("places", torch.linspace(0, 1, 64))
        layer = nn.TransformerEncoderLayer(64, 4, 96, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(64, 10)
        self.head.weight.requires_grad_(False)


def test_parameters_that_no_layer_draws_are_named_and_small():
    model = Tokens()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(5)
    assert sorted(without_start(model)) == ["norm.bias", "norm.weight", "token"]
    made = fresh(model, 0)
    assert float(made.token.detach().std()) == pytest.approx(0.02, rel=0.4)
    assert bool((made.norm["weight"] == 1).all())
    assert bool((made.norm["bias"] == 0).all())
    assert torch.equal(made.places, model.places)
    assert not made.head.weight.requires_grad
    attention = made.layers.layers[1].self_attn
    assert bool((attention.in_proj_bias == 0).all())
    bound = (6 / (64 + 3 * 64)) ** 0.5  # of Glorot & Bengio, as torch has it
    assert 0.9 * bound < float(attention.in_proj_weight.detach().abs().max()) <= bound
    assert same(made, fresh(model, 0))


def test_layers_that_write_past_autograd_count_as_drawn():
    class Older(nn.Linear):
        def reset_parameters(self):
            self.weight.data.uniform_(-2, 2)
            self.bias.data.zero_()

    model = Older(20, 10)
    fit_to = model.weight.detach().clone()
    model.bias.data.fill_(1)
    assert without_start(model) == ()
    made = fresh(model, 3)
    assert not torch.equal(made.weight, fit_to)
    assert float(made.weight.detach().abs().max()) > 1


def test_a_layer_that_fails_to_draw_is_named():
    class Failing(nn.Linear):
        def reset_parameters(self, scale=None):
            if self.in_features == 3:
                raise RuntimeError("no scale")

    model = nn.Sequential(nn.ReLU(), Failing(4, 2))
    model[1].in_features = 3
    with pytest.raises(ValueError, match=r"^1 cannot draw its weights anew: RuntimeError: no scale"):
        fresh(model, 0)
