"""`datadiet explain REPORT SAMPLE_ID`: what became of one sample and why, in words."""

import json as jsonlib
import sys
from collections.abc import Collection, Mapping
from typing import Any

from datadiet_cli.commands.reading import dataset_of, read_report, undamaged
from datadiet_cli.data.wording import escaped
from datadiet_cli.errors import ExitCode, InputError
from datadiet_cli.reasons import reasons_of
from datadiet_cli.report.explaining import in_words, is_verdict
from datadiet_cli.report.streaming import beside, each_verdict
from datadiet_cli.report.terminal import printable

NEAR = 3
"""Samples that may have been meant."""
_ALIKE = 70.0

Rows = list[dict[str, Any]]


def explain(report: str, sample: str, *, json: bool) -> int:
    """Print every verdict on a sample to stdout, in the order of the steps.

    Args:
        report: of any run.
        sample: its id; the form that the terminal shows it in will do.
        json: whether to print the verdicts as JSON rather than in words.

    Raises:
        InputError: the report is none or is damaged, there is no such sample, or no verdict speaks of it and INPUT,
            which would have to tell whether there is such a sample, has changed since.
    """
    document = read_report(report)
    verdicts = _Verdicts(document, report)
    name, rows = sample, verdicts.naming(sample)
    if not any(row["id"] in _spellings(sample) for row in rows):
        name = _named_otherwise(report, document, sample, verdicts.ids())
        rows = verdicts.naming(name)
    own = [row for row in rows if row["id"] in _spellings(name)]
    if json:
        text = jsonlib.dumps(own, indent=2)
    else:
        others = [row for row in rows if row["id"] not in _spellings(name)]
        text = "\n".join(in_words(name, own, others, document, reasons_of))
    sys.stdout.write(text + "\n")
    return ExitCode.DONE


class _Verdicts:
    """The verdicts of a report: in it, or very many in a file beside it, of which only a few are read.

    Raises:
        InputError: they are damaged.
    """

    def __init__(self, document: Mapping[str, Any], report: str) -> None:
        self._report = report
        with undamaged(report):
            named = document["verdicts_file"]
            # Beside the report, whatever that is called now.
            self._file = None if named is None else beside(report, named)
            self._rows = [] if self._file else self._checked(list(each_verdict(document, None)))
            facts = [document["published"], document["output"]["what"], *(step["name"] for step in document["steps"])]
            if not all(isinstance(fact, str | bool) for fact in facts):
                raise ValueError("something is no text")

    def ids(self) -> list[str]:
        """Every sample that a verdict is about."""
        if self._file is None:
            return list(dict.fromkeys(row["id"] for row in self._rows))
        import polars as pl

        with undamaged(self._report), open(self._file, "rb") as file:
            names: list[str] = pl.read_parquet(file, columns=["id"])["id"].cast(pl.String).drop_nulls().to_list()
            return list(dict.fromkeys(names))

    def naming(self, name: str) -> Rows:
        """The verdicts on a sample, and those on others that name it as their witness."""
        spellings = _spellings(name)
        if self._file is None:
            return [row for row in self._rows if row["id"] in spellings or row["witness"] in spellings]
        import polars as pl

        wanted = (pl.col("id") == spellings[-1]) | (pl.col("witness") == spellings[-1])
        with undamaged(self._report), open(self._file, "rb") as file:
            rows = pl.scan_parquet(file, glob=False).filter(wanted).collect().to_dicts()
            told = [row["evidence"] and jsonlib.loads(row["evidence"]) for row in rows]
            return self._checked([{**row, "evidence": each} for row, each in zip(rows, told, strict=True)])

    def _checked(self, rows: Rows) -> Rows:
        if not all(map(is_verdict, rows)):
            raise ValueError("a verdict is none")
        return rows


def _spellings(name: str) -> list[str]:
    """An id as it is, and as Parquet has it."""
    return [name, escaped(name)]


def _known(sample: str, ids: Collection[str]) -> str | None:
    """The id of a sample as it is written here: as it is, escaped as in Parquet, or as the terminal shows it."""
    for spelling in _spellings(sample):
        if spelling in ids:
            return spelling
    shown = printable(sample)
    found = [name for name in ids if not name.isprintable() and printable(name) == shown]
    return found[0] if len(found) == 1 else None


def _named_otherwise(report: str, document: Mapping[str, Any], sample: str, judged: list[str]) -> str:
    """The id of a sample that is written in another way here, or that no verdict is about.

    Raises:
        InputError: there is no such sample, or that cannot be told.
    """
    name = _known(sample, dict.fromkeys(judged))
    if name is not None:
        return name
    try:
        ids = dataset_of(report, document).ids
    except InputError as error:
        why = f"has no verdict on {sample}, and whether there is such a sample cannot be told"
        raise InputError(f"{report}: {why}: {error}{_meant(sample, judged)}") from error
    name = _known(sample, dict.fromkeys(ids))
    if name is None:
        raise InputError(f"{report}: knows no sample {sample}{_meant(sample, list(dict.fromkeys([*ids, *judged])))}")
    return name


def _meant(sample: str, ids: list[str]) -> str:
    """The end of a message about an unknown sample: those that may have been meant."""
    from rapidfuzz import fuzz, process

    ends = [name for name in ids if name.endswith("/" + sample)]
    alike = process.extract(sample, ids, scorer=fuzz.ratio, limit=NEAR, score_cutoff=_ALIKE)
    near = list(dict.fromkeys([*ends, *(name for name, _, _ in alike)]))[:NEAR]
    return f"; did you mean {' or '.join(near)}?" if near else ""
