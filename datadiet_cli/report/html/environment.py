"""The templates of the page."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from datadiet_cli.report.html.base import plain
from datadiet_cli.report.terminal import met


@cache
def environment() -> Environment:
    """Templates that escape all that is put into them, and refuse what they do not know."""
    made = Environment(
        loader=PackageLoader("datadiet_cli.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["plain"] = plain
    made.filters["met"] = met
    return made
