"""The settings of `evaluate`."""

from typing import Annotated, Literal

from pydantic import Field

from datadiet_cli.config.base import Share
from datadiet_cli.config.training import Training

PIPELINE = "input"
"""What `against` is called where it is the dataset that a pipeline began with."""
TRAINED = "trained"
"""What `against_model` is called where it is the model that a step of the pipeline trained."""


class Evaluate(Training):
    """What is compared with what, on which test data, and what counts as no worse."""

    against: str | None = Field(
        None, description="The dataset as it was before; in a pipeline, input is the one it began with."
    )
    against_model: str | None = Field(
        None,
        description="The model as it was before; --model names the other. In a pipeline, trained is the one of train.",
    )
    test: str | None = Field(
        None, description="Test data; the test split of AGAINST if not given, or a part that is held out."
    )
    test_share: Share = Field(0.2, description="Share of the training data held out where there is no test split.")
    seeds: int = Field(5, ge=2, le=1000, description="Trainings of each kind; differences are taken seed by seed.")
    protocol: Literal["epochs", "iterations", "both"] = Field(
        "epochs", description="Train on the smaller data for as many epochs, or as many steps, as on the larger."
    )
    controls: Annotated[list[Literal["random", "cost", "none"]], Field(min_length=1)] = Field(
        ["random", "cost"],
        description="random: random samples of before, as many as after has; cost: before, with as many steps.",
    )
    max_accuracy_drop: Share = Field(0.01, description="Loss of accuracy, or of R2, that counts as no worse.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of intervals and of the verdict.")
    fail_under: Share | None = Field(None, description="Gate: fail if the accuracy after, or R2, is below this.")
    max_drop: Share | None = Field(
        None, description="Gate: fail unless the loss is proved to be no more than this, with the confidence."
    )
    leakage: Literal["refuse", "exclude", "report"] = Field(
        "refuse", description="What becomes of test samples that are in the training data, or nearly; report: go on."
    )
    bootstrap: int = Field(2000, ge=100, le=100_000, description="Resamplings of the test data for its interval.")

    def reads(self) -> list[str]:
        """Paths besides INPUT that a decision depends on."""
        model = None if self.against_model is None or self.model == "auto" else self.model
        named = (self.against, self.against_model, model, self.test)
        # A run depends on the dataset that it began with anyway.
        own = {PIPELINE, TRAINED}
        return [*super().reads(), *(path for path in named if path is not None and path not in own)]
