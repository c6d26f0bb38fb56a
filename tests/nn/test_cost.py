"""Costs of models against counts by hand."""

import gzip
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from datadiet_cli.nn.cost import (
    bytes_of,
    effective_macs,
    latency,
    layers,
    macs,
    macs_by_layer,
    parameters,
    processor_of,
    ratio,
)  # fmt: skip


def attention(width, length):
    """Four projections and two products with all positions, then two layers of a perceptron."""
    return 4 * length * width**2 + 2 * length**2 * width + 2 * length * width * 2 * width


class First(nn.Module):
    """What a recurrent layer says, without its state."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


class Weighing(nn.Module):
    """A matrix times a vector, which is a parameter."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(6))

    def forward(self, x):
        return x @ self.weight


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
    "lstm": (
        lambda: First(nn.LSTM(6, 5, 2, bidirectional=True, batch_first=True)),
        (7, 6),
        2 * 7 * 4 * 5 * (6 + 5 + 10 + 5),
    ),
    "gru": (lambda: First(nn.GRU(6, 5, batch_first=True)), (7, 6), 7 * 3 * 5 * (6 + 5)),
    "vector": (lambda: Weighing(), (7, 6), 7 * 6),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_operations_of_one_sample_as_counted_by_hand(case):
    make, shape, expected = CASES[case]
    with torch.random.fork_rng():
        model = make()
    assert macs(model, [torch.zeros(3, *shape)]) == expected
    assert all(module.training for module in model.modules())
    by_layer = macs_by_layer(model, [torch.zeros(3, *shape)])
    assert sum(by_layer.values()) == expected
    assert effective_macs(model, [torch.zeros(3, *shape)]) == expected  # no weight is 0


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("lstm", "vector")])
def test_operations_are_as_many_as_torch_counts(case):
    make, shape, _ = CASES[case]
    with torch.random.fork_rng():
        model = make().train()  # eval mode would fuse the encoder
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(2, *shape))
    assert 4 * macs(model, [torch.zeros(2, *shape)]) == counter.get_total_flops()


def test_operations_belong_to_the_layer_whose_weights_they_are_made_with():
    with torch.random.fork_rng():
        encoder = nn.TransformerEncoderLayer(16, 4, dim_feedforward=32, batch_first=True)
    products = 2 * 12 * 12 * 16
    expected = {
        "self_attn": 3 * 12 * 16 * 16, "self_attn.out_proj": 12 * 16 * 16,
        "linear1": 12 * 16 * 32, "linear2": 12 * 32 * 16, "": products,
    }  # fmt: skip
    assert macs_by_layer(encoder, [torch.zeros(1, 12, 16)]) == expected
    rows = {row.name: row for row in layers(encoder, [torch.zeros(1, 12, 16)])}
    assert {name: row.macs for name, row in rows.items() if row.macs} | {"": products} == expected
    assert {name: (row.kind, row.shape) for name, row in rows.items()} == {
        "self_attn": ("MultiheadAttention", (48, 16)), "self_attn.out_proj": ("Linear", (16, 16)),
        "linear1": ("Linear", (32, 16)), "linear2": ("Linear", (16, 32)),
        "norm1": ("LayerNorm", (16,)), "norm2": ("LayerNorm", (16,)),
    }  # fmt: skip
    assert sum(row.parameters for row in rows.values()) == parameters(encoder).total
    assert rows["linear1"].as_json()["effective"] == 12 * 16 * 32


