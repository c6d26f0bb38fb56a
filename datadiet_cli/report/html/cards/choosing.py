"""Which samples of a step are shown, and in which order."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from datadiet_cli.data.wording import escaped
from datadiet_cli.report.html.cards import words
from datadiet_cli.report.words import plural

if TYPE_CHECKING:
    import polars as pl

MOST = 24
"""Cards of a gallery."""

EACH = 3
"""Pairs of one kept sample, while others have room."""
UNREADABLE, CONTAMINATION = "unreadable", "contamination"

Order = Literal["closest", "several", "both", "spread", "name"]


@dataclass(frozen=True)
class Entry:
    """A verdict that is shown, or a sample that came near to one; see `Verdicts`. Ids are spelled as in Parquet.

    Attributes:
        foreign: whether the witness is a sample of another dataset, which may have the name of one of ours.
    """

    name: str
    action: str
    reason: str
    score: float | None = None
    threshold: float | None = None
    witness: str | None = None
    detail: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    foreign: bool = False


@dataclass(frozen=True)
class Group:
    """What a gallery is made of.

    Attributes:
        name: for links.
        title: of the gallery.
        reason: of its verdicts.
        counted: how many there are and what was done to them, in words.
        unit: what their score is.
        order: in which the entries stand.
        total: entries that there are.
        limit: the threshold, if all have the same.
        entries: those that may be shown.
    """

    name: str
    title: str
    reason: str
    counted: str
    unit: str
    order: Order
    total: int
    limit: float | None
    entries: Sequence[Entry]

    @property
    def found(self) -> bool:
        """Whether its samples were found, rather than near to it."""
        return bool(self.counted)


def groups_of(step: Mapping[str, Any], frame: "pl.DataFrame", number: int) -> list[Group]:
    """What there is to show of a step, what matters most first.

    Args:
        step: of the report.
        frame: its verdicts.
        number: of the step.
    """
    metrics = step["metrics"]
    reasons = frame["reason"].unique().to_list()
    near = _near_calls(metrics)
    groups = []
    for reason in sorted({*reasons, *near}, key=lambda name: (words.place_of(name), name)):
        part = frame.filter((frame["reason"] == reason) & (frame["action"] != "accept"))
        known = _scores(part)
        unit = words.unit_of(reason, metrics, known)
        if len(part):
            groups.append(_found(part, reason, metrics, unit, number))
        if near.get(reason):
            threshold = known[0][1] if known and len({t for _, t in known}) == 1 else None
            groups.append(_near(near[reason], reason, unit, threshold, number))
    accepted = frame.filter(frame["action"] == "accept")
    if len(accepted):
        groups.append(_accepted(accepted, number))
    return groups


def _scores(part: "pl.DataFrame") -> list[tuple[float, float]]:
    """The lowest and the highest score beside their thresholds, one pair a threshold as far as there are few."""
    import polars as pl

    known = part.select("score", "threshold").drop_nulls()
    ends = known.group_by("threshold").agg(pl.col("score").max()).sort("threshold").head(MOST)
    return list(zip(ends["score"].to_list(), ends["threshold"].to_list(), strict=True))


def _found(part: "pl.DataFrame", reason: str, metrics: Mapping[str, Any], unit: str, number: int) -> Group:
    counts = dict(part.group_by("action").len().sort("len", "action", descending=[True, False]).iter_rows())
    said = words.counted(counts)
    if reason in words.PAIRS:
        pairs = _pairs_once(part)
        if len(pairs) < len(part):
            said = f"{said[:-1]}, in {plural(len(pairs), 'pair')}."
        part = pairs
    chosen, order = _chosen(part, reason, metrics)
    limits = part["threshold"].drop_nulls().unique()
    return Group(
        name=_slug(number, reason),
        title=words.title_of(reason),
        reason=reason,
        counted=said,
        unit=unit,
        order=order,
        total=len(part),
        limit=limits[0] if len(limits) == 1 else None,
        entries=_entries(chosen),
    )


def _accepted(part: "pl.DataFrame", number: int) -> Group:
    return Group(
        name=_slug(number, "accepted"),
        title="Left alone, as the baseline lists them",
        reason="accepted",
        counted=f"{plural(len(part), 'finding')}.",
        unit="score",
        order="name",
        total=len(part),
        limit=None,
        entries=_entries(part.sort("reason", "id").head(MOST)),
    )


def _pairs_once(part: "pl.DataFrame") -> "pl.DataFrame":
    """Of two verdicts on the same pair the first."""
    import polars as pl

    ends = pl.min_horizontal("id", "witness").alias("_a"), pl.max_horizontal("id", "witness").alias("_b")
    alone = part.filter(pl.col("witness").is_null())
    pairs = part.filter(pl.col("witness").is_not_null()).with_columns(*ends)
    return pl.concat([pairs.unique(["_a", "_b"], keep="first", maintain_order=True).drop("_a", "_b"), alone])


def _chosen(part: "pl.DataFrame", reason: str, metrics: Mapping[str, Any]) -> tuple["pl.DataFrame", Order]:
    """The rows that are shown, in order."""
    import polars as pl

    gap = (pl.col("score") - pl.col("threshold")).abs() / pl.col("threshold").abs().clip(1e-12)
    ranked = part.with_columns(gap.fill_null(np.inf).alias("_gap"))
    if reason in words.CHOSEN or reason in words.MADE or reason == UNREADABLE:
        return _evenly(ranked.sort("detail" if reason == UNREADABLE else "score", "id", nulls_last=True)), "spread"
    if not ranked["_gap"].is_finite().any():
        return ranked.sort("detail", "id", nulls_last=True).head(MOST), "name"
    if reason in words.PAIRS:
        calls = (metrics.get("closest_calls") or {}).get("copies") or ()
        # Pairs across datasets are told apart from those of the same names within one.
        return _closest(_with_calls(ranked, [one for one in calls if _is_foreign(one) == (reason == CONTAMINATION)]))
    ranked = ranked.sort("_gap", "id", descending=[True, False])
    if len(ranked) <= MOST:
        return ranked, "both"
    return pl.concat([ranked.head(MOST // 2), ranked.tail(MOST - MOST // 2)]), "both"


def _evenly(rows: "pl.DataFrame") -> "pl.DataFrame":
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(MOST, len(rows))).round().astype(np.int64))]


def _closest(ranked: "pl.DataFrame") -> tuple["pl.DataFrame", Order]:
    """Of pairs the closest calls: not all of the same kept sample, where others have some."""
    import polars as pl

    if ranked["_call"].null_count() == len(ranked) and ranked["_gap"].n_unique() == 1:
        # Where all are as near to the threshold, such as exact copies, none is a close call.
        return _evenly(ranked), "spread"
    ordered = ranked.sort("_call", "_gap", "id", nulls_last=True).with_row_index("_place")
    of_one = pl.int_range(pl.len()).over(pl.coalesce("witness", "id"))
    shown = ordered.sort(of_one >= EACH, "_place").head(MOST)
    return shown, "closest" if shown["_place"].is_sorted() and len(shown) in (MOST, len(ranked)) else "several"


def _with_calls(ranked: "pl.DataFrame", calls: Sequence[Mapping[str, Any]]) -> "pl.DataFrame":
    """With the place of each pair among the closest calls, which weigh all that decided; null for the others."""
    import polars as pl

    ends = [sorted((escaped(str(call["id"])), escaped(str(call["other"])))) for call in calls]
    table = pl.DataFrame(
        {"_a": [a for a, _ in ends], "_b": [b for _, b in ends], "_call": list(range(len(ends)))},
        schema={"_a": pl.String, "_b": pl.String, "_call": pl.Int64},
    )
    both = ranked.with_columns(
        pl.min_horizontal("id", "witness").alias("_a"), pl.max_horizontal("id", "witness").alias("_b")
    )
    return both.join(table.unique(["_a", "_b"], keep="first"), on=["_a", "_b"], how="left", maintain_order="left")


def _entries(rows: "pl.DataFrame") -> list[Entry]:
    import polars as pl

    shown = rows.select(
        pl.col("id").alias("name"), "action", "reason", "score", "threshold", "witness", "detail", "evidence"
    )
    return [
        Entry(**{**row, "evidence": _object(row["evidence"])}, foreign=row["reason"] == CONTAMINATION)
        for row in shown.iter_rows(named=True)
    ]


def _is_foreign(call: Mapping[str, Any]) -> bool:
    """Whether the second of a pair is of another dataset."""
    return call.get("foreign") is True


def _object(text: str | None) -> Mapping[str, Any]:
    evidence = None if text is None else json.loads(text)
    return evidence if isinstance(evidence, dict) else {}


def _near_calls(metrics: Mapping[str, Any]) -> dict[str, list[Entry]]:
    """Samples that were not found, though they came near, by reason."""
    near: dict[str, list[Entry]] = {}
    for call in (metrics.get("closest_calls") or {}).get("no_copies") or ():
        agreement = call.get("agreement")
        detail = None if agreement is None else f"correlation {agreement:.2f}"
        near.setdefault("duplicate", []).append(
            Entry(
                escaped(str(call["id"])),
                words.NEAR,
                "duplicate",
                call["score"],
                None,
                escaped(str(call["other"])),
                detail,
                foreign=_is_foreign(call),
            )
        )
    for call in metrics.get("close_calls") or ():
        witness = call.get("witness")
        near.setdefault(call["reason"], []).append(
            Entry(
                escaped(str(call["id"])),
                words.NEAR,
                call["reason"],
                call.get("score"),
                call.get("threshold"),
                None if witness is None else escaped(str(witness)),
            )
        )
    return near


def _near(entries: Sequence[Entry], reason: str, unit: str, threshold: float | None, number: int) -> Group:
    limits = {entry.threshold for entry in entries} - {None}
    limit = limits.pop() if len(limits) == 1 else threshold
    return Group(
        name=_slug(number, f"near-{reason}"),
        title=words.near_title_of(reason),
        reason=reason,
        counted="",
        unit=unit,
        order="closest",
        total=len(entries),
        limit=limit,
        entries=entries[:MOST],
    )


def _slug(number: int, name: str) -> str:
    return f"step-{number}-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-') or 'other'}"
