"""The settings of `train`."""

from typing import Annotated, Literal

from pydantic import Field

from datadiet_cli.config.base import Share
from datadiet_cli.config.training import Training


class Train(Training):
    """Which model is trained, how, and what is written down of it."""

    patience: int | None = Field(
        None, ge=1, description="Stop when the validation loss has not fallen for so many epochs; never if not given."
    )
    validation: Share = Field(
        0.1, description="Share of the training data held out for patience where there is no validation split."
    )
    models: int = Field(1, ge=1, le=1000, description="Trainings, each with a seed of its own; the first is the model.")
    record: Literal["batch", "epoch", "none"] = Field(
        "batch",
        description="Write down each sample's loss and margin each epoch: as trained on, or by a look at the end.",
    )
    dynamic: Literal["none", "infobatch", "random", "seta", "rcap", "adaptive"] = Field(
        "none", description="Leave samples out of each epoch that have little to teach just then, and how."
    )
    dynamic_share: Share = Field(
        0.5, description="Share left out of a pass: of easy samples (infobatch), of all (others), at most (adaptive)."
    )
    dynamic_until: Share = Field(
        0.875,
        description="Part of the epochs in which samples are left out; then all learn (seta: without its window).",
    )
    controls: Annotated[list[Literal["random", "epochs", "none"]], Field(min_length=1)] = Field(
        ["random", "epochs"],
        description="What dynamic is compared with at equal cost: random samples per epoch, or fewer epochs.",
    )
