"""Costs of models against counts by hand."""

import gzip

import pytest
import torch
from torch import nn

from datadiet_cli.nn.cost import bytes_of, latency, macs, parameters


def attention(width, length):
    """Four projections and two products with all positions, then two layers of a perceptron."""
    return 4 * length * width**2 + 2 * length**2 * width + 2 * length * width * 2 * width


CASES = {
    "linear": (lambda: nn.Linear(7, 5), (7,), 7 * 5),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, groups=8, stride=2), nn.Flatten(), nn.Linear(8 * 7 * 7, 10),
        ),
        (3, 16, 16),
        3 * 8 * 9 * 16 * 16 + 8 * 9 * 7 * 7 + 8 * 7 * 7 * 10,
    ),
    "sounds": (lambda: nn.Conv1d(1, 4, 9, stride=4), (1, 105), 4 * 9 * 25),
    "attention": (
        lambda: nn.TransformerEncoderLayer(16, 4, dim_feedforward=32, batch_first=True),
        (12, 16),
        attention(16, 12),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_operations_of_one_sample_as_counted_by_hand(case):
    make, shape, expected = CASES[case]
    with torch.random.fork_rng():
        model = make()
    assert macs(model, [torch.zeros(3, *shape)]) == expected
    assert all(module.training for module in model.modules())


def test_parameters_are_counted_once_and_zeros_apart():
    with torch.random.fork_rng():
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4))
    model[1].weight = model[0].weight
    with torch.no_grad():
        model[0].weight.fill_(1)
        model[0].weight[0] = 0
        model[0].bias.fill_(0)
        model[1].bias.fill_(1)
    model[2].requires_grad_(False)
    found = parameters(model)
    assert (found.total, found.nonzero, found.trainable) == (16 + 4 + 4 + 8, 12 + 4 + 4, 24)


def test_bytes_are_those_of_the_tensors_and_of_their_gzip():
    state = {
        "b": torch.arange(1000, dtype=torch.float32),
        "a": torch.zeros(5000, dtype=torch.bfloat16),
        "steps": torch.tensor(3),
    }
    together = b"".join(state[name].reshape(-1).view(torch.uint8).numpy().tobytes() for name in sorted(state))
    found = bytes_of(state)
    assert found.raw == len(together) == 1000 * 4 + 5000 * 2 + 8
    assert found.compressed == pytest.approx(len(gzip.compress(together, 6)), abs=16)


def test_a_larger_model_takes_longer_side_by_side():
    with torch.random.fork_rng():
        models = {"small": nn.Linear(256, 16), "large": nn.Sequential(nn.Linear(256, 2048), nn.Linear(2048, 512))}
    models["large"].train()
    threads = torch.get_num_threads()
    inputs = {name: [torch.ones(3, 256)] for name in models}
    found = latency(models, inputs, batches=(1, 64), rounds=3)
    assert [(one.batch, one.rounds, one.threads) for one in found["small"]] == [(1, 3, 1), (64, 3, 1)]
    assert found["large"][1].cpu > 3 * found["small"][1].cpu > 0
    for one in (*found["small"], *found["large"]):
        assert 0 < one.cpu_quartiles[0] <= one.cpu <= one.cpu_quartiles[1]
        assert 0 < one.wall_quartiles[0] <= one.wall <= one.wall_quartiles[1]
    assert torch.get_num_threads() == threads
    assert models["large"].training


def test_no_samples_and_no_rounds_are_refused():
    with torch.random.fork_rng():
        model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="no samples"):
        macs(model, [torch.zeros(0, 2)])
    with pytest.raises(ValueError, match="one round"):
        latency({"a": model}, {"a": [torch.zeros(1, 2)]}, rounds=0)
