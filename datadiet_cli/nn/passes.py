"""A training under way: passes over the samples, looks at how it goes, the record, and where to go on from."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import torch
import xxhash
from torch import nn

from datadiet_cli.nn.augment import augmented
from datadiet_cli.nn.batches import Samples, Source, batches, generator_of, seed_of
from datadiet_cli.nn.checkpoint import Checkpoint, State
from datadiet_cli.nn.device import to_device
from datadiet_cli.nn.optimising import Stepper, losses_of, plan, quality_of, rate, scale_of
from datadiet_cli.nn.predicting import outputs
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.recorder import Recorder

_ORDER, _AUGMENT, _DROPOUT, _SHARED = range(4)
"""Streams of chance of a training. Each starts anew with each pass, so a checkpoint holds none of them."""
_LOOK = 512
"""Samples at a time where nothing is learnt."""
_DRAWING = (nn.modules.dropout._DropoutNd, nn.RNNBase, nn.MultiheadAttention, nn.RReLU)
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
        ValueError: a target is not of the model's classes, or nothing of the model can learn.
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
    ) -> None:
        self.done = Done()
        self.plan = plan(recipe, len(samples))
        self._model, self._samples, self._recipe, self._seed = model, samples, recipe, seed
        self._device, self._validation, self._recorder = device, validation, recorder
        self._key = _key(model, samples, recipe, seed, device, weights)
        self._quality = "error" if samples.regression else "accuracy"
        self._shared = draws_from_shared(model)
        model.to(device)
        self._check_target(samples)
        if validation is not None:
            self._check_target(validation)
        self._images_last = _wants_channels_last(model, samples)
        if self._images_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._stepper = Stepper(model, recipe, self.plan.steps, device, scale_of(model, samples.target))
        self._source = Source(samples, device)
        self._weights = None if weights is None else to_device((weights,), device)[0]
        self._best: dict[str, torch.Tensor] = {}

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do."""
        patience, done = self._recipe.patience, self.done
        return done.epoch >= self.plan.passes or (patience is not None and done.epoch - done.best_epoch >= patience)

    def resume(self, checkpoint: Checkpoint | None) -> int:
        """Go on from a checkpoint, if there is one of this training; tell how many passes it had done."""
        state = None if checkpoint is None else checkpoint.load()
        if state is not None and state.facts["training"] == self._key:
            self.done = Done(**state.facts["done"])
            self._model.load_state_dict(_under("model/", state.tensors))
            self._best = _under("best/", state.tensors)
            self._restore_optimiser(_under("optimiser/", state.tensors))
        if self._recorder is not None:
            self._recorder.begin(self._samples, self._device, self.done.whole)
        return self.done.epoch

    def state(self) -> State:
        """What `resume` goes on from."""
        tensors = {f"model/{name}": tensor for name, tensor in self._model.state_dict().items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self._best.items()}
        for number, held in self._stepper.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{number}/{name}": tensor for name, tensor in held.items()}
        return State({"training": self._key, "done": asdict(self.done)}, tensors)

    def one_pass(self) -> None:
        """Learn from all samples, or as many as are left to learn from; then look at how it went.

        Raises:
            ValueError: the training diverged.
        """
        done, recipe = self.done, self._recipe
        epoch = done.epoch
        parts = batches(len(self._samples), recipe.batch_size, generator_of(self._seed, _ORDER, epoch))
        parts = parts[: self.plan.steps - done.steps]
        self._reseed(epoch)
        self._stepper.learn()
        started = time.perf_counter()
        loss, quality = self._learn(parts, generator_of(self._seed, _AUGMENT, epoch))
        seen = sum(map(len, parts))
        entry = {"loss": loss / seen, self._quality: quality / seen}
        done.seconds += time.perf_counter() - started
        entry["learning_rate"] = recipe.learning_rate * rate(done.steps, self.plan.steps)
        done.epoch, done.steps, done.seen = epoch + 1, done.steps + len(parts), done.seen + seen
        entry["samples_seen"] = done.seen
        self._check_finite(loss)
        if self._recorder is not None and len(parts) == self.plan.per_pass:
            if self._recorder.how == "epoch":
                self._look(self._samples, self._recorder)
            self._recorder.end(epoch)
            done.whole += 1
        if self._validation is not None:
            self._validate(self._validation, entry)
        done.history.append(entry)

    def finish(self) -> None:
        """Go back to the best weights if that is asked for, and end the record."""
        if self._recipe.patience is not None and self._best:
            self._model.load_state_dict(self._best)
        if self._recorder is not None:
            self._recorder.finish(self.done.whole)

    def _learn(self, parts: Sequence[torch.Tensor], chance: torch.Generator) -> tuple[float, float]:
        """Learn from batches of positions; give the sums of the losses and of the qualities."""
        sums = torch.zeros(2, dtype=torch.float64, device=self._device)
        recorder = self._recorder
        if recorder is not None and (recorder.how != "batch" or len(parts) < self.plan.per_pass):
            recorder = None
        for number, rows in enumerate(parts, self.done.steps):
            inputs, target, there = self._source.batch(rows)
            inputs = augmented(inputs, self._recipe.augment, chance)
            if self._images_last:
                inputs = tuple(_channels_last(tensor) for tensor in inputs)
            weights = None if self._weights is None else self._weights.index_select(0, there)
            out, losses = self._stepper.step(number, inputs, target, weights)
            sums[0] += losses.sum(dtype=torch.float64)
            sums[1] += quality_of(out, target)
            if recorder is not None:
                recorder.observe(there, out, target, self._stepper.scale)
        # The only wait for the device in a pass.
        loss, quality = sums.tolist()
        return loss, quality

    def _look(self, samples: Samples, recorder: Recorder | None = None) -> tuple[float, float]:
        """Mean loss and quality of samples as the model now sees them."""
        self._model.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=self._device)
        (target,) = to_device((samples.target,), self._device)
        rows = torch.arange(len(samples), device=self._device)
        scale = self._stepper.scale
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

    def _check_target(self, samples: Samples) -> None:
        blank = [tensor.new_zeros((1, *tensor.shape[1:])) for tensor in samples.inputs]
        _, out = next(outputs(self._model.eval(), blank, self._device, 1, "float32"))
        shape = tuple(out.shape)
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
        finite = torch.stack([torch.isfinite(parameter).all() for parameter in self._model.parameters()]).all()
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

    def _restore_optimiser(self, tensors: Mapping[str, torch.Tensor]) -> None:
        optimiser = self._stepper.optimiser
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        held: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            number, _, quantity = name.partition("/")
            parameter = parameters[int(number)]
            if tensor.shape == parameter.shape:
                # In the order in memory that the parameter has.
                tensor = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False).copy_(tensor)
            held.setdefault(int(number), {})[quantity] = tensor
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": held, "param_groups": groups})


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


def _key(
    model: nn.Module,
    samples: Samples,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    weights: torch.Tensor | None,
) -> str:
    """Digest of what a training begins with, as far as it is cheap to read: all but the inputs."""
    facts = [recipe.as_json(), seed, device.type, [list(tensor.shape) for tensor in samples.inputs]]
    hasher = xxhash.xxh3_128(json.dumps(facts, sort_keys=True).encode())
    tensors = {**model.state_dict(), "/target": samples.target, "/weights": weights}
    for name, tensor in tensors.items():
        if tensor is not None:
            hasher.update(name.encode())
            hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()
