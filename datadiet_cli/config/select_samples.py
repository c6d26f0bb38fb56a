"""The settings of `select-samples`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from datadiet_cli.config.base import Names, Share
from datadiet_cli.config.pairs import Keep, Limits, limit
from datadiet_cli.config.training import Training
from datadiet_cli.config.words import shown

Score = Literal[
    "el2n", "grand", "forgetting", "aum", "entropy", "margin", "loss", "data-map", "dyn-unc", "tdds", "dual",
    "prototypes", "moderate", "density", "random",
]  # fmt: skip
Method = Literal[
    "auto", "random", "el2n", "grand", "forgetting", "aum", "entropy", "margin", "loss", "data-map", "dyn-unc", "tdds",
    "dual", "k-center", "herding", "k-means", "facility-location", "prototypes", "moderate", "density", "composite",
]  # fmt: skip
TERMS = ("redundancy", "noise", "balance", "information")
"""What the worth of a sample is made up of in `composite`."""
SHARD = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")


def _terms(pairs: list[str] | None) -> list[str] | None:
    for name, value in map(limit, pairs or ()):
        if name not in TERMS:
            raise ValueError(f"there are the terms {', '.join(TERMS)}, not {shown(name)}")
        if value < 0:
            raise ValueError(f"a weight is 0 or more, and {name} has {value:g}")
    return pairs


def _shard(value: str | None) -> str | None:
    found = None if value is None else SHARD.fullmatch(value)
    if value is not None and (found is None or int(found[1]) > int(found[2])):
        raise ValueError(f"must be one of so many parts, such as 1/4, not {shown(value)}")
    return value


Shard = Annotated[
    str | None,
    AfterValidator(_shard),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^{SHARD.pattern}$"}, {"type": "null"}]}),
]


class SelectSamples(Training):
    """Which training samples are worth keeping, and how they are chosen."""

    method: Method = Field("auto", description="What makes a sample worth keeping; auto: what a tournament shows.")
    rule: Literal["auto", "top-k", "ccs", "d2", "dual-beta"] = Field(
        "auto", description="How samples are chosen by their scores; auto: top-k, and dual-beta for dual."
    )
    keep: Keep = Field(
        "50%", description="Training samples to keep: a share, a number, or auto: the fewest that train as well."
    )
    max_accuracy_drop: Share = Field(0.01, description="What keep: auto may lose of accuracy, or of R2, by its proof.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of the intervals of method: auto and keep: auto.")
    quota: Literal["proportional", "balanced", "drop", "none"] = Field(
        "proportional",
        description="What classes keep: their share, as many each, more if hard (drop); none: as it comes.",
    )
    group_by: Names = Field(
        None, description="Columns whose combinations get quotas, such as label and speaker; the label if not given."
    )
    clusters: int | None = Field(
        None, ge=2, le=10_000, description="Clusters of alike samples in each group that get quotas as well."
    )
    class_floor: Share = Field(0.5, description="Share of its proportional part that each class keeps at least.")
    random_share: Share = Field(0.0, description="Share of the kept samples that is drawn at random.")
    beta: Share | None = Field(
        None,
        description="Share of the hardest, likeliest wrong samples to go first; ccs, composite: the estimated noise.",
    )
    strata: int = Field(50, ge=1, le=10_000, description="Strata of scores that ccs draws from.")
    neighbours: int = Field(10, ge=1, le=1000, description="Nearest samples that d2, density and composite look at.")
    gamma: float = Field(0.1, ge=0, description="How much d2 lowers the score of a chosen sample's neighbours.")
    weights: Annotated[Limits, AfterValidator(_terms)] = Field(
        None, description="Of composite's terms redundancy, noise, balance and information, such as noise=2; 1 each."
    )
    information: Score = Field("el2n", description="The score that composite takes for information.")
    candidates: Names = Field(
        None, description="What method: auto tries, as method/rule/beta, such as aum/ccs/20%; a list if not given."
    )
    max_noise: Share = Field(
        0.05, description="With more labels estimated wrong, scores of hardness are refused; 100% to have them."
    )
    models: int | None = Field(
        None, ge=1, le=1000, description="Trainings to average scores over; 3 for el2n and grand, else 1 if not given."
    )
    early: bool = Field(
        True, description="End them after the epochs that el2n, grand or dual looks at; --no-early tells all scores."
    )
    folds: int | None = Field(
        None, ge=1, le=20, description="Score samples by models that did not learn from them; 5 for tables, else 1: no."
    )
    window: int | None = Field(
        None, ge=3, le=1000, description="Epochs of a window of dyn-unc, tdds and dual; 10 if not given, fewer of few."
    )
    score_epoch: int | None = Field(
        None, ge=1, description="Epoch that el2n, grand, loss, entropy, margin look at; early or last if not given."
    )
    gradient: Literal["last", "full"] = Field(
        "last", description="Gradient of grand: of the last layer, or of all layers, which takes longer."
    )
    space: Literal["encoder", "model"] = Field(
        "encoder", description="Where samples are near each other: as the encoder, or as a trained model sees them."
    )
    record: str | None = Field(None, description="MODEL_DIR of train whose record is scored instead of a new one.")
    scores: Names = Field(
        None, description="Files OUTPUT.scores.parquet of earlier runs to choose by; of several shards the mean."
    )
    shard: Shard = Field(
        None, description="Train only this part of the models, such as 1/4; OUTPUT is then a .scores.parquet file."
    )

    def reads(self) -> list[str]:
        """Paths besides INPUT that a decision depends on."""
        return [*super().reads(), *([] if self.record is None else [self.record]), *(self.scores or ())]

    def given(self) -> list[str]:
        """Names of settings where a decision depends on whether they were given: what is not is as it was before."""
        return [] if self.scores is None and self.record is None else sorted(self.model_fields_set)

    def term_weights(self) -> dict[str, float]:
        """The weight of each term of composite."""
        return {**dict.fromkeys(TERMS, 1.0), **dict(map(limit, self.weights or ()))}

    def part(self) -> tuple[int, int]:
        """Which shard of how many, from 1 on."""
        found = SHARD.fullmatch(self.shard or "1/1")
        return (int(found[1]), int(found[2])) if found else (1, 1)
