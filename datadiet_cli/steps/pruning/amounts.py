"""How much goes, where a target says what shall be left."""

from collections.abc import Callable
from typing import Any

from datadiet_cli.config.base import percentage
from datadiet_cli.config.prune_model import bytes_of as bytes_named
from datadiet_cli.config.prune_model import share_of
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.outcome import Brake
from datadiet_cli.steps.pruning.case import STEP, Case
from datadiet_cli.steps.pruning.cutting import Ranking, State, pruned, weights_left
from datadiet_cli.steps.pruning.timing import timed

MEASURED = ("macs", "params", "size", "latency")
"""Targets that say what may be left."""
_NOISE = 1.05
SPARSITY = 0.5
"""Where nothing says how much goes."""
_FINE = 0.01
"""How finely sparsities are searched through."""
_SLACK = 0.005
"""Share of a compressed size that is left free: training changes how well the rest can be compressed."""


def share_for(case: Case, ranking: Ranking) -> tuple[float, dict[str, Any]]:
    """The sparsity that meets the target, and what to tell of it.

    Args:
        case: says the target, which is none of max_accuracy_drop.
        ranking: of the model.

    Raises:
        ConfigError: all or nothing is asked for.
        InputError: it cannot be met; the message says what can.
    """
    from datadiet_cli.nn.pruning.choosing import least_share

    settings, target = case.settings, case.settings.target
    if target in ("threshold", "quantile"):
        return 0.0, {"name": target, "asked": getattr(settings, target)}
    if target == "sparsity":
        share = SPARSITY if settings.sparsity is None else settings.sparsity
        if share in (0, 1):
            what = "nothing" if share == 0 else "everything"
            raise ConfigError(f"{STEP}: --sparsity {percentage(share)} takes {what} away; it must be between 0 and 1")
        return share, {"name": target, "asked": share}
    asked = _asked(case, target)
    measure = _measure_of(case, target)
    found: dict[float, float] = {}

    def left(share: float) -> float:
        if share not in found:
            found[share] = measure(pruned(case, ranking, share, check=False))
        return found[share]

    said = f"--{target} {getattr(settings, target)}"
    if left(0.0) <= asked:
        raise ConfigError(f"{STEP}: {said}: {case.named} is at {_shown(target, left(0.0))} as it is")
    goal = asked * (1 - _SLACK) if target == "size" and settings.structure != "channels" else asked
    enough = least_share(lambda share: left(share) <= goal, resolution=_FINE)
    if enough is None:
        raise InputError(
            f"{STEP}: {case.named}: {said} cannot be reached; the nearest is {_shown(target, left(1.0))}, at the "
            "largest sparsity that the limits allow"
        )
    return enough, {"name": target, "asked": asked, "expected": left(enough)}


def reached(case: Case, target: dict[str, Any], state: State) -> tuple[dict[str, Any], list[Brake]]:
    """What the model came to in the end: training between rounds, and time itself, may move it.

    Returns:
        The target with ``reached``, and the gate that it is met; time may be off by 5 %.
    """
    name = target["name"]
    if name not in MEASURED:
        return target, []
    value = _measure_of(case, name)(state)
    limit, said = target["asked"], f"<= {_shown(name, target['asked'])}"
    if name == "latency":
        limit, said = limit * _NOISE, f"{said}, give or take {_NOISE - 1:.0%} for timing"
    return {**target, "reached": value}, [Brake(name, said, value, passed=value <= limit)]


def _asked(case: Case, target: str) -> float:
    value = getattr(case.settings, target)
    if target == "size":
        return float(bytes_named(value))
    return share_of(value) if target == "latency" else float(value)


def _shown(target: str, value: float) -> str:
    if target == "size":
        return f"{value:,.0f} bytes"
    return f"{value:.2f}x" if target == "latency" else percentage(round(value, 3))


def _measure_of(case: Case, target: str) -> Callable[[State], float]:
    from datadiet_cli.nn.cost import bytes_of, macs, parameters

    dense = case.model
    if target == "params":
        whole = parameters(dense).total
        return lambda state: weights_left(state) / whole
    if target == "macs":
        all_of_them = macs(dense, case.examples)
        return lambda state: macs(state.model, case.examples) / all_of_them
    if target == "latency":
        return lambda state: _time(case, state)
    packed = case.settings.structure != "channels"

    def size(state: State) -> float:
        found = bytes_of(state.model.state_dict())
        return float(found.compressed if packed else found.raw)

    return size


def _time(case: Case, state: State) -> float:
    """How long the smaller model takes for one sample, as a part of the time of the dense one."""
    from datadiet_cli.nn.cost import ratio

    found = timed(case, {"dense": case.model, "pruned": state.model}, (1,))
    return ratio(found["pruned"][0], found["dense"][0]).median
