"""What a run is asked for, and what it depends on."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from datadiet_cli import __version__
from datadiet_cli.config.base import Common, parse_size
from datadiet_cli.config.pipeline import Expectation, Step
from datadiet_cli.config.registry import Product
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.mirror import is_folder, named, real
from datadiet_cli.data.places import Place, is_url
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.tables import TableFormat
from datadiet_cli.encode.cache import cache_folder
from datadiet_cli.engine import Engine, Limits
from datadiet_cli.errors import ConfigError, MissingExtraError
from datadiet_cli.outcome import Outcome
from datadiet_cli.resume import key_of

# What a decision does not depend on, though it is a common setting.
_WITHOUT_EFFECT = {
    "engine", "workers", "scheduler", "shared_dir", "memory_limit", "link", "max_removed", "cache", "html",
}  # fmt: skip

Progress = Callable[[str, int], Callable[[int], None]]
"""Announces work, by a label and its total; the function that it gives is told of items done."""


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        command: the subcommand.
        input: INPUT.
        output: OUTPUT, or None to write nothing.
        common: the common settings.
        steps: the steps in order.
        product: what OUTPUT is: the dataset that remains, the model that the only step trained, the report alone,
            or the scores that it gave.
        expect: gates over the final figures.
        check: whether removing anything (or more than `max_removed`) fails.
        force: whether an existing OUTPUT is replaced.
        rerun: whether everything is computed again.
        keep_intermediate: whether the dataset after each step but the last is written too.
        environment: environment variables.
        replay: an earlier outcome of the only step, by whose comparisons it decides again.
        stage: where on this machine OUTPUT is made, if it lies in a store.
    """

    command: str
    input: str
    output: str | None
    common: Common
    steps: list[Step]
    product: Product = "dataset"
    expect: Mapping[str, Expectation] = field(default_factory=dict)
    check: bool = False
    force: bool = False
    rerun: bool = False
    keep_intermediate: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    replay: Outcome | None = None
    stage: str | None = None

    def key(self, state: str, steps: int | None = None) -> str:
        """Digest all that a run depends on.

        Args:
            state: the signature of INPUT and of whatever else is read.
            steps: of so many of the steps; of all for None.
        """
        settings = self.common.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
        chain = [(s.name, s.settings.model_dump(mode="json"), s.settings.given()) for s in self.steps[:steps]]
        place, replayed = real(self.input), self.replay is not None
        return key_of(__version__, place, state, settings, self.common.link, chain, replayed, self.product)

    @property
    def remembers(self) -> bool:
        """Whether to use the cache: not if it lies in INPUT, which is never written to."""
        folder, source = (real(p) for p in (cache_folder(self.environment), self.input))
        return self.common.cache and not (folder + os.sep).startswith(source.rstrip(os.sep) + os.sep)

    @property
    def intermediate(self) -> list[str]:
        """Where the dataset after each step but the last goes, if that was asked for."""
        return self._after_each(self.output)

    @property
    def staged(self) -> list[str]:
        """Where that is written on this machine."""
        return self._after_each(self.place)

    @property
    def place(self) -> str | None:
        """Where on this machine OUTPUT is written."""
        return self.stage or self.output

    @property
    def leaves(self) -> bool:
        """Whether what does not change is copied within the store that both INPUT and OUTPUT lie in."""
        if self.output is None or not is_url(self.output) or not is_url(self.input):
            return False
        from datadiet_cli.data.stores import same_store

        return same_store(self.input, self.output)

    def _after_each(self, output: str | None) -> list[str]:
        if not self.keep_intermediate or output is None:
            return []
        suffix = "" if is_folder(self.input) else os.path.splitext(named(self.input))[1]
        base = output.rstrip("/")
        return [f"{base}.after-{number}-{step.name}{suffix}" for number, step in enumerate(self.steps[:-1], 1)]


def reading_of(common: Common) -> Reading:
    """How INPUT is to be read."""
    return Reading(
        label=common.label,
        label_pattern=common.label_pattern,
        split=common.split,
        id_column=common.id_column,
        follow_symlinks=common.follow_symlinks,
        table=TableFormat(common.encoding, common.delimiter, common.header),
    )


def engine_of(common: Common, dataset: Dataset | None = None) -> Engine:
    """Who does the work of a run.

    Args:
        common: says who.
        dataset: INPUT, whose files all workers of a cluster must see.

    Raises:
        ConfigError: a setting of a cluster is given for an engine that is none.
        MissingExtraError: Dask is asked for and not installed.
    """
    if common.scheduler is not None and common.engine != "dask":
        raise ConfigError(f"--scheduler {common.scheduler}: that is of a Dask cluster; add --engine dask")
    if common.engine == "dask" and find_spec("distributed") is None:
        raise MissingExtraError("--engine dask needs Dask: pip install 'datadiet[dask]'")
    memory = None if common.memory_limit is None else parse_size(common.memory_limit)
    inputs = () if dataset is None or common.engine != "dask" else _some_files(dataset)
    limits = Limits(common.scheduler, common.shared_dir, memory, common.device, inputs)
    return Engine(common.engine, common.workers, limits)


def _some_files(dataset: Dataset) -> tuple[str, ...]:
    """A few of the files of this machine that kernels will open."""
    if not isinstance(dataset.source, FolderSource) or not len(dataset):
        return ()
    paths = dataset.source.paths(dataset.rows[[0, len(dataset) // 2, -1]])
    files = [path if place is None else place.file for path, place in zip(paths, map(Place.of, paths), strict=True)]
    return tuple(dict.fromkeys(path for path in files if not is_url(path) and os.path.exists(path)))
