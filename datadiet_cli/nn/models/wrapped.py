"""A network that somebody else wrote, in the place of an encoder: from a factory, or from an exported program."""

import copy
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from datadiet_cli.nn.models.parts import Encoder, Model, seeded
from datadiet_cli.nn.models.pictures import Pixels
from datadiet_cli.nn.models.sounds import LogMel
from datadiet_cli.nn.models.tables import Numbers, Vector
from datadiet_cli.nn.resize import resize_to
from datadiet_cli.nn.spec import Field, Spec


class Wrapped(Encoder):
    """Standardises one field and sends it through a network whose last linear layer was taken out.

    Args:
        enter: turns the raw tensor into what the network takes.
        body: the network without its last linear layer, so that it gives what that layer took.
        width: of what it gives.
        place: the name of the layer that was taken out, where it is known; empty if it was the whole network.
    """

    def __init__(self, enter: nn.Module, body: nn.Module, width: int, place: str | None = None) -> None:
        super().__init__()
        self.enter = enter
        self.body = body
        self.width = width
        self.place = place

    def fit(self, *samples: Tensor) -> None:
        """Learn the units of what goes in."""
        if isinstance(self.enter, Pixels | LogMel | Encoder):
            self.enter.fit(samples[0])

    def forward(self, given: Tensor) -> Tensor:
        """Encode."""
        found: Tensor = self.body(self.enter(given))
        return found


class Shares(nn.Module):
    """(n, 3, height, width) uint8 to float32 from 0 to 1."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Divide by 255."""
        return pictures.float() / 255


