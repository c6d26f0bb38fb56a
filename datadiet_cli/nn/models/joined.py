"""One network for several kinds of data at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from datadiet_cli.nn.models.parts import Encoder
from datadiet_cli.nn.models.pictures import SmallCnn
from datadiet_cli.nn.models.sounds import Audio
from datadiet_cli.nn.models.tables import Mlp
from datadiet_cli.nn.models.texts import Text
from datadiet_cli.nn.spec import Field

_SHARE = 64
"""Width that each field has in the whole."""
_HIDDEN = 128
_ENCODERS = {"image": SmallCnn, "audio": Audio, "text": Text}


class Joined(Encoder):
    """An encoder for each field, each brought to the same width and scale, side by side through a hidden layer.

    Pictures, sounds and texts have the encoders of their own models, all else the one of `mlp`, with a single hidden
    layer. The scale is that of layer norm: a field's weight does not depend on its unit or on the other samples.

    Args:
        fields: of any kinds.
    """

    width = _HIDDEN

    def __init__(self, fields: Sequence[Field]) -> None:
        super().__init__()
        encoders: list[Encoder] = [
            _ENCODERS[field.kind](field) if field.kind in _ENCODERS else Mlp([field], [_HIDDEN]) for field in fields
        ]
        self.encoders = nn.ModuleList(encoders)
        self.shares = nn.ModuleList(
            nn.Sequential(nn.Linear(encoder.width, _SHARE), nn.LayerNorm(_SHARE)) for encoder in encoders
        )
        self.layers = nn.Sequential(nn.Linear(_SHARE * len(encoders), _HIDDEN), nn.ReLU())

    def fit(self, *samples: Tensor) -> None:
        """Learn the units of all fields."""
        for encoder, sample in zip(self.encoders, samples, strict=True):
            if isinstance(encoder, Encoder):
                encoder.fit(sample)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Encode."""
        parts = [
            share(encoder(given)) for share, encoder, given in zip(self.shares, self.encoders, inputs, strict=True)
        ]
        found: Tensor = self.layers(torch.cat(parts, dim=1))
        return found
