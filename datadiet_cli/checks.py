"""What must hold before any work is done: nothing may endanger INPUT, what else is read, or what is there already."""

import json
import os
from collections.abc import Sequence

from datadiet_cli.config.base import Common
from datadiet_cli.config.registry import spec_of
from datadiet_cli.data.mirror import exists, is_folder, local, named, real
from datadiet_cli.data.places import is_url
from datadiet_cli.data.publish import check_apart, check_output
from datadiet_cli.data.stores import check_root, check_writable
from datadiet_cli.errors import ConfigError, OutputError
from datadiet_cli.report.build import ARTEFACTS, artefacts_of, report_path
from datadiet_cli.report.pages import check_page, is_page, page_path
from datadiet_cli.request import Request

SCORES = ".scores.parquet"
"""How the file of a step ends that is OUTPUT where scores are what is made."""


def check(request: Request, output: str, read: list[str]) -> None:
    """Refuse whatever would endanger INPUT, what else is read, or what is there already."""
    for place in (*request.intermediate, output):
        look = _check_store if is_url(place) else check_output
        look(request.input, place, force=request.force or _ours(request))
    # What stands beside an OUTPUT that is replaced goes with it.
    beside = [output.rstrip("/") + ending for ending in ARTEFACTS]
    for path in read:
        for place in (*request.intermediate, output, *beside):
            check_apart(path, place, path)
    _check_suffix(request)
    _check_beside(request)
    if request.common.html:
        _check_page(page_path(report_of(request, output)), force=request.force)


def check_reach(request: Request) -> None:
    """Refuse a store for OUTPUT that can only be read, and workers that cannot see INPUT."""
    if request.output is not None and is_url(request.output):
        check_writable(request.output)
    engine = request.common.engine
    alone = engine in ("threads", "serial") or (engine == "dask" and request.common.scheduler == "inproc")
    if is_url(request.input) and not alone and request.input.lower().startswith("memory:"):
        raise ConfigError(f"--engine {engine}: {request.input} is known to this process alone; use --engine threads")


def check_shared(common: Common, source: str, read: Sequence[str] = ()) -> None:
    """Refuse a folder for temporary files that lies in INPUT, or in what else is read: nothing is written there.

    Raises:
        ConfigError: it does.
    """
    shared = common.shared_dir
    if shared is None:
        return
    for path, name in [(source, "INPUT"), *((path, named(path)) for path in read)]:
        if (real(shared) + os.sep).startswith(real(path).rstrip(os.sep) + os.sep):
            raise ConfigError(f"--shared-dir {shared}: lies in {name}, which is never written to; name another folder")


def _check_store(source: str, output: str, *, force: bool) -> None:
    """Refuse an OUTPUT in a store that would endanger INPUT or what is there already, before any work is done.

    Raises:
        OutputError: OUTPUT exists (without `force`), is INPUT, lies inside it or around it, names no place in a store,
            or one that can only be read.
        OSError: the store cannot be asked.
    """
    check_writable(output)
    parts = output.rstrip("/").partition("://")[2].strip("/").split("/")
    if len(parts) < 2 or not {"", ".", ".."}.isdisjoint(parts):
        raise OutputError(f"OUTPUT is {output!r}; name the folder or file itself, such as s3://bucket/name")
    check_apart(source, output, "INPUT")
    check_root(output)
    if not force and exists(output):
        raise OutputError(f"{output}: exists already; name another OUTPUT or pass --force to replace it")


def _check_page(path: str, *, force: bool) -> None:
    if not is_url(path):
        check_page(path, force=force)
    elif not force and exists(path) and not is_page(path):
        raise OutputError(f"{path}: exists already, and is no report of datadiet; name another OUTPUT, or pass --force")


def report_of(request: Request, output: str) -> str:
    """The file of the report."""
    return output if request.product == "report" else report_path(output)


def check_device(common: Common) -> None:
    """Refuse a GPU where there is none; a cluster knows by itself what its workers have."""
    if common.device == "cuda" and common.engine != "dask":
        import torch

        if not torch.cuda.is_available():
            raise ConfigError("--device cuda: there is no CUDA device here; use auto or cpu")


def _ours(request: Request) -> bool:
    """Whether OUTPUT is of an earlier run, and to be made again."""
    if not request.rerun or request.output is None:
        return False
    if request.product != "report":
        return exists(report_path(request.output))
    try:
        with open(local(request.output), "rb") as file:
            return bool(json.load(file)["command"] == request.command)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_suffix(request: Request) -> None:
    if request.product == "scores" and not str(request.output).endswith(SCORES):
        raise OutputError(f"{request.output}: the scores of a shard are a file; give it a name that ends in {SCORES}")
    if request.product != "dataset":
        return
    away = next((path for path in (request.input, str(request.output)) if is_url(path)), None)
    if away is not None and request.common.link != "copy":
        raise ConfigError(
            f"--link {request.common.link}: {named(away)} lies in a store, where nothing is linked; use copy"
        )
    given, wanted = (
        os.path.splitext(str(path).rstrip("/"))[1].lower() for path in (request.output, named(request.input))
    )
    if not is_folder(request.input) and given != wanted:
        raise OutputError(f"{request.output}: OUTPUT keeps the format of INPUT; give it a name that ends in {wanted}")
    if not is_folder(request.input) and request.common.link != "copy":
        raise ConfigError(f"--link {request.common.link}: a single file is written anew and cannot be a link; use copy")


def _check_beside(request: Request) -> None:
    """What stands where a step's model is to go is replaced only if an earlier run made it, or with --force."""
    if request.output is None or request.product != "dataset" or request.force:
        return
    for ending in {folder for step in request.steps if (folder := spec_of(step.name).folder) is not None}:
        place = request.output.rstrip("/") + ending
        if exists(place) and ending not in artefacts_of(request.output):
            raise OutputError(f"{place}: exists already; name another OUTPUT or pass --force to replace it")
