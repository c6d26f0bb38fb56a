"""Programs turned into layers again: the same answers, the same names, and what cannot be turned is refused by name."""

import copy
import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram

from datadiet_cli.nn.modelfile import quiet
from datadiet_cli.nn.models import with_head
from datadiet_cli.nn.rehydrate import program_field, rehydrate
from datadiet_cli.nn.spec import Field


def _program(network: nn.Module, *given: Tensor, train: bool = False) -> ExportedProgram:
    network.train(train)
    sizes = tuple({0: Dim.AUTO} for _ in given)
    with quiet():
        return torch.export.export(network, tuple(part.clone() for part in given), dynamic_shapes=sizes)


class _Zoo(nn.Module):
    """One of each layer, a bare parameter, a constant, and a layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 3, padding="same", groups=4)]
        )
        self.norm = nn.BatchNorm2d(8, momentum=0.3)
        self.plain = nn.BatchNorm2d(8, affine=False)
        self.group = nn.GroupNorm(2, 8)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2, output_padding=1, bias=False)
        self.line = nn.Conv1d(8, 8, 3, dilation=2)
        self.drop = nn.Dropout(0.4)
        self.drop2d = nn.Dropout2d(0.2)
        self.layer = nn.LayerNorm(8)
        self.twice = nn.Linear(8, 8, bias=False)
        self.gain = nn.Parameter(torch.full((8,), 1.5))
        self.register_buffer("shift", torch.full((8,), 0.25))
        self.head = nn.Linear(8, 4)
        for part in (self.norm, self.plain):
            nn.init.uniform_(part.running_mean)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = torch.relu(block(x))
        x = self.group(self.up(self.drop2d(self.plain(self.norm(x)))))
        x = self.line(x.flatten(2)).mean(2)
        x = self.twice(torch.relu(self.twice(self.layer(x)))) * self.gain + self.shift
        found: Tensor = self.head(self.drop(x))
        return found


@pytest.fixture(scope="module")
def zoo() -> tuple[_Zoo, ExportedProgram]:
    network = _Zoo()
    buffer = io.BytesIO()
    torch.export.save(_program(network, torch.rand(2, 3, 8, 8)), buffer)
    buffer.seek(0)
    return network.eval(), torch.export.load(buffer)


def test_layers_come_back_under_their_names_with_their_weights(zoo: tuple[_Zoo, ExportedProgram]) -> None:
    network, program = zoo
    again = rehydrate(program)
    x = torch.rand(5, 3, 8, 8)
    assert torch.equal(again(x), network(x))
    old, new = network.state_dict(), again.state_dict()
    assert new.keys() == old.keys()
    assert all(torch.equal(new[key], old[key]) for key in old)
    kinds = {name: type(part) for name, part in network.named_modules() if name in dict(again.named_modules()) and name}
    assert {name: type(again.get_submodule(name)) for name in kinds if name != "blocks"} == {
        name: kind for name, kind in kinds.items() if name != "blocks"
    }
    assert not again.training
    for name in ("blocks.0", "blocks.1", "up", "line"):
        assert str(again.get_submodule(name)) == str(network.get_submodule(name))


def test_what_comes_back_learns_like_the_original(zoo: tuple[_Zoo, ExportedProgram]) -> None:
    network, program = copy.deepcopy(zoo[0]), zoo[1]
    again = rehydrate(program)
    drops = [part for net in (network, again) for part in net.modules() if isinstance(part, nn.Dropout | nn.Dropout2d)]
    assert sorted(part.p for part in drops) == [0.2, 0.2, 0.4, 0.4]
    for part in drops:
        part.p = 0.0
    x, y = torch.rand(6, 3, 8, 8), torch.arange(6) % 4
    for net in (network, again):
        optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        net.train()
        for _ in range(3):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimiser.step()
        net.eval()
    old, new = network.state_dict(), again.state_dict()
    for key, value in old.items():
        torch.testing.assert_close(new[key], value, msg=key)
    torch.testing.assert_close(again(x), network(x))
    twice = _program(again, x)
    assert torch.equal(twice.module()(x[:3]), again(x[:3]))
    assert rehydrate(twice).state_dict().keys() == old.keys()


def test_a_program_is_left_as_it_is(zoo: tuple[_Zoo, ExportedProgram]) -> None:
    before = {key: value.clone() for key, value in zoo[1].state_dict.items()}
    again = rehydrate(zoo[1])
    with torch.no_grad():
        for value in again.parameters():
            value.zero_()
    assert all(torch.equal(zoo[1].state_dict[key], value) for key, value in before.items())


def test_a_program_exported_in_training_mode_is_turned_too() -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 2))
    x = torch.rand(8, 4)
    again = rehydrate(_program(network, x, train=True))
    assert torch.equal(again(x), network.eval()(x))
    norm = next(part for part in again.train().modules() if isinstance(part, nn.BatchNorm1d))
    first = again(x)
    assert norm.num_batches_tracked == 1
    assert not torch.equal(first, again(x))


def test_averages_over_all_batches_stay_such() -> None:
    network = nn.Sequential(nn.BatchNorm1d(4, momentum=None))
    network(torch.rand(8, 4))
    again = rehydrate(_program(network, torch.rand(8, 4))).train()
    x = torch.rand(8, 4)
    torch.testing.assert_close(again(x), network.train()(x))
    old, new = network.state_dict(), again.state_dict()
    assert new["0.num_batches_tracked"] == old["0.num_batches_tracked"] == 2
    torch.testing.assert_close(new["0.running_mean"], old["0.running_mean"])


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 4, padding_idx=0)
        self.out = nn.Linear(4, 10, bias=False)
        self.out.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.out(self.words(ids).mean(1))
        return found


def test_shared_weights_stay_shared() -> None:
    network, ids, buffer = _Tied(), torch.randint(0, 10, (3, 5)), io.BytesIO()
    torch.export.save(_program(network, ids), buffer)
    buffer.seek(0)
    again = rehydrate(torch.export.load(buffer))
    assert again.state_dict().keys() == network.state_dict().keys()
    assert torch.equal(again(ids), network(ids))
    assert len(list(again.parameters())) == 1
    assert again.get_submodule("words").padding_idx == 0
    torch.optim.SGD(again.parameters(), 1.0).step(lambda: _backward(again(ids)))
    linear = next(part for part in again.modules() if isinstance(part, nn.Linear))
    assert linear.weight is again.get_submodule("words").weight


def _backward(out: Tensor) -> float:
    out.square().sum().backward()
    return 0.0


class _Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(3, 5, batch_first=True, proj_size=2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.cells(x)[0][:, -1]
        return found


class _Two(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x + 1, x * 2


class _Choice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = torch.cond(x.sum() > 0, lambda v: v + 1, lambda v: v - 1, (x,))
        return found


def _flat(network: nn.Module) -> ExportedProgram:
    program = _program(network, torch.rand(4, 3))
    with quiet():
        return program.run_decompositions()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (
            lambda: _program(_Recurrent(), torch.rand(4, 6, 3)),
            "has LSTM cells with proj_size, which cannot be turned into a layer",
        ),
        (lambda: _flat(nn.Linear(3, 2)), "the weight weight is used by aten"),
        (lambda: _flat(nn.Sequential(nn.BatchNorm1d(3))), "the weight 0.weight is used by aten"),
        (lambda: _flat(nn.Sequential(nn.BatchNorm1d(3, affine=False))), "cannot be turned into a layer"),
        (lambda: _program(nn.BatchNorm1d(3, affine=False, track_running_stats=False), torch.rand(4, 3)), "batch_norm"),
        (lambda: _program(_Two(), torch.rand(4, 3)), "gives 2 results"),
        (lambda: _program(_Choice(), torch.rand(4, 3)), "control flow"),
    ],
)
def test_what_cannot_be_turned_is_refused_by_name(make: Callable[[], ExportedProgram], why: str) -> None:
    torch._dynamo.reset()  # what others compiled before must not matter
    with pytest.raises(ValueError, match=why):
        rehydrate(make())


def _turned(*given: Tensor) -> fx.GraphModule:
    class Sum(nn.Module):
        def forward(self, *parts: Tensor) -> Tensor:
            return sum((part.float().flatten(1).mean(1) for part in parts), torch.zeros(()))

    return rehydrate(torch.export.export(Sum(), given))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (torch.rand(2, 3, 9, 9), Field("image", "image", {"size": 9, "dtype": "float32"})),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), Field("image", "image", {"size": 8, "dtype": "uint8"})),
        (torch.rand(2, 7), Field("vector", "vector", {"dimensions": 7})),
    ],
)
def test_the_shape_of_its_argument_tells_what_a_program_takes(given: Tensor, field: Field) -> None:
    assert program_field(_turned(given)) == field


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((torch.rand(2, 4, 9, 9),), r"takes \(2, 4, 9, 9\) float32; it must"),
        ((torch.rand(2, 3, 9, 8),), r"takes \(2, 3, 9, 8\) float32"),
        ((torch.rand(2, 3).double(),), r"takes \(2, 3\) float64"),
        ((torch.rand(2, 3), torch.rand(2, 3)), r"takes \(2, 3\) float32 and \(2, 3\) float32"),
    ],
)
def test_a_program_that_takes_something_else_is_refused(given: tuple[Tensor, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        program_field(_turned(*given))


def test_a_head_is_new_only_if_its_width_differs(zoo: tuple[_Zoo, ExportedProgram]) -> None:
    again = rehydrate(zoo[1])
    old = again.get_submodule("head")
    assert with_head(again, 4).get_submodule("head") is old
    assert with_head(again, 7, seed=1)(torch.rand(2, 3, 8, 8)).shape == (2, 7)
    one, two = (with_head(rehydrate(zoo[1]), 7, seed=1).get_submodule("head").weight for _ in range(2))
    assert torch.equal(one, two)
    with pytest.raises(ValueError, match="no linear layer"):
        with_head(nn.ReLU(), 2)
