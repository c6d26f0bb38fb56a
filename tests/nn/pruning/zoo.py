"""Small networks of every kind of coupling between layers, each with an input."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional as fn

from datadiet_cli.nn.exporting import quiet
from datadiet_cli.nn.models.parts import seeded

CLASSES = 3


class Residual(nn.Module):
    """A stem, a block on top of it, and a block that changes the width."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.a, self.norm_a = nn.Conv2d(8, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.b, self.norm_b = nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.c, self.short = nn.Conv2d(8, 10, 3, padding=1, stride=2), nn.Conv2d(8, 10, 1, stride=2)
        self.head = nn.Linear(10 * 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(x + self.norm_b(self.b(torch.relu(self.norm_a(self.a(x))))))
        x = torch.relu(self.c(x) + self.short(x))
        found: Tensor = self.head(fn.adaptive_avg_pool2d(x, 2).flatten(1))
        return found


class Dense(nn.Module):
    """Concatenation, of layers and of an input."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(7, 5, 3, padding=1)
        self.norm, self.c = nn.BatchNorm2d(12), nn.Conv2d(12, 6, 1)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.a(x), x], 1)
        x = torch.cat([self.b(x), x], 1)
        found: Tensor = self.head(self.c(fn.gelu(self.norm(x))).amax((2, 3)))
        return found


class Mobile(nn.Module):
    """Depthwise convolutions, one of two outputs for a channel, and squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.wide = nn.Conv2d(8, 16, 3, padding=1, groups=8)
        self.squeeze, self.excite = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.down, self.head = nn.Conv2d(16, 6, 1), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.wide(fn.relu6(self.deep(fn.hardswish(self.norm(self.up(x))))))
        x = x * torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        found: Tensor = self.head(self.down(x).mean((2, 3)))
        return found


class Shuffle(nn.Module):
    """Grouped convolutions with a shuffle of channels between them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.c, self.head = nn.Conv2d(8, 8, 3, padding=1, groups=2), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.b(self.a(x)))
        n, c, height, width = x.shape
        x = x.view(n, 2, c // 2, height, width).transpose(1, 2).contiguous().view(n, c, height, width)
        found: Tensor = self.head(torch.relu(self.c(x)).mean((2, 3)))
        return found


class Plain(Shuffle):
    """A shuffle of channels that no group ties."""

    def __init__(self) -> None:
        super().__init__()
        self.b, self.c = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)


class Grown(nn.Module):
    """Transposed convolutions, plain, grouped and depthwise; padded channels; slopes; parts of pictures as channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.ConvTranspose2d(8, 12, 2, stride=2)
        self.c = nn.ConvTranspose2d(12, 8, 3, padding=1, groups=2)
        self.d = nn.ConvTranspose2d(8, 8, 3, padding=1, groups=8)
        self.slope, self.e = nn.PReLU(8), nn.Conv2d(8, 16, 1)
        self.f, self.head = nn.Conv2d(7, 5, 1), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.e(self.slope(self.d(self.c(torch.relu(self.b(self.a(x)))))))
        x = fn.pad(fn.pixel_shuffle(x, 2), (0, 0, 0, 0, 1, 2))
        found: Tensor = self.head(fn.interpolate(self.f(x), scale_factor=0.5).mean((2, 3)))
        return found


class Normed(nn.Module):
    """Layer norms, group norms and gates."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.groups, self.b = nn.Linear(5, 8), nn.GroupNorm(2, 8), nn.Linear(8, 12)
        self.layer, self.c, self.head = nn.LayerNorm(6), nn.Linear(6, 4), nn.Linear(4, CLASSES)
        self.gain = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(fn.glu(self.b(self.groups(self.a(x)))))
        found: Tensor = self.head(torch.tanh(self.c(x)) * self.gain)
        return found


class Gated(nn.Module):
    """Parts of a layer that go different ways."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(5, 12), nn.Linear(4, 6), nn.Linear(5, 4)
        self.head = nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = torch.relu(self.a(x)).chunk(3, -1)
        x = torch.cat([self.b(first * torch.sigmoid(second)), third], 1)[:, 1:]
        x = torch.cat([self.c(x[:, :5]), x[:, -6:]], 1)
        found: Tensor = self.head(x)
        return found


class Attention(nn.Module):
    """An encoder before the norm, of separate projections, fewer heads for keys, and a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.place = nn.Linear(6, 12), nn.Parameter(torch.zeros(1, 6, 12))
        self.token, self.norm = nn.Parameter(torch.zeros(1, 1, 12)), nn.LayerNorm(12)
        self.q, self.k, self.v, self.o = nn.Linear(12, 16), nn.Linear(12, 8), nn.Linear(12, 8), nn.Linear(16, 12)
        self.up, self.down, self.head = nn.Linear(12, 20), nn.Linear(20, 12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), self.enter(x)], 1) + self.place
        y = self.norm(x)
        q = self.q(y).view(-1, 6, 4, 4).transpose(1, 2)
        k, v = (part(y).unflatten(-1, (2, 4)).transpose(1, 2) for part in (self.k, self.v))
        y = fn.scaled_dot_product_attention(q, k, v, enable_gqa=True).transpose(1, 2).reshape(-1, 6, 16)
        x = x + self.o(y)
        x = x + self.down(fn.gelu(self.up(x)))
        found: Tensor = self.head(x[:, 0])
        return found


class Packed(nn.Module):
    """Queries, keys and values of one layer, multiplied by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.o = nn.Linear(6, 48), nn.Linear(16, 12)
        self.qk, self.v = nn.Linear(12, 16), nn.Linear(12, 5, bias=False)
        self.head = nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, 4, 4).permute(2, 0, 3, 1, 4)
        y = ((q * 0.5) @ k.transpose(-2, -1)).softmax(-1) @ v
        x = self.o(y.transpose(1, 2).reshape(n, t, 16))
        q, k = self.qk(x).split(8, -1)
        y = torch.einsum("nqc,nkc->nqk", q, k).softmax(-1) @ self.v(x)
        found: Tensor = self.head(y.mean(1))
        return found


