"""What the tournament of `method: auto` tries."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from datadiet_cli.config.base import parse_share, percentage
from datadiet_cli.config.select_samples import SelectSamples
from datadiet_cli.config.words import shown, suggestion
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.samples.coverage import COVERAGE
from datadiet_cli.methods.samples.dynamics import DYNAMICS
from datadiet_cli.methods.samples.rules import RULES
from datadiet_cli.methods.samples.typical import TYPICAL
from datadiet_cli.steps.choosing.base import STEP
from datadiet_cli.steps.choosing.gate import hard, noise_to_cut
from datadiet_cli.steps.choosing.known import Known
from datadiet_cli.steps.choosing.plans import UNSCORED, usual_rule
from datadiet_cli.steps.choosing.told import CONFIDENCE, window_of

MOST = 16
"""Candidates of the list that is tried where none is given."""
_NOTHING = 0.005
"""A share of wrong labels below this is none."""
_MORE = 1.25
"""Where labels are wrong, a little more than the estimated share is cut as well."""
_UNKNOWN = (0.1, 0.2)
"""Cuts where the share of wrong labels cannot be estimated."""
_STRATIFIED = (0.0, 0.1, 0.2, 0.3)
"""Cuts of `ccs`, for no estimate says which is best (Zheng et al., ICLR 2023, table 5 has one for each data set)."""
METHODS = (*DYNAMICS, *TYPICAL, *COVERAGE, "random", "composite")


class Candidate(NamedTuple):
    """A way to choose samples."""

    method: str
    rule: str = "top-k"
    beta: float = 0.0

    @property
    def name(self) -> str:
        """As `candidates` has it: ``el2n``, ``aum/ccs/20%``, ``random//20%``."""
        rule = "" if self.rule == usual_rule(self.method) else self.rule
        parts = [self.method, rule, percentage(round(self.beta, 6)) if self.beta or rule == "ccs" else ""]
        return "/".join(parts).rstrip("/")


RANDOM = Candidate("random")


def candidates_of(known: Known, gone: float) -> tuple[list[Candidate], list[str]]:
    """What is tried, random first, and what people should be told of it.

    Args:
        known: of the samples.
        gone: share of them that is to go.

    Raises:
        ConfigError: a candidate of the settings is none.
    """
    settings, judged = known.task.settings, known.judged
    rate = None if judged is None else judged.rate
    notes: list[str] = []
    if settings.candidates is not None:
        wanted = [_wanted(text, known) for text in settings.candidates]
    else:
        wanted = _apart((one for one in _usual(known, rate) if not _lacks(one, known)), gone)
    refused = [one for one in wanted if _refused(one, rate, settings.max_noise)]
    if refused:
        share = percentage(round(rate or 0.0, 3))
        notes.append(
            f"method auto: an estimated {share} of the labels are wrong, which scores of hardness keep: not tried "
            f"without a cut: {', '.join(one.name for one in refused)}"
        )
    field = dict.fromkeys([RANDOM, *(one for one in wanted if one not in refused)])
    return list(field) if settings.candidates is not None else list(field)[:MOST], notes


def check_candidates(settings: SelectSamples) -> None:
    """Refuse, before anything is trained, what can be told to be no candidate.

    Raises:
        ConfigError: a candidate is none.
    """
    for text in settings.candidates or ():
        parsed(text)


def parsed(text: str) -> tuple[str, str, float | None]:
    """Method, rule and beta of a candidate of the settings; None where no beta is named.

    Raises:
        ConfigError: it is none.
    """
    method, rule, cut, *more = (part.strip() for part in (text + "//").split("/"))
    if any(more):
        raise ConfigError(f"{_said(text)}must be METHOD/RULE/BETA, such as aum/ccs/20%")
    if method not in METHODS:
        near = suggestion(method, METHODS) or f"; there are {', '.join(METHODS)}"
        raise ConfigError(f"{_said(text)}no such method{near}")
    if rule and rule not in RULES:
        near = suggestion(rule, RULES) or f"; there are {', '.join(RULES)}, or nothing, as in {method}//20%"
        raise ConfigError(f"{_said(text)}no such rule{near}")
    if rule and method in UNSCORED:
        raise ConfigError(f"{_said(text)}{rule} chooses by a score, and {method} has none; leave it out")
    try:
        return method, rule or usual_rule(method), parse_share(cut) if cut else None
    except ValueError as error:
        raise ConfigError(f"{_said(text)}beta {error}") from error


