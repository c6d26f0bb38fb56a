"""Probabilities of classes that the user's own model gave, from a file."""

import numpy as np

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.tables import is_table, open_table
from datadiet_cli.errors import InputError
from datadiet_cli.methods.confident import check_probabilities
from datadiet_cli.steps.noise.base import Floats, Ints, Small

ID = "id"


def read_pred_probs(path: str, dataset: Dataset) -> Small:
    """Read a file of probabilities: a row for each sample, a column for each class.

    - ``.npy``: (n, K) numbers; rows in the order of INPUT (files by path, records as they stand), columns in the order
      of the sorted names of the classes.
    - a table: columns named as the classes; a column ``id`` names the samples, else rows are in the order of INPUT.

    Args:
        path: the file.
        dataset: the samples, of which a pipeline may have dropped some already.

    Returns:
        (n, K) float32, rows by position in the dataset.

    Raises:
        InputError: the file cannot be read, or does not fit the dataset.
    """
    classes = len(dataset.classes)
    values, rows = _array(path) if path.endswith(".npy") else _table(path, dataset)
    total = len(dataset.source.sizes())
    if rows is None:
        if len(values) not in (total, len(dataset)):
            raise InputError(f"{path}: has {len(values):,} rows and the dataset {total:,} samples")
        rows = dataset.rows if len(values) == total else np.arange(len(dataset))
    if values.ndim != 2 or values.shape[1] != classes:
        shape = " x ".join(map(str, values.shape))
        raise InputError(f"{path}: is {shape}; needed are {total:,} samples x {classes:,} classes")
    chosen = values[rows].astype(np.float32)
    try:
        check_probabilities(chosen, len(dataset), classes)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    return chosen


def _array(path: str) -> tuple[Floats, None]:
    try:
        values = np.load(path, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: is no array of numbers in NumPy's .npy format") from error
    if values.dtype.kind not in "fiu":
        raise InputError(f"{path}: holds {values.dtype}, not numbers")
    return values, None


def _table(path: str, dataset: Dataset) -> tuple[Floats, Ints | None]:
    import polars as pl

    if not is_table(path):
        raise InputError(f"{path}: probabilities come in a .npy file, or in a .csv, .tsv, .jsonl or .parquet table")
    file = open_table(path)
    missing = [name for name in dataset.classes if name not in file.columns]
    if missing:
        raise InputError(f"{path}: has no column for class {missing[0]!r}; a column for each class is needed")
    frame = file.typed(list(dataset.classes))
    if not all(dtype.is_numeric() for dtype in frame.dtypes):
        raise InputError(f"{path}: a column of a class holds something that is no number")
    values = frame.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if ID not in file.columns or ID in dataset.classes:
        return values, None
    place = {name: i for i, name in enumerate(file.texts([ID]).to_series().to_list())}
    unknown = next((name for name in dataset.ids if name not in place), None)
    if unknown is not None:
        raise InputError(f"{path}: has no row with id {unknown!r}; every sample needs one")
    return values, np.array([place[name] for name in dataset.ids], dtype=np.int64)
