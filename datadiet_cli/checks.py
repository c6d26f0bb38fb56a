"""What must hold before any work is done: nothing may endanger INPUT, what else is read, or what is there already."""

import json
import os

from datadiet_cli.config.registry import spec_of
from datadiet_cli.data.publish import check_apart, check_output
from datadiet_cli.errors import ConfigError, OutputError
from datadiet_cli.report.build import ARTEFACTS, artefacts_of, report_path
from datadiet_cli.report.pages import check_page, page_path
from datadiet_cli.request import Request

SCORES = ".scores.parquet"
"""How the file of a step ends that is OUTPUT where scores are what is made."""


def check(request: Request, output: str, read: list[str]) -> None:
    """Refuse whatever would endanger INPUT, what else is read, or what is there already."""
    for place in (*request.intermediate, output):
        check_output(request.input, place, force=request.force or _ours(request))
    # What stands beside an OUTPUT that is replaced goes with it.
    beside = [output.rstrip("/") + ending for ending in ARTEFACTS]
    for path in read:
        for place in (*request.intermediate, output, *beside):
            check_apart(path, place, path)
    _check_suffix(request)
    _check_beside(request)
    if request.common.html:
        check_page(page_path(report_of(request, output)), force=request.force)


def report_of(request: Request, output: str) -> str:
    """The file of the report."""
    return output if request.product == "report" else report_path(output)


def check_device(device: str) -> None:
    """Refuse a GPU where there is none."""
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ConfigError("--device cuda: there is no CUDA device here; use auto or cpu")


def _ours(request: Request) -> bool:
    """Whether OUTPUT is of an earlier run, and to be made again."""
    if not request.rerun or request.output is None:
        return False
    if request.product != "report":
        return os.path.exists(report_path(request.output))
    try:
        with open(request.output, "rb") as file:
            return bool(json.load(file)["command"] == request.command)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_suffix(request: Request) -> None:
    if request.product == "scores" and not str(request.output).endswith(SCORES):
        raise OutputError(f"{request.output}: the scores of a shard are a file; give it a name that ends in {SCORES}")
    if request.product != "dataset":
        return
    given, wanted = (os.path.splitext(str(path).rstrip("/"))[1].lower() for path in (request.output, request.input))
    if not os.path.isdir(request.input) and given != wanted:
        raise OutputError(f"{request.output}: OUTPUT keeps the format of INPUT; give it a name that ends in {wanted}")
    if not os.path.isdir(request.input) and request.common.link != "copy":
        raise ConfigError(f"--link {request.common.link}: a table is written anew and cannot be a link; use copy")


def _check_beside(request: Request) -> None:
    """What stands where a step's model is to go is replaced only if an earlier run made it, or with --force."""
    if request.output is None or request.product != "dataset" or request.force:
        return
    for ending in {folder for step in request.steps if (folder := spec_of(step.name).folder) is not None}:
        place = request.output.rstrip("/") + ending
        if os.path.lexists(place) and ending not in artefacts_of(request.output):
            raise OutputError(f"{place}: exists already; name another OUTPUT or pass --force to replace it")
