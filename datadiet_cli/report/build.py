"""From outcomes to the report: one JSON document beside OUTPUT, the same for the same run but for its `run` block."""

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli import __version__, changesfile, digestfile
from datadiet_cli.config.base import Common
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.mirror import named
from datadiet_cli.data.publish import write_atomically
from datadiet_cli.gates import Gate
from datadiet_cli.outcome import FIGURES, Action, Verdicts, unique
from datadiet_cli.report import comparisons
from datadiet_cli.report.verdicts import Rows, StepResult, names_of
from datadiet_cli.transformfile import transform_files

REPORT_VERSION = 1
INLINE_VERDICTS = 10_000
ARTEFACTS = (
    ".weights.csv",
    ".class_weights.json",
    ".features.parquet",
    ".scores.parquet",
    ".transform.json",
    ".transform.safetensors",
    ".model",
    ".pruned",
    ".layers.csv",
    ".sensitivity.csv",
)
"""Ends of the names of files and folders that steps may want beside OUTPUT."""
NO_RECORD: Mapping[str, Any] = MappingProxyType({})
PACKAGES = ("imagehash", "numpy", "pillow", "polars", "rapidfuzz", "scikit-learn", "scipy", "soundfile", "torch")


def report_path(output: str) -> str:
    """Where the report of OUTPUT stands."""
    return output.rstrip("/") + ".report.json"


def _sidecar_path(output: str) -> str:
    return output.rstrip("/") + ".verdicts.parquet"


def _compared_path(output: str) -> str:
    return output.rstrip("/") + ".compared.parquet"


def summarise(before: Dataset, after: Dataset, results: Sequence[StepResult]) -> dict[str, float]:
    """The figures that gates and the summary speak of: numbers of samples or columns, and shares such as accuracy."""
    verdicts = Verdicts.join([result.outcome.verdicts for result in results])
    new, reasons = verdicts.action != Action.ACCEPT, verdicts.reason.astype(str)

    def count(mask: NDArray[np.bool_]) -> int:
        return len(unique(verdicts.sample[mask & new]))

    return {
        "removed": len(np.setdiff1d(before.rows, after.rows, assume_unique=True)),
        "samples": len(after),
        "added": count(verdicts.action == Action.ADD),
        "relabelled": count(verdicts.action == Action.RELABEL),
        "imputed": count(verdicts.action == Action.IMPUTE),
        "flagged": count(verdicts.action == Action.FLAG),
        **{name: count(np.isin(reasons, of)) for name, of in FIGURES.items()},
        "accepted": len(unique(verdicts.sample[~new])),
        "columns_dropped": sum(column.action == "drop" for result in results for column in result.outcome.columns),
        **{name: value for result in results for name, value in result.outcome.figures.items()},
    }


@dataclass(frozen=True)
class Report:
    """Everything a report is made of."""

    command: str
    input: str
    output: str | None
    product: str
    common: Common
    before: Dataset
    after: Dataset
    results: Sequence[StepResult]
    gates: Sequence[Gate]
    made: Mapping[str, int] = field(default_factory=dict)
    """Of OUTPUT where it is no dataset: its ``bytes``."""
    engine: Mapping[str, Any] = field(default_factory=dict)
    """Who did the work."""

    def document(
        self, *, exit_code: int, fingerprint: str | None, run: Mapping[str, Any], record: Mapping[str, Any] = NO_RECORD
    ) -> dict[str, Any]:
        """The report as JSON values, with all verdicts inline.

        Args:
            exit_code: of the process.
            fingerprint: of OUTPUT as published, None if nothing was.
            run: what differs between two equal runs: times.
            record: ``digests`` of all files, and ``changes``, if something was published.
        """
        source, settings = self.before.source, self.common.model_dump(mode="json")
        return {
            "report_version": REPORT_VERSION,
            "datadiet": __version__,
            "command": self.command,
            "exit_code": int(exit_code),
            "published": fingerprint is not None,
            "input": {
                "path": self.input,
                "kind": source.kind,
                "layout": source.layout,
                **census(self.before),
                **source.facts(),
                "fingerprint": source.fingerprint(),
            },
            "output": {
                "path": self.output,
                "what": self.product,
                **census(self.after),
                **self.made,
                "fingerprint": fingerprint,
            },
            "figures": summarise(self.before, self.after, self.results),
            "settings": told(settings, _addresses(settings)),
            "steps": [_step(result) for result in self.results],
            "comparisons": self._comparisons(),
            "gates": [gate.as_json() for gate in self.gates],
            "verdicts_count": sum(len(result.outcome.verdicts) for result in self.results),
            "verdicts_file": None,
            "verdicts": Rows(self.after, self.results),
            "columns": [
                {"step": result.name, "step_number": number, **asdict(column)}
                for number, result in enumerate(self.results)
                for column in result.outcome.columns
            ],
            "artefacts": sorted([*self.artefacts, *self.folders]),
            "digests": record.get("digests"),
            "changes": record.get("changes"),
            "environment": {**environment(), "engine": dict(self.engine)},
            "run": {
                **run,
                "steps": [
                    {"seconds": round(r.seconds, 3), "resumed": r.resumed, "timings": dict(r.outcome.timings)}
                    for r in self.results
                ],
            },
        }

    @property
    def artefacts(self) -> dict[str, bytes]:
        """Further files to stand beside OUTPUT, by the end of their names; of several the last step's."""
        if self.product == "scores":
            return {}
        found = {ending: content for result in self.results for ending, content in result.outcome.artefacts.items()}
        transforms = [result.outcome.transform for result in self.results if result.outcome.transform is not None]
        return found | transform_files(transforms, self.before.kind)

    @property
    def folders(self) -> dict[str, str]:
        """Folders to stand beside OUTPUT, by the end of their names; none where one of them is OUTPUT."""
        if self.product != "dataset":
            return {}
        return {ending: made for result in self.results for ending, made in result.outcome.folders.items()}

    def _comparisons(self) -> dict[str, Any] | None:
        """What the only step compared; among several steps the later ones depend on what the earlier decided.

        A decision made again adds nothing to what its report says, and may have looked at less of it.
        """
        outcome = self.results[-1].outcome
        if len(self.results) != 2 or outcome.comparisons is None or self.command == "rethreshold":
            return None
        past = outcome.comparisons
        names = [names_of(self.before, outcome, codes) for codes in (past.sample, past.other)]
        return comparisons.told(past, [str(name) for name in names[0]], names[1])


