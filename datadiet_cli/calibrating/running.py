"""Run a step on a planted sample, or decide it again from what a run compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from datadiet_cli.calibrating.planting import Planted
from datadiet_cli.changes import Workshop
from datadiet_cli.config.base import Common, Settings
from datadiet_cli.config.pipeline import Step
from datadiet_cli.outcome import Outcome, Verdicts
from datadiet_cli.request import Request
from datadiet_cli.running import compute


@dataclass(eq=False)
class Laboratory:
    """Runs steps on samples in memory. What is remembered between runs is in a folder that goes with it.

    Attributes:
        input: INPUT.
        common: the settings of the run; no list of accepted findings, no cache of the user's.
        workshop: where steps make files.
        environment: names the private cache.
        progress: told of each run.
    """

    input: str
    common: Common
    workshop: Workshop
    environment: dict[str, str]
    progress: Callable[[int], None]

    def run(self, name: str, step: str, settings: Settings, planted: Planted, replay: Outcome | None = None) -> Outcome:
        """What a step decides.

        Args:
            name: of the planted sample.
            step: of the registry.
            settings: of the step.
            planted: the sample.
            replay: an earlier outcome whose comparisons decide, instead of a look at the samples.

        Raises:
            DatadietError: as the step itself.
        """
        request = Request(
            command=step,
            input=self.input,
            output=None,
            common=self.common,
            steps=[Step(step, settings)],
            environment=self.environment,
            replay=replay,
        )
        results = compute(request, planted.dataset, name, self.workshop, _silent).results
        if replay is None:
            self.progress(1)
        return results[-1].outcome


def _silent(_label: str, _total: int) -> Callable[[int], None]:
    return lambda _done: None


def replayable(outcome: Outcome) -> Outcome | None:
    """What a run compared, with what it could not read; None if that is not all that another threshold needs."""
    past = outcome.comparisons
    if past is None or not past.complete:
        return None
    unreadable = outcome.verdicts.reason == "unreadable"
    columns: Mapping[str, np.ndarray] = {
        name: getattr(outcome.verdicts, name)[unreadable] for name in Verdicts.__dataclass_fields__
    }
    return replace(outcome, verdicts=Verdicts(**columns))
