"""What the families of noise work on: the samples that are left, as numbers."""

from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.denoise import Denoise
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.quality import Measures
from datadiet_cli.encode.texts import Documents
from datadiet_cli.outcome import Action, Verdicts
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.features import Features, features_of, free_texts_of, meanings
from datadiet_cli.steps.noise.base import Bools, Ints

STEP = "denoise"


class Material:
    """A dataset on its way through the families.

    Args:
        dataset: what the step was given.
        settings: its settings.
        context: the run around it.

    Attributes:
        left: (n,) bool, the samples that can be read and that nobody has dropped yet.
    """

    def __init__(self, dataset: Dataset, settings: Denoise, context: Context) -> None:
        self.dataset, self.settings, self.context = dataset, settings, context
        self.left: Bools = np.ones(len(dataset), dtype=bool)

    def set_aside(self, verdicts: Verdicts) -> None:
        """Look no more at samples that a family dropped, or that cannot be read."""
        gone = verdicts.sample[(verdicts.action == Action.DROP) | (verdicts.reason == "unreadable")]
        self.left &= ~np.isin(self.dataset.rows, gone)

    @property
    def measured_kind(self) -> str:
        """Whose checks of quality apply: those of the kind of data, and to a table those of texts."""
        return "text" if self.dataset.kind == "row" else self.dataset.kind

    @cached_property
    def measures(self) -> Measures | None:
        """What is measured of every sample, from one look at each; None where there is nothing to measure."""
        source, context, n = self.dataset.source, self.context, len(self.dataset)
        if isinstance(source, TableSource):
            from datadiet_cli.encode.quality.texts import measure_texts

            texts = free_texts_of(self.dataset, self.settings.columns, STEP)
            if texts is None:
                return None
            return measure_texts(
                cast(Documents, texts), None, engine=context.engine, progress=context.progress("reading texts", n)
            )
        assert isinstance(source, FolderSource)  # noqa: S101 - a dataset is a folder or a table
        paths = source.paths(self.dataset.rows)
        if source.kind == "image":
            from datadiet_cli.encode.quality.pictures import measure_pictures

            return measure_pictures(
                paths,
                max_pixels=context.max_pixels,
                cache=context.cache,
                engine=context.engine,
                progress=context.progress("looking at pictures", n),
            )
        if source.kind == "audio":
            from datadiet_cli.encode.quality.sounds import measure_sounds
            from datadiet_cli.encode.sounds import require_soundfile

            require_soundfile("auto", STEP, "quality")
            return measure_sounds(
                paths,
                cache=context.cache,
                engine=context.engine,
                progress=context.progress("listening to sounds", n),
            )
        if source.kind == "text":
            from datadiet_cli.encode.quality.texts import measure_texts

            encoding = context.reading.table.encoding
            return measure_texts(paths, encoding, engine=context.engine, progress=context.progress("reading texts", n))
        return None

    @cached_property
    def causes(self) -> NDArray[np.object_]:
        """(n,) object, why a sample cannot be read, as a code, or None."""
        if self.dataset.kind == "file":
            # Whatever such a file is, nothing is in one without a byte.
            causes = np.full(len(self.dataset), None, dtype=object)
            causes[self.dataset.bytes == 0] = "empty"
            return causes
        if self.dataset.kind == "row" or self.measures is None:
            return np.full(len(self.dataset), None, dtype=object)
        causes = self.measures.causes.copy()
        # A text of no bytes can be read, but so can any other empty file.
        causes[(causes == None) & (self.dataset.bytes == 0)] = "empty"  # noqa: E711 - elementwise
        return causes

    def in_words(self, cause: str) -> str:
        """A cause code, with what it means."""
        words = meanings(self.dataset.kind, self.context).get(cause, "the file is empty" if cause == "empty" else "")
        return f"{cause}: {words}" if words else cause

    @cached_property
    def places(self) -> Ints:
        """(m,) int64 positions of the samples that have features: those that were left when they were asked for."""
        return np.flatnonzero(self.left)

    @cached_property
    def features(self) -> Features:
        """Features of the samples at `places`."""
        mask = np.zeros(len(self.dataset), dtype=bool)
        mask[self.places] = True
        return features_of(self.dataset.keep(mask), self.settings.encoder, self.settings.columns, self.context, STEP)

    @property
    def told(self) -> dict[str, Any]:
        """Figures about the features: what made them, and the columns that say nothing, each with the reason."""
        cells = self.features.cells
        left_out = {"columns_left_out": dict(cells.left_out)} if cells is not None and cells.left_out else {}
        return {"encoder": self.features.encoder, **left_out}

    @property
    def featureless(self) -> str:
        """Why no label can be judged."""
        cells = self.features.cells
        if cells is None or self.features.matrix.shape[1] or not cells.left_out:
            return "labels: no training sample has both a label and features"
        named = ", ".join(f"{name} ({why})" for name, why in list(cells.left_out.items())[:3])
        return f"labels: no column tells samples apart: {named}"

    def skipped(self, setting: str, family: str) -> str | None:
        """Why a family has nothing to look at, unless the user asked for it by name."""
        if self.dataset.kind == "file" and setting == "auto":
            return f"{family}: not looked for, since files of unknown kinds have no features"
        return None
