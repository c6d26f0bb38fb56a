"""Lay the small pictures of pairs over each other, and see how well their details agree."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.spool import Spool
from datadiet_cli.methods.agreement import agreement, residual
from datadiet_cli.methods.alignment import align, band, halved, resampled, sound, template
from datadiet_cli.methods.duplicates import Ints
from datadiet_cli.methods.turns import MATRICES, TURNS, WORDS, turned
from datadiet_cli.steps.likeness.geometries import Geometries

SURE = 0.9
"""Pictures whose details agree this well are the same; less leaves room for doubt."""
ERRORS, ERRORS_ELSEWHERE = 1.0, 2.0
"""Standard errors that agreement has to spare; more in geometries that many others compete with."""
PAIRS_AT_ONCE = 256
ALIGNED_AT_ONCE = 16
COARSE_STEPS, FINE_STEPS = 5, 4
CROPPED, TILTED = 0.03, 1.5
"""A change of size, as a share, and of direction, in degrees, that is worth a word."""


class Overlay(NamedTuple):
    """How k pairs lie upon each other.

    Attributes:
        distance: (k,) float64 bits.
        most: (k,) float64 agreement of most of the detail; NaN where it was not asked for.
        swapped: (k,) bool, whether the second picture is laid over the first.
        turn: (k,) int64, the orientation of the picture that is laid over the other.
        place: (k, 2, 3) float64, from points of the picture below to points of the one above.
        same: (k,) bool, whether the small pictures are equal pixel by pixel.
    """

    distance: NDArray[np.float64]
    most: NDArray[np.float64]
    swapped: NDArray[np.bool_]
    turn: Ints
    place: NDArray[np.float64]
    same: NDArray[np.bool_]

    def take(self, rows: Ints) -> "Overlay":
        """Some of the pairs."""
        return Overlay(
            self.distance[rows], self.most[rows], self.swapped[rows], self.turn[rows], self.place[rows], self.same[rows]
        )

    def words(self) -> NDArray[np.object_]:
        """What an observer would say of the difference; None where there is none, or nobody looked."""
        linear = self.place[:, :, :2]
        nearest = np.einsum("kij,tij->kt", linear, MATRICES).argmax(axis=1)
        turns = MATRICES[nearest]
        told = np.full(len(self.turn), None, dtype=object)
        # What is left of the map without the orientation: a change of size, and a tilt.
        left = linear @ turns.transpose(0, 2, 1)
        size = np.sqrt(np.abs(np.linalg.det(left)))
        tilt = np.rad2deg(np.arctan2(left[:, 1, 0] - left[:, 0, 1], left[:, 0, 0] + left[:, 1, 1]))
        for i in np.flatnonzero(~np.isnan(self.most)).tolist():
            said = [WORDS[nearest[i]]]
            said.append("cropped" if abs(size[i] - 1) > CROPPED else None)
            said.append(f"tilted by {abs(tilt[i]):.0f} degrees" if abs(tilt[i]) > TILTED else None)
            told[i] = ", ".join(word for word in said if word) or None
        return told


def lay_over(one: Ints, other: Ints, geometries: Geometries, small: Spool, reach: float) -> Overlay:
    """Compare pairs; the same in whichever order they are given.

    Args:
        one: (k,) pictures.
        other: (k,) pictures.
        geometries: of all pictures.
        small: their small pictures; None leaves agreement out.
        reach: pairs beyond it are not looked at.
    """
    forth, back = geometries.nearest(one, other), geometries.nearest(other, one)
    distance = np.minimum(forth.distance, back.distance).astype(np.float64)
    result = Overlay(
        distance,
        np.full(len(one), np.nan),
        forth.distance > back.distance,
        forth.turn.copy(),
        forth.place.copy(),
        np.zeros(len(one), dtype=bool),
    )
    near = np.flatnonzero(distance <= reach)
    for start in range(0, len(near), PAIRS_AT_ONCE):
        part = near[start : start + PAIRS_AT_ONCE]
        samples, back_to = np.unique(np.concatenate([one[part], other[part]]), return_inverse=True)
        pictures = small.take(samples)
        first, second = back_to[: len(part)], back_to[len(part) :]
        tie = forth.distance[part] == back.distance[part]
        result.swapped[part] |= tie & _after(pictures[first], pictures[second])
        swapped = result.swapped[part]
        result.turn[part] = np.where(swapped, back.turn[part], forth.turn[part])
        place = np.where(swapped[:, None, None], back.place[part], forth.place[part])
        elsewhere = np.where(swapped, back.other_place[part], forth.other_place[part])
        result.place[part, :, :2], result.place[part, :, 2] = MATRICES[result.turn[part]], 0
        above, below = np.where(swapped, second, first), np.where(swapped, first, second)
        result.same[part] = (pictures[above] == pictures[below]).all(axis=(1, 2))
        _compare(pictures, above, below, part, place, elsewhere, result)
    return result


def _compare(
    pictures: NDArray[np.uint8],
    above: Ints,
    below: Ints,
    part: Ints,
    place: NDArray[np.float64],
    elsewhere: NDArray[np.bool_],
    result: Overlay,
) -> None:
    """Fill in the agreement of some pairs and where they lie."""
    details = residual(pictures)
    found = agreement(by_turn(details[above], result.turn[part]), details[below])
    most = found.assured(np.where(result.turn[part] > 0, ERRORS_ELSEWHERE, ERRORS))
    most[result.same[part]] = 1.0
    result.most[part] = most
    turned_errors = np.where(result.turn[part] > 0, ERRORS_ELSEWHERE, ERRORS)
    for chosen, start, errors in (
        (most < SURE, result.place[part], turned_errors),
        ((most < SURE) & elsewhere, place, np.full(len(part), ERRORS_ELSEWHERE)),
    ):
        todo = np.flatnonzero(chosen & (result.most[part] < SURE))
        for first in range(0, len(todo), ALIGNED_AT_ONCE):
            rows = todo[first : first + ALIGNED_AT_ONCE]
            aligned, maps = _aligned(pictures, above[rows], below[rows], start[rows], errors[rows])
            better = aligned > result.most[part[rows]]
            result.most[part[rows[better]]] = aligned[better]
            result.place[part[rows[better]]] = maps[better]


def _aligned(
    pictures: NDArray[np.uint8], above: Ints, below: Ints, start: NDArray[np.float64], errors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Align pairs, coarse to fine; their agreement, and maps."""
    used, back_to = np.unique(np.concatenate([above, below]), return_inverse=True)
    chosen, up, down = pictures[used], back_to[: len(above)], back_to[len(above) :]
    lower, lower_back = np.unique(down, return_inverse=True)
    maps = start
    for level, steps in ((halved(chosen), COARSE_STEPS), (chosen.astype(np.float32), FINE_STEPS)):
        bands = band(level)
        maps = align(template(bands[lower]).take(lower_back), bands[up], maps, steps)
    shown, inside = resampled(chosen.astype(np.float32)[up], maps)
    found = agreement(residual(shown), residual(chosen[lower])[lower_back], inside).assured(errors)
    return np.where(sound(maps, inside), found, 0.0), maps


def by_turn(pictures: NDArray[np.float32], turns: Ints) -> NDArray[np.float32]:
    """Turn each of some pictures."""
    result = pictures.copy()
    for turn in range(1, TURNS):
        rows = np.flatnonzero(turns == turn)
        result[rows] = turned(pictures[rows], turn)
    return result


def _after(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(k,) bool, whether pictures come after others, by their pixels: an order that no order of files changes."""
    one, other = one.reshape(len(one), -1), other.reshape(len(other), -1)
    first = (one != other).argmax(axis=1)[:, None]
    after: NDArray[np.bool_] = (np.take_along_axis(one, first, 1) > np.take_along_axis(other, first, 1))[:, 0]
    return after
