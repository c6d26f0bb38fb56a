"""What samples look like, read when somebody wants to see them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.data.encoding import text_codec
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.data.scan import UNCOPYABLE
from datadiet_cli.data.table import TableSource
from datadiet_cli.data.wording import escaped, text_column
from datadiet_cli.encode.sounds import require_soundfile
from datadiet_cli.engine import Engine
from datadiet_cli.errors import MissingExtraError
from datadiet_cli.report.html.samples import pictures, sounds, texts
from datadiet_cli.report.html.samples.records import Record, read_records

if TYPE_CHECKING:
    import polars as pl

SIDE = 112
"""Pixels of the longest side of a picture."""
NO_SOUND = "to have it drawn: pip install 'datadiet[audio]'"
_CHUNK = 4

Shown = TypeVar("Shown")


class _Kernel(Protocol):
    def __call__(self, paths: Sequence[str], *args: Any) -> Sequence[Any]: ...


class Content:
    """Samples of INPUT by their ids, in the spelling of Parquet; other samples are in no answer.

    Nothing is read before it is asked for, and nothing twice. A sample that is gone, broken or too large is never an
    error: what is wrong with it is told in words in its place.

    Args:
        dataset: INPUT as the report speaks of it; None if it is gone or has changed.
        max_pixels: larger pictures are taken for decompression bombs.
        encoding: of text files; UTF-8 for None.
        workers: threads that read; None for as many as there are cores.
    """

    def __init__(
        self,
        dataset: Dataset | None,
        *,
        max_pixels: int,
        encoding: str | None,
        workers: int | None,
    ) -> None:
        self._dataset, self._max_pixels, self._encoding, self._workers = dataset, max_pixels, encoding, workers
        self._index: pl.DataFrame | None = None
        self._rows: dict[str, int | None] = {}
        self._seen: dict[tuple[str, str], Any] = {}
        self._expected: list[str] = []
        self._columns: set[str] = set()
        self._records: dict[str, Record] = {}

    @property
    def kind(self) -> str | None:
        """``image``, ``audio``, ``text``, ``file`` or ``row``; None without INPUT."""
        return None if self._dataset is None else self._dataset.kind

    @property
    def label(self) -> str | None:
        """The column of labels, of a table that has one."""
        source = None if self._dataset is None else self._dataset.source
        return source.label if isinstance(source, TableSource) else None

    def expect(self, ids: Iterable[str], columns: Iterable[str]) -> None:
        """Say what will be asked for, so that it is read together: a table is read as a whole.

        Args:
            ids: of samples.
            columns: of a table that must be among their cells.
        """
        self._expected += ids
        self._columns.update(columns)

    def known(self, ids: Iterable[str]) -> dict[str, int]:
        """The rows of those samples that INPUT has."""
        wanted = list(dict.fromkeys(map(escaped, ids)))
        self._find([name for name in wanted if name not in self._rows])
        return {name: row for name in wanted if (row := self._rows[name]) is not None}

    def groups(self, ids: Iterable[str]) -> dict[str, tuple[str | None, str | None]]:
        """The class and the split of samples, None for none."""
        found = self.known(ids)
        if self._dataset is None or not found:
            return {}
        data = self._dataset
        places = np.searchsorted(data.rows, list(found.values()))
        labels, splits = data.labels[places].tolist(), data.splits[places].tolist()
        return {
            name: (
                None if label == UNKNOWN else data.classes[label],
                None if split == UNKNOWN else data.split_names[split],
            )
            for name, label, split in zip(found, labels, splits, strict=True)
        }

    def sizes(self, ids: Iterable[str]) -> dict[str, int]:
        """Bytes of samples."""
        found = self.known(ids)
        if self._dataset is None or not found:
            return {}
        sizes = self._dataset.source.sizes()[list(found.values())].tolist()
        return dict(zip(found, sizes, strict=True))

    def pictures(self, ids: Iterable[str], side: int = SIDE) -> dict[str, pictures.Picture]:
        """Thumbnails of pictures, at most `side` pixels on the longest side."""
        return self._files("image", ids, pictures.missing, pictures.thumbnails, side, self._max_pixels)

    def sounds(self, ids: Iterable[str]) -> dict[str, sounds.Sound]:
        """Waveforms and spectrograms of sounds; words instead, where nothing decodes sounds here."""
        if self.kind == "audio" and not _can_hear():
            return dict.fromkeys(self.known(ids), sounds.missing(NO_SOUND))
        return self._files("audio", ids, sounds.missing, sounds.drawn_sounds)

    def texts(self, ids: Iterable[str]) -> dict[str, texts.Text]:
        """Texts of files, from their beginning."""
        codec = text_codec(self._encoding)
        return self._files("text", ids, lambda words: texts.Text(None, words), texts.read_texts, codec, self._encoding)

    def records(self, ids: Iterable[str], columns: Collection[str] = ()) -> dict[str, Record]:
        """Cells of records by column; of a wide table some columns, the named ones among them."""
        found = self.known(ids)
        source = None if self._dataset is None else self._dataset.source
        if not isinstance(source, TableSource) or not found:
            return {}
        if not (found.keys() <= self._records.keys() and self._columns.issuperset(columns)):
            self.expect([], columns)
            wanted = self.known([*self._records, *self._expected, *found])
            records = read_records(source, list(wanted.values()), sorted(self._columns))
            self._records = dict(zip(wanted, records, strict=True))
        return {name: self._records[name] for name in found}

    def _files(
        self, kind: str, ids: Iterable[str], missing: Callable[[str], Shown], kernel: _Kernel, *args: Any
    ) -> dict[str, Shown]:
        """What a kernel makes of files, those read before taken from memory."""
        if self._dataset is None or self._dataset.kind != kind:
            return {}
        source = self._dataset.source
        assert isinstance(source, FolderSource)  # noqa: S101 - all but rows are files
        found, key = self.known(ids), f"{kernel.__name__}{args}"  # type: ignore[attr-defined]
        causes = source.causes()
        new = [name for name in found if (key, name) not in self._seen]
        for name in new:
            if found[name] in causes:
                self._seen[key, name] = missing(UNCOPYABLE[causes[found[name]]])
        new = [name for name in new if (key, name) not in self._seen]
        paths = source.paths(np.array([found[name] for name in new], dtype=np.int64))
        with quiet_libraries(), Engine("threads", self._workers) as engine:
            for part, made in engine.map(kernel, paths, *args, chunk=_CHUNK):
                self._seen.update({(key, name): one for name, one in zip(new[part], made, strict=True)})
        return {name: self._seen[key, name] for name in found}

    def _find(self, names: Sequence[str]) -> None:
        """Look up the rows of samples; all ids are looked through at once."""
        import polars as pl

        if not names:
            return
        self._rows.update(dict.fromkeys(names))
        if self._dataset is None:
            return
        if self._index is None:
            self._index = pl.DataFrame({"id": text_column("id", self._dataset.ids), "row": self._dataset.rows})
        found = self._index.filter(pl.col("id").is_in(pl.Series(names, dtype=pl.String).implode())).unique(
            "id", keep="first"
        )
        self._rows.update(zip(found["id"].to_list(), found["row"].to_list(), strict=True))


def _can_hear() -> bool:
    try:
        require_soundfile("html", "report", "--format")
    except MissingExtraError:
        return False
    return True
