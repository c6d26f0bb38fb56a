"""Scores of hardness keep wrong labels: where many are estimated, they are refused."""

import math

from datadiet_cli.config.base import percentage
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.samples.crowd import Plan
from datadiet_cli.methods.samples.dynamics import DYNAMICS
from datadiet_cli.steps.choosing.base import STEP, Task
from datadiet_cli.steps.choosing.judging import Judged

_DIGITS = 5
"""Of shares, in the report and in files of scores."""


def hard(method: str) -> bool:
    """Whether what a method takes for worth keeping is what models find hard."""
    return method in DYNAMICS


def refuse_noise(task: Task, plan: Plan, found: Judged) -> list[str]:
    """Refuse a score of hardness where more labels are estimated wrong than `max_noise` allows.

    Returns:
        What people should be told instead, where nothing is refused.

    Raises:
        ConfigError: it is refused.
    """
    if not hard(plan.method) or task.settings.max_noise == 1:
        return []
    if found.rate is None:
        return [
            f"how many labels are wrong cannot be estimated, for {found.why}; {plan.method} would keep such samples"
        ]
    if found.rate <= task.settings.max_noise or round(plan.beta, _DIGITS) >= round(found.rate, _DIGITS):
        return []
    # Rounded up, so that who follows the advice is not refused again.
    share = percentage(math.ceil(found.rate * 1000) / 1000)
    raise ConfigError(
        f"{STEP}: {task.path}: an estimated {share} of the labels are wrong, and {plan.method} keeps just these; "
        f"run denoise first, cut them with --beta {share}, choose --method moderate or auto, or --max-noise 100% to "
        "have it all the same"
    )


def noise_to_cut(task: Task, found: Judged) -> float:
    """The share of the hardest that `ccs` leaves out where none is given: the estimated share of wrong labels.

    Raises:
        ConfigError: it cannot be estimated.
    """
    if found.rate is None:
        raise ConfigError(
            f"{STEP}: {task.path}: --rule ccs leaves out as many as have a wrong label, and how many do cannot be "
            f"estimated, for {found.why}; give --beta, such as 0% or 20%"
        )
    return found.rate
