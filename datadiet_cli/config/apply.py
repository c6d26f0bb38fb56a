"""The settings of `apply`."""

import os

from pydantic import Field

from datadiet_cli.config.base import Settings
from datadiet_cli.transformfile import arrays_path


class Apply(Settings):
    """What is done to new data: one of the things that a transform holds."""

    transform: str = Field(description="The .transform.json beside an OUTPUT.")
    number: int = Field(0, ge=0, description="Which of the steps that it holds, from 0 on.")

    def reads(self) -> list[str]:
        """Paths besides INPUT that a decision depends on."""
        arrays = arrays_path(self.transform)
        return [self.transform, *([arrays] if os.path.exists(arrays) else [])]