class Transformer(nn.Module):
    """The encoder of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(6, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.encoder(self.enter(x)).mean(1))
        return found


class Recurrent(nn.Module):
    """Layers in both directions, and another kind on top of them."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.lstm = nn.Embedding(9, 6), nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True)
        self.gru, self.head = nn.GRU(10, 4, batch_first=True), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        found, _ = self.lstm(self.words(x))
        _, last = self.gru(found)
        answer: Tensor = self.head(last[-1])
        return answer


class Odd(nn.Module):
    """Whatever cannot lose anything: sorted, softmax, an operation without a rule, sums with the input."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Linear(5, 6) for _ in range(4))
        self.e, self.free, self.head = nn.Linear(29, 5), nn.Linear(5, 4), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        turned = torch.cdist(self.c(x)[:, None], self.c(x)[:, None]).flatten(1)
        parts = [
            self.a(x).softmax(-1),
            self.b(x).sort(-1)[0],
            turned,
            self.d(x)[:, [0, 2]],
            self.d(x) @ x.new_ones(6, 14),
        ]
        found: Tensor = self.head(self.free(self.e(torch.cat(parts, 1)) + x))
        return found


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, CLASSES))


@dataclass(frozen=True)
class Case:
    """A network and what it takes.

    Attributes:
        make: builds it.
        shape: of one sample.
        exact: whether units that are all zero are the same as units that are gone: no norm runs over them.
        free: whether torch can export it for any number of samples.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    exact: bool = True
    free: bool = True


ZOO: dict[str, Case] = {
    "mlp": Case(mlp, (5,)),
    "residual": Case(Residual, (3, 6, 6)),
    "dense": Case(Dense, (3, 6, 6)),
    "mobile": Case(Mobile, (3, 6, 6)),
    "shuffle": Case(Shuffle, (3, 6, 6)),
    "plain": Case(Plain, (3, 6, 6)),
    "grown": Case(Grown, (3, 4, 4)),
    "normed": Case(Normed, (5,), exact=False),
    "gated": Case(Gated, (5,)),
    "attention": Case(Attention, (5, 6), exact=False),
    "packed": Case(Packed, (5, 6)),
    "transformer": Case(Transformer, (5, 6), exact=False),
    "recurrent": Case(Recurrent, (7,), free=False),
    "odd": Case(Odd, (5,)),
}


def network_of(name: str, seed: int = 0) -> nn.Module:
    """One of the networks, in evaluation mode, with weights and statistics that are not those of the start."""
    with seeded(seed):
        network = ZOO[name].make()
        for value in network.state_dict().values():
            if value.is_floating_point():
                nn.init.uniform_(value, 0.2, 0.6) if value.dim() == 1 else nn.init.normal_(value, std=0.4)
    return network.eval()


def given_to(name: str, n: int = 2, seed: int = 0) -> Tensor:
    """Samples for one of them."""
    draw = torch.Generator().manual_seed(seed)
    if name == "recurrent":
        return torch.randint(0, 9, (n, *ZOO[name].shape), generator=draw)
    return torch.randn(n, *ZOO[name].shape, generator=draw)


def program_of(network: nn.Module, *given: Tensor, free: bool = True) -> ExportedProgram:
    """A network as a program that takes any number of samples, if it can."""
    sizes = tuple({0: Dim("n", min=1, max=1 << 20)} if free else None for _ in given)
    with quiet():
        return torch.export.export(
            network, given, dynamic_shapes=sizes, prefer_deferred_runtime_asserts_over_guards=True
        )
