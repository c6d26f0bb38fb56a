"""Impossible values: cells outside the ranges, or not among the values, that the settings allow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from datadiet_cli.config.denoise import Denoise
from datadiet_cli.config.pairs import bounds, choices
from datadiet_cli.errors import ConfigError
from datadiet_cli.steps.noise.row_columns import Bools, Column, as_numbers

_LONGEST = 60
_OPTIONS = 5
"""Characters of a cell that are shown, and values that are allowed."""


class Rule(NamedTuple):
    """What a column must be.

    Attributes:
        flag: the setting it comes from.
        column: its name.
        broken: gives (n,) bool, the cells that are impossible.
        why: says of such a cell, by its text and whether this is a number, what is wrong with it.
    """

    flag: str
    column: str
    broken: Callable[[Column], Bools]
    why: Callable[[str, bool], str]


class Broken(NamedTuple):
    """The impossible cells of a column by one rule, and what is wrong with each.

    Attributes:
        column: its name.
        cells: (n,) bool.
        words: one for each of them, in their order.
        texts: what they say.
    """

    column: str
    cells: Bools
    words: Sequence[str]
    texts: Sequence[str]


def rules_of(settings: Denoise) -> list[Rule]:
    """The rules of the settings, in their order: ranges, then allowed values."""
    ranges = [_range(*bounds(pair)) for pair in settings.ranges or []]
    return ranges + [_allowed(*choices(pair)) for pair in settings.allowed or []]


def broken(rules: Sequence[Rule], columns: Mapping[str, Column]) -> Iterator[Broken]:
    """The impossible cells by each rule; missing ones never are.

    Raises:
        ConfigError: a range is given for a column of words.
    """
    for rule in rules:
        column = columns[rule.column]
        cells = column.known & rule.broken(column)
        if rule.flag == "--ranges" and column.known.any() and np.isnan(as_numbers(column.plain)[column.known]).all():
            raise ConfigError(
                f"denoise: --ranges {rule.column}: none of its cells is a number; use --allowed for words"
            )
        wrong = column.plain.gather(np.flatnonzero(cells))
        texts, numbers = wrong.to_list(), ~np.isnan(as_numbers(wrong))
        words = [rule.why(text, number) for text, number in zip(texts, numbers.tolist(), strict=True)]
        yield Broken(rule.column, cells, words, texts)


def shortened(text: str) -> str:
    """A cell as messages show it."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _range(name: str, low: float, high: float) -> Rule:
    words = "..".join("" if np.isinf(end) else f"{end:.15g}" for end in (low, high))

    def outside(column: Column) -> Bools:
        values = column.numbers if column.numbers is not None else as_numbers(column.plain)
        # What is no number is NaN, and not inside either.
        result: Bools = ~((values >= low) & (values <= high))
        return result

    def why(text: str, number: bool) -> str:
        if number:
            return f"{name} is {shortened(text)}, outside {words}"
        return f"{name} is {shortened(text)!r}, no number"

    return Rule("--ranges", name, outside, why)


def _allowed(name: str, values: frozenset[str]) -> Rule:
    options = sorted(values)
    some = "|".join(map(shortened, options[:_OPTIONS])) + ("|..." if len(options) > _OPTIONS else "")

    def other(column: Column) -> Bools:
        import polars as pl

        # A file of settings and a table may write a boolean differently.
        if column.typed.dtype == pl.Boolean:
            same = column.plain.str.to_lowercase().is_in([option.lower() for option in options])
        else:
            same = column.plain.is_in(options)
        numbers = as_numbers(pl.Series(options, dtype=pl.String))
        equal = np.isin(as_numbers(column.plain), numbers[~np.isnan(numbers)])
        return ~(same.fill_null(value=False).to_numpy() | equal)

    def why(text: str, number: bool) -> str:
        return f"{name} is {shortened(text)!r}, not one of {some}"

    return Rule("--allowed", name, other, why)
