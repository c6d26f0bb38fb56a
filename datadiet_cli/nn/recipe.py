"""How a model is trained."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Recipe:
    """All that the weights depend on besides the data, the model and the seed.

    Attributes:
        epochs: passes over the training samples.
        iterations: stop after so many steps of the optimiser instead, with as many passes as that takes; the schedule
            ends there. None: by `epochs`.
        stop: end after so many passes, though the schedule is that of all; None: at the end.
        batch_size: samples a step. Batches of a pass differ by at most one sample; none is left out, none has only one.
        optimiser: ``sgd`` (with Nesterov momentum .9) or ``adamw``.
        learning_rate: at its peak; it rises for the first 5 % of the steps and falls to zero by a cosine.
        weight_decay: L2, on weights of linear and recurrent layers, convolutions, embeddings and attention only.
        l1: factor of the sum of the absolute values of the same weights.
        slim: factor of the sum of the absolute scales of batch norms (Liu et al., "Learning efficient convolutional
            networks through network slimming", ICCV 2017, section 3).
        augment: what is done to pictures of a batch: ``flip``, ``crop``, ``cutout``; to sounds: ``shift``.
        patience: stop when the validation loss has not fallen for so many passes, and go back to the best; None: never.
        precision: ``float32`` or ``bfloat16`` (autocast).
        freeze: whether only the head learns.
        threads: of one training on a CPU. Another number changes the last digits.
        dynamic: how samples are left out of passes, one of `dynamic.DYNAMIC`; None: none is. Not with `iterations`. The
            learning rate then follows the passes, so that it ends at zero whatever is left out.
        dynamic_share: of the samples that is left out; see `dynamic.sampler_of`.
        dynamic_until: part of the passes in which samples are left out.
    """

    epochs: int = 10
    iterations: int | None = None
    stop: int | None = None
    batch_size: int = 128
    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    l1: float = 0.0
    slim: float = 0.0
    augment: tuple[str, ...] = ()
    patience: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    freeze: bool = False
    threads: int = 1
    dynamic: str | None = None
    dynamic_share: float = 0.5
    dynamic_until: float = 0.875

    def as_json(self) -> dict[str, Any]:
        """For the report and for the key of a checkpoint."""
        return asdict(self)
