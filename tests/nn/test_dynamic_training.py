"""Trainings that leave samples out: by hand, plain where nothing is left out, cut off and gone on with."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from datadiet_cli.nn.batches import batches, generator_of
from datadiet_cli.nn.checkpoint import Checkpoint
from datadiet_cli.nn.device import computing
from datadiet_cli.nn.dynamic import DYNAMIC, sampler_of
from datadiet_cli.nn.optimising import rate
from datadiet_cli.nn.recorder import Recorder
from datadiet_cli.nn.training import fit
from tests.nn.lessons import CPU, cnn, mlp, numbers, pictures, recipe, same, vectors
from tests.nn.test_record import record_of


def test_dynamic_trainings_go_by_epochs():
    samples = vectors()
    with pytest.raises(ValueError, match="by iterations; choose one"):
        fit(mlp(samples), samples, recipe(dynamic="random", iterations=5), seed=0, device=CPU)


@pytest.mark.parametrize("name", DYNAMIC)
def test_leaving_nothing_out_is_a_plain_training(name):
    samples = vectors()
    plain = fit(mlp(samples, 0.2), samples, recipe(), seed=1, device=CPU)
    other = fit(mlp(samples, 0.2), samples, recipe(dynamic=name, dynamic_share=0.0), seed=1, device=CPU)
    assert same(plain.model, other.model)
    assert [{**entry, "share_seen": 1.0} for entry in plain.history] == other.history


def test_a_dynamic_training_is_the_loop_written_out():
    """InfoBatch with weights: batches of what stays, losses times both weights, the rate by the progress."""
    samples, how = vectors(stop=300), recipe(epochs=5, dynamic="infobatch", weight_decay=0.0)
    own = torch.linspace(0.5, 1.5, 300)
    trained = fit(mlp(samples), samples, how, seed=4, device=CPU, weights=own)
    sampler = sampler_of("infobatch", samples.target, epochs=5, seed=4)
    model = mlp(samples).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9, nesterov=True)
    seen, rates = [], []
    for epoch in range(5):
        turn = sampler.plan(epoch)
        weights = torch.ones(len(turn.rows)) if turn.weights is None else turn.weights
        parts = batches(len(turn.rows), 64, generator_of(4, 0, epoch))
        losses, right = [], []
        for number, part in enumerate(parts):
            rows = turn.rows[part]
            rates.append(rate((epoch + number / len(parts)) * 5, 25))
            for group in optimiser.param_groups:
                group["lr"] = how.learning_rate * rates[-1]
            with computing(CPU, 1):
                out = model(samples.inputs[0][rows])
                each = nn.functional.cross_entropy(out, samples.target[rows], reduction="none")
                optimiser.zero_grad()
                (each * weights[part] * own[rows]).mean().backward()
                optimiser.step()
            losses.append(each.detach())
            right.append(out.argmax(1) == samples.target[rows])
        sampler.observe(turn.rows[torch.cat(parts)], torch.cat(losses), torch.cat(right))
        seen.append(len(turn.rows))
    assert 100 < min(seen) < 300
    assert (seen[0], seen[-1]) == (300, 300)
    assert [entry["share_seen"] * 300 for entry in trained.history] == pytest.approx(seen)
    assert (trained.samples_seen, trained.steps) == (sum(seen), len(rates))
    assert rates[-1] < 0.02
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(trained.model.state_dict()[name], tensor, rtol=1e-3, atol=1e-5)


CASES = {
    **{name: (vectors, mlp, {"dynamic": name}) for name in DYNAMIC},
    "augmented": (pictures, cnn, {"dynamic": "adaptive", "augment": ("flip", "crop")}),
    "numbers": (numbers, mlp, {"dynamic": "adaptive", "optimiser": "adamw"}),
}


@pytest.mark.parametrize("case", CASES)
def test_cut_off_and_gone_on(tmp_path, case):
    """The sampler goes on as if nothing had been: same passes, same weights, same record."""
    data, make, changes = CASES[case]
    samples = data()
    how = recipe(**{"epochs": 6, "learning_rate": 0.02, **changes})

    class CutOffError(Exception):
        pass

    def training(name, cut=None, checkpoint=None):
        def progress(done, _):
            if done == cut:
                raise CutOffError

        record = record_of(tmp_path / name, samples, 6)
        return fit(
            make(samples), samples, how, seed=3, device=CPU, recorder=Recorder(record),
            checkpoint=checkpoint, progress=progress,
        )  # fmt: skip

    undisturbed = training("one")
    checkpoint = Checkpoint(str(tmp_path / "state"), "key")
    for cut in (2, 4):
        with pytest.raises(CutOffError):
            training("two", cut, checkpoint)
    resumed = training("two", checkpoint=checkpoint)
    assert resumed.resumed_from == 4
    assert same(undisturbed.model, resumed.model)
    assert undisturbed.history == resumed.history
    shares = [entry["share_seen"] for entry in resumed.history]
    assert resumed.samples_seen == sum(round(share * len(samples)) for share in shares) < 6 * len(samples)
    files = sorted(path.name for path in (tmp_path / "one" / "model-000").glob("*.npy"))
    assert files
    for file in files:
        one, two = (tmp_path / name / "model-000" / file for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_the_record_keeps_what_was_said_last(tmp_path):
    """A sample without a turn has no loss before its first one, and that of its last one afterwards."""
    samples = vectors(stop=100)
    record = record_of(tmp_path, samples, 4)
    how = recipe(dynamic="random", dynamic_share=0.75, dynamic_until=1.0)
    fit(mlp(samples), samples, how, seed=0, device=CPU, recorder=Recorder(record))
    losses = record.read("loss", 0)
    assert np.isfinite(losses).sum(1).tolist() == [25, 50, 75, 100]
    for before, after in pairwise(losses):
        known = np.isfinite(before)
        assert np.array_equal(before[known], after[known])
