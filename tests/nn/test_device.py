"""Where tensors are while a model is trained, and what torch is set to."""

import threading

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from datadiet_cli.nn.augment import augmented
from datadiet_cli.nn.batches import Samples, Source, batches, generator_of
from datadiet_cli.nn.device import computing, to_device
from datadiet_cli.nn.optimising import Stepper
from datadiet_cli.nn.predicting import outputs
from datadiet_cli.nn.recorder import quantities
from tests.nn.lessons import CPU, cnn, mlp, numbers, pictures, recipe

META = torch.device("meta")
BRINGING = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
"""Operations that bring a tensor from one device to another."""


class Watch(TorchDispatchMode):
    """Notes where the operands of every operation are; single numbers may be anywhere."""

    def __init__(self):
        super().__init__()
        self.places = {"meta": 0, "cpu": 0}
        self.mixed = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, made)) if isinstance(leaf, torch.Tensor)]
        found = {tensor.device.type for tensor in tensors if tensor.ndim}
        for place in found:
            self.places[place] += 1
        if len(found) > 1 and function not in BRINGING:
            self.mixed.append(str(function))
        return made


def learned(samples, model, **changes):
    """Three steps, a look, and what the record would hold, on a device that has no numbers: where each of it is."""
    how = recipe(batch_size=16, **changes)
    model.to(META)
    own = samples.regression
    watch = Watch()
    with watch:
        stepper = Stepper(model, how, 3, META, model.target_scale if own else 1.0)
        stepper.learn()
        source = Source(samples, META)
        found = []
        for number, rows in enumerate(batches(len(samples), 16, generator_of(0, 0))[:3]):
            inputs, target, there = source.batch(rows)
            before = dict(watch.places)
            inputs = augmented(inputs, how.augment, generator_of(0, 1))
            drawn = watch.places["cpu"] - before["cpu"]
            out, losses = stepper.step(number, inputs, target)
            taken = quantities(out, target, stepper.scale)
            on_cpu = watch.places["cpu"] - before["cpu"] - drawn
            found += [out, losses, there, *inputs, *taken.values()]
            assert on_cpu == 0
        model.eval()
        found += [out for _, out in outputs(model, samples.inputs, META, 16, how.precision)]
    found += [*model.parameters(), *model.buffers()]
    found += [tensor for held in stepper.optimiser.state.values() for tensor in held.values() if tensor.ndim]
    assert not watch.mixed
    return {tensor.device.type for tensor in found}


def test_no_tensor_stays_behind_with_pictures():
    samples = pictures()
    changes = {"augment": ("flip", "crop", "cutout"), "l1": 1e-4, "slim": 1e-4}
    assert learned(samples, cnn(samples, 0.2), **changes) == {"meta"}


def test_no_tensor_stays_behind_with_numbers():
    samples = numbers()
    assert learned(samples, mlp(samples, 0.2), optimiser="adamw", learning_rate=0.01) == {"meta"}


def test_what_is_there_is_not_copied():
    tensor = torch.ones(3)
    assert to_device((tensor,), CPU)[0] is tensor
    samples = Samples((torch.arange(6),), torch.zeros(6, dtype=torch.int64))
    inputs, target, rows = Source(samples, CPU).batch(torch.tensor([4, 1]))
    assert (inputs[0].tolist(), target.tolist(), rows.tolist()) == ([4, 1], [0, 0], [4, 1])


def test_threads_are_put_back_by_the_last():
    before = torch.get_num_threads()
    inside, leave = threading.Event(), threading.Event()

    def other():
        with computing(CPU, before + 1):
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(30)
    try:
        with pytest.raises(ValueError, match=f"threads is {before + 1}"), computing(CPU, before + 2):
            pass
    finally:
        leave.set()
        thread.join()
    with computing(CPU, before + 2):
        assert torch.get_num_threads() == before + 2
    assert torch.get_num_threads() == before
