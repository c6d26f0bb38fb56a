"""Mutated files of torch.export: refused or loaded, never anything else, and nothing of them runs."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import fx

from datadiet_cli.errors import InputError
from datadiet_cli.nn.modelfile import load_program
from tests.nn.archives import attacks, changed, packed, parts, saved, small

_VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        3,
        1 << 40,
        10**30,
        1.5,
        "",
        "x",
        "s0",
        "__import__('os').mkdir('harm')",
        [],
        {},
        [[]],
        {"a": 1},
    ]
)


def _nodes(value: Any) -> list[tuple[Any, Any]]:
    """All places of a JSON value: what holds it, and where."""
    found, waiting = [], [value]
    while waiting:
        here = waiting.pop()
        for key, inner in here.items() if isinstance(here, dict) else enumerate(here):
            found.append((here, key))
            if isinstance(inner, dict | list):
                waiting.append(inner)
    return found


def _edited(data: st.DataObject, part: bytes) -> bytes:
    """JSON with a few values put in the places of others, some of them from elsewhere in it."""
    value = json.loads(part)
    for _ in range(data.draw(st.integers(1, 3))):
        places = _nodes(value)
        if not places:
            break
        here, key = data.draw(st.sampled_from(places))
        other, at = data.draw(st.sampled_from(places))
        new = data.draw(_VALUES | st.just(other[at]))
        here[key] = json.loads(json.dumps(new))
        if data.draw(st.integers(0, 4)) == 0:
            del here[key]
    return json.dumps(value).encode()


def _garbled(data: st.DataObject, part: bytes) -> bytes:
    """Bytes with a few of them changed, left out, or put in, and sometimes an end cut off."""
    made = bytearray(part)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(made)))
        new = data.draw(st.binary(max_size=4))
        made[at : at + data.draw(st.integers(0, 4))] = new
    return bytes(made[: data.draw(st.just(len(made)) | st.integers(0, len(made)))])


def _mixed(data: st.DataObject, members: dict[str, bytes], others: list[dict[str, bytes]]) -> bytes:
    """Parts garbled, edited, swapped, left out, or taken from an attack."""
    members = dict(members)
    for _ in range(data.draw(st.integers(1, 3))):
        name, other = data.draw(st.sampled_from(sorted(members))), data.draw(st.sampled_from(sorted(members)))
        match data.draw(st.sampled_from(["edit", "edit", "edit", "garble", "swap", "drop", "attack", "rename"])):
            case "edit":
                name = data.draw(st.sampled_from([key for key in sorted(members) if key.endswith(".json")] or [name]))
                with suppress(ValueError):  # of what was garbled before
                    members[name] = _edited(data, members[name])
            case "garble":
                members[name] = _garbled(data, members[name])
            case "swap":
                members[name], members[other] = members[other], members[name]
            case "drop" if len(members) > 1:
                del members[name]
            case "attack":
                hostile = data.draw(st.sampled_from(others))
                members[name] = hostile.get(name, members[name])
            case "rename":
                members[data.draw(st.sampled_from(["x", "data/weights/weight_9", f"{name}x", "models/x.json"]))] = (
                    members.pop(name)
                )
    return packed(members)


def test_mutated_archives_are_refused_or_loaded_and_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = saved(small())
    monkeypatch.chdir(tmp_path)  # where an expression of the values would leave its mark
    marker, path = tmp_path / "harm", tmp_path / "model.pt2"
    whole = parts(honest)
    others = [parts(changed(honest, change)) for change, _ in attacks(str(marker)).values()]
    hostile = [packed(members) for members in others]
    loaded = 0

    @settings(max_examples=100, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data: st.DataObject) -> None:
        nonlocal loaded
        if data.draw(st.integers(0, 4)):
            path.write_bytes(_mixed(data, whole, others))
        else:
            path.write_bytes(_garbled(data, data.draw(st.sampled_from([honest, *hostile]))))
        try:
            network = load_program(str(path))
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either way is right
        else:
            assert isinstance(network, fx.GraphModule)
            loaded += 1
        assert not marker.exists()

    check()
    assert loaded > 10
