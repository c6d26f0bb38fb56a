"""Charts of scores: how they are spread, and ROC curves."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from datadiet_cli.report.html.base import Graph, plain
from datadiet_cli.report.html.cards.words import PAIRS
from datadiet_cli.report.html.charts.base import WIDTH, finite, fits, inner, known, percent
from datadiet_cli.report.html.charts.histogram import Histogram, divided, histogram, kinds
from datadiet_cli.report.html.charts.lines import Axes, Curve, curves
from datadiet_cli.report.html.charts.scales import Scale, share_said

MOST_HISTOGRAMS, MOST_CLASSES = 12, 5
_UNIT = Scale(0.0, 1.0, 0.0, 1.0, said=share_said)
_ORDER = ("after", "before", "random", "cost", "scratch")


def score_graphs(metrics: Mapping[str, Any], verdicts: object = None) -> list[Graph | None]:
    """Histograms of a step's scores, and the ROC curves of its models.

    Args:
        metrics: of the step.
        verdicts: of the step: how many have which action and reason.
    """
    told = _several(metrics.get("histograms"))[:MOST_HISTOGRAMS]
    found: list[Graph | None] = [_spread(one, verdicts, first=one is told[0]) for one in told]
    found += [
        _roc(f"ROC curve, {name} samples", [(name, inner(metrics, name, "roc_curve"))])
        for name in ("test", "validation")
    ]
    stages = _mapping(metrics.get("stages"))
    found.append(_roc("ROC curves by stage", [(stage, inner(one, "roc_curve")) for stage, one in stages.items()]))
    for protocol, block in _mapping(metrics.get("protocols")).items():
        arms = _mapping(inner(block, "arms"))
        names = [name for name in _ORDER if name in arms] + [name for name in arms if name not in _ORDER]
        ending = "" if len(metrics["protocols"]) == 1 else f", {plain(protocol)}"
        found.append(_roc(f"ROC curves{ending}", [(name, inner(arms[name], "roc_curve")) for name in names]))
        found.append(_by_class(f"ROC curves of the classes that are told worst{ending}", inner(arms, "after", "roc")))
    return found


def _spread(one: Any, verdicts: object, *, first: bool) -> Graph | None:
    edges, counts = known(inner(one, "edges")), known(inner(one, "counts"))
    if not counts or len(edges) != len(counts) + 1 or None in edges or None in counts:
        return None
    ends, sizes = [e for e in edges if e is not None], [c for c in counts if c is not None]
    if ends != sorted(ends) or min(sizes) < 0 or not any(sizes):
        return None
    side = inner(one, "side")
    unit = str(inner(one, "unit") or "score")
    own = Histogram(
        unit,
        ends,
        sizes,
        finite(inner(one, "threshold")),
        side if side in ("above", "below") else None,
        inner(one, "inclusive") is True,
    )
    title = f"Scores: {plain(inner(one, 'of') or '')}"
    reason = str(inner(one, "of"))
    named = _named(verdicts, reason) if isinstance(verdicts, Mapping) else None
    words = _told(own, named, first=first)
    return Graph(title, histogram(title, own), words, aside=_finds_nothing(own) or named == 0)


def _named(verdicts: Mapping[str, Any], reason: str) -> int | None:
    """Samples that have verdicts of a reason; None where scores are of pairs, many of which are of the same samples."""
    reasons = PAIRS if reason in PAIRS else (reason,)
    named = int(sum(finite(inner(counted, one)) or 0 for counted in verdicts.values() for one in reasons))
    return None if named and reason in PAIRS else named


def _finds_nothing(one: Histogram) -> bool:
    """Whether no score lies on the side of the threshold where findings are."""
    return one.threshold is not None and one.side is not None and not _beyond(one, whole=False)


def _beyond(one: Histogram, *, whole: bool) -> int:
    """Scores in bins that lie on the side of findings, wholly or at least partly."""
    wanted = ("found",) if whole else ("found", "mixed")
    return int(sum(n for n, kind in zip(one.counts, kinds(one), strict=True) if kind in wanted))


def _told(one: Histogram, named: int | None, *, first: bool) -> str:
    """How it is to be read."""
    words = ["In charts of scores, the outermost bars hold what lies beyond them, too."] if first else []
    if named is not None and (beyond := _beyond(one, whole=True)) > named:
        words.append(f"Of {beyond:,} beyond the threshold {named:,} were named: more than this score decides.")
    if divided(one):
        words.append("The threshold is in the grey bar.")
    if not fits(one.unit, WIDTH):
        words.insert(0, f"{plain(one.unit[:1].upper() + one.unit[1:])}.")
    return " ".join(words)


def _roc(title: str, named: Sequence[tuple[str, Any]]) -> Graph | None:
    """Curves of several models, as far as there are any."""
    drawn = []
    for style, (name, told) in enumerate(named):
        x, y = known(inner(told, "fpr")), known(inner(told, "tpr"))
        if x and len(x) == len(y):
            drawn.append(Curve(_name(name), x, y, style, _rates(x, y)))
    if not drawn:
        return None
    of = next((str(inner(told, "of")) for _, told in named if inner(told, "of")), "")
    return Graph(title, _plane(title, drawn), f"{plain(of[:1].upper() + of[1:])}." if of else "")


def _by_class(title: str, told: Any) -> Graph | None:
    """Curves of the classes with the smallest areas, where there are several."""
    found = [one for one in _several(told) if finite(inner(one, "area")) is not None]
    worst = sorted(found, key=lambda one: (one["area"], str(inner(one, "class"))))[:MOST_CLASSES]
    drawn = []
    for style, one in enumerate(worst):
        x, y = known(inner(one, "false_positives")), known(inner(one, "true_positives"))
        if x and len(x) == len(y):
            name = f"{inner(one, 'class')} ({one['area']:.3f})"
            drawn.append(Curve(name, x, y, style, f"area {one['area']:.3f}, {_rates(x, y)}"))
    if len(drawn) < 2:
        return None
    words = "Each class against the rest, with the area under its curve"
    more = f"; {len(found) - len(drawn):,} more are told as well or better" if len(found) > len(drawn) else ""
    return Graph(title, _plane(title, drawn), f"{words}{more}.")


def _plane(title: str, drawn: Sequence[Curve]) -> Any:
    return curves(title, drawn, Axes(_UNIT, _UNIT, "false positive rate", "true positive rate", diagonal=True))


def _rates(x: Sequence[float | None], y: Sequence[float | None]) -> str:
    """How many are found where so many of the others are, too."""
    places = [(a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None]
    told = []
    for limit in (0.01, 0.05, 0.1, 0.2):
        reached = max((b for a, b in places if a <= limit + 1e-12), default=0.0)
        told.append(f"{percent(reached)} at {limit:.0%} false positives")
    return "true positives " + ", ".join(told)


def _name(name: str) -> str:
    return name.replace("_", " ")


def _several(values: Any) -> list[Any]:
    return list(values) if isinstance(values, Iterable) and not isinstance(values, str | Mapping) else []


def _mapping(values: Any) -> Mapping[str, Any]:
    return values if isinstance(values, Mapping) else {}
