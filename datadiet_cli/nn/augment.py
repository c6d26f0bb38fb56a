"""Change the pictures and sounds of a batch a little at random, so that a model sees them anew in each pass.

Chance is drawn on the CPU, from a generator that is given, so a batch is changed alike on every device; the changing
itself is done where the batch lies, all samples at once, on the raw tensors of `spec.Field`: pictures of uint8, sounds
of int16. Other tensors are left as they are.
"""

from collections.abc import Sequence

import torch

from datadiet_cli.nn.device import to_device

PICTURES = ("flip", "crop", "cutout")
SOUNDS = ("shift",)
_PAD = 8
"""`crop` moves a picture by up to one in so many of its side, as 4 of 32 pixels (He et al. 2016, section 4.2)."""
_HOLE = 4
"""`cutout` covers a square of one in so many of the side, as 8 of 32 pixels (DeVries and Taylor 2017, CIFAR-100)."""
_SHIFT = 10
"""`shift` moves a sound by up to one in so many of its length."""


def check(names: Sequence[str], inputs: Sequence[torch.Tensor]) -> None:
    """See that augmentations have something to work on.

    Args:
        names: of `PICTURES` and `SOUNDS`.
        inputs: a model's raw tensors.

    Raises:
        ValueError: a name is unknown, or none of the inputs is of the kind that it is for.
    """
    pictures, sounds = any(map(_is_picture, inputs)), any(map(_is_sound, inputs))
    for name in names:
        if name not in (*PICTURES, *SOUNDS):
            raise ValueError(f"there is no augmentation {name!r}; there are {', '.join((*PICTURES, *SOUNDS))}")
        if name in PICTURES and not pictures:
            raise ValueError(f"the augmentation {name} is for pictures, and this model takes none")
        if name in SOUNDS and not sounds:
            raise ValueError(f"the augmentation {name} is for sounds, and this model takes none")


def augmented(
    inputs: Sequence[torch.Tensor], names: Sequence[str], generator: torch.Generator
) -> tuple[torch.Tensor, ...]:
    """Change a batch.

    Args:
        inputs: the raw tensors, all on one device; none is written to. Pictures are (n, c, height, width) uint8, sounds
            (n, samples) int16.
        names: what is done, of `PICTURES` and `SOUNDS`; in the order of those, whatever their order here.

            - ``flip``: mirrored left to right, one in two.
            - ``crop``: moved by up to an eighth of the side each way; what comes in is mirrored at the edge.
            - ``cutout``: a square of a quarter of the side, its centre anywhere, in the picture's own mean colour.
            - ``shift``: moved in time by up to a tenth of the length either way; silence comes in.
        generator: of the CPU; each picture or sound takes as many draws whatever the device.

    Returns:
        The same tensors, changed; of the same dtypes, on the same device.
    """
    changed = []
    for tensor in inputs:
        if _is_picture(tensor):
            if "flip" in names or "crop" in names:
                tensor = _moved(tensor, "flip" in names, "crop" in names, generator)
            if "cutout" in names:
                tensor = _covered(tensor, generator)
        elif _is_sound(tensor) and "shift" in names:
            tensor = _shifted(tensor, generator)
        changed.append(tensor)
    return tuple(changed)


def _is_picture(tensor: torch.Tensor) -> bool:
    return tensor.ndim == 4 and tensor.dtype == torch.uint8


def _is_sound(tensor: torch.Tensor) -> bool:
    return tensor.ndim == 2 and tensor.dtype == torch.int16


def _moved(pictures: torch.Tensor, flip: bool, crop: bool, generator: torch.Generator) -> torch.Tensor:
    """Mirror and move: each pixel is fetched once, from where it comes."""
    n, channels, height, width = pictures.shape
    rows = torch.arange(height).expand(n, height)
    columns = torch.arange(width).expand(n, width)
    if crop:
        rows = _reflected(rows + _offsets(n, height, generator), height)
        columns = _reflected(columns + _offsets(n, width, generator), width)
    if flip:
        mirrored = torch.rand(n, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    rows, columns = to_device((rows, columns), pictures.device)
    source = (rows[:, :, None] * width + columns[:, None, :]).view(n, 1, -1).expand(n, channels, -1)
    return pictures.reshape(n, channels, -1).gather(2, source).view(pictures.shape)


def _offsets(n: int, side: int, generator: torch.Generator) -> torch.Tensor:
    most = min(max(1, side // _PAD), side - 1)
    return torch.randint(-most, most + 1, (n, 1), generator=generator)


def _reflected(positions: torch.Tensor, side: int) -> torch.Tensor:
    """Positions beyond an edge, mirrored at the pixel of that edge."""
    return (side - 1) - ((side - 1) - positions.abs()).abs()


def _covered(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n, _, height, width = pictures.shape
    inside = []
    for side in (height, width):
        hole = max(1, side // _HOLE)
        start = torch.randint(0, side, (n, 1), generator=generator) - hole // 2
        place = torch.arange(side).expand(n, side)
        inside.append((place >= start) & (place < start + hole))
    rows, columns = to_device(tuple(inside), pictures.device)
    # A mean of whole numbers is exact in float32 up to 2 ** 24, so it is the same on every device.
    colour = pictures.to(torch.float32).mean((2, 3), keepdim=True).round().to(torch.uint8)
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], colour, pictures)


def _shifted(sounds: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n, length = sounds.shape
    most = length // _SHIFT
    offsets = torch.randint(-most, most + 1, (n, 1), generator=generator)
    (offsets,) = to_device((offsets,), sounds.device)
    source = torch.arange(length, device=sounds.device) - offsets
    silent = (source < 0) | (source >= length)
    return sounds.gather(1, source.clamp(0, max(length - 1, 0))).masked_fill(silent, 0)