def test_zeros_are_left_out_by_the_share_of_the_layer():
    with torch.random.fork_rng():
        model = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Flatten(),
            First(nn.LSTM(64, 3, batch_first=True)), nn.MultiheadAttention(3, 1, batch_first=True),
        )  # fmt: skip
    model = nn.ModuleDict(dict(zip(("conv", "depth", "flat", "lstm", "mix"), model, strict=True)))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.own = model

        def forward(self, x):
            x = self.own["depth"](self.own["conv"](x)).flatten(1).unsqueeze(1)
            x = self.own["lstm"](x)
            return self.own["mix"](x, x, x)[0]

    dense = Net()
    inputs = [torch.ones(1, 2, 4, 4)]
    before = {row.name: row for row in layers(dense, inputs)}
    with torch.no_grad():
        model["conv"].weight[1:] = 0  # 3 of 4 filters
        model["depth"].weight[:, :, 0] = 0  # a row of each of 3 by 3
        model["lstm"].layer.weight_hh_l0[:6] = 0  # half of it
        model["mix"].in_proj_weight[3:] = 0  # keys and values
    after = {row.name: row for row in layers(dense, inputs)}
    assert all(after[name].macs == row.macs == row.effective for name, row in before.items())
    assert after["own.conv"].effective * 4 == before["own.conv"].macs == 4 * 2 * 9 * 16
    assert after["own.depth"].effective * 3 == before["own.depth"].macs * 2
    assert after["own.lstm.layer"].effective == 12 * 64 + 12 * 3 // 2
    assert after["own.mix"].effective * 3 == before["own.mix"].macs
    rest = macs_by_layer(dense, inputs)[""]
    assert effective_macs(dense, inputs) == sum(row.effective for row in after.values()) + rest
    assert after["own.conv"].nonzero == 18 + int(torch.count_nonzero(model["conv"].bias))


def test_a_weight_of_two_layers_counts_in_the_first_and_its_operations_too():
    with torch.random.fork_rng():
        model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    rows = layers(model, [torch.ones(1, 4)])
    assert [(row.parameters, row.macs) for row in rows] == [(16, 32), (0, 0)]


def test_branches_cannot_be_counted():
    class Branching(nn.Module):
        def forward(self, x):
            return torch.cond(x.sum() > 0, lambda y: y @ y.T, lambda y: y @ y.T, (x,))

    with pytest.raises(ValueError, match="cond cannot be counted"):
        macs(Branching(), [torch.ones(1, 2)])


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
        assert one.runtime == f"torch {torch.__version__.partition('+')[0]}"
        assert one.processor == processor_of(torch.device("cpu")) != ""
        assert "wall_times" not in one.as_json()
    assert torch.get_num_threads() == threads
    assert models["large"].training
    told = ratio(found["large"][1], found["small"][1])
    assert 1 < told.low <= told.median <= told.high
    with pytest.raises(ValueError, match="side by side"):
        ratio(found["large"][1], found["small"][0])


def test_another_runtime_takes_arrays_and_has_its_own_name():
    taken = []

    class Session:
        runtime = "onnxruntime 1.0"

        def __call__(self, x, y):
            taken.append((x, y.shape))

    with torch.random.fork_rng():
        models = {"torch": nn.Linear(2, 2), "other": Session()}
    inputs = {"torch": [torch.ones(3, 2)], "other": [np.arange(6).reshape(3, 2), torch.ones(3, 1)]}
    found = latency(models, inputs, batches=(5,), rounds=2)
    assert found["other"][0].runtime == "onnxruntime 1.0"
    assert found["torch"][0].runtime.startswith("torch ")
    assert taken[0][0].tolist() == [[0, 1], [2, 3], [4, 5], [0, 1], [2, 3]]
    assert taken[0][1] == (5, 1)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 8, 9, 15, 100])
def test_the_interval_of_a_ratio_covers_its_median_in_95_of_100_cases_at_least(n):
    with torch.random.fork_rng():
        one = latency({"a": nn.Linear(1, 1)}, {"a": [torch.ones(1, 1)]}, batches=(1,), rounds=1)["a"][0]
    times = {"rounds": n, "cpu_times": tuple(float(2 * i) for i in range(1, n + 1))}
    told = ratio(replace(one, **times), replace(one, rounds=n, cpu_times=(2.0,) * n))
    assert told.median == (n + 1) / 2
    below = round(told.low) - 1  # the ratios are 1, 2 and so on
    assert told.high == n - below

    def covered(left_out):
        return 1 - 2 * sum(math.comb(n, k) for k in range(left_out + 1)) / 2**n

    assert covered(below) >= 0.95 or below == 0
    assert covered(below + 1) < 0.95


def test_no_samples_and_no_rounds_are_refused():
    with torch.random.fork_rng():
        model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="no samples"):
        macs(model, [torch.zeros(0, 2)])
    with pytest.raises(ValueError, match="one round"):
        latency({"a": model}, {"a": [torch.zeros(1, 2)]}, rounds=0)
