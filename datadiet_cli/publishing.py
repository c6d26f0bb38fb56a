"""Write what came of a run: the dataset or the model at OUTPUT, and what stands beside it."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from datadiet_cli.data.copying import LEAVE
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.fingerprint import fingerprint, of_entries
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.mirror import is_folder
from datadiet_cli.data.publish import Stage
from datadiet_cli.data.scan import Entry, scan
from datadiet_cli.digests import ITSELF, NOTHING, Content, Contents, contents_at, contents_of, copied_files
from datadiet_cli.recording import reader
from datadiet_cli.report.build import forget_report, report_path
from datadiet_cli.report.pages import forget_page
from datadiet_cli.request import Progress, Request

T = TypeVar("T")


@dataclass(frozen=True)
class Published:
    """What was written.

    Attributes:
        fingerprint: of names and sizes, or of a file's bytes.
        contents: the digests of all files.
        left: files of OUTPUT that were not written here, but are to be copied within the store that INPUT lies in.
    """

    fingerprint: str
    contents: Contents
    left: Mapping[str, Entry] = field(default_factory=dict)


def publish_dataset(
    request: Request, output: str, dataset: Dataset, progress: Progress, known: Contents | None
) -> Published:
    """Write a dataset to OUTPUT, whole or not at all, and say what it holds.

    Args:
        request: what was asked for.
        output: OUTPUT.
        dataset: the dataset.
        progress: announces work.
        known: files of INPUT whose digests are known; None to take no digests.
    """
    linked: dict[str, Content] | None = None if known is None else {}
    if known and request.common.link != "copy":
        # A real copy is read, which finds what went wrong; a link is the file itself.
        linked = {copy: known[path] for path, copy in copied_files(dataset).items() if path in known}

    source = dataset.source
    left = source.left(dataset.rows) if request.leaves and isinstance(source, FolderSource) else {}

    def write(path: str) -> None:
        source.write(dataset.rows, path, LEAVE if request.leaves else request.common.link)

    made = _publish(request, output, write, progress, directory=is_folder(request.input), known=linked)
    return made if not left else _with_left(request, made, output, left, known, progress)


def _with_left(
    request: Request,
    made: Published,
    output: str,
    left: Mapping[str, Entry],
    known: Contents | None,
    progress: Progress,
) -> Published:
    """Add what is copied within a store to what was written here."""
    entries = [entry._replace(path=path) for path, entry in left.items()]
    both = sorted((*scan(output).entries, *entries), key=lambda entry: entry.path)
    if known is None:
        return Published(of_entries(both), {}, left)
    contents = {path: known[entry.path] for path, entry in left.items() if entry.path in known}
    with reader(request.common) as engine:
        rest = contents_of("", [entry for entry in entries if entry.path not in contents], engine, progress)
    return Published(of_entries(both), {**made.contents, **contents, **rest}, left)


def publish_folder(request: Request, output: str, made: str, progress: Progress) -> Published:
    """Write a folder that a step made to OUTPUT, whole or not at all, and say what it holds."""
    return _publish(request, output, lambda path: _copy(made, path), progress, directory=True)


def publish_file(request: Request, output: str, content: bytes, progress: Progress) -> Published:
    """Write a file that a step made to OUTPUT, whole or not at all, and say what it holds."""

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
    request: Request,
    output: str,
    write: Callable[[str], None],
    progress: Progress,
    *,
    directory: bool,
    known: Contents | None = NOTHING,
) -> Published:
    def look(path: str) -> Published:
        if not directory:
            found = fingerprint(path)
            return Published(found, {ITSELF: Content(os.path.getsize(path), found)})
        if known is None:
            return Published(fingerprint(path), {})
        with reader(request.common) as engine:
            return Published(fingerprint(path), contents_at(path, engine, progress, follow=True, known=known))

    progress("writing", 0)
    return put(output, write, look, directory=directory, force=request.force or request.rerun)


def put(output: str, write: Callable[[str], None], look: Callable[[str], T], *, directory: bool, force: bool) -> T:
    """Write something to OUTPUT, whole or not at all.

    Args:
        output: where to.
        write: writes it under a name that it is given, a folder that is there or a file that is not.
        look: looks at what was written, and may raise an error, before anybody else sees it.
        directory: whether it is a folder.
        force: whether what is there is replaced.

    Returns:
        What `look` gave.
    """
    try:
        with Stage(output, directory=directory) as stage:
            write(stage.path)
            found = look(stage.path)
            stage.sync()
            if not force:
                stage.check_free()
            # From here until the new report is there, nothing may claim that OUTPUT is complete.
            forget_report(output)
            forget_page(report_path(output))
            stage.commit(force=force)
    except OSError as error:
        # A full disk has no name of its own, and that of the stage means nothing to anybody.
        raise OSError(error.errno, error.strerror, error.filename or output) from error
    return found
