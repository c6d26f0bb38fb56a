"""A training under way: passes over the samples, looks at how it goes, the record, and where to go on from."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import torch
from torch import nn

from datadiet_cli.nn.augment import augmented
from datadiet_cli.nn.batches import Samples, Source, generator_of, seed_of
from datadiet_cli.nn.checkpoint import Checkpoint, State, training_key
from datadiet_cli.nn.device import to_device
from datadiet_cli.nn.dynamic.turns import Pass, Turns
from datadiet_cli.nn.layers_wide import Attention
from datadiet_cli.nn.optimising import Stepper, losses_of, plan, quality_of, rate, scale_of
from datadiet_cli.nn.predicting import outputs
from datadiet_cli.nn.pruning.guides import Guides
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.recorder import Recorder, watching

_ORDER, _AUGMENT, _DROPOUT, _SHARED = range(4)
"""Streams of chance of a training; the next one is `dynamic`'s. Each starts anew with each pass, so a checkpoint holds
none of them."""
_LOOK = 512
"""Samples at a time where nothing is learnt."""
_DRAWING = (nn.modules.dropout._DropoutNd, nn.RNNBase, nn.MultiheadAttention, nn.RReLU, Attention)
"""Modules of torch that draw from the stream of the whole process."""
History = list[dict[str, float]]


@dataclass
class Done:
    """Where a training stands, as JSON values.

    Attributes:
        epoch: passes done.
        steps: of the optimiser.
        seen: samples learnt from.
        whole: passes that were not cut, each a row of the record.
        seconds: wall time of the passes.
        best_loss: the lowest validation loss so far.
        best_epoch: the pass that it was found after, from 1 on.
        history: see `training.Fitted`.
    """

    epoch: int = 0
    steps: int = 0
    seen: int = 0
    whole: int = 0
    seconds: float = 0.0
    best_loss: float | None = None
    best_epoch: int = 0
    history: History = field(default_factory=list)


class Run:
    """A training under way; see `training.fit` for what it is given.

    Raises:
        ValueError: a target is not of the model's classes, the teacher does not fit, or nothing of the model can learn.
    """

    def __init__(
        self,
        model: nn.Module,
        samples: Samples,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        validation: Samples | None,
        recorder: Recorder | None,
        weights: torch.Tensor | None,
        observed: Samples | None = None,
        guides: Guides | None = None,
    ) -> None:
        self.done = Done()
        self.plan = plan(recipe, len(samples))
        self._model, self._samples, self._recipe, self._seed = model, samples, recipe, seed
        self._device, self._validation, self._recorder = device, validation, recorder
        self._observed = samples if observed is None else observed
        self._key = training_key(model, samples, recipe, seed, device, weights, observed, guides)
        self._quality = "error" if samples.regression else "accuracy"
        teachers = [] if guides is None or guides.teacher is None else [guides.teacher.model]
        self._shared = any(draws_from_shared(own) for own in (model, *teachers))
        for own in (model, *teachers):
            own.to(device)
        self._check_target(samples, *teachers)
        for others in (validation, observed):
            if others is not None:
                self._check_target(others)
        self._images_last = _wants_channels_last(model, samples)
        if self._images_last:
            for own in (model, *teachers):
                own.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._stepper = Stepper(model, recipe, self.plan.steps, device, scale_of(model, samples.target), guides)
        self._source = Source(samples, device)
        counts = None if weights is None else to_device((weights,), device)[0]
        self._turns = Turns(samples, recipe, self.plan, seed, device, counts)
        self._best: dict[str, torch.Tensor] = {}

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do."""
        patience, done = self._recipe.patience, self.done
        passes = self.plan.passes if self._recipe.stop is None else min(self._recipe.stop, self.plan.passes)
        return done.epoch >= passes or (patience is not None and done.epoch - done.best_epoch >= patience)

    def resume(self, checkpoint: Checkpoint | None) -> int:
        """Go on from a checkpoint, if there is one of this training; tell how many passes it had done."""
        state = None if checkpoint is None else checkpoint.load()
        recorded: dict[str, torch.Tensor] = {}
        if state is not None and state.facts["training"] == self._key:
            self.done = Done(**state.facts["done"])
            self._model.load_state_dict(_under("model/", state.tensors))
            self._best = _under("best/", state.tensors)
            self._stepper.load(_under("optimiser/", state.tensors))
            self._turns.load(_under("dynamic/", state.tensors))
            recorded = _under("record/", state.tensors)
        if self._recorder is not None:
            self._recorder.begin(self._observed, self._device, self.done.whole, recorded)
        return self.done.epoch

    def state(self) -> State:
        """What `resume` goes on from."""
        tensors = {f"model/{name}": tensor for name, tensor in self._model.state_dict().items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self._best.items()}
        tensors |= {f"optimiser/{name}": tensor for name, tensor in self._stepper.state().items()}
        tensors |= {f"dynamic/{name}": tensor for name, tensor in self._turns.state().items()}
        if self._recorder is not None:
            tensors |= {f"record/{name}": tensor for name, tensor in self._recorder.state().items()}
        return State({"training": self._key, "done": asdict(self.done)}, tensors)

    def one_pass(self) -> None:
        """Learn from all samples, or as many as are left to learn from; then look at how it went.

        Raises:
            ValueError: the training diverged.
        """
        done, recipe = self.done, self._recipe
        epoch = done.epoch
        self._reseed(epoch)
        self._stepper.learn()
        started = time.perf_counter()
        ahead = self._turns.ahead(epoch, done.steps, generator_of(self._seed, _ORDER, epoch))
        loss, quality = self._learn(ahead, generator_of(self._seed, _AUGMENT, epoch))
        seen = len(ahead)
        entry = {"loss": loss / seen, self._quality: quality / seen}
        entry["learning_rate"] = recipe.learning_rate * rate(ahead.start, self.plan.steps)
        done.epoch, done.steps, done.seen = epoch + 1, done.steps + len(ahead.parts), done.seen + seen
        entry["samples_seen"] = done.seen
        self._check_finite(loss)
        entry |= self._turns.end(ahead)
        done.seconds += time.perf_counter() - started
        if self._recorder is not None and ahead.whole:
            if self._recorder.how == "epoch":
                self._look(self._observed, self._recorder)
            self._recorder.end(epoch)
            done.whole += 1
        if self._validation is not None:
            self._validate(self._validation, entry)
        done.history.append(entry)

    def finish(self) -> None:
        """Go back to the best weights if that is asked for, and end the record.

        Raises:
            ValueError: weights that were masked are not zero.
        """
        if self._recipe.patience is not None and self._best:
            self._model.load_state_dict(self._best)
        self._stepper.held.check()
        if self._recorder is not None:
            self._recorder.finish(self.done.whole)

    def _learn(self, ahead: Pass, chance: torch.Generator) -> tuple[float, float]:
        """Learn from a pass; give the sums of the losses and of the qualities."""
        sums = torch.zeros(2, dtype=torch.float64, device=self._device)
        recorder = self._recorder
        if recorder is not None and (recorder.how != "batch" or not ahead.whole):
            recorder = None
        with watching(recorder, self._model):
            for number, rows in enumerate(ahead.parts):
                inputs, target, there = self._source.batch(rows)
                inputs = augmented(inputs, self._recipe.augment, chance)
                if self._images_last:
                    inputs = tuple(_channels_last(tensor) for tensor in inputs)
                weights = None if ahead.weights is None else ahead.weights.index_select(0, there)
                out, losses = self._stepper.step(ahead.start + number * ahead.stride, inputs, target, weights)
                sums[0] += losses.sum(dtype=torch.float64)
                sums[1] += quality_of(out, target)
                self._turns.observe(out, target, losses)
                if recorder is not None:
                    recorder.observe(there, out, target, self._stepper.scale)
        # The only wait for the device in a pass, but for that of `Turns.end`.
        loss, quality = sums.tolist()
        return loss, quality

    def _look(self, samples: Samples, recorder: Recorder | None = None) -> tuple[float, float]:
        """Mean loss and quality of samples as the model now sees them."""
        self._model.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=self._device)
        (target,) = to_device((samples.target,), self._device)
        rows = torch.arange(len(samples), device=self._device)
        scale = self._stepper.scale
        with watching(recorder, self._model):
            for start, out in outputs(self._model, samples.inputs, self._device, _LOOK, self._recipe.precision):
                own = target[start : start + len(out)]
                sums[0] += losses_of(out, own, scale).sum(dtype=torch.float64)
                sums[1] += quality_of(out, own)
                if recorder is not None:
                    recorder.observe(rows[start : start + len(out)], out, own, scale)
        loss, quality = (sums / len(samples)).tolist()
        return loss, quality

    def _validate(self, samples: Samples, entry: dict[str, float]) -> None:
        loss, quality = self._look(samples)
        self._check_finite(loss)
        entry["validation_loss"], entry[f"validation_{self._quality}"] = loss, quality
        done = self.done
        if done.best_loss is None or loss < done.best_loss:
            done.best_loss, done.best_epoch = loss, done.epoch
            if self._recipe.patience is not None:
                self._best = {name: tensor.clone() for name, tensor in self._model.state_dict().items()}

    def _check_target(self, samples: Samples, *teachers: nn.Module) -> None:
        blank = [tensor.new_zeros((1, *tensor.shape[1:])) for tensor in samples.inputs]
        shape, *others = (
            tuple(next(outputs(own.eval(), blank, self._device, 1, "float32"))[1].shape)
            for own in (self._model, *teachers)
        )
        if any(other != shape for other in others):
            raise ValueError(f"the teacher gives {others[0]} for one sample, and the model {shape}; they must be alike")
        if samples.regression:
            if shape != (1, 1):
                raise ValueError(f"the target is a number, and the model gives {shape} for one sample, not (1, 1)")
            return
        if len(shape) != 2 or shape[1] < 2:
            raise ValueError(f"the target is a class, and the model gives {shape} for one sample: at least 2 logits")
        low, high = int(samples.target.min()), int(samples.target.max())
        if low < 0 or high >= shape[1]:
            raise ValueError(f"the target has classes from {low} to {high}, and the model knows 0 to {shape[1] - 1}")

    def _check_finite(self, loss: float) -> None:
        norms = ("running_mean", "running_var")
        held = [tensor for name, tensor in self._model.named_buffers() if name.endswith(norms)]
        finite = torch.stack([torch.isfinite(tensor).all() for tensor in (*self._model.parameters(), *held)]).all()
        if not (math.isfinite(loss) and bool(finite)):
            raise ValueError(
                f"training diverged at epoch {self.done.epoch}: lower the learning rate "
                f"({self._recipe.learning_rate:g})"
            )

    def _reseed(self, epoch: int) -> None:
        """Start all streams of chance that modules draw from."""
        for number, module in enumerate(self._model.modules()):
            reseed = getattr(module, "reseed", None)
            if callable(reseed):
                reseed(seed_of(self._seed, _DROPOUT, epoch, number))
        if self._shared:
            seed = seed_of(self._seed, _SHARED, epoch)
            torch.default_generator.manual_seed(seed)
            if self._device.type == "cuda":
                torch.cuda.manual_seed(seed)


def draws_from_shared(model: nn.Module) -> bool:
    """Whether a model may draw from torch's own stream of chance, of which there is one for the whole process."""
    return any(
        isinstance(module, _DRAWING) or not type(module).__module__.startswith(("torch.nn.", "datadiet_cli."))
        for module in model.modules()
    )


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _wants_channels_last(model: nn.Module, samples: Samples) -> bool:
    """Convolutions of pictures are faster with the colours of a pixel side by side."""
    pictures = any(tensor.ndim == 4 for tensor in samples.inputs)
    return pictures and any(isinstance(module, nn.Conv2d) for module in model.modules())


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
