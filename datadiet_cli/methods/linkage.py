"""Record linkage: how likely two rows describe one thing, told from which of their cells agree.

After Fellegi & Sunter, "A theory for record linkage" (JASA 1969): a cell that agrees is worth -log2 of the chance that
it agrees anyway, which differs from value to value (section 3.3.1, "method I"), so a rare surname tells more than a
common one; a cell that contradicts costs `CONTRADICTION` bits. Cells that are merely alike count in part (Winkler,
"String comparator metrics and enhanced decision rules in the Fellegi-Sunter model of record linkage", 1990).
Missing cells say nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.strings import Strings, Texts, code_similarity, date_similarity

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MISSING = -1
CONTRADICTION = float(-np.log2(1.0 - 0.9))
"""What a contradicting cell takes from the evidence, in bits, if nine cells in ten of a true copy agree."""
RELATIVE_REACH = 0.01
SPREAD_REACH = 0.05
"""Quantities further apart than these shares of the larger, or of the column's spread, contradict each other."""
TRUST = 0.5
"""How much of what categories tell counts towards identity."""
MARGIN = 4.0
NEARLY_ALL = 0.95
SHARED = 4
GLANCE_STEPS = 10
PAIRS_AT_ONCE = 1 << 18

_STRINGS: dict[str, Callable[[Strings, Strings, int], Floats]] = {
    "code": code_similarity,
    "date": date_similarity,
}


@dataclass(frozen=True, eq=False)
class Field:
    """One column of the rows that are compared.

    Attributes:
        kind: ``text``, ``code``, ``date``, ``category`` (equal or not) or ``quantity``.
        code: (n,) int64, the place of each row's value in `values`, -1 for missing.
        values: (m,) object, the different values as strings.
        numbers: (m,) float64, ascending, the values of a quantity; else empty.
    """

    kind: str
    code: Ints
    values: Strings
    numbers: Floats

    @cached_property
    def count(self) -> Ints:
        """(m,) int64, the rows of each value."""
        return np.bincount(self.code[self.code >= 0], minlength=len(self.values)).astype(np.int64)

    @cached_property
    def known(self) -> int:
        """Rows that have a value."""
        return int(self.count.sum())

    @property
    def filled(self) -> float:
        """The share of rows that have a value."""
        return self.known / max(len(self.code), 1)

    @cached_property
    def bits(self) -> Floats:
        """(m + 1,) float64, what agreement in each value is worth; the last is that of a missing one, 0."""
        return np.append(self.worth(self.count), 0.0)

    @cached_property
    def mean_bits(self) -> float:
        """What agreement is worth on average over rows."""
        return float((self.bits[:-1] * self.count).sum() / max(self.known, 1))

    @cached_property
    def telling(self) -> bool:
        """Whether a value stands in few other rows, `SHARED` on average, as a telephone number or a second does."""
        few = self.mean_bits >= np.log2(max(self.known, 2) / SHARED)
        return self.kind in ("text", "code", "date") and bool(few)

    @cached_property
    def spread(self) -> float:
        """Between the quartiles of a quantity, or all of it where they are equal."""
        ends = np.searchsorted(np.cumsum(self.count), np.array([0.25, 0.75]) * self.known)
        low, high = self.numbers[np.minimum(ends, len(self.numbers) - 1)]
        return float(high) - float(low) or float(self.numbers[-1]) - float(self.numbers[0])

    def worth(self, count: Ints) -> Floats:
        """Bits of agreement in what `count` rows have: the chance that one of the other rows has it too."""
        if self.known < 2:
            return np.zeros(len(count))
        return -np.log2(np.maximum(count - 1, 0.5) / (self.known - 1))

    def glance(self, rows: Ints) -> tuple[Ints, NDArray[np.float32]]:
        """Cells to compare at a glance: equal or not, where quantities that are nearly equal count as equal mostly.

        Args:
            rows: (k,) int64.

        Returns:
            (k,) int64 codes, -1 for missing, and (k,) float32, what agreement in them is worth.
        """
        code = self.code
        if self.kind == "quantity" and self.spread > 0 and np.isfinite(self.spread):
            step = self.numbers / (SPREAD_REACH * self.spread / GLANCE_STEPS)
            code = np.where(code >= 0, np.unique(np.floor(step), return_inverse=True)[1][code], MISSING)
        count = np.bincount(code[code >= 0], minlength=int(code.max(initial=0)) + 1)
        worth = np.append(self.worth(count), 0.0).astype(np.float32)
        return code[rows], worth[code[rows]]

    def compare(self, a: Ints, b: Ints, workers: int = 1) -> tuple[Floats, Floats]:
        """Compare values, each known and different from its partner.

        Args:
            a: (k,) int64, places in `values`.
            b: (k,) int64.
            workers: threads for strings.

        Returns:
            (k,) float64, how alike in [0, 1), and (k,) float64, what agreement would be worth, in bits.
        """
        if self.kind == "quantity" and len(a):
            return self._compare_numbers(a, b)
        worth = np.minimum(self.bits[a], self.bits[b])
        if self.kind == "category" or not len(a):
            return np.zeros(len(a)), worth
        pairs, back = np.unique(np.minimum(a, b) * len(self.values) + np.maximum(a, b), return_inverse=True)
        low, high = pairs // len(self.values), pairs % len(self.values)
        if self.kind == "text":
            return self._texts.similarity(low, high, workers)[back], worth
        return _STRINGS[self.kind](self.values[low], self.values[high], workers)[back], worth

    @cached_property
    def _texts(self) -> Texts:
        return Texts(self.values)

    def _compare_numbers(self, a: Ints, b: Ints) -> tuple[Floats, Floats]:
        x, y = self.numbers[a], self.numbers[b]
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.abs(x - y)
            reach = np.minimum(RELATIVE_REACH * np.maximum(np.abs(x), np.abs(y)), SPREAD_REACH * self.spread)
            alike = np.nan_to_num(np.clip(1.0 - gap / reach, 0.0, 1.0), nan=0.0)
        near = np.flatnonzero(alike)
        worth = np.minimum(self.bits[a], self.bits[b])
        # So close by chance comes more often than equal by chance.
        around = np.maximum(self._within(x[near], gap[near]), self._within(y[near], gap[near]))
        worth[near] = self.worth(around)
        return alike, worth

    def _within(self, x: Floats, gap: Floats) -> Ints:
        before = np.append(0, np.cumsum(self.count))
        first = np.searchsorted(self.numbers, x - gap, side="left")
        last = np.searchsorted(self.numbers, x + gap, side="right")
        inside: Ints = before[last] - before[first]
        return inside


