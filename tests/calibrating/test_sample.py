"""Which samples are drawn, and where faults are planted."""

import collections

import numpy as np
import pytest

from datadiet_cli.calibrating.faults import faults_of
from datadiet_cli.calibrating.planting import Garden
from datadiet_cli.calibrating.sample import draw
from datadiet_cli.config.base import Common
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.errors import InputError
from tests.conftest import table

HEADER = ("x", "y", "label", "split")
ROWS = [(f"{i / 7:.4f}", f"{i * i}", "ab"[i % 4 == 0], "test" if i % 10 == 9 else "train") for i in range(200)]


def opened(path):
    return open_dataset(str(path), Reading(label="label"))


def cells(sample):
    return sample.dataset.source.file.texts()[sample.rows].rows()


def test_training_samples_are_drawn_in_proportion_to_their_classes(tmp_path):
    sample = draw(opened(table(tmp_path / "in.csv", HEADER, ROWS)), 60, 0)
    drawn = cells(sample)
    assert len(drawn) == len(set(drawn)) == 60
    assert {row[3] for row in drawn} == {"train"}
    share = sum(row[2] == "b" for row in ROWS if row[3] == "train") / 180
    assert abs(collections.Counter(row[2] for row in drawn)["b"] - 60 * share) <= 1


def test_the_order_of_the_records_changes_nothing_and_the_seed_does(tmp_path):
    mixed = [ROWS[i] for i in np.random.default_rng(0).permutation(len(ROWS))]
    first = draw(opened(table(tmp_path / "a.csv", HEADER, ROWS)), 60, 1)
    second = draw(opened(table(tmp_path / "b.csv", HEADER, mixed)), 60, 1)
    assert cells(first) == cells(second)
    assert cells(draw(first.dataset, 60, 2)) != cells(first)


def test_a_class_of_one_is_drawn_where_others_are_large(tmp_path):
    rows = [(str(i), "1", "big", "train") for i in range(300)]
    sample = draw(opened(table(tmp_path / "in.csv", HEADER, [*rows, ("x", "1", "rare", "train")])), 100, 0)
    assert len(sample) == 100
    assert collections.Counter(row[2] for row in cells(sample))["rare"] <= 1


def test_too_few_are_refused(tmp_path):
    with pytest.raises(InputError, match="19 training samples; calibrate needs 20"):
        draw(opened(table(tmp_path / "in.csv", HEADER, ROWS[:21])), 60, 0)


def test_copies_stand_beside_their_originals_and_other_faults_in_their_place(tmp_path):
    sample = draw(opened(table(tmp_path / "in.csv", HEADER, ROWS)), 100, 0)
    folder = tmp_path / "room"
    folder.mkdir()
    garden = Garden(sample, Common(), str(folder))
    faults = faults_of("row")
    copies = garden.planted("copies", {name: faults[name] for name in ("exact-copy", "noise-1e-3", "other-label")})
    assert len(copies.dataset) == 100 + 15
    assert sorted(plant.row for plant in copies.plants) == list(range(100, 115))
    assert len({plant.original for plant in copies.plants}) == 15
    texts = copies.dataset.source.file.texts().rows()
    classes = copies.dataset.classes
    for plant in copies.plants:
        one, other = texts[plant.row], texts[plant.original]
        assert (one[:2] == other[:2]) == (plant.fault != "noise-1e-3")
        assert (one[2] == other[2]) == (plant.fault != "other-label")
        assert classes[copies.dataset.labels[plant.row]] == one[2]
    flips = garden.planted("labels", {"label-flip": faults["label-flip"]})
    assert len(flips.dataset) == 100
    assert [plant.row for plant in flips.plants] == [plant.original for plant in flips.plants]
    plain = garden.plain().dataset
    changed = np.flatnonzero(plain.labels != flips.dataset.labels).tolist()
    assert changed == sorted(plant.row for plant in flips.plants)


def test_a_fault_that_nothing_can_bear_is_told_and_takes_no_original_away(tmp_path):
    sample = draw(opened(table(tmp_path / "in.csv", HEADER, ROWS)), 100, 0)
    faults = faults_of("row")
    planted = Garden(sample, Common(), str(tmp_path)).planted(
        "copies", {name: faults[name] for name in ("sentence-gone", "exact-copy")}
    )
    assert planted.unfit == {"sentence-gone": "no text"}
    assert [plant.fault for plant in planted.plants] == ["exact-copy"] * 5
