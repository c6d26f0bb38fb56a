"""A network for texts."""

from torch import Tensor, nn

from datadiet_cli.nn.models.parts import Encoder
from datadiet_cli.nn.spec import Field

_WORD = 64


class Words(nn.Embedding):
    """An embedding of which the mean is taken, so it starts small."""

    def reset_parameters(self) -> None:
        """Draw the first weights."""
        super().reset_parameters()
        nn.init.normal_(self.weight, std=0.1)


class Text(Encoder):
    """The mean of the embeddings of hashed words and pairs of words, and a hidden layer.

    (Joulin et al., "Bag of tricks for efficient text classification", EACL 2017.)
    A text without a word has a mean of zeros.

    Args:
        field: of kind ``text``.
    """

    width = _WORD

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.words = Words(int(field.options["buckets"]) + 1, _WORD)
        self.layers = nn.Sequential(nn.Linear(_WORD, _WORD), nn.ReLU())

    def forward(self, words: Tensor) -> Tensor:
        """(n, length) int32 to (n, 64)."""
        there = (words > 0).float().unsqueeze(2)
        mean = (self.words(words) * there).sum(1) / there.sum(1).clamp(min=1)
        found: Tensor = self.layers(mean)
        return found
