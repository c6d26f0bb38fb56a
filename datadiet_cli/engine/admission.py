"""Who may take part in the work of a Dask cluster."""

import logging
from typing import Any, NoReturn

from datadiet_cli.engine.badge import Badge, fault, versions
from datadiet_cli.errors import ConfigError

_SHOWN = 3
_TALK = ("datadiet", "python", "dask", "distributed", "msgpack")
"""What a scheduler, which computes nothing, must have in the same version."""


def admit_scheduler(client: Any, badge: Badge, place: str) -> None:
    """See that a scheduler, which unpacks calls before it hands them on, knows their names.

    Args:
        client: of Dask.
        badge: what all must have.
        place: the scheduler, for people.

    Raises:
        ConfigError: it does not.
    """
    known = dict(badge.versions)
    try:
        found = dict(client.run_on_scheduler(versions))
    except ImportError:
        _refuse(place, "the Dask scheduler does not have datadiet: install the same versions everywhere")
    except Exception as error:  # noqa: BLE001, RUF100 - whatever another version makes of it
        _refuse(place, f"the Dask scheduler does not answer as expected: {_line(error)}")
    unlike = [f"{name} {found.get(name)} (here {known[name]})" for name in _TALK if found.get(name) != known[name]]
    if unlike:
        _refuse(place, f"the Dask scheduler has {', '.join(unlike)}: install the same versions everywhere")


def admit_workers(client: Any, badge: Badge, place: str) -> None:
    """See that all workers may take part.

    Args:
        client: of Dask.
        badge: what all must have.
        place: the scheduler, for people.

    Raises:
        ConfigError: some may not.
    """
    found = client.run(fault, badge, on_error="return")
    wrong = [f"{worker}: {_told(answer)}" for worker, answer in sorted(found.items()) if answer != ""]
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more workers" if len(wrong) > _SHOWN else ""
        _refuse(place, f"Dask workers cannot take part: {'; '.join(wrong[:_SHOWN])}{more}")


def hush() -> None:
    """Keep Dask's log off stderr: it would be a traceback for a scheduler that went away."""
    import distributed  # noqa: F401 - sets up its logging

    own = ("distributed", "tornado", "asyncio", "bokeh")
    for name in [*own, *logging.root.manager.loggerDict]:
        if name.partition(".")[0] in own:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _told(answer: Any) -> str:
    if isinstance(answer, ImportError) or "No module named 'datadiet_cli" in str(answer):
        return "it does not have datadiet: install the same versions everywhere"
    return _line(answer)


def _line(said: Any) -> str:
    return " ".join(str(said).split()) or type(said).__name__


def _refuse(place: str, why: str) -> NoReturn:
    raise ConfigError(f"--scheduler {place}: {why}")