def _wanted(text: str, known: Known) -> Candidate:
    """A candidate of the settings, whose beta may follow from what is known.

    Raises:
        ConfigError: it is none, or needs what there is not.
    """
    method, rule, beta = parsed(text)
    if beta is None:
        beta = known.task.settings.beta
    if beta is None:
        beta = noise_to_cut(known.task, known.judged) if rule == "ccs" and known.judged is not None else 0.0
    one = Candidate(method, rule, beta)
    lacks = _lacks(one, known)
    if lacks:
        raise ConfigError(f"{_said(text)}{lacks}")
    return one


def _said(text: str) -> str:
    return f"{STEP}: --candidates: {shown(text)}: "


def _usual(known: Known, rate: float | None) -> Iterator[Candidate]:
    """What is tried where nothing is said, the likeliest first."""
    settings = known.task.settings
    if settings.beta is not None:
        cuts, stratified = [settings.beta], [settings.beta]
    elif rate is None:
        cuts, stratified = [0.0, *_UNKNOWN], list(_STRATIFIED)
    elif rate < _NOTHING:
        cuts, stratified = [0.0], list(_STRATIFIED)
    else:
        own, more = round(rate, 3), round(min(_MORE * rate, 0.95), 3)
        noisy = rate > settings.max_noise
        cuts = [0.0, own, more] if noisy else [0.0, own]
        stratified = [own, more, 0.3] if noisy else [0.0, own, 0.1, 0.2]
    scores = ("el2n", "aum") if known.task.classes else ("loss",)
    plain = [Candidate(name) for name in ("k-center", "facility-location", "composite", "moderate")]
    if known.task.classes:
        hard_ones = [*(Candidate(name) for name in ("el2n", "aum", "entropy")), Candidate("forgetting", "d2")]
        hard_ones += [Candidate("dual", "dual-beta"), Candidate("dyn-unc")]
    else:
        hard_ones = [Candidate("loss"), Candidate("loss", "d2"), Candidate("herding"), Candidate("k-means")]
    first, *later = cuts
    yield from (one._replace(beta=first) for one in (RANDOM, *hard_ones, *plain))
    for number, cut in enumerate(later):
        # Once the likely wrong are gone, nearly every method does well: notably random, and what covers the rest.
        short = [RANDOM, Candidate("composite"), Candidate("k-center"), *(Candidate(name) for name in scores)]
        whole = rate is not None and rate > settings.max_noise and not number
        extra = [plain[1], plain[3], *hard_ones[2:5]] if whole else [Candidate("moderate")] if rate is not None else []
        yield from (one._replace(beta=cut) for one in (*short, *extra))
    yield from (Candidate(name, "ccs", cut) for cut in stratified for name in scores)


def _apart(candidates: Iterable[Candidate], gone: float) -> list[Candidate]:
    """Those that choose differently: where all that goes is cut, whatever chooses from the rest."""
    different: dict[Candidate, Candidate] = {}
    for one in candidates:
        whole = one.beta >= gone
        different.setdefault(Candidate("", "", 1.0) if whole else one, one)
    return list(different.values())


def _refused(one: Candidate, rate: float | None, most: float) -> bool:
    """Whether the noise gate refuses it."""
    return rate is not None and rate > most and hard(one.method) and round(one.beta, 3) < round(rate, 3)


def _lacks(one: Candidate, known: Known) -> str:
    """What a candidate needs and there is not, in words."""
    crowd = known.crowd
    told = crowd.scores or {}
    information = known.task.settings.information if one.method == "composite" else one.method
    needed = {information} & set(DYNAMICS) | ({CONFIDENCE} if one.rule == "dual-beta" else set())
    for name in sorted(needed):
        if name not in told or not np.isfinite(told[name]).all():
            return f"there is no score {name}{_why(name, known)}"
    if one.beta and crowd.hardness is None:
        return "nothing tells which labels are likely wrong"
    by_looks = one.method in COVERAGE or information in TYPICAL or one.rule == "d2"
    return "there are no features" if by_looks and crowd.x is None else ""


def _why(score: str, known: Known) -> str:
    """Why models do not tell a score."""
    if not known.task.classes:
        return " of numbers"
    settings = known.task.settings
    epochs = None if known.scored is None else known.scored.scores.provenance.get("epochs")
    if isinstance(epochs, int) and score in DYNAMICS:
        needed = max(DYNAMICS[score].epochs(window_of(settings, epochs)), settings.score_epoch or 0)
        if epochs < needed:
            return f", which needs at least {needed} epochs; give --epochs (there are {epochs})"
    return ""
