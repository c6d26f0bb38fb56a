"""What a training is held to, against loops written out, torch's own pruning, and autograd."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from datadiet_cli.nn.batches import Samples, batches, generator_of
from datadiet_cli.nn.checkpoint import Checkpoint
from datadiet_cli.nn.device import computing
from datadiet_cli.nn.optimising import plan, rate
from datadiet_cli.nn.predicting import predict
from datadiet_cli.nn.pruning.base import Group, Member
from datadiet_cli.nn.pruning.recovery import reestimate
from datadiet_cli.nn.training import Penalty, Teacher, fit
from tests.nn.lessons import CPU, Users, cnn, mlp, numbers, pictures, recipe, same, users, vectors
from tests.nn.pruning.test_penalty import hidden_group
from tests.nn.test_resuming import CutOffError, cut_at

SAMPLES = vectors(stop=300)
OTHERS = vectors(300, 500)


def masks_of(model, share=0.6, seed=0):
    """Random masks of all matrices."""
    draw = torch.Generator().manual_seed(seed)
    weights = {name: tensor for name, tensor in model.named_parameters() if tensor.ndim > 1}
    return {name: torch.rand(tensor.shape, generator=draw) > share for name, tensor in weights.items()}


def came_back(model, masks):
    """How many masked weights are not zero, with signs looked at too: files of zeros shall be all alike."""
    own = dict(model.named_parameters())
    return sum(int((own[name].detach()[~mask].view(torch.int32) != 0).sum()) for name, mask in masks.items())


def written_out(model, samples, how, seed, loss):
    """Train by a loop of torch's own parts."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    weights = [dict(module.named_parameters()).get("weight_orig", module.weight) for module in linear]
    rest = [own for own in model.parameters() if all(own is not weight for weight in weights)]
    groups = [{"params": weights, "weight_decay": how.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    sgd = how.optimiser == "sgd"
    optimiser = torch.optim.SGD(groups, lr=1.0, momentum=0.9, nesterov=True) if sgd else torch.optim.AdamW(groups)
    steps = plan(how, len(samples)).steps
    model.train()
    passes = [batches(len(samples), how.batch_size, generator_of(seed, 0, epoch)) for epoch in range(how.epochs)]
    for step, rows in enumerate(rows for parts in passes for rows in parts):
        for group in optimiser.param_groups:
            group["lr"] = how.learning_rate * rate(step, steps)
        with computing(CPU, 1):
            optimiser.zero_grad()
            loss(model, samples.inputs[0][rows], samples.target[rows]).backward()
            optimiser.step()
    return model.eval()


def cross_entropy(model, inputs, target):
    return nn.functional.cross_entropy(model(inputs), target)


@pytest.mark.parametrize("changes", [{}, {"optimiser": "adamw", "learning_rate": 0.01, "weight_decay": 0.5}])
def test_masked_training_is_that_of_torch_prune(changes):
    how, model = recipe(**changes), mlp(SAMPLES)
    masks = masks_of(model)
    theirs = mlp(SAMPLES)
    for name, mask in masks.items():
        prune.custom_from_mask(theirs.get_submodule(name.removesuffix(".weight")), "weight", mask)
    written_out(theirs, SAMPLES, how, 4, cross_entropy)
    mine = fit(model, SAMPLES, how, seed=4, device=CPU, masks=masks).model
    assert came_back(mine, masks) == 0
    np.testing.assert_allclose(predict(mine, OTHERS, device=CPU), theirs(OTHERS.inputs[0]).detach(), atol=1e-4)


CASES = {
    "sgd": (SAMPLES, mlp, {"weight_decay": 0.1, "epochs": 6}),
    "adamw, patience": (SAMPLES, mlp, {"optimiser": "adamw", "weight_decay": 0.3, "patience": 1, "epochs": 15}),
    "penalties": (SAMPLES, lambda own: mlp(own, 0.2), {"l1": 1e-2, "slim": 1e-2}),
    "pictures": (pictures(), cnn, {"augment": ("flip",), "precision": "bfloat16"}),
    "a user's, frozen": (SAMPLES, users, {"freeze": True}),
}


@pytest.mark.parametrize("case", CASES)
def test_masks_hold_through_a_training_that_was_cut_off(tmp_path, case):
    samples, make, changes = CASES[case]
    masks = masks_of(make(samples))
    before = {name: mask.clone() for name, mask in masks.items()}
    model = make(samples)
    # What is masked is not zero yet when the training begins, and moments of earlier trainings are none of ours.
    settings = recipe(**{"learning_rate": 0.02, **changes})
    looks = samples.rows(torch.arange(0, len(samples), 3))

    def training(**given):
        return fit(
            copy.deepcopy(model), samples, settings, seed=7, device=CPU, validation=looks, masks=masks, **given
        )  # fmt: skip

    undisturbed = training()
    checkpoint = Checkpoint(str(tmp_path), "key")
    with pytest.raises(CutOffError):
        training(progress=cut_at(2), checkpoint=checkpoint)
    resumed = training(checkpoint=checkpoint)
    assert (resumed.resumed_from, came_back(resumed.model, masks)) == (2, 0)
    assert same(resumed.model, undisturbed.model)
    assert all(torch.equal(masks[name], mask) for name, mask in before.items())
    kept = {name: own for name, own in resumed.model.named_parameters() if name in masks and "head" in name}
    assert all(
        bool((own[masks[name]] != dict(model.named_parameters())[name][masks[name]]).all())
        for name, own in kept.items()
    )


def test_a_shared_weight_is_masked_by_all_of_its_names():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
            self.two.weight = self.one.weight

        def forward(self, x):
            return self.head(self.two(torch.relu(self.one(x / 16))))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Twice()
    masks = {"one.weight": torch.ones(64, 64, dtype=torch.bool), "two.weight": torch.ones(64, 64, dtype=torch.bool)}
    masks["one.weight"][3] = False
    masks["two.weight"][:, 5] = False
    fitted = fit(model, SAMPLES, recipe(weight_decay=0.1), seed=0, device=CPU, masks=masks).model
    assert came_back(fitted, {"one.weight": masks["one.weight"] & masks["two.weight"]}) == 0


def test_a_model_that_brings_pruned_weights_back_is_refused():
    class Restless(Users):
        def forward(self, x):
            self.body[0].weight.data.add_(1e-3)
            return super().forward(x)

    masks = {"body.0.weight": torch.arange(64).expand(32, 64) > 9}
    with pytest.raises(ValueError, match=r"320 of the 320 weights of body.0.weight that were pruned came back"):
        fit(Restless(), SAMPLES, recipe(), seed=0, device=CPU, validation=OTHERS, masks=masks)


def other_guides():
    teacher, other = users(SAMPLES), users(SAMPLES)
    other.head.bias.data[0] += 1
    group = Group("body.0", "channels", 32, (Member("body.0.weight", 0, np.arange(32), np.arange(32), True),), "")
    half = Group("body.0", "channels", 16, (Member("body.0.weight", 0, np.arange(32), np.arange(32) // 2, True),), "")
    mask = {"head.weight": torch.arange(32).expand(10, 32) > 9}
    return [
        {},
        {"masks": mask},
        {"masks": {"head.weight": ~mask["head.weight"]}},
        {"masks": mask, "penalty": Penalty([group], 0.1)},
        {"penalty": Penalty([group], 0.1)},
        {"penalty": Penalty([group], 0.2)},
        {"penalty": Penalty([half], 0.1)},
        {"teacher": Teacher(teacher)},
        {"teacher": Teacher(other)},
        {"teacher": Teacher(teacher, share=0.5)},
        {"teacher": Teacher(teacher, temperature=2.0)},
    ]


def test_a_checkpoint_is_of_one_set_of_guides_only(tmp_path):
    guides = other_guides()
    checkpoint = Checkpoint(str(tmp_path), "key")
    weights = set()
    for given in guides:
        fitted = fit(users(SAMPLES), SAMPLES, recipe(epochs=1), seed=0, device=CPU, checkpoint=checkpoint, **given)
        assert fitted.resumed_from == 0
        weights.add(fitted.model.head.weight.detach().numpy().tobytes())
    assert len(weights) == len(guides)
    again = fit(users(SAMPLES), SAMPLES, recipe(epochs=1), seed=0, device=CPU, checkpoint=checkpoint, **guides[-1])
    assert again.resumed_from == 1


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_learning_from_a_teacher_is_the_loss_written_out(share):
    teacher, how = fit(mlp(SAMPLES), SAMPLES, recipe(), seed=1, device=CPU).model, recipe()
    learned = copy.deepcopy(teacher)
    temperature = 3.0

    def loss(model, inputs, target):
        logits = model(inputs)
        said = torch.softmax(learned(inputs).detach() / temperature, 1)
        divergence = (said * (said.log() - torch.log_softmax(logits / temperature, 1))).sum(1)
        return (
            (1 - share) * nn.functional.cross_entropy(logits, target) + share * temperature**2 * divergence.mean()
        )  # fmt: skip

    theirs = written_out(mlp(SAMPLES, hidden=16), SAMPLES, how, 4, loss)
    teacher.train().zero_grad(set_to_none=True)
    student = mlp(SAMPLES, hidden=16)
    mine = fit(student, SAMPLES, how, seed=4, device=CPU, teacher=Teacher(teacher, share, temperature)).model
    np.testing.assert_allclose(predict(mine, OTHERS, device=CPU), theirs(OTHERS.inputs[0]).detach(), atol=2e-4)
    assert same(teacher, learned)
    assert not teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_the_history_tells_the_loss_to_the_labels():
    still = recipe(learning_rate=1e-12, epochs=1)
    linear = mlp(SAMPLES, name="linear")
    said = torch.from_numpy(predict(linear, SAMPLES, device=CPU))
    plain = float(nn.functional.cross_entropy(said, SAMPLES.target))
    penalty = Penalty(
        [Group("head", "channels", 10, (Member("head.weight", 0, np.arange(10), np.arange(10), True),), "")], 1.0
    )
    teacher = Teacher(mlp(SAMPLES), 0.9, 2.0)
    fitted = fit(linear, SAMPLES, still, seed=0, device=CPU, validation=SAMPLES, teacher=teacher, penalty=penalty)
    assert fitted.history[0]["loss"] == pytest.approx(plain, rel=1e-5)
    assert fitted.history[0]["validation_loss"] == pytest.approx(plain, rel=1e-5)


def test_numbers_are_learned_from_a_teacher_with_weights_of_samples():
    samples = numbers()
    how = recipe(epochs=15, optimiser="adamw", learning_rate=0.01)
    teacher = fit(mlp(samples), samples, how, seed=0, device=CPU).model
    said = predict(teacher, samples, device=CPU)[:, 0]
    # Half of the labels are wrong, and count for nothing.
    wrong = Samples(samples.inputs, torch.where(torch.arange(442) % 2 == 0, samples.target, 0))
    counts = (torch.arange(442) % 2 == 0).float()
    student = mlp(samples)
    with_teacher = fit(student, wrong, how, seed=1, device=CPU, teacher=Teacher(teacher, 1.0), weights=counts).model
    off = predict(with_teacher, samples, device=CPU)[:, 0] - said
    assert np.sqrt(np.square(off).mean()) < 0.25 * said.std()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"masks": {"head.wight": torch.ones(10, 32, dtype=torch.bool)}}, "no such parameter"),
        ({"masks": {"head.weight": torch.ones(32, 10, dtype=torch.bool)}}, r"\(32, 10\) torch.bool, not \(10, 32\)"),
        ({"masks": {"head.weight": torch.ones(10, 32)}}, "float32"),
        ({"teacher": Teacher(users(SAMPLES), 1.5)}, "share of the loss is 1.5"),
        ({"teacher": Teacher(users(SAMPLES), 0.5, 0.0)}, "temperature is 0"),
        ({"teacher": Teacher(mlp(numbers()), 0.5)}, "teacher"),
        ({"penalty": Penalty([hidden_group()], 1.0)}, "the model has not"),
        ({"penalty": Penalty([], 1.0)}, "nothing can learn"),
        ({"penalty": Penalty([], -1.0)}, "from 0 on"),
    ],
)
def test_what_is_not_of_the_model_is_refused(given, said):
    samples = SAMPLES
    if "teacher" in given and said == "teacher":
        given = {"teacher": Teacher(nn.Sequential(users(SAMPLES), nn.Linear(10, 9)), 0.5)}
    with pytest.raises(ValueError, match=said):
        fit(users(SAMPLES), samples, recipe(), seed=0, device=CPU, **given)


def test_a_model_cannot_be_its_own_teacher():
    model = users(SAMPLES)
    with pytest.raises(ValueError, match="must be a copy"):
        fit(model, SAMPLES, recipe(), seed=0, device=CPU, teacher=Teacher(nn.Sequential(model)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_a_gpu_twice_the_same_and_back_on_the_cpu():
    samples, device = pictures(), torch.device("cuda")
    masks, teacher = masks_of(cnn(samples)), cnn(samples)
    at = np.arange(16)
    group = Group("one", "channels", 16, (Member("encoder.layers.0.weight", 0, at, at, True),), "")
    given = {"masks": masks, "teacher": Teacher(teacher, 0.5, 2.0), "penalty": Penalty([group], 1e-3)}
    one, two = (
        fit(cnn(samples, 0.2), samples, recipe(), seed=0, device=device, validation=samples, **given).model
        for _ in range(2)
    )
    assert same(one, two)
    assert came_back(one, masks) == 0
    assert {parameter.device.type for own in (one, teacher) for parameter in own.parameters()} == {"cpu"}
    assert reestimate(one, samples, device=device) == reestimate(two, samples, device=CPU) == 3
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(tensor, two.state_dict()[name], rtol=1e-3, atol=1e-3)
