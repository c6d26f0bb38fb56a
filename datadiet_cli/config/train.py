"""The settings of `train`."""

from typing import Literal

from pydantic import Field

from datadiet_cli.config.training import Training


class Train(Training):
    """Which model is trained, how, and what is written down of it."""

    models: int = Field(1, ge=1, le=1000, description="Trainings, each with a seed of its own; the first is the model.")
    record: Literal["batch", "epoch", "none"] = Field(
        "batch",
        description="Write down each sample's loss and margin each epoch: as trained on, or by a look at the end.",
    )
