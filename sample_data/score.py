"""Count how many of the planted faults a datadiet report found.

    python sample_data/score.py REPORT.json [--truth truth.json] [--part images|table]

Prints a line for each kind of fault, then the faults that were missed, and the samples that were dropped
though nothing was wrong with them. The part is guessed from the report's input unless given. A poor score is
no error: the exit code is 0.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Fault = dict[str, str]
Verdict = dict[str, Any]

# What finding copies and broken files can say about a sample; none of it shows that another fault was seen.
COPY_OR_BROKEN = {"duplicate", "leak", "conflict", "unreadable"}


@dataclass
class Report:
    """The verdicts of a report, by the sample they are about."""

    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)

    @classmethod
    def of(cls, verdicts: list[Verdict]) -> "Report":
        """Sort verdicts by sample."""
        report = cls()
        for verdict in verdicts:
            report.verdicts.setdefault(str(verdict["id"]), []).append(verdict)
        return report

    def has(self, sample: str, test: Callable[[Verdict], bool] = lambda _: True) -> bool:
        """Whether a sample has a verdict that passes a test."""
        return any(test(verdict) for verdict in self.verdicts.get(sample, []))

    def dropped(self, sample: str) -> bool:
        """Whether a verdict drops the sample."""
        return self.has(sample, lambda v: v["action"] == "drop")

    def marked(self, sample: str, witness: str | None = None) -> bool:
        """Whether a verdict drops or flags the sample, by comparison with the witness if there is one."""
        return self.has(
            sample,
            lambda v: v["action"] in ("drop", "flag") and (witness is None or str(v.get("witness")) == witness),
        )


def copy_found(fault: Fault, report: Report) -> bool:
    """Which of two equals goes depends on the settings: the copy, or the original because of it."""
    return report.marked(fault["id"]) or report.marked(fault["of"], witness=fault["id"])


def conflict_found(fault: Fault, report: Report) -> bool:
    """A contradiction may be laid to either side, or to both."""
    return report.marked(fault["id"]) or report.marked(fault["of"])


def leak_found(fault: Fault, report: Report) -> bool:
    """Test data is sacred: only dropping the train file mends a leak."""
    return report.dropped(fault["id"])


def unreadable_found(fault: Fault, report: Report) -> bool:
    """Any verdict that calls the file unreadable."""
    return report.has(fault["id"], lambda v: v["reason"] == "unreadable")


def other_found(fault: Fault, report: Report) -> bool:
    """Any verdict that is not about copies or broken files."""
    return report.has(fault["id"], lambda v: v["reason"] not in COPY_OR_BROKEN)


def kept(fault: Fault, report: Report) -> bool:
    """A hard negative stays."""
    return not report.dropped(fault["id"])


FINDERS: dict[str, Callable[[Fault, Report], bool]] = {
    "exact-copy": copy_found,
    "re-encoded": copy_found,
    "resized": copy_found,
    "brightness": copy_found,
    "leak": leak_found,
    "other-class-copy": conflict_found,
    "truncated": unreadable_found,
    "empty": unreadable_found,
    "not-an-image": unreadable_found,
    "exact-duplicate": copy_found,
    "near-duplicate": copy_found,
    "mislabelled": other_found,
    "missing": other_found,
    "outlier": other_found,
    "flipped-label": other_found,
    "hard-negative": kept,
}


def false_drops(faults: list[Fault], report: Report) -> list[str]:
    """Samples dropped for no planted fault, hard negatives among them.

    An original may go in place of its copy, but not together with it, unless the two contradict each other.
    """
    allowed = {f["id"] for f in faults if f["fault"] != "hard-negative"}
    for fault in faults:
        if fault["fault"] == "other-class-copy" or (
            "of" in fault and report.marked(fault["of"], witness=fault["id"]) and not report.dropped(fault["id"])
        ):
            allowed.add(fault["of"])
    return sorted(sample for sample in report.verdicts if report.dropped(sample) and sample not in allowed)


def lines(faults: list[Fault], report: Report) -> list[str]:
    """The words to print."""
    table, missed = [("fault", "planted", "found")], []
    for kind, finder in FINDERS.items():
        planted = [f for f in faults if f["fault"] == kind]
        lost = [f for f in planted if not finder(f, report)]
        found = len(planted) - len(lost)
        words = f"{found} kept" if finder is kept else str(found)
        if finder is other_found and not found:
            words, lost = "not looked for", []
        if planted:
            table.append((kind, str(len(planted)), words))
        missed += [f"missed: {kind} {f['id']}" + (f" of {f['of']}" if "of" in f else "") for f in lost]
    wrong = false_drops(faults, report)
    table.append(("false drops", "", str(len(wrong))))
    width = max(len(row[0]) for row in table)
    text = [f"{kind:<{width}}  {planted:>7}  {found}" for kind, planted, found in table]
    return text + missed + [f"false drop: {sample}" for sample in wrong]


def load(path: Path) -> dict[str, Any]:
    """Read a JSON object, or leave with a word of what is wrong."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"score.py: {path}: {error}")
    if not isinstance(content, dict):
        sys.exit(f"score.py: {path}: not a JSON object")
    return content


def main() -> None:
    """Read the command line and print the score."""
    parser = argparse.ArgumentParser(description="Count how many planted faults a datadiet report found.")
    parser.add_argument("report", type=Path, metavar="REPORT.json")
    parser.add_argument("--truth", type=Path, default=Path(__file__).with_name("truth.json"))
    parser.add_argument("--part", choices=("images", "table"))
    arguments = parser.parse_args()
    report, truth = load(arguments.report), load(arguments.truth)
    if not isinstance(report.get("verdicts"), list):
        sys.exit(f"score.py: {arguments.report}: not a datadiet report: it has no list of verdicts")
    source = str((report.get("input") or {}).get("path", ""))
    part = arguments.part or ("table" if source.endswith(".csv") else "images")
    print("\n".join(lines(truth[part], Report.of(report["verdicts"]))))


if __name__ == "__main__":
    main()
