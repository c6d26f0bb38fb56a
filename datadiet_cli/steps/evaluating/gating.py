"""The gates that `evaluate` has of its own."""

from collections.abc import Mapping

from datadiet_cli.config.base import percentage
from datadiet_cli.config.evaluate import Evaluate
from datadiet_cli.outcome import Brake


def brakes_of(settings: Evaluate, figures: Mapping[str, float]) -> list[Brake]:
    """The gates that were set, and how they went.

    Args:
        settings: have the limits.
        figures: ``accuracy`` of after, and ``accuracy_drop``: no more than this is lost, with the confidence.
    """
    brakes = []
    if settings.fail_under is not None:
        value = figures["accuracy"]
        limit = f">= {percentage(settings.fail_under)}"
        brakes.append(Brake("fail_under", limit, value, passed=value >= settings.fail_under))
    if settings.max_drop is not None:
        value = figures["accuracy_drop"]
        brakes.append(
            Brake("max_drop", f"<= {percentage(settings.max_drop)}", value, passed=value <= settings.max_drop)
        )
    return brakes
