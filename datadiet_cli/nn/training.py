"""Train a model: what may be trained, and what a training leaves behind."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from datadiet_cli.nn import augment
from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.checkpoint import Checkpoint
from datadiet_cli.nn.device import computing, memory_in_words
from datadiet_cli.nn.models.parts import seeded
from datadiet_cli.nn.optimising import head_of
from datadiet_cli.nn.passes import History, Run, draws_from_shared
from datadiet_cli.nn.pruning.base import Masks
from datadiet_cli.nn.pruning.guides import Guides, Penalty, Teacher
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.recorder import Recorder

__all__ = ["Fitted", "Penalty", "Teacher", "fit", "frozen"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained model, and what it took.

    Attributes:
        model: the one that was given, in eval mode, on the CPU.
        history: a dictionary for each epoch: ``loss`` and ``accuracy`` (or ``error``, the mean absolute error in the
            unit of the label) of the samples as they were trained on, ``learning_rate`` of its first step,
            ``samples_seen`` so far, with `Recipe.dynamic` the ``share_seen`` of all samples in this pass, and with
            validation data ``validation_loss``, and ``validation_accuracy`` or ``validation_error``.
        epochs: passes, the last of which may have been cut.
        best_epoch: the pass, from 1 on, that the weights are of: the last, or the best if `Recipe.patience` is set.
        samples_seen: samples learnt from, each as often as it was.
        steps: of the optimiser.
        seconds: wall time of the passes, with those of an earlier run that this one goes on from; without validation,
            looks for the record, and checkpoints.
        resumed_from: passes that an earlier run had done; 0 for none.
    """

    model: nn.Module
    history: History
    epochs: int
    best_epoch: int
    samples_seen: int
    steps: int
    seconds: float
    resumed_from: int


def fit(
    model: nn.Module,
    samples: Samples,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    validation: Samples | None = None,
    recorder: Recorder | None = None,
    checkpoint: Checkpoint | None = None,
    every: float = 0.0,
    progress: Callable[[int, int], None] = lambda epoch, epochs: None,
    weights: torch.Tensor | None = None,
    observed: Samples | None = None,
    masks: Masks | None = None,
    teacher: Teacher | None = None,
    penalty: Penalty | None = None,
) -> Fitted:
    """Train a model by cross-entropy on classes, or by squared errors in units of its `target_scale` on numbers.

    The weights depend on the model as given, samples, recipe, seed, kind of device and number of threads, and on
    nothing else: a training that was cut off and goes on from its checkpoint gives the same to the last bit. Trainings
    may run side by side in threads if they ask for the same number of CPU threads; those of modules that draw from
    torch's own stream of chance (`nn.Dropout`; what is neither of torch nor of here may) then wait for each other.

    Args:
        model: takes the samples' inputs in order; is changed in place, and comes to the device and back.
        samples: to learn from, at least 2.
        recipe: how.
        seed: at least 0; of the order of samples, augmentation and dropout.
        device: where.
        validation: samples to look at after each pass.
        recorder: writes down what the model thinks of each sample in each whole pass.
        checkpoint: where to go on from, and where it is written down after each pass. The caller clears it when what
            came of the training is safe. Its key must stand for the data.
        every: seconds that a checkpoint is good for; in between none is written, but for the last pass. Written after
            each pass, it takes longer than the passes of a small training.
        progress: is told after each pass: passes done, passes planned. What it raises ends the training.
        weights: (n,) numbers from 0 on: what each sample counts in the loss; scaled to a mean of 1.
        observed: samples that the recorder, which must be by ``epoch``, looks at instead of those learned from, such as
            the ones of the fold that was held out. Their rows of the record are told by their own `Samples.index`.
        masks: by name of a parameter: which of its weights stay. The others are set to zero before the first step, and
            are zero after each, whatever momentum, weight decay or a penalty would make of them.
        teacher: a model to learn from as well as from the labels; it comes to the device and back, and into eval mode.
            The losses of the history, the record and the validation are those to the labels alone.
        penalty: that draws whole units to zero. `Recipe.l1`, `Recipe.slim` and `Recipe.weight_decay` are other ones.

    Returns:
        The model and how it went.

    Raises:
        ValueError: there are fewer than 2 samples, no validation samples or none to observe, or samples to observe
            without a recorder by ``epoch``; a target is not of the model's classes, or not finite; an augmentation or
            `patience` has nothing to work on; the weights are negative or all 0; masks, teacher or penalty are not of
            this model; the training diverged; or the model itself changes weights that were masked.
        DatadietError: there is not enough memory.
    """
    _check(samples, recipe, seed, validation)
    _check_observed(samples, observed, recorder)
    guides = Guides(masks, teacher, penalty)
    guides.check(model)
    counts = None if weights is None else _scaled(weights, len(samples))
    networks = [model] if teacher is None else [model, teacher.model]
    with (
        memory_in_words("there is not enough memory to train; lower --batch-size, or take a smaller model"),
        computing(device, recipe.threads),
        _own_stream(networks, device),
        frozen(model, recipe),
    ):
        try:
            run = Run(model, samples, recipe, seed, device, validation, recorder, counts, observed, guides)
            resumed = run.resume(checkpoint)
            saved = time.monotonic()
            while not run.over:
                run.one_pass()
                if checkpoint is not None and (run.over or time.monotonic() - saved >= every):
                    checkpoint.save(run.state())
                    saved = time.monotonic()
                progress(run.done.epoch, run.plan.passes)
            run.finish()
        finally:
            for network in networks:
                network.to("cpu").eval()
                network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    done = run.done
    best = done.best_epoch if recipe.patience is not None else done.epoch
    return Fitted(model, done.history, done.epoch, best, done.seen, done.steps, done.seconds, resumed)


