"""`datadiet schema`: the JSON Schemas of what people write and of what datadiet writes."""

import json
import sys

from datadiet_cli.config.registry import STEPS
from datadiet_cli.config.schema import pipeline_schema, step_schema
from datadiet_cli.config.words import suggestion
from datadiet_cli.errors import ConfigError, ExitCode
from datadiet_cli.report.schema import REPORT_SCHEMA


def schema(of: str) -> int:
    """Print the schema of ``pipeline`` files, of ``report`` documents, or of a step's settings file.

    Raises:
        ConfigError: there is no such schema.
    """
    known = ["pipeline", "report", *STEPS]
    if of not in known:
        raise ConfigError(f"schema {of}: no such schema{suggestion(of, known) or '; there are ' + ', '.join(known)}")
    if of == "report":
        document = REPORT_SCHEMA
    elif of == "pipeline":
        document = pipeline_schema()
    else:
        document = step_schema(of)
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return ExitCode.DONE
