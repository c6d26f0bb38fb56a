"""How long models of a case take, side by side."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datadiet_cli.steps.pruning.case import Case

if TYPE_CHECKING:
    from datadiet_cli.nn.cost import Latency
    from datadiet_cli.nn.models import Model


def timed(
    case: Case, models: Mapping[str, "Model"], batches: Sequence[int], sessions: Mapping[str, Any] | None = None
) -> "dict[str, list[Latency]]":
    """Time models turn by turn, and what of them runs elsewhere.

    Args:
        case: has samples, and says where and by how many threads.
        models: by name; they come to the device and back.
        batches: samples at a time.
        sessions: by name, callables that take the same inputs on the CPU.
    """
    from datadiet_cli.nn.cost import latency
    from datadiet_cli.nn.device import to_device

    others = sessions or {}
    for model in models.values():
        model.to(case.device)
    try:
        inputs = to_device(case.examples, case.device)
        given = {**dict.fromkeys(models, inputs), **dict.fromkeys(others, case.examples)}
        return latency({**models, **others}, given, batches=batches, threads=case.settings.threads)
    finally:
        for model in models.values():
            model.to("cpu")