def _check(samples: Samples, recipe: Recipe, seed: int, validation: Samples | None) -> None:
    if len(samples) < 2:
        raise ValueError(f"training takes at least 2 samples, and there are {len(samples)}")
    if validation is not None and not len(validation):
        raise ValueError("there are no validation samples")
    if validation is None and recipe.patience is not None:
        raise ValueError("stopping early takes validation samples, and there are none")
    if seed < 0:
        raise ValueError(f"the seed is {seed}; it must be at least 0")
    length = recipe.epochs if recipe.iterations is None else recipe.iterations
    if recipe.dynamic is not None and recipe.iterations is not None:
        raise ValueError("dynamic pruning goes by epochs, and the training by iterations; choose one")
    if recipe.batch_size < 2 or recipe.threads < 1 or length < 1:
        raise ValueError("a training has at least one step, two samples a batch, and one thread")
    augment.check(recipe.augment, samples.inputs)
    for part in (samples, validation):
        if part is not None and part.regression and not bool(torch.isfinite(part.target).all()):
            raise ValueError("the target has values that are no finite numbers")


def _check_observed(samples: Samples, observed: Samples | None, recorder: Recorder | None) -> None:
    if observed is None:
        return
    if recorder is None or recorder.how != "epoch":
        raise ValueError("samples to observe take a record by epoch")
    if not len(observed) or observed.regression != samples.regression:
        raise ValueError("samples to observe must be there, and of the same task: classes or numbers")
    if observed.regression and not bool(torch.isfinite(observed.target).all()):
        raise ValueError("the target has values that are no finite numbers")


def _scaled(weights: torch.Tensor, n: int) -> torch.Tensor:
    """What each sample counts, with a mean of 1."""
    values = weights.to(torch.float64)
    if values.shape != (n,):
        raise ValueError(f"there are weights of shape {tuple(values.shape)} for {n} samples")
    mean = values.mean()
    if not bool(torch.isfinite(values).all()) or bool((values < 0).any()) or not bool(mean > 0):
        raise ValueError("weights of samples must be finite numbers from 0 on, and not all 0")
    return (values / mean).to(torch.float32)


@contextlib.contextmanager
def frozen(model: nn.Module, recipe: Recipe) -> Iterator[None]:
    """Let only the head learn, if the recipe asks for that."""
    held = [parameter for parameter in model.parameters() if parameter.requires_grad] if recipe.freeze else []
    head = {id(parameter) for parameter in head_of(model).parameters()} if recipe.freeze else set()
    held = [parameter for parameter in held if id(parameter) not in head]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


@contextlib.contextmanager
def _own_stream(networks: Sequence[nn.Module], device: torch.device) -> Iterator[None]:
    """Keep torch's own stream of chance for one training, if its networks may draw from that; leave it as it was."""
    if not any(draws_from_shared(network) for network in networks):
        yield
        return
    # Nobody builds or trains with the same stream meanwhile.
    with seeded(0), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
