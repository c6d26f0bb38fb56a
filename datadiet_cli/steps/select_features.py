"""Choose the columns of a table that tell what its label is, or the dimensions of samples' vectors; or compress them.

Only training samples are learned from. The label, the split and the id never go, and never do all columns. What was
chosen is written down, so that `datadiet apply` does the same to new data.
"""

from datadiet_cli.config.select_features import SelectFeatures
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.table import TableSource
from datadiet_cli.outcome import Outcome
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.selecting.base import Part, Task
from datadiet_cli.steps.selecting.tables import content_column, from_table, survey_of
from datadiet_cli.steps.selecting.vectors import from_vectors


def run(dataset: Dataset, settings: SelectFeatures, context: Context) -> Outcome:
    """Decide which columns or dimensions stay.

    Raises:
        ConfigError: the settings do not fit the data.
        InputError: a named column does not exist; a .pt2 file may not be loaded.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    part = _part(Task(dataset, settings, context))
    metrics = {**part.metrics, "notes": list(part.notes)}
    return Outcome(
        part.verdicts,
        metrics,
        changes=part.changes,
        artefacts=part.artefacts,
        columns=part.columns,
        transform=part.transform,
    )


def _part(task: Task) -> Part:
    if not isinstance(task.dataset.source, TableSource):
        return from_vectors(task, None)
    survey = survey_of(task)
    if survey.column_of_content:
        return from_vectors(task, content_column(task, survey))
    return from_table(task, survey)
