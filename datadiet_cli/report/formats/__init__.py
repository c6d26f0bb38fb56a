"""What other programs read: each format is made of the report and of the table of its verdicts."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from datadiet_cli.report.formats.github import github
from datadiet_cli.report.formats.jsonlines import json_lines
from datadiet_cli.report.formats.junit import junit
from datadiet_cli.report.formats.markdown import markdown
from datadiet_cli.report.formats.sarif import sarif

if TYPE_CHECKING:
    import polars as pl

FORMATS: Mapping[str, Callable[[Mapping[str, Any], "pl.DataFrame"], Iterator[str]]] = {
    "github": github,
    "markdown": markdown,
    "junit": junit,
    "sarif": sarif,
    "json-lines": json_lines,
}
"""Each takes the document of a report and its verdicts as `frame.verdict_frame` gives them.

It gives text bit by bit, without a character that is not UTF-8. A key that a report must have and lacks is a KeyError.
"""
