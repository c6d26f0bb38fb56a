"""The JSON Schema of a report. Version 1; a reader may rely on every field named here."""

from typing import Any

from datadiet_cli import digestfile
from datadiet_cli.config.pipeline import RATES
from datadiet_cli.outcome import FIGURES, Action
from datadiet_cli.report.build import REPORT_VERSION
from datadiet_cli.report.comparisons import COLUMNS
from datadiet_cli.report.verdicts import VERDICT_COLUMNS

_DONE = ("added", "relabelled", "imputed", "flagged")
_COUNT = {"type": "integer", "minimum": 0}
_COUNTS = {"type": "object", "additionalProperties": _COUNT}
_TEXT = {"type": "string"}
_OPTIONAL_TEXT = {"type": ["string", "null"]}
_OPTIONAL_NUMBER = {"type": ["number", "null"]}
_SHARE_OR_COUNT = {"type": "number"}


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = (), more: bool = False) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": more}


_CENSUS = {
    "samples": {**_COUNT, "description": "number of samples"},
    "bytes": {**_COUNT, "description": "size of the samples"},
    "classes": {**_COUNTS, "description": "samples of each class"},
    "splits": {**_COUNTS, "description": "samples of each split"},
}
_VERDICT = _object(
    {
        "step": {**_TEXT, "description": "the step that decided"},
        "step_number": {**_COUNT, "description": "its place in the pipeline; 0 is the opening of INPUT"},
        "id": {**_TEXT, "description": "the sample: its path relative to INPUT, its record number, or its id cell"},
        "action": {"enum": [str(action) for action in Action]},
        "reason": {**_TEXT, "description": "a short code"},
        "score": {**_OPTIONAL_NUMBER, "description": "how strongly the reason holds, in the unit of the threshold"},
        "threshold": {**_OPTIONAL_NUMBER, "description": "the limit that the score was compared with"},
        "witness": {**_OPTIONAL_TEXT, "description": "the sample it was compared with"},
        "detail": {**_OPTIONAL_TEXT, "description": "further words, or the cause why a sample could not be read"},
        "evidence": {
            "type": ["object", "null"],
            "description": "what else the verdict rests on, by the step and reason",
        },
    }
)
if tuple(_VERDICT["properties"]) != VERDICT_COLUMNS:
    raise RuntimeError("the report's schema and its verdicts disagree")

_COLUMN = _object(
    {
        "step": _TEXT,
        "step_number": _COUNT,
        "column": {**_TEXT, "description": "a column of a table, or a dimension of vectors such as image[17]"},
        "action": {"enum": ["keep", "drop", "make"]},
        "reason": {**_TEXT, "description": "the method that decided, or a short code"},
        "score": {**_OPTIONAL_NUMBER, "description": "the higher the more worth keeping"},
        "rank": {"type": ["integer", "null"], "description": "1 is the column most worth keeping"},
        "threshold": {**_OPTIONAL_NUMBER, "description": "the limit that the score was compared with"},
        "witness": {**_OPTIONAL_TEXT, "description": "the column that makes this one redundant"},
        "frequency": {**_OPTIONAL_NUMBER, "description": "share of the bootstraps that kept it"},
        "detail": _OPTIONAL_TEXT,
    }
)

_COMPARISONS = _object(
    {
        "threshold": {"type": "number", "description": "the largest distance of copies"},
        "reach": {"type": "number", "description": "pairs up to this distance are all here"},
        "threshold_name": {**_TEXT, "description": "the setting that the threshold comes from"},
        "floor_name": {**_TEXT, "description": "the setting that the floor comes from"},
        "similar": {"type": "boolean", "description": "scores are told as similarities, one less the distance"},
        "complete": {"type": "boolean", "description": "all candidates are here, not only those a decision hung on"},
        "floor": {**_OPTIONAL_NUMBER, "description": "the least agreement of copies"},
        "count": _COUNT,
        "file": {**_OPTIONAL_TEXT, "description": "a Parquet file beside the report that holds very many pairs"},
        "columns": {"const": list(COLUMNS)},
        "pairs": {"type": "array", "items": {"type": "array", "minItems": len(COLUMNS), "maxItems": len(COLUMNS)}},
    }
)

_DIGEST = _object(
    {
        "path": {**_TEXT, "description": "relative to INPUT or OUTPUT; . for a table; or the end of a name"},
        "bytes": _COUNT,
        "digest": {**_OPTIONAL_TEXT, "description": "32 hexadecimal digits; null for what could not be read"},
        "where": {"enum": [digestfile.INPUT, digestfile.OUTPUT, digestfile.BOTH, digestfile.BESIDE]},
    }
)
_CHECK = {**_OPTIONAL_TEXT, "description": "the digest of that file"}
_DIGESTS = _object(
    {
        "algorithm": {"const": digestfile.ALGORITHM},
        "count": _COUNT,
        "file": {**_OPTIONAL_TEXT, "description": "a Parquet file beside the report that holds very many"},
        "check": _CHECK,
        "files": {"type": "array", "items": _DIGEST},
    }
)
_CHANGES = _object(
    {
        "count": {**_COUNT, "description": "cells, labels, samples and columns"},
        "file": {**_OPTIONAL_TEXT, "description": "a JSON file beside the report; null if they are too many"},
        "check": _CHECK,
    }
)

