"""How samples are chosen, by the settings."""

from datadiet_cli.config.select_samples import SelectSamples
from datadiet_cli.methods.samples.coverage import COVERAGE
from datadiet_cli.methods.samples.crowd import Plan

UNSCORED = (*COVERAGE, "random", "composite")
"""Methods that choose by no score, so that there is no rule to choose by one."""
_BY_CHANCE = ("random", "k-means", "prototypes")
_DRAWING = ("ccs", "dual-beta")


def plan_of(settings: SelectSamples, method: str, rule: str, beta: float) -> Plan:
    """A plan by the settings, but for method, rule and beta."""
    weights = settings.term_weights()
    return Plan(
        method=method,
        rule=rule,
        beta=beta,
        quota=settings.quota,
        floor=settings.class_floor,
        random_share=settings.random_share,
        strata=settings.strata,
        neighbours=settings.neighbours,
        gamma=settings.gamma,
        weights=(weights["redundancy"], weights["noise"], weights["balance"], weights["information"]),
        information=settings.information,
    )


def usual_rule(method: str) -> str:
    """The rule by which a method chooses where none is named."""
    return "dual-beta" if method == "dual" else "top-k"


def draws(plan: Plan) -> bool:
    """Whether another seed gives quite another choice; if not, it only settles ties."""
    return plan.method in _BY_CHANCE or plan.rule in _DRAWING or plan.random_share > 0
