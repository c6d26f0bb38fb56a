"""The training record against its definitions, and its parts when they are put together."""

import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax
from scipy.stats import entropy

from datadiet_cli.errors import InputError
from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.predicting import features, predict
from datadiet_cli.nn.record import CLASSES, NUMBERS, Facts, Record
from datadiet_cli.nn.recorder import Recorder, last_layer, quantities, quantities_of
from datadiet_cli.nn.training import fit
from tests.nn.lessons import CPU, mlp, numbers, recipe, users, vectors


def facts_of(samples, epochs, **changes):
    given_ = {
        "samples": len(samples), "epochs": epochs, "seeds": (7,), "how": "batch", "fingerprint": "abc", "labels": "def",
        "quantities": quantities_of(0 if samples.regression else 10, len(samples)),
        "spec": {"model": "mlp"}, "recipe": {"epochs": epochs},
    }  # fmt: skip
    return Facts(**{**given_, **changes})


def record_of(folder, samples, epochs, **changes):
    return Record.create(str(folder), facts_of(samples, epochs, **changes))


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e4, 1e4, width=32)), st.lists(st.integers(0, 3), min_size=3))
def test_quantities_are_what_they_are_called(logits, labels):
    target = np.array(labels[:3])
    found = {
        name: values.numpy() for name, values in quantities(torch.from_numpy(logits), torch.tensor(target)).items()
    }
    assert tuple(found) == CLASSES
    wide = logits.astype(np.float64)
    logs = log_softmax(wide, axis=1)
    shares, rows = np.exp(logs), np.arange(3)
    others = np.where(np.arange(4) == target[:, None], -np.inf, wide)
    expected = {
        "probability": shares[rows, target],
        "margin": wide[rows, target] - others.max(1),
        "loss": -logs[rows, target],
        "error": np.linalg.norm(shares - np.eye(4)[target], axis=1),
        "entropy": entropy(shares, axis=1),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=2e-3 if name == "loss" else 1e-4)
    assert (found["correct"] == (expected["margin"] > 0)).all()


def test_far_logits_stay_finite(tmp_path):
    logits = torch.tensor([[1e38, -1e38], [-1e38, 1e38], [0.0, 0.0]])
    samples = Samples((torch.zeros(3, 1),), torch.zeros(3, dtype=torch.int64))
    record = record_of(tmp_path / "record", samples, 2, quantities=(*CLASSES, "divergence"))
    recorder = Recorder(record)
    recorder.begin(samples, CPU, 0)
    for epoch, said in enumerate((logits, -logits)):
        recorder.observe(torch.arange(3), said, samples.target)
        recorder.end(epoch)
    assert record.read("margin", 0)[0].tolist() == [65504, -65504, 0]
    assert record.read("correct", 0)[0].tolist() == [True, False, False]
    assert record.read("divergence", 0)[1].tolist() == [65504, 65504, 0]
    assert all(np.isfinite(record.read(name, 0)).all() for name in CLASSES)


@pytest.mark.parametrize(("data", "quality"), [(vectors, "accuracy"), (numbers, "error")])
def test_a_record_by_batch_is_of_what_was_learned_from(tmp_path, data, quality):
    samples = data()
    record = record_of(tmp_path / "record", samples, 3)
    how = recipe(epochs=3, optimiser="adamw", learning_rate=0.01)
    fitted = fit(mlp(samples), samples, how, seed=0, device=CPU, recorder=Recorder(record))
    of = {"accuracy": "correct", "error": "error"}[quality]
    for told, recorded in (("loss", "loss"), (quality, of)):
        means = record.read(recorded, 0).mean(axis=1, dtype=np.float64)
        np.testing.assert_allclose(means, [entry[told] for entry in fitted.history], rtol=2e-3)


def test_a_record_by_epoch_is_of_the_model_as_it_is_then(tmp_path):
    samples = vectors()
    record = record_of(tmp_path / "record", samples, 3, how="epoch")
    fitted = fit(mlp(samples, 0.4), samples, recipe(epochs=3), seed=0, device=CPU, recorder=Recorder(record))
    expected = quantities(torch.from_numpy(predict(fitted.model, samples, device=CPU)), samples.target)
    for name in CLASSES:
        np.testing.assert_allclose(record.read(name, 0)[-1], expected[name].numpy(), rtol=1e-3, atol=1e-6)
    plain = fit(mlp(samples, 0.4), samples, recipe(epochs=3), seed=0, device=CPU)
    assert plain.history == fitted.history  # looking changes nothing