class Agreement(NamedTuple):
    """How k pairs of rows agree.

    Attributes:
        similarity: (k,) float64 in [0, 1]: agreement as a share of what full agreement of the cells that both rows
            have would be worth; 1 where all of those are equal.
        strict: (k,) float64, the same as a share of what the cells that either row has would be worth, and of what
            neither has but other rows have.
        evidence: (k,) float64, bits for the two rows being one, less `CONTRADICTION` for what contradicts it.
        identity: (k,) float64, the same from texts, codes and dates, with the support of categories: `TRUST` of what
            they tell, though never more than the former do.
        opposed: (k,) bool, whether two cells or more tell things apart and all of those contradict each other.
        contradicted: (k,) bool, whether any cell contradicts the other row's in full.
    """

    similarity: Floats
    strict: Floats
    evidence: Floats
    identity: Floats
    opposed: NDArray[np.bool_]
    contradicted: NDArray[np.bool_]

    def enough(self, rows: int) -> NDArray[np.bool_]:
        """(k,) bool, whether the evidence is enough among so many rows.

        If each row had one copy, one pair in `rows` would be of copies; so a pair is one as likely as not at
        log2(rows) bits, and `MARGIN` bits are asked for on top. Names, codes and dates are independent enough to be
        added up. Measurements and categories are not: things of one sort agree in many of them at once. Where the
        bits come from those, nothing may contradict, and no pair of all should agree so by chance.

        Cells are not quite independent, though: where a journey ends tells the borough, too. So rows are different
        things whatever else agrees if all cells that would name the thing are different. A single one may be a number
        that each row was given of its own.
        """
        prior = float(np.log2(max(rows, 1)))
        named = (self.identity >= prior + MARGIN) & ~self.opposed
        measured = (self.evidence >= 2 * prior - 1) & (self.strict >= NEARLY_ALL) & ~self.contradicted
        return named | measured


def agreement(fields: Sequence[Field], a: Ints, b: Ints, workers: int = 1) -> Agreement:
    """Compare pairs of rows on all fields.

    Args:
        fields: the columns.
        a: (k,) int64 rows.
        b: (k,) int64 rows.
        workers: threads for strings.
    """
    parts = [
        _agreement(fields, a[start : start + PAIRS_AT_ONCE], b[start : start + PAIRS_AT_ONCE], workers)
        for start in range(0, len(a), PAIRS_AT_ONCE)
    ]
    if not parts:
        return Agreement(*np.empty((4, 0)), *np.empty((2, 0), dtype=bool))
    return Agreement(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _agreement(fields: Sequence[Field], a: Ints, b: Ints, workers: int) -> Agreement:
    agreed, against, unknown, proof, support, rest = np.zeros((6, len(a)))
    shared, contradicted = np.zeros((2, len(a)), dtype=bool)
    names, named = np.zeros(len(a), dtype=np.int64), np.zeros(len(a))
    for field in fields:
        x, y = field.code[a], field.code[b]
        both = (x >= 0) & (y >= 0)
        differ = np.flatnonzero(both & (x != y))
        alike = np.where(both & (x == y), 1.0, 0.0)
        worth = field.bits[x]
        alike[differ], worth[differ] = field.compare(x[differ], y[differ], workers)
        contradicts = np.where(both, 1.0 - alike, 0.0)
        bits = alike * worth - CONTRADICTION * contradicts
        shared |= both
        contradicted |= contradicts == 1.0
        if field.telling:
            names += both
            named += alike
        agreed += alike * worth
        against += contradicts * field.mean_bits
        unknown += np.where(both, 0.0, np.where((x < 0) & (y < 0), field.filled, 1.0) * field.mean_bits)
        total = {"quantity": rest, "category": support}.get(field.kind, proof)
        total += bits
    # Cells that tell nothing, being the same in all rows, still agree.
    similarity = _share(agreed, against, shared)
    identity = proof + np.minimum(TRUST * support, np.maximum(proof, 0.0))
    strict = _share(agreed, against + unknown, shared)
    opposed = (names > 1) & (named == 0.0)
    return Agreement(similarity, strict, proof + support + rest, identity, opposed, contradicted)


def _share(agreed: Floats, rest: Floats, shared: NDArray[np.bool_]) -> Floats:
    whole = agreed + rest
    return np.where(whole > 0, agreed / np.where(whole > 0, whole, 1.0), shared.astype(np.float64))


def own_bits(fields: Sequence[Field]) -> Floats:
    """(n,) float64, the evidence that a row equal to each row would have."""
    total = np.zeros(len(fields[0].code))
    for field in fields:
        total += field.bits[field.code]
    return total
