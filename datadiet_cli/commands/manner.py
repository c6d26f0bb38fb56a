"""How a run goes, apart from its settings."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["json", "json-lines", "github", "markdown", "junit", "sarif", "html"]
"""What a report may be printed as."""


@dataclass(frozen=True)
class Manner:
    """The flags that every command on a dataset has; the command line's help says what they do."""

    dry_run: bool
    check: bool
    listing: Literal["kept", "dropped"] | None
    null: bool
    format: Format | None
    force: bool
    rerun: bool
    quiet: bool
    verbose: bool