@pytest.mark.parametrize(("make", "how"), [(mlp, "batch"), (mlp, "epoch"), (users, "epoch")])
def test_gradients_of_the_last_layer(tmp_path, make, how):
    samples = vectors(stop=60)
    record, model = record_of(tmp_path / "record", samples, 1, how=how), make(samples)
    # One batch, and a rate of nothing: what was learned from is the model as it is afterwards.
    fit(model, samples, recipe(epochs=1, learning_rate=1e-30), seed=0, device=CPU, recorder=Recorder(record))
    out = model.train(how == "batch")(*samples.inputs)
    losses = torch.nn.functional.cross_entropy(out, samples.target, reduction="none")
    weights = list(model.head.parameters())
    expected = [
        torch.cat([part.flatten() for part in torch.autograd.grad(loss, weights, retain_graph=True)]).norm()
        for loss in losses
    ]
    np.testing.assert_allclose(record.read("gradient", 0)[0], expected, rtol=2e-3)


def test_a_last_layer_without_a_bias(tmp_path):
    samples = vectors(stop=60)
    record, model = record_of(tmp_path / "record", samples, 1, how="epoch"), mlp(samples)
    model.head = torch.nn.Linear(model.head.in_features, 10, bias=False)
    fit(model, samples, recipe(epochs=1), seed=0, device=CPU, recorder=Recorder(record))
    given_ = np.linalg.norm(features(model, samples, device=CPU), axis=1)
    np.testing.assert_allclose(record.read("gradient", 0)[0], record.read("error", 0)[0] * given_, rtol=2e-3)


def test_a_model_that_does_not_tell_its_last_layer(tmp_path):
    samples = vectors(stop=60)
    model = torch.nn.Sequential(torch.nn.Linear(64, 10))
    assert last_layer(model) is None
    wanted = quantities_of(10, 60, gradient=False)
    assert wanted == (*CLASSES, "divergence")
    record = record_of(tmp_path / "record", samples, 2, quantities=wanted)
    fit(model, samples, recipe(epochs=2), seed=0, device=CPU, recorder=Recorder(record))
    assert record.missing() == []
    record = record_of(tmp_path / "other", samples, 2)
    with pytest.raises(ValueError, match="no `head`"):
        fit(model, samples, recipe(epochs=2), seed=0, device=CPU, recorder=Recorder(record))
    recorder = Recorder(record)
    recorder.begin(samples, CPU, 0)
    with pytest.raises(ValueError, match="nobody is watching"):
        recorder.observe(torch.arange(60), torch.zeros(60, 10), samples.target)


def test_divergences_are_from_one_epoch_to_the_next(tmp_path):
    samples = vectors(stop=80)
    record, model = record_of(tmp_path / "record", samples, 3, how="epoch"), mlp(samples)
    said = []

    def look(epoch, epochs):
        said.append(log_softmax(predict(model, samples, device=CPU).astype(np.float64), axis=1))

    fit(model, samples, recipe(epochs=3), seed=0, device=CPU, recorder=Recorder(record), progress=look)
    found = record.read("divergence", 0)
    assert np.isnan(found[0]).all()
    for epoch in (1, 2):
        expected = (np.exp(said[epoch]) * abs(said[epoch] - said[epoch - 1])).sum(axis=1)
        np.testing.assert_allclose(found[epoch], expected, rtol=5e-3, atol=2e-3)


def test_divergence_is_left_out_where_it_would_take_much_room():
    assert quantities_of(1000, 134_217) == (*CLASSES, "gradient", "divergence")
    assert quantities_of(1000, 134_218) == (*CLASSES, "gradient")
    assert quantities_of(0, 5) == NUMBERS


