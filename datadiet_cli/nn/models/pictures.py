"""Networks for pictures."""

import torch
from torch import Tensor, nn

from datadiet_cli.nn.models.parts import SMALLEST, Encoder, start_convolutions
from datadiet_cli.nn.spec import Field


class Pixels(nn.Module):
    """Brings (n, 3, height, width) uint8 to a mean of 0 and a spread of 1 in each channel, float32."""

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        self.register_buffer("scale", torch.full((1, 3, 1, 1), 0.25))

    def fit(self, pictures: Tensor) -> None:
        """Take mean and spread from (n, 3, height, width) uint8. Sums are of whole numbers: order does not matter."""
        total = torch.zeros(3, dtype=torch.int64)
        squares = torch.zeros(3, dtype=torch.int64)
        for part in torch.split(pictures, 256):
            values = part.to(torch.int32)
            total += values.sum(dim=(0, 2, 3), dtype=torch.int64)
            squares += (values * values).sum(dim=(0, 2, 3), dtype=torch.int64)
        count = pictures.numel() // 3
        if not count:
            return
        mean = total.double() / count
        spread = (squares.double() / count - mean * mean).clamp(min=0).sqrt()
        self.mean.copy_((mean / 255).reshape(1, 3, 1, 1))
        self.scale.copy_(torch.where(spread > SMALLEST, spread / 255, 1.0).reshape(1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Standardise."""
        return (pictures.float() / 255 - self.mean) / self.scale


class _Pictures(Encoder):
    """Pixels, then layers of which the mean (and the largest value) over the picture is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels = Pixels()
        self.layers: nn.Module = nn.Identity()

    def fit(self, *samples: Tensor) -> None:
        """Learn the units of the channels."""
        self.pixels.fit(samples[0])

    def start(self) -> None:
        """Draw the first weights of the convolutions."""
        start_convolutions(self)


class SmallCnn(_Pictures):
    """Three convolutions of 16, 32 and 64 channels, each with batch norm and pooling; 25 thousand parameters.

    A picture becomes the mean and the largest value of each of the last channels, whatever its size (at least 8).
    """

    width = 128

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_block(3, 16), *_block(16, 32), *_block(32, 64))
        self.start()

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 3, size, size) uint8 to (n, 128)."""
        maps: Tensor = self.layers(self.pixels(pictures))
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)


def _block(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]


class ResNet(_Pictures):
    """A residual network for small pictures, of 6 `blocks` + 2 layers.

    (He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2, with projections where the
    width changes, their option B.)
    """

    width = 64

    def __init__(self, field: Field, blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        before = 16
        for after in (16, 32, 64):
            for _ in range(blocks):
                layers.append(_Residual(before, after))
                before = after
        self.layers = nn.Sequential(*layers)
        self.start()

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 3, size, size) uint8 to (n, 64)."""
        maps: Tensor = self.layers(self.pixels(pictures))
        return maps.mean((2, 3))


class _Residual(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        stride = 1 if before == after else 2
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride == 2:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        within = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return torch.relu(within + self.shortcut(x))
