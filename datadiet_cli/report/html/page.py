"""The page: a report's head, its steps with pictures and samples, and every reason."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import UndefinedError
from markupsafe import Markup

from datadiet_cli.report.html.base import Gallery, Graph
from datadiet_cli.report.html.cards import galleries_of
from datadiet_cli.report.html.environment import environment
from datadiet_cli.report.html.graphs import graphs_of, overview_of
from datadiet_cli.report.html.headline import headline_of
from datadiet_cli.report.html.samples.content import Content
from datadiet_cli.report.html.sections import section_of, shown_steps

if TYPE_CHECKING:
    import polars as pl

LARGEST = 5_000_000
"""Bytes of a page."""
_ROOM = LARGEST - 1_000_000
"""Bytes that pictures of numbers and samples may take; the rest is for tables."""
ROWS = 500
"""Verdicts that are listed; the report has them all."""
_STYLES = ("page.css", "charts.css", "cards.css")

Beside = Callable[[str], bytes | None]


def render(
    document: Mapping[str, Any],
    verdicts: "pl.DataFrame",
    content: Content,
    beside: Beside,
    notice: str | None = None,
) -> bytes:
    """The page of a report, complete in itself: nothing is loaded from elsewhere, and no script runs.

    Args:
        document: the report.
        verdicts: all of them, as `verdict_frame` gives them.
        content: reads the samples that are shown.
        beside: gives the content of an artefact beside OUTPUT by the end of its name, None where there is none.
        notice: why samples cannot be shown.

    Returns:
        HTML in UTF-8, at most `LARGEST` bytes: graphs and galleries that have no room are left out, and it says so.

    Raises:
        KeyError: the report lacks something.
    """
    room = _Room(_ROOM)
    overview = room.graphs(overview_of(document))
    sections = []
    numbers = shown_steps(document)
    seen = galleries_of(document, verdicts, content, numbers)
    for number, found in zip(numbers, seen, strict=True):
        graphs = room.graphs(graphs_of(document, number, beside))
        galleries = room.galleries(found)
        sections.append(section_of(document, verdicts, number, graphs, galleries))
    page = environment().get_template("page.html")
    try:
        text = page.render(
            styles=[Markup(environment().get_template(name).render()) for name in _STYLES],  # noqa: S704 - our own files
            head=headline_of(document, verdicts),
            overview=overview,
            sections=sections,
            document=document,
            notice=notice,
            left_out=room.left_out,
            rows=verdicts.head(ROWS).to_dicts(),
            total=len(verdicts),
        )
    except UndefinedError as error:
        raise KeyError(str(error)) from error
    return text.encode("utf-8", "backslashreplace")


class _Room:
    """Hands out room on the page to what comes first, and remembers what found none."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.left_out: list[str] = []

    def graphs(self, found: Sequence[Graph]) -> list[Graph]:
        return [graph for graph in found if self._takes(graph.title, graph.svg)]

    def galleries(self, found: Sequence[Gallery]) -> list[Gallery]:
        return [gallery for gallery in found if self._takes(gallery.title, gallery.body)]

    def _takes(self, title: str, content: str) -> bool:
        size = len(content.encode("utf-8", "backslashreplace"))
        if size > self._left:
            self.left_out.append(title)
            return False
        self._left -= size
        return True