REPORT_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "datadiet report",
    **_object(
        {
            "report_version": {"const": REPORT_VERSION},
            "datadiet": {**_TEXT, "description": "version of datadiet"},
            "command": {**_TEXT, "description": "the subcommand"},
            "exit_code": _COUNT,
            "published": {"type": "boolean", "description": "whether OUTPUT was written"},
            "input": _object(
                {
                    "path": _TEXT,
                    "kind": {"enum": ["image", "audio", "text", "file", "row"]},
                    "layout": _TEXT,
                    **_CENSUS,
                    "fingerprint": {**_TEXT, "description": "of names and sizes, or of a table's bytes"},
                    "other_files": {**_COUNT, "description": "files carried along that are no samples"},
                    "skipped": {"type": "array", "items": _TEXT, "description": "other files that cannot be copied"},
                    "tables": {**_COUNTS, "description": "records of each table, images of each list"},
                    "label_files": {**_COUNT, "description": "files of labels that belong to an image"},
                    "labels_without_image": {**_COUNT, "description": "files of labels whose image is not there"},
                    "unclear_labels": {**_COUNT, "description": "files of labels that cannot be understood"},
                    "shards": {**_COUNT, "description": "tar files of samples"},
                    "keys_without_content": {
                        **_COUNT,
                        "description": "keys in shards with no member of this kind, carried along",
                    },
                    "left_out": {"type": "array", "items": _TEXT, "description": "caches, which are not copied"},
                    "missing_files": {**_COUNT, "description": "files that a table names but that are not there"},
                    "columns": {"type": "array", "items": _TEXT},
                },
                optional=(
                    "other_files",
                    "skipped",
                    "tables",
                    "label_files",
                    "labels_without_image",
                    "unclear_labels",
                    "shards",
                    "keys_without_content",
                    "left_out",
                    "missing_files",
                    "columns",
                ),
            ),
            "output": _object(
                {
                    "path": _OPTIONAL_TEXT,
                    "what": {"enum": ["dataset", "model", "report", "scores"]},
                    **_CENSUS,
                    "fingerprint": _OPTIONAL_TEXT,
                }
            ),
            "figures": _object(
                {
                    **dict.fromkeys(("removed", "samples", *_DONE, *FIGURES, "accepted", "columns_dropped"), _COUNT),
                    **{name: {"type": "number"} for name in RATES},
                },
                optional=RATES,
            ),
            "settings": {"type": "object", "description": "the effective common settings"},
            "steps": {
                "type": "array",
                "items": _object(
                    {
                        "name": _TEXT,
                        "settings": {"type": "object", "description": "the effective settings"},
                        "samples_in": _COUNT,
                        "samples_out": _COUNT,
                        "verdicts": {
                            "type": "object",
                            "additionalProperties": _COUNTS,
                            "description": "number of verdicts by action and reason",
                        },
                        "metrics": {"type": "object"},
                    }
                ),
            },
            "comparisons": {
                "anyOf": [{"type": "null"}, _COMPARISONS],
                "description": "what the decision rests on, enough to move a threshold without a look at the samples",
            },
            "gates": {
                "type": "array",
                "items": _object(
                    {"name": _TEXT, "limit": _TEXT, "value": _SHARE_OR_COUNT, "passed": {"type": "boolean"}}
                ),
            },
            "verdicts_count": _COUNT,
            "verdicts_file": {
                **_OPTIONAL_TEXT,
                "description": "a Parquet file beside the report that holds the verdicts when they are very many",
            },
            "verdicts": {"type": "array", "items": _VERDICT},
            "columns": {
                "type": "array",
                "items": _COLUMN,
                "description": "what became of each column that a step looked at",
            },
            "artefacts": {
                "type": "array",
                "items": _TEXT,
                "description": "ends of the names of further files that stand beside the output",
            },
            "digests": {
                "anyOf": [{"type": "null"}, _DIGESTS],
                "description": "what every file of INPUT and OUTPUT held; null if nothing was published",
            },
            "changes": {
                "anyOf": [{"type": "null"}, _CHANGES],
                "description": "what steps changed besides dropping samples; null for nothing",
            },
            "environment": {"type": "object", "description": "versions, and who did the work"},
            "run": {"type": "object", "description": "times, and whatever else may differ between equal runs"},
        }
    ),
}
