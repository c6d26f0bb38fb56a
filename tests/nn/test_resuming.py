"""Trainings that were cut off and go on, and checkpoints that are of something else."""

import pytest
import torch

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.checkpoint import Checkpoint
from datadiet_cli.nn.optimising import plan
from datadiet_cli.nn.recorder import Recorder, quantities_of
from datadiet_cli.nn.training import fit
from tests.nn.lessons import CPU, cnn, mlp, numbers, pictures, recipe, same, users, vectors
from tests.nn.test_record import record_of


class CutOffError(Exception):
    pass


def cut_at(epoch):
    def progress(done, _):
        if done == epoch:
            raise CutOffError

    return progress


CASES = {
    "pictures": (
        pictures,
        lambda own: cnn(own, 0.3),
        {"augment": ("flip", "crop", "cutout"), "precision": "bfloat16", "l1": 1e-4},
    ),
    "early stop": (
        vectors,
        lambda own: mlp(own, 0.2),
        {"epochs": 30, "optimiser": "adamw", "learning_rate": 0.1, "patience": 2},
    ),
    "iterations": (vectors, mlp, {"iterations": 27}),
    "a user's dropout": (vectors, users, {}),
    "numbers": (numbers, lambda own: mlp(own, 0.1), {"optimiser": "adamw"}),
}


@pytest.mark.parametrize(
    ("case", "how"),
    [
        *((case, how) for case in CASES for how in ("batch", "epoch")),
        ("early stop", "observed"),
        ("numbers", "observed"),
    ],
)
def test_cut_off_and_gone_on_is_as_undisturbed(tmp_path, case, how):
    data, make, changes = CASES[case]
    samples, settings = data(), recipe(**{"learning_rate": 0.02, **changes})
    unseen = samples.rows(torch.arange(0, len(samples), 3))
    whole = plan(settings, len(samples)).whole

    def training(name, progress=lambda done, planned: None, checkpoint=None):
        record = record_of(tmp_path / name, samples, whole, how="batch" if how == "batch" else "epoch")
        return fit(
            make(samples), samples, settings, seed=7, device=CPU, validation=unseen, progress=progress,
            recorder=Recorder(record), checkpoint=checkpoint, observed=unseen if how == "observed" else None,
        )  # fmt: skip

    undisturbed = training("one")
    checkpoint = Checkpoint(str(tmp_path / "state"), "key")
    for epoch in (1, 3):
        with pytest.raises(CutOffError):
            training("two", cut_at(epoch), checkpoint)
    resumed = training("two", checkpoint=checkpoint)

    assert (undisturbed.resumed_from, resumed.resumed_from) == (0, 3)
    assert same(undisturbed.model, resumed.model)
    assert undisturbed.history == resumed.history
    for name in ("epochs", "best_epoch", "steps", "samples_seen"):
        assert getattr(undisturbed, name) == getattr(resumed, name)
    for quantity in quantities_of(0 if samples.regression else 10, len(samples)):
        one, two = (tmp_path / name / "model-000" / f"{quantity}.npy" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    ended = training("two", checkpoint=checkpoint)
    assert ended.resumed_from == ended.epochs
    assert same(ended.model, resumed.model)
    checkpoint.clear()
    assert not (tmp_path / "state" / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("harm", ["flip a bit", "cut short", "other key", "other seed", "other target"])
def test_a_checkpoint_of_something_else_is_not_used(tmp_path, harm):
    samples = vectors()
    checkpoint = Checkpoint(str(tmp_path), "key")
    with pytest.raises(CutOffError):
        fit(mlp(samples), samples, recipe(), seed=0, device=CPU, progress=cut_at(2), checkpoint=checkpoint)
    path, seed = tmp_path / "checkpoint.safetensors", 0
    content = bytearray(path.read_bytes())
    if harm == "flip a bit":
        content[-5] ^= 64
    elif harm == "cut short":
        del content[len(content) // 2 :]
    elif harm == "other key":
        checkpoint = Checkpoint(str(tmp_path), "another")
    elif harm == "other seed":
        seed = 1
    else:
        samples = Samples(samples.inputs, samples.target.flip(0))
    path.write_bytes(content)
    fitted = fit(mlp(samples), samples, recipe(), seed=seed, device=CPU, checkpoint=checkpoint)
    assert fitted.resumed_from == 0
    assert same(fitted.model, fit(mlp(samples), samples, recipe(), seed=seed, device=CPU).model)