def test_a_sample_left_out_keeps_its_last_values_but_has_no_divergence(tmp_path):
    samples = vectors(stop=4)
    record = record_of(tmp_path / "record", samples, 5, quantities=(*CLASSES, "divergence"))
    recorder = Recorder(record)
    recorder.begin(samples, CPU, 0)
    turns = [[0, 1], [1, 2], [1, 2], [0, 1, 2], [0, 1, 2]]
    for epoch, turn in enumerate(turns):
        if epoch == 2:  # cut off, and gone on
            state = recorder.state()
            recorder = Recorder(record)
            recorder.begin(samples, CPU, epoch, state)
        rows = torch.tensor(turn)
        recorder.observe(rows, torch.full((len(turn), 10), epoch / 7).triu(), samples.target[rows])
        recorder.end(epoch)
    loss, nan = record.read("loss", 0), np.isnan
    assert nan(loss).tolist() == [[False, False, True, True]] + [[False, False, False, True]] * 4
    assert (loss[1:3, 0] == loss[0, 0]).all()
    assert (record.read("correct", 0)[1:3, 0] == record.read("correct", 0)[0, 0]).all()
    there = ~nan(record.read("divergence", 0))
    assert there.tolist() == [
        [False] * 4, [False, True, False, False], [False, True, True, False], [False, True, True, False],
        [True, True, True, False],
    ]  # fmt: skip


@pytest.mark.parametrize("data", [vectors, numbers])
def test_samples_that_were_held_out_are_observed(tmp_path, data):
    everything = data()
    held = torch.arange(0, len(everything), 5)
    rest = torch.tensor([row for row in range(len(everything)) if row % 5])
    record, model = record_of(tmp_path / "record", everything, 2, how="epoch"), mlp(everything)
    fit(
        model, everything.rows(rest), recipe(epochs=2), seed=0, device=CPU, recorder=Recorder(record),
        observed=everything.rows(held),
    )  # fmt: skip
    found = record.read("loss", 0)
    assert np.isnan(found[:, rest]).all()
    out = torch.from_numpy(predict(model, everything, device=CPU))
    scale = 1.0 if not everything.regression else model.target_scale
    expected = quantities(out, everything.target, scale)["loss"]
    np.testing.assert_allclose(found[-1, held], expected[held], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("how", "observed", "message"),
    [
        ("batch", vectors(0, 9), "take a record by epoch"),
        (None, vectors(0, 9), "take a record by epoch"),
        ("epoch", vectors(0, 0), "must be there, and of the same task"),
        ("epoch", numbers(), "must be there, and of the same task"),
        ("epoch", Samples((torch.zeros(2, 64),), torch.tensor([3, 10])), "classes from 3 to 10"),
    ],
)
def test_samples_that_cannot_be_observed(tmp_path, how, observed, message):
    samples = vectors(stop=100)
    recorder = how and Recorder(record_of(tmp_path / "record", samples, 1, how=how))
    with pytest.raises(ValueError, match=message):
        fit(mlp(samples), samples, recipe(epochs=1), seed=0, device=CPU, recorder=recorder, observed=observed)


def test_a_record_of_fewer_quantities_still_opens(tmp_path):
    samples = vectors(stop=100)
    record = record_of(tmp_path / "record", samples, 2, quantities=CLASSES)
    fit(mlp(samples), samples, recipe(epochs=2), seed=0, device=CPU, recorder=Recorder(record))
    again = Record.open(str(tmp_path / "record"))
    assert again.facts.quantities == CLASSES
    with pytest.raises(ValueError, match="has no gradient"):
        again.read("gradient", 0)


def test_samples_have_their_own_rows(tmp_path):
    everything = vectors(stop=100)
    rows = torch.arange(99, 0, -2)
    record = record_of(tmp_path / "record", everything, 2)
    fit(mlp(everything), everything.rows(rows), recipe(epochs=2), seed=0, device=CPU, recorder=Recorder(record))
    assert np.isfinite(record.read("loss", 0)[:, rows]).all()
    assert np.isnan(record.read("loss", 0)[:, 0::2]).all()
    assert not record.read("correct", 0)[:, 0::2].any()


@pytest.mark.parametrize(
    "changes",
    [{"index": torch.zeros(600, dtype=torch.int64)}, {"index": torch.arange(1, 601)}, {"target": torch.ones(600)}],
)
def test_samples_that_have_no_rows(tmp_path, changes):
    samples = vectors()
    record = record_of(tmp_path / "record", samples, 2)
    other = Samples(samples.inputs, changes.get("target", samples.target), changes.get("index"))
    with pytest.raises(ValueError, match=r"row each|another task"):
        Recorder(record).begin(other, CPU, 0)


