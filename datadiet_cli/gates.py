"""Conditions that the user set on a run's figures; one that fails stops the run from publishing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from datadiet_cli.config.base import percentage
from datadiet_cli.config.pipeline import RATES, Expectation

_CHANGES = ("added", "relabelled", "imputed", "columns_dropped")
"""What alters a dataset besides samples that go; scaled columns and weights are no figures."""


@dataclass(frozen=True)
class Gate:
    """A condition and how it went: its name, the limit as written, the value it met, and whether it held."""

    name: str
    limit: str
    value: float
    passed: bool

    def as_json(self) -> dict[str, Any]:
        """As the report has it."""
        return asdict(self)


def evaluate(
    figures: Mapping[str, float],
    total: int,
    *,
    max_removed: float | None,
    check: bool,
    expect: Mapping[str, Expectation],
) -> list[Gate]:
    """Hold the figures of a run against the conditions.

    Args:
        figures: by metric, in samples or as shares.
        total: samples of the input, of which shares are taken.
        max_removed: the largest share that may go.
        check: whether nothing may go or change; of what goes, `max_removed` says how much may, if it is given.
        expect: further limits by metric.
    """
    gates = []
    removed = figures["removed"]
    if max_removed is not None:
        share = removed / max(total, 1)
        gates.append(Gate("max_removed", f"<= {percentage(max_removed)}", share, share <= max_removed))
    if check:
        changed = sum(figures[name] for name in _CHANGES) + (removed if max_removed is None else 0)
        if max_removed is None or changed:
            gates.append(Gate("check", "== 0", changed, changed == 0))
    for metric, expectation in expect.items():
        of_samples = expectation.is_share and metric not in RATES
        value = figures[metric] / max(total, 1) if of_samples else figures[metric]
        gates.append(Gate(metric, str(expectation), value, expectation.holds(value)))
    return gates
