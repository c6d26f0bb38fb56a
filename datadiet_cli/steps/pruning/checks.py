"""Settings that do not go together, told before anything is opened."""

from collections.abc import Iterator

from datadiet_cli.config.prune_model import PruneModel
from datadiet_cli.errors import ConfigError
from datadiet_cli.steps.pruning.amounts import MEASURED
from datadiet_cli.steps.pruning.case import STEP


def check(settings: PruneModel) -> None:
    """Refuse settings that exclude each other.

    Raises:
        ConfigError: the first two that do.
    """
    try:
        target = settings.target
    except ValueError as error:
        raise ConfigError(f"{STEP}: {error}") from error
    for told in (*_of_amount(settings, target), *_of_structure(settings, target), *_of_course(settings)):
        raise ConfigError(f"{STEP}: {told}")


def _of_amount(settings: PruneModel, target: str) -> Iterator[str]:
    flag = f"--{target.replace('_', '-')}"
    scheduled = settings.schedule != "one-shot"
    if target in ("threshold", "quantile") and settings.structure != "weights":
        yield f"{flag} is for weights; for {settings.structure} say --sparsity or another target"
    if target in ("threshold", "quantile") and scheduled:
        yield f"--schedule {settings.schedule} goes by --sparsity, not by {flag}"
    if target in ("macs", "latency") and settings.structure != "channels":
        yield (
            f"{flag}: zeros are multiplied like all numbers, so {settings.structure} change no {target}; take "
            "--structure channels"
        )
    if target in MEASURED and settings.schedule == "adaptive":
        yield f"{flag}: adaptive goes as far as the loss allows, and --sparsity is its limit; take another schedule"
    if target == "max_accuracy_drop" and scheduled:
        yield f"{flag} tries sparsities one by one; take --schedule one-shot"


def _of_structure(settings: PruneModel, target: str) -> Iterator[str]:
    if settings.structure == "n:m":
        if target != "sparsity" or settings.sparsity is not None:
            flag = f"--{target.replace('_', '-')}"
            yield f"{flag}: with n:m the pattern says how much goes, {settings.pattern}"
        if settings.schedule != "one-shot":
            yield f"--schedule {settings.schedule}: n of m goes at once; take one-shot"
        for name in ("protect", "least_per_layer", "least_per_row", "scope"):
            if _given(settings, name):
                yield f"{_flag(name)}: with n:m the pattern says what stays, {settings.pattern} of every block"
    own = {"channels": ("prune_output", "least_per_row"), "weights": ("round_to",), "n:m": ("round_to",)}
    for name in own[settings.structure]:
        if _given(settings, name):
            yield f"{_flag(name)} says nothing of {settings.structure}"
    if settings.structure == "channels" and settings.scope == "row":
        yield "--scope row is for weights; channels compete in a layer, all, or those of one form"


def _of_course(settings: PruneModel) -> Iterator[str]:
    if settings.fresh:
        yield from _of_fresh(settings)
    if settings.strength is not None and settings.regularise == "none":
        yield "--strength is that of a penalty, and there is none; say --regularise"
    if settings.distil and settings.epochs == 0:
        yield "--distil teaches in fine-tuning, and --epochs 0 leaves that out"
    if settings.freeze and settings.regularise != "none":
        yield f"--regularise {settings.regularise} trains the layers that --freeze holds; take one of them"
    if settings.schedule == "adaptive" and settings.seeds > 1:
        yield "--seeds: adaptive ends elsewhere with each seed; take --seeds 1, or another schedule"
    if settings.beat_random and ("none" in settings.controls or "random" not in settings.controls):
        yield "--beat-random compares with random choice, which --controls leaves out"
    if settings.criterion == "random" and settings.beat_random:
        yield "--beat-random: --criterion random is random choice itself"


def _of_fresh(settings: PruneModel) -> Iterator[str]:
    """Of weights that are judged before they have learned anything."""
    if settings.schedule == "adaptive":
        yield "--schedule adaptive goes by what a trained model has to lose; take --at trained, or another schedule"
    if settings.regularise != "none":
        yield f"--regularise {settings.regularise} trains what is judged, and fresh weights are not; take --at trained"
    if settings.freeze:
        yield "--freeze keeps what the model has learned, and fresh weights know nothing; take --at trained"
    if settings.epochs == 0:
        yield "--epochs 0 leaves fresh weights as they are, and they know nothing; take --at trained, or some epochs"


def _given(settings: PruneModel, name: str) -> bool:
    """Whether a setting says something else than its default."""
    return bool(getattr(settings, name) != PruneModel.model_fields[name].default)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