def census(dataset: Dataset) -> dict[str, Any]:
    """Count a dataset: samples, bytes, samples of each class and split; an image of several classes counts for each."""

    def counts(codes: NDArray[np.integer[Any]], names: Sequence[str]) -> dict[str, int]:
        found = np.bincount(codes[codes >= 0], minlength=len(names))
        return {name: int(n) for name, n in zip(names, found, strict=True)}

    _, labels, classes = dataset.memberships()
    return {
        "samples": len(dataset),
        "bytes": int(dataset.bytes.sum()),
        "classes": counts(labels, classes),
        "splits": counts(dataset.splits, dataset.split_names),
    }


def environment() -> dict[str, Any]:
    """Versions of what took part, as far as installed."""
    packages = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            packages[name] = metadata.version(name)
    return {"python": platform.python_version(), "platform": platform.platform(), "packages": packages}


def _step(result: StepResult) -> dict[str, Any]:
    verdicts = result.outcome.verdicts
    counts: dict[str, dict[str, int]] = {}
    # A handful of reasons among perhaps a million verdicts: an array operation each beats a loop over them.
    for reason in set(verdicts.reason.tolist()):
        of_reason = verdicts.action[verdicts.reason == reason]
        for action in set(of_reason.tolist()):
            counts.setdefault(str(action), {})[reason] = int((of_reason == action).sum())
    addresses = _addresses(result.settings)
    return {
        "name": result.name,
        "settings": told(result.settings, addresses),
        "samples_in": result.samples_in,
        "samples_out": len(result.after),
        "verdicts": {action: dict(sorted(reasons.items())) for action, reasons in sorted(counts.items())},
        "metrics": told(result.outcome.metrics, addresses),
    }


def _addresses(value: Any) -> dict[str, str]:
    """The URLs among settings -> how people may see them, without what may be a secret."""
    if isinstance(value, str):
        return {value: named(value)} if named(value) != value else {}
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return {url: shown for one in inner for url, shown in _addresses(one).items()}


def told(value: Any, addresses: Mapping[str, str]) -> Any:
    """A JSON value with addresses as people may see them, where a text is just that; keys too."""
    if isinstance(value, str):
        return addresses.get(value, value)
    if isinstance(value, Mapping):
        return {addresses.get(key, key): told(inner, addresses) for key, inner in value.items()}
    return [told(inner, addresses) for inner in value] if isinstance(value, list | tuple) else value


def write_report(output: str, document: Mapping[str, Any]) -> None:
    """Write the report of OUTPUT, after its sidecars if there is too much for one readable file."""
    rows, block = document["verdicts"], document["comparisons"]
    if block is not None and block["count"] > INLINE_VERDICTS:
        sidecar = _compared_path(output)
        write_atomically(sidecar, comparisons.to_parquet(block["pairs"]))
        document = {**document, "comparisons": {**block, "pairs": [], "file": os.path.basename(sidecar)}}
    if isinstance(rows, Rows) and document["verdicts_count"] > INLINE_VERDICTS:
        sidecar = _sidecar_path(output)
        write_atomically(sidecar, rows.parquet())
        document = {**document, "verdicts": [], "verdicts_file": os.path.basename(sidecar)}
    elif isinstance(rows, Rows):
        document = {**document, "verdicts": rows.listed()}
    write_atomically(report_path(output), json.dumps(document, indent=2).encode("ascii") + b"\n")


def write_artefacts(output: str, artefacts: Mapping[str, bytes]) -> None:
    """Write what steps want beside OUTPUT, by the end of each name."""
    for ending, content in artefacts.items():
        write_atomically(output.rstrip("/") + ending, content)


def artefacts_of(output: str) -> list[str]:
    """The artefacts that the report of OUTPUT names: any other file of such a name is somebody else's."""
    try:
        with open(report_path(output), "rb") as file:
            named = json.load(file)["artefacts"]
        return [ending for ending in ARTEFACTS if ending in named]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _records_of(output: str) -> list[str]:
    """The ends of the names of the files that the report of OUTPUT has its digests and changes in."""
    endings = {"digests": digestfile.ENDING, "changes": changesfile.ENDING}
    try:
        with open(report_path(output), "rb") as file:
            document = json.load(file)
        return [ending for key, ending in endings.items() if (document.get(key) or {}).get("file") is not None]
    except (OSError, ValueError, AttributeError):
        return []


def forget_report(output: str) -> None:
    """Remove the report of an OUTPUT that is about to be replaced."""
    beside = [output.rstrip("/") + ending for ending in (*artefacts_of(output), *_records_of(output))]
    for path in (report_path(output), _sidecar_path(output), _compared_path(output), *beside):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