class Grey(nn.Module):
    """(n, 3, height, width) uint8 to (n, 1, height, width), the light of each pixel as Pillow reckons it: ITU-R 601-2.

    Args:
        shares: whether to give float32 from 0 to 1, and not uint8.
    """

    parts: Tensor

    def __init__(self, shares: bool) -> None:
        super().__init__()
        self.shares = shares
        parts = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
        self.register_buffer("parts", parts, persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Take the colours off."""
        light = (pictures.float() * self.parts).sum(1, keepdim=True)
        return light / 255 if self.shares else light.round().to(torch.uint8)


class Unscaled(nn.Module):
    """Pictures as shares from 0 to 1, waves from -1 to 1, and all else as it is: for a network that learned so."""

    def forward(self, given: Tensor) -> Tensor:
        """Divide whole numbers of a fixed range by its end."""
        if given.dtype == torch.uint8:
            return given.float() / 255
        return given.float() / 32768 if given.dtype == torch.int16 else given


class Spectra(LogMel):
    """(n, samples) int16 to (n, 1, 40, frames), a picture of one channel."""

    def forward(self, sounds: Tensor) -> Tensor:
        """Transform."""
        return super().forward(sounds).unsqueeze(1)


def from_factory(spec: Spec, seed: int, weights: Mapping[str, Tensor] | None = None) -> Model:
    """Build a network of the user's own.

    It is called with ``classes``, the number of outputs, and ``options["arguments"]``, and must give a module whose
    answer is that of an `nn.Linear` with so many outputs: the last one there is. It takes one tensor, standardised:
    (n, 3, size, size) float32 for pictures, (n, d) float32 for vectors, (n, 2 d) float32 for numbers (what is missing
    comes second), (n, 1, 40, frames) float32 log-mel spectra for sounds; or (n, length) int32 for texts.
    If ``options["raw"]`` is true, it was trained elsewhere and takes samples that nothing was learned of: pictures as
    float32 from 0 to 1, sounds as (n, samples) float32 from -1 to 1, numbers with NaN for a missing cell.

    Args:
        spec: of model ``factory``.
        seed: of its first weights.
        weights: what the module shall have, by the names in its `state_dict`; its layers become as wide as they are.

    Raises:
        ValueError: it cannot be imported or called, gives something else, or the weights are those of another network;
            the message says what.
    """
    name = spec.options.get("factory")
    if not isinstance(name, str):
        raise ValueError(f"factory is {name!r}; it must be package.module:callable")
    if len(spec.fields) != 1:
        raise ValueError(f"factory {name}: a network of your own takes one field, and these are {len(spec.fields)}")
    enter = Unscaled() if spec.options.get("raw") is True else _enter(spec.fields[0], name)
    arguments = dict(spec.options.get("arguments", {}))
    with seeded(seed):
        network = _called(_found(name), name, {"classes": spec.outputs, **arguments})
    if weights is not None:
        try:
            resize_to(network, weights)
        except ValueError as error:
            raise ValueError(f"factory {name}: its network and the weights do not belong together: {error}") from error
    return _wrapped(spec, enter, network, f"factory {name}", seed)


def from_program(spec: Spec, program: nn.Module, seed: int = 0) -> Model:
    """Go on with a network that came as a .pt2 file.

    Args:
        spec: of model ``program``, with the one field that `rehydrate.program_field` tells.
        program: as `modelfile.load_program` gives it; it is copied. Its last linear layer becomes the head: as it is if
            it is as wide as there are outputs, else new.
        seed: of a new head.

    Raises:
        ValueError: it has no linear layer at its end, or does not take that field.
    """
    network = with_head(copy.deepcopy(program), spec.outputs, seed)
    return _wrapped(spec, _enter_program(spec), network, "the network", seed)


def from_backbone(spec: Spec, backbone: nn.Module, place: str | None = None) -> Model:
    """Build a model again that `from_program` built.

    Args:
        spec: what it was built by.
        backbone: its `encoder.body`; it is taken as it is. The head is to come by `load_state_dict`.
        place: its `encoder.place`.

    Raises:
        ValueError: it does not take the field.
    """
    enter = _enter_program(spec)
    with torch.no_grad():
        try:
            width = backbone(enter(_probe(spec.fields[0]))).shape[1]
        except Exception as error:
            raise ValueError(f"the network fails on its field: {_told(error)}") from error
    return Model(Wrapped(enter, backbone, width, place), spec, head=nn.Linear(width, spec.outputs)).eval()


def _enter_program(spec: Spec) -> nn.Module:
    if len(spec.fields) != 1:
        raise ValueError(f"the network takes one field, and these are {len(spec.fields)}")
    field = spec.fields[0]
    shares = field.kind == "image" and field.options.get("dtype") == "float32"
    if field.options.get("channels") == 1:
        return Grey(shares)
    return Shares() if shares else nn.Identity()


def with_head(module: nn.Module, outputs: int, seed: int = 0) -> nn.Module:
    """Give a network a new last linear layer if the one it has is of another width.

    Args:
        module: a network with an `nn.Linear` at its end; it is changed.
        outputs: how many it shall give.
        seed: of the new layer.

    Returns:
        The module.

    Raises:
        ValueError: it has no linear layer.
    """
    last = last_linear(module)
    if last is None:
        raise ValueError("the network has no linear layer")
    name, old = last
    if old.out_features != outputs:
        with seeded(seed):
            new = nn.Linear(old.in_features, outputs)
        module.set_submodule(name, new.to(old.weight.device, old.weight.dtype))
    return module


def _enter(field: Field, name: str) -> nn.Module:
    if field.kind == "image":
        return Pixels()
    if field.kind == "audio":
        return Spectra(int(field.options["rate"]), int(field.options["samples"]))
    if field.kind == "text":
        return nn.Identity()
    if field.kind == "numbers":
        return Numbers(field, smooth=True)
    if field.kind == "vector":
        return Vector(field)
    raise ValueError(f"factory {name}: a network of your own cannot take {field.kind}; encode them first")


def _found(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValueError(f"factory is {name!r}; it must be package.module:callable")
    _look_here()
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise ValueError(f"factory {name} cannot be imported: {_told(error)}") from error
    if not callable(found):
        raise ValueError(f"factory {name} cannot be called: it is a {type(found).__name__}")
    called: Callable[..., Any] = found
    return called


def _look_here() -> None:
    """Let modules in the current folder be found however the program was started; last, so that they hide no other."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()


def _called(factory: Callable[..., Any], name: str, arguments: dict[str, Any]) -> nn.Module:
    told = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    try:
        network = factory(**arguments)
    except Exception as error:
        raise ValueError(f"factory {name}({told}) failed: {_told(error)}") from error
    if not isinstance(network, nn.Module):
        raise ValueError(f"factory {name}({told}) gave a {type(network).__name__}; it must give a torch.nn.Module")
    return network


def _told(error: Exception) -> str:
    """An error of somebody else's code in one line."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:300]


def _wrapped(spec: Spec, enter: nn.Module, network: nn.Module, who: str, seed: int) -> Model:
    """Take the last linear layer out, and check that the network's answer was that layer's."""
    last = last_linear(network, spec.outputs)
    if last is None:
        raise ValueError(f"{who} must end in a torch.nn.Linear of {spec.outputs} outputs, and has none")
    network.eval()
    name, head = last
    given = _probe(spec.fields[0])
    with torch.no_grad():
        try:
            given = enter(given)
            whole = network(given)
        except Exception as error:
            raise ValueError(f"{who} fails on a batch of {tuple(given.shape)}: {_told(error)}") from error
        body = _without(network, name)
        try:
            within = head(body(given))
            same = whole.shape == within.shape == (2, spec.outputs) and torch.allclose(whole, within, 1e-3, 1e-4)
        except Exception:  # whatever comes after the layer cannot take what it took
            same = False
    if not same:
        raise ValueError(
            f"{who} must give what its last linear layer ({name}) gives, (n, {spec.outputs}) logits; "
            "let it end there, without a softmax or a reshape"
        )
    return Model(Wrapped(enter, body, head.in_features, name), spec, head=head, seed=seed).eval()


def _without(network: nn.Module, name: str) -> nn.Module:
    """The network with the identity in the place of a layer."""
    if name == "":
        return nn.Identity()
    network.set_submodule(name, nn.Identity())
    return network


def last_linear(module: nn.Module, outputs: int | None = None) -> tuple[str, nn.Linear] | None:
    """The last linear layer and its name, by the order of a graph if there is one; of so many outputs if asked for."""
    names = [name for name, _ in module.named_modules()]
    if isinstance(module, torch.fx.GraphModule):
        names = [str(node.target) for node in module.graph.nodes if node.op == "call_module"]
    found = [
        (name, layer)
        for name in names
        if isinstance(layer := module.get_submodule(name), nn.Linear) and outputs in (None, layer.out_features)
    ]
    return found[-1] if found else None


def _probe(field: Field) -> Tensor:
    """Two raw samples that are not alike."""
    draw = torch.Generator().manual_seed(0)
    if field.kind == "image":
        size = int(field.options["size"])
        return torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8, generator=draw)
    if field.kind == "audio":
        return torch.randint(-9999, 9999, (2, int(field.options["samples"])), dtype=torch.int16, generator=draw)
    if field.kind == "text":
        shape = (2, int(field.options["length"]))
        return torch.randint(0, int(field.options["buckets"]) + 1, shape, dtype=torch.int32, generator=draw)
    width = len(field.options["columns"]) if field.kind == "numbers" else int(field.options["dimensions"])
    return torch.randn(2, width, generator=draw)
