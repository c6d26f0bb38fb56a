"""What layers tell of their inputs and outputs, against what their outputs lose without a weight."""

import numpy as np
import pytest
import torch
from torch import nn

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.device import computing
from datadiet_cli.nn.layers_wide import Packed
from tests.nn.lessons import CPU
from tests.nn.pruning.ranked import noise, of, seeded


@pytest.fixture(autouse=True)
def one_thread():
    with computing(CPU, 1):
        yield


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
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Packed(nn.Parameter(noise(12, 4)), None, ("in_proj_weight", "in_proj_bias"))
            self.scale = nn.Parameter(noise(12, 1))

        def forward(self, x):
            return self.inner(x) * self.scale[:, 0]

    model, x = Odd(), noise(6, 4)
    names, samples = ["inner.in_proj_weight", "scale"], Samples((x,), torch.arange(6))
    norms = x.norm(dim=0)
    found = of("wanda", model, samples, names)
    torch.testing.assert_close(found[names[0]], model.inner.in_proj_weight.detach().abs() * norms)
    torch.testing.assert_close(found["scale"], model.scale.detach().abs() * norms.mean())
    found, outputs = of("activation", model, samples, names), (x @ noise(12, 4).T).abs().mean(0)
    torch.testing.assert_close(found[names[0]], noise(12, 4).abs() * outputs[:, None])
    torch.testing.assert_close(found["scale"], model.scale.detach().abs() * outputs.mean())


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
