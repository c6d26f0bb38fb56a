"""Small trainings that several tests share."""

import numpy as np
import torch
from sklearn.datasets import load_diabetes, load_digits
from torch import nn

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.models import build
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Field, Spec

CPU = torch.device("cpu")
CLASSES = tuple("0123456789")
_DIGITS = load_digits()


def vectors(start=0, stop=600):
    """Digits as vectors of 64 numbers."""
    return Samples(
        (torch.from_numpy(_DIGITS.data[start:stop].astype(np.float32)),), torch.from_numpy(_DIGITS.target[start:stop])
    )


def pictures(start=0, stop=150):
    """Digits as pictures of 8 pixels a side."""
    grey = (_DIGITS.images[start:stop] * 15).astype(np.uint8)
    return Samples(
        (torch.from_numpy(np.repeat(grey[:, None], 3, axis=1)),), torch.from_numpy(_DIGITS.target[start:stop])
    )


def numbers(factor=1.0):
    """A regression of 10 numbers."""
    data, target = load_diabetes(return_X_y=True)
    return Samples((torch.from_numpy(data.astype(np.float32)),), torch.from_numpy((target * factor).astype(np.float32)))


def mlp(samples, dropout=0.0, name="mlp", hidden=32):
    """A small network, or a linear model, for vectors."""
    field = Field("vector", "vector", {"dimensions": samples.inputs[0].shape[1], "encoder": "none"})
    classes = () if samples.regression else CLASSES
    return build(
        Spec(name, (field,), classes, {"dropout": dropout, "hidden": [hidden]}), samples.inputs, samples.target, seed=3
    )


def cnn(samples, dropout=0.0):
    """The small network for pictures."""
    spec = Spec("small-cnn", (Field("image", "image", {"size": 8}),), CLASSES, {"dropout": dropout})
    return build(spec, samples.inputs, samples.target, seed=3)


class Users(nn.Module):
    """A network as users write them, whose dropout draws from torch's own stream."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.body(x))


def users(samples):
    """A user's own network with weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return Users()


def recipe(**changes):
    """Short and quick."""
    return Recipe(**{"epochs": 4, "batch_size": 64, **changes})


def same(one, other):
    """Whether two models have the same weights to the last bit."""
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
