"""Weights of samples that are weighed instead of dropped."""

from collections.abc import Mapping

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.outcome import Action, Verdicts
from datadiet_cli.steps.weights_file import ENDING, weights_csv


def weights_file(dataset: Dataset, verdicts: Verdicts, weight: Mapping[int, float]) -> dict[str, bytes]:
    """The file for samples that are weighed instead of dropped; none if there are none.

    Args:
        dataset: the dataset.
        verdicts: that weigh samples, or not.
        weight: row -> weight, in [0, 1]; all other samples have 1.
    """
    weighed = {row: weight[row] for row in verdicts.sample[verdicts.action == Action.WEIGH].tolist()}
    if not weighed:
        return {}
    training = dataset.keep(dataset.training)
    weights = (weighed.get(row, 1.0) for row in training.rows.tolist())
    return {ENDING: weights_csv(training.ids, weights)}
