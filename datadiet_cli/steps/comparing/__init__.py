"""What `evaluate` reports, made from the predictions of models that were trained, or given."""

from datadiet_cli.steps.comparing.arms import Arm
from datadiet_cli.steps.comparing.block import compare, compare_models

__all__ = ["Arm", "compare", "compare_models"]
