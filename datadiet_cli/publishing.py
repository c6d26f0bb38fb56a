"""Write what came of a run: the dataset or the model at OUTPUT, and what stands beside it."""

import os
import shutil
from collections.abc import Callable, Mapping

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.fingerprint import fingerprint
from datadiet_cli.data.publish import Stage
from datadiet_cli.report.build import forget_report
from datadiet_cli.request import Progress, Request


def publish_dataset(request: Request, output: str, dataset: Dataset, progress: Progress) -> str:
    """Write a dataset to OUTPUT, whole or not at all, and give its fingerprint."""

    def write(path: str) -> None:
        dataset.source.write(dataset.rows, path, request.common.link)

    return _publish(request, output, write, progress, directory=os.path.isdir(request.input))


def publish_folder(request: Request, output: str, made: str, progress: Progress) -> str:
    """Write a folder that a step made to OUTPUT, whole or not at all, and give its fingerprint."""
    return _publish(request, output, lambda path: _copy(made, path), progress, directory=True)


def publish_file(request: Request, output: str, content: bytes, progress: Progress) -> str:
    """Write a file that a step made to OUTPUT, whole or not at all, and give its fingerprint."""

    def write(path: str) -> None:
        with open(path, "wb") as file:
            file.write(content)

    return _publish(request, output, write, progress, directory=False)


def publish_beside(output: str, folders: Mapping[str, str]) -> None:
    """Write folders that steps made beside OUTPUT, in the place of those of an earlier run."""
    for ending, made in folders.items():
        with Stage(output.rstrip("/") + ending, directory=True) as stage:
            _copy(made, stage.path)
            stage.sync()
            stage.commit(force=True)


def _copy(made: str, path: str) -> None:
    """Copy what is in a folder into another one; the first failure ends it."""
    for entry in os.scandir(made):
        target = os.path.join(path, entry.name)
        if entry.is_dir(follow_symlinks=False):
            os.mkdir(target)
            _copy(entry.path, target)
        else:
            shutil.copyfile(entry.path, target)


def _publish(
    request: Request, output: str, write: Callable[[str], None], progress: Progress, *, directory: bool
) -> str:
    progress("writing", 0)
    force = request.force or request.rerun
    try:
        with Stage(output, directory=directory) as stage:
            write(stage.path)
            digest = fingerprint(stage.path)
            stage.sync()
            if not force:
                stage.check_free()
            # From here until the new report is there, nothing may claim that OUTPUT is complete.
            forget_report(output)
            stage.commit(force=force)
    except OSError as error:
        # A full disk has no name of its own, and that of the stage means nothing to anybody.
        raise OSError(error.errno, error.strerror, error.filename or output) from error
    return digest
