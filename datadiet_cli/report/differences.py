"""What differs between two runs: findings by sample and reason, figures, gates, settings, and the data they were given.

Tables are joined, so that a million verdicts each take seconds, and memory that grows with their number.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datadiet_cli.data.wording import text_column
from datadiet_cli.report.formats.findings import findings_of, gate_result

if TYPE_CHECKING:
    import polars as pl

ABSENT: Any = object()
"""In the place of a value that one of the two runs does not have."""
_KEY = ["id", "reason"]
_COMPARED = ("action", "witness", "suggested")
_FACTS = ("datadiet", "command", "exit_code", "published")
_CENSUS = ("path", "kind", "layout", "samples", "bytes", "fingerprint")


@dataclass(frozen=True)
class Change:
    """A named value before and after; `ABSENT` where there was none."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Differences:
    """What differs.

    Attributes:
        facts: about the runs: version, command, how they ended.
        inputs: about the datasets they were given: path, numbers of samples, of each class and split.
        settings: by name, those of steps after the name of the step.
        figures: by name.
        gates: by name, with how they went in words.
        new: findings of the second run only: the columns of a verdict, ``level``, and ``suggested``, the label.
        gone: findings of the first run only.
        changed: findings of both, as the second has them, that differ in ``action``, ``witness`` or ``suggested``;
            how these were is in ``action_before``, ``witness_before`` and ``suggested_before``.
        samples: ids of samples that only one of the datasets has; None if that is not known.
    """

    facts: list[Change]
    inputs: list[Change]
    settings: list[Change]
    figures: list[Change]
    gates: list[Change]
    new: "pl.DataFrame"
    gone: "pl.DataFrame"
    changed: "pl.DataFrame"
    samples: "tuple[pl.Series, pl.Series] | None" = None

    @property
    def findings(self) -> dict[str, "pl.DataFrame"]:
        """The tables of findings by name."""
        return {"new": self.new, "gone": self.gone, "changed": self.changed}

    def __bool__(self) -> bool:
        plain = (self.facts, self.inputs, self.settings, self.figures, self.gates)
        return any(plain) or any(len(table) for table in self.findings.values())


def differences(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    verdicts: "tuple[pl.DataFrame, pl.DataFrame]",
    ids: tuple[Sequence[str], Sequence[str]] | None = None,
) -> Differences:
    """Compare two runs.

    Args:
        before: the report of the first.
        after: the report of the second.
        verdicts: of both, as `frame.verdict_frame` gives them.
        ids: of all samples of both datasets, if they are known.

    Raises:
        KeyError: a report lacks what it must have.
        ValueError: the evidence of a wrong label is no JSON.
    """
    new, gone, changed = compared(*map(_known, verdicts))
    return Differences(
        facts=_changes(_facts(before), _facts(after)),
        inputs=_changes(*(_census(document["input"]) for document in (before, after))),
        settings=_changed_settings(before, after),
        figures=_changes(before["figures"], after["figures"]),
        gates=_changes(_gates(before["gates"]), _gates(after["gates"])),
        new=new,
        gone=gone,
        changed=changed,
        samples=None if ids is None else _only(*ids),
    )


def compared(before: "pl.DataFrame", after: "pl.DataFrame") -> "tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]":
    """Join the findings of two runs by sample and reason.

    Args:
        before: of the first run; (id, reason) pairs are unique, and there are columns ``action``, ``witness`` and
            ``suggested``.
        after: of the second, likewise.

    Returns:
        the findings that are new, those that are gone, and those that have changed, each in its run's order.
    """
    import polars as pl

    new = after.join(before, on=_KEY, how="anti", maintain_order="left")
    gone = before.join(after, on=_KEY, how="anti", maintain_order="left")
    both = after.join(before.select(*_KEY, *_COMPARED), on=_KEY, how="inner", suffix="_before", maintain_order="left")
    differs = [pl.col(name).ne_missing(pl.col(f"{name}_before")) for name in _COMPARED]
    return new, gone, both.filter(pl.any_horizontal(differs))


def _known(verdicts: "pl.DataFrame") -> "pl.DataFrame":
    """The findings, with the label that is suggested."""
    import polars as pl

    found = findings_of(verdicts)
    texts = found.filter(pl.col("reason") == "wrong-label")["evidence"].drop_nulls().unique()
    labels = pl.DataFrame([texts, text_column("suggested", [_suggested(text) for text in texts])])
    told = labels.with_columns(reason=pl.lit("wrong-label"))
    return found.join(told, on=["reason", "evidence"], how="left", maintain_order="left")


def _suggested(evidence: str) -> str | None:
    """The label that evidence suggests. Polars' own JSON knows neither lone surrogates nor NaN."""
    value = json.loads(evidence)
    label = value.get("suggested") if isinstance(value, dict) else None
    return label if label is None or isinstance(label, str) else json.dumps(label)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The values that differ, in the order of their names in the second, then the first."""
    names = dict.fromkeys([*after, *before])
    pairs = ((name, before.get(name, ABSENT), after.get(name, ABSENT)) for name in names)
    return [Change(name, old, new) for name, old, new in pairs if not _same(old, new)]


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; true is not 1."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return bool(one == other) and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _facts(document: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: document[name] for name in _FACTS}, "steps": [step["name"] for step in document["steps"][1:]]}


def _census(block: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: block[name] for name in _CENSUS},
        **{f"class {name}": count for name, count in block["classes"].items()},
        **{f"split {name}": count for name, count in block["splits"].items()},
    }


def _changed_settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Common settings, and those of the steps that both runs have: of several of a name, the first with the first."""
    found = _changes(before["settings"], after["settings"])
    old, new = (_steps(document) for document in (before, after))
    for place in [place for place in new if place in old]:
        changes = _changes(old[place], new[place])
        found += [Change(f"{place}.{change.name}", change.before, change.after) for change in changes]
    return found


def _steps(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The settings of each step; step 0 is the opening."""
    steps = document["steps"][1:]
    return {
        place: step["settings"] for place, step in zip(_numbered(step["name"] for step in steps), steps, strict=True)
    }


def _gates(gates: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    gates = list(gates)
    return dict(zip(_numbered(gate["name"] for gate in gates), map(gate_result, gates), strict=True))


def _numbered(names: Iterable[str]) -> list[str]:
    """Names, with a number after the second of a name and further ones."""
    seen: Counter[str] = Counter()
    told = []
    for name in names:
        seen[name] += 1
        told.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return told


def _only(before: Sequence[str], after: Sequence[str]) -> "tuple[pl.Series, pl.Series]":
    """The ids that only one of two datasets has."""
    import polars as pl

    one, other = (pl.DataFrame([text_column("id", ids)]) for ids in (before, after))
    return (
        one.join(other, on="id", how="anti", maintain_order="left")["id"],
        other.join(one, on="id", how="anti", maintain_order="left")["id"],
    )