def trained(folder, model, seeds=(5, 6), epochs=2, **changes):
    samples = vectors(stop=100)
    record = record_of(folder, samples, epochs, seeds=seeds)
    how = recipe(epochs=epochs, **changes)
    fit(
        mlp(samples), samples, how, seed=seeds[model], device=CPU, recorder=Recorder(record, model),
        validation=vectors(100, 150),
    )  # fmt: skip
    return record


def test_models_of_two_machines_are_put_side_by_side(tmp_path):
    one = trained(tmp_path / "one", 0)
    two = trained(tmp_path / "two", 1)
    assert one.missing() == [(1, 0), (1, 1)]
    assert two.missing() == [(0, 0), (0, 1)]
    shutil.copytree(tmp_path / "two" / "model-001", tmp_path / "one" / "model-001")
    whole = Record.open(str(tmp_path / "one"), fingerprint="abc")
    assert whole.missing() == []
    assert not np.array_equal(whole.read("loss", 0), whole.read("loss", 1))


def test_an_early_stop_leaves_nothing_missing(tmp_path):
    record = trained(tmp_path / "record", 0, (5,), 40, learning_rate=1.0, patience=1)
    assert record.missing() == []
    assert record.finished(0)
    assert 1 < record.epochs(0) < 40
    assert len(record.read("margin", 0)) == record.epochs(0)


def test_going_on_voids_what_was_written_later(tmp_path):
    record = trained(tmp_path / "record", 0, (5,), 3)
    samples = vectors(stop=100)
    Recorder(record).begin(samples, CPU, 1)
    assert record.missing() == [(0, 1), (0, 2)]
    assert record.read("loss", 0).shape == (1, 100)
    Recorder(record).begin(samples, CPU, 0)
    with pytest.raises(ValueError, match="has no loss of model 0"):
        record.read("loss", 0)


def harmed(folder, harm):
    part = folder / "model-000" / "part.json"
    if harm == "no record":
        (folder / "record.json").unlink()
    elif harm == "no JSON":
        (folder / "record.json").write_text("{")
    elif harm == "later version":
        document = json.loads((folder / "record.json").read_bytes())
        (folder / "record.json").write_text(json.dumps({**document, "datadiet_record": 2}))
    elif harm == "foreign part":
        part.write_text(json.dumps({**json.loads(part.read_bytes()), "key": "another"}))
    elif harm == "lost file":
        (folder / "model-000" / "loss.npy").unlink()
    elif harm == "cut file":
        path = folder / "model-000" / "loss.npy"
        path.write_bytes(path.read_bytes()[:150])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        ("no record", "is no training record"),
        ("no JSON", "no training record that can be read"),
        ("later version", "of version 2, not 1"),
        ("foreign part", "is of another training"),
        ("lost file", "is damaged"),
        ("cut file", "is damaged"),
    ],
)
def test_a_record_that_is_none(tmp_path, harm, message):
    trained(tmp_path / "record", 0, (5,))
    harmed(tmp_path / "record", harm)
    with pytest.raises(InputError, match=message):
        Record.open(str(tmp_path / "record"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"fingerprint": "other"}, "of another dataset"), ({"labels": "x", "how": "epoch"}, "another how, labels")],
)
def test_a_record_of_something_else_is_refused(tmp_path, changes, message):
    samples = vectors(stop=100)
    record_of(tmp_path / "record", samples, 2)
    record_of(tmp_path / "record", samples, 2)  # of the same it goes on
    with pytest.raises(InputError, match=message):
        record_of(tmp_path / "record", samples, 2, **changes)
    with pytest.raises(InputError, match="of another dataset"):
        Record.open(str(tmp_path / "record"), fingerprint="other")


@pytest.mark.parametrize(
    "changes", [{"how": "often"}, {"quantities": (*CLASSES, "divergence", "gradient")}, {"seeds": ()}, {"epochs": 0}]
)
def test_a_record_of_nothing(tmp_path, changes):
    with pytest.raises(ValueError, match="a record"):
        record_of(tmp_path / "record", vectors(), **{"epochs": 1, **changes})


def test_quantities_of_a_regression():
    out, target = torch.tensor([[3.0], [-1.0]]), torch.tensor([1.0, -1.5])
    found = quantities(out, target, 2.0)
    assert tuple(found) == NUMBERS
    assert found["loss"].tolist() == [1.0, 0.0625]
    assert found["error"].tolist() == [2.0, 0.5]
