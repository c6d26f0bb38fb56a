"""Trainings side by side: in threads of this process, in other processes, or on other machines.

What a training has to know travels as arrays, once for all trainings of a step: see `material.Shown`. What it keeps to
go on from after an interruption stays in the folder of `lessons.Place`. Workers of this machine see that, as do those
that share the folder of the cache with it; on any other a training that is cut off begins anew. A model to start from
is read where the training is, so that workers elsewhere must see it by the same path; and the module of a factory must
be there, as every other package.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from datadiet_cli.config.training import Training
from datadiet_cli.engine import Engine
from datadiet_cli.errors import InputError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.teaching.lessons import OFTEN, Lesson, teach
from datadiet_cli.steps.teaching.material import Ints

if TYPE_CHECKING:
    from datadiet_cli.nn.recorder import Recorder
    from datadiet_cli.nn.training import Fitted

T = TypeVar("T")


def side_by_side(
    kernel: Callable[..., list[T]],
    count: int,
    given: Sequence[Any],
    tutor: "Tutor",
    context: Context,
    tell: Callable[[int], None],
) -> Iterator[T]:
    """Do so many things that take one training's threads each, and yield the results in order.

    On this machine there are as many at a time as its workers have room for, with the threads of each. On the machines
    of a cluster it is one to a worker, whatever number of threads it takes.

    Args:
        kernel: a module-level function of some of the numbers from 0 to `count`, and of what is given; it gives a
            result for each number.
        count: how many.
        given: what all calls look at, as `Engine.share` gave it.
        tutor: whose trainings they are.
        context: the run.
        tell: told of each that is done.
    """
    threads = tutor.settings.threads
    with _room(context.engine, threads) as engine:
        takes = 1 if engine.in_process else threads
        for _, made in engine.map(
            kernel, range(count), *given, chunk=1, progress=tell, on_device=True, each_takes=takes
        ):
            yield from made


@contextmanager
def _room(engine: Engine, threads: int) -> Iterator[Engine]:
    """An engine that leaves each call so many threads, where they are those of this process."""
    if not engine.in_process:
        yield engine
        return
    workers = max(engine.workers // threads, 1)
    with Engine("threads" if workers > 1 else "serial", workers) as own:
        yield own


@dataclass(frozen=True)
class Tutor:
    """Teaches lessons wherever it is sent.

    Attributes:
        settings: name the model to start from, and the threads of a training.
        device: ``auto``, ``cpu`` or ``cuda``: of the worker, whichever that is there.
        step: who asks, for messages.
    """

    settings: Training
    device: str
    step: str

    @classmethod
    def of(cls, settings: Training, context: Context, step: str) -> "Tutor":
        """One for a run."""
        if settings.from_model is not None and not context.engine.in_process:
            # Other processes may be at work in another folder.
            settings = settings.model_copy(update={"from_model": os.path.abspath(settings.from_model)})
        return cls(settings, context.device, step)

    @property
    def context(self) -> Context:
        """What a worker knows of the run: the device alone."""
        return Context(device=self.device)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Have the threads of a training, for this and whatever else is to be computed as it is.

        Trainings with another number of threads, as another run may have sent them to the same worker, wait until
        those that are under way are done, for the number is one for the whole process.
        """
        from datadiet_cli.nn.device import computing, device_of

        threads = self.settings.threads
        with _ALIKE.held(threads), computing(device_of(self.device), threads):
            yield

    def teach(
        self,
        lesson: Lesson,
        folder: str | None,
        *,
        recorder: "Recorder | None" = None,
        observed: Ints | None = None,
        whole: bool = False,
    ) -> "Fitted":
        """Train a model; see `lessons.teach`.

        Args:
            lesson: what and how.
            folder: for checkpoints; none are kept where it cannot be seen.
            recorder: see `lessons.teach`, as for the rest.
            observed: positions of samples.
            whole: whether there is a row for each sample.

        Raises:
            InputError: the model to start from is not seen from here.
            ConfigError, DatadietError: as `lessons.teach`.
        """
        known = self.settings.from_model
        if known is not None and not os.path.exists(known):
            raise InputError(
                f"{self.step}: --from-model {known}: a worker does not see it; put it where all workers do, by the "
                "same path"
            )
        room = folder if folder is not None and os.path.isdir(folder) else None
        return teach(
            lesson,
            self.settings,
            self.context,
            self.step,
            folder=room,
            recorder=recorder,
            observed=observed,
            whole=whole,
            every=OFTEN,
        )


class _Alike:
    """Lets those in at the same time that have the same number; the others wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number, self._inside = 0, 0

    @contextmanager
    def held(self, number: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._inside or self._number == number)
            self._number = number
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()


_ALIKE = _Alike()
