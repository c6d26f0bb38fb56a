"""Networks, samples and structures that tests of what weights and units are worth share."""

import numpy as np
import torch
from torch import nn

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.pruning.base import Group, Member, Structure
from datadiet_cli.nn.pruning.criteria import weight_scores
from datadiet_cli.nn.pruning.units import unit_scores
from tests.nn.lessons import CPU


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
