"""Training against loops written out, and against itself when it is cut off."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score
from torch import nn

from datadiet_cli.errors import DatadietError
from datadiet_cli.nn.batches import Samples, batches, generator_of
from datadiet_cli.nn.device import computing
from datadiet_cli.nn.optimising import Stepper, plan, rate
from datadiet_cli.nn.predicting import features, inference_seconds, predict
from datadiet_cli.nn.training import fit
from tests.nn.lessons import CPU, Users, cnn, mlp, numbers, pictures, recipe, same, users, vectors


@given(st.integers(1, 300), st.integers(2, 64), st.integers(0, 3))
def test_batches_of_a_pass(n, size, seed):
    parts = batches(n, size, generator_of(seed, 0))
    lengths = [len(part) for part in parts]
    assert sorted(torch.cat(parts).tolist()) == list(range(n))
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) > 1 or n == 1
    odd = size == 2 and n % 2
    assert max(lengths) <= size + bool(odd)
    assert len(parts) == max(1, math.ceil(n / size) - bool(odd))


@pytest.mark.parametrize("steps", [1, 2, 19, 200])
def test_the_rate_rises_then_falls_to_nothing(steps):
    rates = [rate(step, steps) for step in range(steps)]
    top = int(np.argmax(rates))
    assert top == max(1, round(0.05 * steps)) - 1
    assert rates[top] == 1
    assert all(np.diff(rates[: top + 1]) > 0)
    assert all(np.diff(rates[top:]) < 0)
    assert min(rates) > 0
    assert steps < 100 or rates[-1] < 1e-3


@pytest.mark.parametrize("changes", [{}, {"optimiser": "adamw", "learning_rate": 0.01}, {"l1": 1e-3, "slim": 1e-2}])
def test_a_training_is_the_loop_written_out(changes):
    samples, how = vectors(stop=200), recipe(weight_decay=0.01, **changes)
    trained = fit(mlp(samples), samples, how, seed=4, device=CPU).model

    model = mlp(samples).train()
    linear = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    scales = [module.weight for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    rest = [own for own in model.parameters() if all(own is not weight for weight in linear)]
    groups = [{"params": linear, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
    if how.optimiser == "sgd":
        optimiser = torch.optim.SGD(groups, lr=1.0, momentum=0.9, nesterov=True)
    else:
        optimiser = torch.optim.AdamW(groups, lr=1.0)
    steps = plan(how, 200).steps
    assert steps == 4 * 4
    order = [rows for epoch in range(how.epochs) for rows in batches(200, 64, generator_of(4, 0, epoch))]
    for step, rows in enumerate(order):
        for group in optimiser.param_groups:
            group["lr"] = how.learning_rate * rate(step, steps)
        with computing(CPU, 1):
            loss = nn.functional.cross_entropy(model(samples.inputs[0][rows]), samples.target[rows])
            loss = loss + how.l1 * sum(weight.abs().sum() for weight in linear)
            loss = loss + how.slim * sum(weight.abs().sum() for weight in scales)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)


def test_digits_are_learned():
    train, test = vectors(0, 1200), vectors(1200, 1797)
    fitted = fit(mlp(train, hidden=128), train, recipe(epochs=12), seed=0, device=CPU, validation=test)
    said = predict(fitted.model, test, device=CPU)
    assert (said.argmax(1) == test.target.numpy()).mean() == pytest.approx(fitted.history[-1]["validation_accuracy"])
    assert fitted.history[-1]["validation_accuracy"] > 0.92
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"] / 3
    assert (fitted.epochs, fitted.best_epoch, fitted.steps, fitted.samples_seen) == (12, 12, 12 * 19, 12 * 1200)
    assert fitted.seconds > 0
    assert not fitted.model.training


def test_numbers_are_learned_whatever_their_unit():
    samples, other = numbers(), numbers(1000.0)
    how = recipe(epochs=15, optimiser="adamw", learning_rate=0.01)
    fitted = fit(mlp(samples), samples, how, seed=0, device=CPU, validation=samples)
    scaled = fit(mlp(other), other, how, seed=0, device=CPU)
    said = predict(fitted.model, samples, device=CPU)
    assert said.shape == (442, 1)
    assert r2_score(samples.target, said[:, 0]) > 0.5
    assert scaled.history[-1]["loss"] == pytest.approx(fitted.history[-1]["loss"], rel=1e-3)
    assert scaled.history[-1]["error"] == pytest.approx(1000 * fitted.history[-1]["error"], rel=1e-3)
    off = np.abs(said[:, 0] - samples.target.numpy()).mean()
    assert fitted.history[-1]["validation_error"] == pytest.approx(off, rel=1e-5)


@pytest.mark.parametrize("make", [lambda own: mlp(own, 0.3), users], ids=["ours", "a user's"])
def test_side_by_side_is_as_alone(make):
    samples = vectors()

    def training(model, seed):
        return fit(model, samples, recipe(), seed=seed, device=CPU).model

    alone = [training(make(samples), seed) for seed in range(4)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(training, [make(samples) for _ in range(4)], range(4)))
    assert all(same(one, other) for one, other in zip(alone, together, strict=True))
    assert not same(alone[0], alone[1])


def test_torch_is_left_as_it_was():
    samples = vectors()
    threads, chance = torch.get_num_threads(), torch.get_rng_state()
    fit(users(samples), samples, recipe(threads=threads + 1), seed=0, device=CPU)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), chance)


def test_early_stopping_goes_back_to_the_best():
    samples, unseen = vectors(0, 100), vectors(1000, 1400)
    how = recipe(epochs=60, learning_rate=0.5, patience=3)
    fitted = fit(mlp(samples), samples, how, seed=0, device=CPU, validation=unseen)
    losses = [entry["validation_loss"] for entry in fitted.history]
    assert fitted.epochs < 60
    assert fitted.best_epoch == np.argmin(losses) + 1 == fitted.epochs - 3
    logits = torch.from_numpy(predict(fitted.model, unseen, device=CPU))
    assert float(nn.functional.cross_entropy(logits, unseen.target)) == pytest.approx(min(losses), rel=1e-5)


def test_so_many_steps_and_no_more():
    samples = vectors(stop=200)
    fitted = fit(mlp(samples), samples, recipe(iterations=10), seed=0, device=CPU)
    assert (fitted.epochs, fitted.steps, fitted.samples_seen) == (3, 10, 500)
    assert fitted.history[-1]["samples_seen"] == 500


def test_only_the_head_of_a_frozen_model_learns():
    samples = pictures()
    model, before = cnn(samples), cnn(samples).state_dict()
    fit(model, samples, recipe(freeze=True), seed=0, device=CPU)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.weight", "head.bias"}
    assert all(own.requires_grad for own in model.parameters())


@pytest.mark.parametrize(("penalty", "kind"), [("l1", nn.Conv2d), ("slim", nn.BatchNorm2d)])
def test_penalties_make_what_they_are_for_small(penalty, kind):
    def size(**changes):
        samples = pictures()
        how = recipe(epochs=8, weight_decay=0.0, **changes)
        model = fit(cnn(samples), samples, how, seed=0, device=CPU).model
        return sum(float(own.weight.detach().abs().sum()) for own in model.modules() if isinstance(own, kind))

    assert size(**{penalty: 0.02}) < 0.9 * size()


def test_weights_of_samples():
    samples = vectors(stop=200)
    wrong = samples.target.clone()
    wrong[::2] = (wrong[::2] + 1) % 10
    counts = (torch.arange(200) % 2).float()
    model = mlp(samples, name="linear")
    fitted = fit(model, Samples(samples.inputs, wrong), recipe(epochs=20), seed=0, device=CPU, weights=counts * 5)
    right = predict(fitted.model, samples, device=CPU).argmax(1) == samples.target.numpy()
    assert right[1::2].mean() > 0.97
    assert right[::2].mean() > 0.75
    alike = fit(mlp(samples), samples, recipe(), seed=0, device=CPU, weights=torch.full((200,), 7.0))
    assert same(alike.model, fit(mlp(samples), samples, recipe(), seed=0, device=CPU).model)


def test_half_precision_is_near():
    samples = pictures()
    losses = [
        fit(cnn(samples), samples, recipe(precision=kind), seed=0, device=CPU).history[-1]["loss"]
        for kind in ("float32", "bfloat16")
    ]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


@pytest.mark.parametrize(
    ("samples", "changes", "message"),
    [
        (vectors(stop=1), {}, "at least 2 samples, and there are 1"),
        (Samples(vectors().inputs, vectors().target + 3), {}, "classes from 3 to 12, and the model knows 0 to 9"),
        (Samples(vectors().inputs, vectors().target - 1), {}, "classes from -1 to 8"),
        (Samples(vectors().inputs, torch.zeros(600)), {}, "the target is a number, and the model gives"),
        (Samples(vectors().inputs, torch.full((600,), torch.nan)), {}, "no finite numbers"),
        (vectors(), {"patience": 3}, "takes validation samples"),
        (vectors(), {"augment": ("flip",)}, "for pictures"),
        (vectors(), {"learning_rate": 1e30}, "training diverged at epoch [12]: lower the learning rate"),
        (vectors(), {"batch_size": 1}, "two samples a batch"),
    ],
)
def test_what_cannot_be_trained(samples, changes, message):
    with pytest.raises(ValueError, match=message):
        fit(mlp(vectors()), samples, recipe(**changes), seed=0, device=CPU)


@pytest.mark.parametrize("weights", [torch.zeros(600), -torch.ones(600), torch.ones(5), torch.full((600,), torch.nan)])
def test_weights_that_make_no_sense(weights):
    with pytest.raises(ValueError, match="weights of"):
        fit(mlp(vectors()), vectors(), recipe(), seed=0, device=CPU, weights=weights)


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("you can't allocate memory")]
)
def test_out_of_memory_in_words(error):
    class Hungry(Users):
        def forward(self, x):
            raise error

    with pytest.raises(DatadietError, match="lower --batch-size"):
        fit(Hungry(), vectors(), recipe(), seed=0, device=CPU)


def test_all_alike():
    samples = Samples((torch.ones(30, 4),), torch.zeros(30, dtype=torch.int64))
    fitted = fit(mlp(samples), samples, recipe(), seed=0, device=CPU)
    assert np.isfinite(predict(fitted.model, samples, device=CPU)).all()


def test_a_prediction_does_not_depend_on_its_neighbours():
    samples = pictures()
    model = fit(cnn(samples), samples, recipe(), seed=0, device=CPU).model
    whole = predict(model, samples, device=CPU, batch=64)
    some = torch.tensor([140, 3, 77])
    assert np.array_equal(predict(model, samples.rows(some).inputs, device=CPU, batch=64), whole[some.numpy()])
    assert predict(model, samples.rows(some[:0]), device=CPU).shape == (0, 10)
    seen = features(model, samples, device=CPU, batch=64)
    logits = seen @ model.head.weight.detach().numpy().T + model.head.bias.detach().numpy()
    np.testing.assert_allclose(logits, whole, rtol=1e-4, atol=1e-4)
    assert inference_seconds(model, samples, device=CPU) > 0


def test_weights_of_attention_and_recurrent_layers_decay_and_their_biases_do_not():
    network = nn.ModuleDict(
        {"a": nn.MultiheadAttention(4, 2), "r": nn.LSTM(4, 4, bidirectional=True), "n": nn.LayerNorm(4)}
    )
    stepper = Stepper(network, recipe(weight_decay=0.1), 10, torch.device("cpu"))
    decaying, rest = (group["params"] for group in stepper.optimiser.param_groups)
    assert {parameter.dim() for parameter in decaying} == {2}
    assert {parameter.dim() for parameter in rest} == {1}
    assert len(decaying) + len(rest) == len(list(network.parameters()))


def test_statistics_that_are_no_numbers_are_a_training_that_diverged():
    """Batch norms take any weights for good: the loss stays finite while what they hold does not."""
    samples = pictures()
    with pytest.raises(ValueError, match="training diverged at epoch"):
        fit(cnn(samples), samples, recipe(epochs=8, learning_rate=1e12, weight_decay=0.0), seed=0, device=CPU)
