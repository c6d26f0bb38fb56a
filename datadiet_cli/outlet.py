"""An OUTPUT in a store: it is made on this machine, and then sent, the report last.

A store can rename nothing, so that what is there grows object by object. Readers go by the report: it is sent when all
else is there, and the one of an OUTPUT that is replaced goes first of all.
"""

import json
import os
from collections.abc import Mapping, Sequence, Set
from typing import Any

from datadiet_cli import changesfile, digestfile
from datadiet_cli.data import stores, transfer
from datadiet_cli.data.mirror import local, new_folder
from datadiet_cli.data.places import Place
from datadiet_cli.data.scan import Entry, scan
from datadiet_cli.errors import OutputError
from datadiet_cli.report.build import ARTEFACTS
from datadiet_cli.report.pages import is_page, page_path
from datadiet_cli.request import Progress

_BESIDE = (*ARTEFACTS, digestfile.ENDING, changesfile.ENDING, ".verdicts.parquet", ".compared.parquet")


class Outlet:
    """What is to go to a store.

    Args:
        url: OUTPUT.
        intermediate: URLs where the datasets between the steps go, if they do.

    Attributes:
        stage: where OUTPUT is made on this machine; what is to stand beside it is made beside that.
    """

    def __init__(self, url: str, intermediate: Sequence[str] = ()) -> None:
        self._url = url.rstrip("/")
        self._intermediate = intermediate
        self._parent, _, name = self._url.rpartition("/")
        self._room = new_folder()
        self.stage = os.path.join(self._room, name)
        self._left: dict[str, Entry] = {}

    def leave(self, place: str, files: Mapping[str, Entry]) -> None:
        """Note objects of INPUT that are copied within the store: their paths in a place of the stage."""
        name = os.path.basename(place.rstrip("/"))
        self._left.update({f"{name}/{path}": entry for path, entry in files.items()})

    def publish(self, report: str, progress: Progress, *, force: bool) -> None:
        """Send it all, whole or not at all.

        Args:
            report: the file of the stage that says what OUTPUT is; it is sent last.
            progress: announces work.
            force: whether what is there is replaced.

        Raises:
            OutputError: OUTPUT appeared in the meantime, or an object of INPUT changed.
            OSError: the store cannot be written.
        """
        made = {entry.path: entry.size for entry in scan(self._room).entries}
        manifest = os.path.relpath(report, self._room)
        old = self._old(manifest)
        if old and not force:
            raise OutputError(f"{self._url}: appeared while the copy was made; nothing replaced")
        new = [self._at(name) for name in (*made, *self._left)]
        tell = progress("sending", len(new))
        try:
            # From here until the new report is there, nothing may claim that OUTPUT is complete.
            transfer.delete([self._at(manifest)])
            data = [(os.path.join(self._room, name), self._at(name)) for name in made if name != manifest]
            transfer.put(data, tell)
            transfer.copy([(_url_of(entry), self._at(path)) for path, entry in self._left.items()], tell)
            self._check({path: entry.size for path, entry in self._left.items()})
            transfer.put([(report, self._at(manifest))], tell)
        except BaseException:
            self._take_back(set(new) - set(old))
            raise
        gone = sorted(set(old) - set(new))
        transfer.delete(gone)
        transfer.prune(gone, self._url)

    def _take_back(self, sent: Set[str]) -> None:
        """Delete what was sent and replaced nothing."""
        tops = {url.removeprefix(self._parent).split("/")[1] for url in sent}
        try:
            there = {url for top in tops for url in _objects(self._at(top))}
            transfer.delete(sorted(there & sent))
            transfer.prune(sent, self._url)
        except OSError as error:
            raise OutputError(
                f"{self._url}: could not be sent whole, nor what was sent be deleted ({error.strerror or error}); "
                "it has no report, and is to be deleted by hand"
            ) from error

    def _check(self, sizes: Mapping[str, int]) -> None:
        """Check that objects that were copied within the store are as long as they were when they were read."""
        for folder in {path.partition("/")[0] for path in sizes}:
            found = {f"{folder}/{one.name}": one.size for one in stores.list_objects(self._at(folder))}
            changed = [
                path for path, size in sizes.items() if path.startswith(f"{folder}/") and found.get(path) != size
            ]
            if changed:
                raise OutputError(f"{self._at(changed[0])}: is not what was read; run again when INPUT is quiet")

    def _old(self, manifest: str) -> list[str]:
        """What is there of an earlier OUTPUT: its objects, those between its steps, and those that its report names."""
        report = self._at(manifest)
        found = [url for place in (self._url, report, *self._intermediate) for url in _objects(place)]
        try:
            with open(local(report), "rb") as file:
                document: dict[str, Any] = json.load(file)
            blocks = [document.get(key) or {} for key in ("digests", "changes", "comparisons")]
            named = {str(block.get("file")) for block in blocks} | {str(document.get("verdicts_file"))}
            named |= {self._name(ending) for ending in document.get("artefacts", ())}
        except (OSError, ValueError, AttributeError, TypeError):
            return sorted(set(found))
        for ending in _BESIDE:
            if self._name(ending) in named:
                found += _objects(self._at(self._name(ending)))
        page = page_path(report)
        if stores.kind_of(page) == "file" and is_page(page):
            found.append(page)
        return sorted(set(found))

    def _name(self, ending: str) -> str:
        return os.path.basename(self._url) + ending

    def _at(self, name: str) -> str:
        return f"{self._parent}/{name}"


def _objects(url: str) -> list[str]:
    kind = stores.kind_of(url)
    if kind == "folder":
        return [f"{url}/{one.name}" for one in stores.list_objects(url)]
    return [url] if kind == "file" else []


def _url_of(entry: Entry) -> str:
    place = Place.of(str(entry.place))
    assert place is not None  # noqa: S101 - only what has a place is left
    return place.file
