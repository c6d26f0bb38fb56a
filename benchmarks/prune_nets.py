"""Networks, data and a plain training loop for the benchmarks of pruning; nothing of it is datadiet's."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

WIDTHS = (16, 32, 32, 64)
BATCH = 64


class Net(nn.Module):
    """A small convolutional network for pictures of 8 x 8 pixels."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        one, two, three, four = widths
        self.c1, self.b1 = nn.Conv2d(1, one, 3, padding=1, bias=False), nn.BatchNorm2d(one)
        self.c2, self.b2 = nn.Conv2d(one, two, 3, padding=1, bias=False), nn.BatchNorm2d(two)
        self.c3, self.b3 = nn.Conv2d(two, three, 3, padding=1, bias=False), nn.BatchNorm2d(three)
        self.f1, self.f2 = nn.Linear(three * 4, four), nn.Linear(four, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = functional.relu(self.b1(self.c1(x)))
        x = functional.max_pool2d(functional.relu(self.b2(self.c2(x))), 2)
        x = functional.max_pool2d(functional.relu(self.b3(self.c3(x))), 2)
        return self.f2(functional.relu(self.f1(x.flatten(1))))


class Perceptron(nn.Module):
    """64-128-128-10."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.net(x)


NETS = {"cnn": Net, "mlp": Perceptron}


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.c2, self.b2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.way: nn.Module = nn.Identity()
        if stride != 1 or before != width:
            self.way = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.b2(self.c2(functional.relu(self.b1(self.c1(x)))))
        return functional.relu(inner + self.way(x))


class ResNet18(nn.Module):
    """The layout of ResNet-18 for pictures of 32 x 32 pixels: 11.17 million parameters with a width of 64."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        blocks, before = [], width
        for stage in range(4):
            for place in range(2):
                blocks.append(_Block(before, width << stage, 2 if stage and not place else 1))
                before = width << stage
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(before, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = self.blocks(functional.relu(self.norm(self.stem(x))))
        return self.head(x.mean((2, 3)))


@dataclass(frozen=True)
class Part:
    """Pictures and their classes."""

    x: torch.Tensor
    y: torch.Tensor


def digits(seed: int) -> tuple[Part, Part]:
    """Training and test part: 30 % to test, and 15 % of the others put aside, as for choices that none is made of."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    x, y = (found.images / 16 - 0.3).astype(np.float32)[:, None], found.target
    x, test, y, said = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
    x, _, y, _ = train_test_split(x, y, test_size=0.15, stratify=y, random_state=seed)
    train, test = (Part(torch.from_numpy(a), torch.from_numpy(b)) for a, b in ((x, y), (test, said)))
    return train, test


def made(name: str, seed: int) -> nn.Module:
    """A network with weights by chance."""
    torch.manual_seed(seed)
    return NETS[name]()


def accuracy(model: nn.Module, part: Part) -> float:
    """Per cent."""
    model.eval()
    with torch.no_grad():
        return 100 * float((model(part.x).argmax(1) == part.y).float().mean())


def weights_of(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that have weights."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)}


def taught(
    model: nn.Module,
    part: Part,
    epochs: int,
    seed: int,
    rate: float = 0.05,
    l1: float = 0.0,
    slim: float = 0.0,
    masks: Mapping[str, torch.Tensor] | None = None,
) -> nn.Module:
    """Train in place, with nothing but torch."""
    chance = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
    n = len(part.x)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * -(-n // BATCH))
    layers = weights_of(model)
    scales = [layer.weight for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    model.train()
    for _ in range(epochs):
        order = torch.randperm(n, generator=chance)
        for rows in order.split(BATCH):
            if len(rows) < 2:
                continue
            loss = functional.cross_entropy(model(part.x[rows]), part.y[rows])
            if l1:
                loss = loss + l1 * sum(layer.weight.abs().sum() for layer in layers.values())
            if slim:
                loss = loss + slim * sum(scale.abs().sum() for scale in scales)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            if masks:
                with torch.no_grad():
                    for name, layer in layers.items():
                        layer.weight.mul_(masks[f"{name}.weight"])
    return model


def normed(model: nn.Module, part: Part) -> nn.Module:
    """Batch norms anew, as a cumulative average over batches: torch's own way."""
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    with torch.no_grad():
        for start in range(0, len(part.x) - 1, 128):
            model(part.x[start : start + 128])
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()
