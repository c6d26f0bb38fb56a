"""Which samples each side of a comparison learns from, and that no sample it is judged by is among them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.config.evaluate import Evaluate
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.tables import TableFormat
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.evaluating.arms import planned
from datadiet_cli.steps.evaluating.pairing import NOWHERE, counterparts
from datadiet_cli.steps.evaluating.trial import trial_of
from tests.conftest import table

HEADER = ["x", "y", "colour", "kind", "split"]
READING = Reading(label="kind", split="split", table=TableFormat())


def records(n=60, seed=0, tested=0, doubles=0):
    """Rows that are all different, but for the last ones, which equal the first; some of them for testing."""
    rng = np.random.default_rng(seed)
    rows = [
        [f"{rng.normal(3 * (i % 3)):.6f}", f"{rng.normal():.6f}", "uvw"[i % 3], "abc"[i % 3], ""]
        for i in range(n - doubles)
    ]
    rows += [list(row) for row in rows[:doubles]]
    for i, row in enumerate(rows):
        row[4] = "test" if tested and i % (n // tested) == 1 else "train"
    return rows


def written(path, rows, split=True):
    end = len(HEADER) if split else len(HEADER) - 1
    return str(table(path, HEADER[:end], [row[:end] for row in rows]))


def trial(after, before, reading=READING, **options):
    context = Context(reading=reading, seed=5)
    asked = Evaluate.model_validate({"against": str(before), "model": "linear", **options})
    return trial_of(open_dataset(str(after), reading), asked, context)


def without_split(reading=READING):
    return replace(reading, split=None)


def cells(side, material, rows):
    """What samples say: the features and the label of rows."""
    dataset = material.dataset
    frame = dataset.source.file.texts(["x", "y"])[dataset.rows[rows]]
    return list(frame.iter_rows())


def check(found, classes=("a", "b", "c")):
    """Both sides are judged by the same samples, and neither learned from one of them."""
    before, after = found.before, found.after
    judged = cells(before, before.test, before.rows)
    assert cells(after, after.test, after.rows) == judged
    values = [side.test.goal.values[side.rows] for side in (before, after)]
    assert len(values[0]) == len(values[1]) > 0
    assert found.classes == classes
    for side in (before, after):
        assert not set(judged) & set(cells(side, side.material, side.train))
    return set(judged)


def test_a_split_of_before_judges_both(tmp_path):
    rows = records(tested=12)
    kept = [row for i, row in enumerate(rows) if row[4] == "test" or i % 2 == 0]
    found = trial(written(tmp_path / "after.csv", kept), written(tmp_path / "before.csv", rows))
    assert check(found) == {tuple(row[:2]) for row in rows if row[4] == "test"}
    assert len(found.before.train) == 48
    assert len(found.after.train) == sum(row[4] == "train" for row in kept)
    assert found.leaked == {}


def test_after_may_lack_the_test_split(tmp_path):
    """What was pruned is often the training part alone: the test samples then are those of before, and it is said."""
    rows = records(tested=12)
    kept = [row for row in rows if row[4] == "train"][:30]
    found = trial(written(tmp_path / "after.csv", kept), written(tmp_path / "before.csv", rows))
    assert check(found) == {tuple(row[:2]) for row in rows if row[4] == "test"}
    assert any("not all of them are in after" in note for note in found.notes)


def test_no_split_at_all(tmp_path):
    """A part of each class is held out of both, by the seed, and it is said; what remains is learned from."""
    rows = records()
    kept = [row for i, row in enumerate(rows) if i % 4]
    paths = written(tmp_path / "after.csv", kept, split=False), written(tmp_path / "before.csv", rows, split=False)
    found = trial(*paths, reading=without_split(), test_share="20%")
    judged = check(found)
    assert len(judged) == 12
    labels = found.before.test.goal.values[found.before.rows]
    assert np.bincount(labels).tolist() == [4, 4, 4]
    assert len(found.before.train) == 48
    assert len(found.after.train) == sum(tuple(row[:2]) not in judged for row in kept)
    assert any("held out" in note and "seed 5" in note for note in found.notes)
    assert check(trial(*paths, reading=without_split(), test_share="20%")) == judged


@pytest.mark.parametrize(
    "how", ["other order", "equal rows", "no equal rows left", "other cells are gone", "relabelled"]
)
def test_rows_are_found_without_ids(how, tmp_path):
    """The number of a row in a file says nothing once others are gone."""
    rows = records(60, doubles=15)
    kept = rows[7:]
    if how == "other order":
        kept = kept[::-1]
    elif how == "no equal rows left":
        kept = [list(row) for row in {tuple(row): None for row in rows}]
    elif how == "relabelled":
        kept = [[*row[:3], "a" if i in (3, 20) else row[3], row[4]] for i, row in enumerate(rows[:45])]
    columns = [0, 1, 3] if how == "other cells are gone" else [0, 1, 2, 3]
    after = table(tmp_path / "after.csv", [HEADER[i] for i in columns], [[row[i] for i in columns] for row in kept])
    before = written(tmp_path / "before.csv", rows, split=False)
    found = trial(after, before, reading=without_split())
    judged = check(found)
    known = [tuple(row[:2]) for row in kept]
    assert len(found.after.train) == sum(row not in judged for row in known)


def test_ids_go_before_cells(tmp_path):
    """Where there is a column of ids, cells may be new: that is what imputing does."""
    rows = [[f"r{i}", *row[:4]] for i, row in enumerate(records())]
    fixed = [[*row[:1], "1.5", *row[2:]] if i % 7 == 0 else row for i, row in enumerate(rows)][::-1]
    reading = Reading(label="kind", id_column="id", table=TableFormat())
    paths = [
        str(table(tmp_path / name, ["id", *HEADER[:4]], some)) for name, some in (("a.csv", fixed), ("b.csv", rows))
    ]
    found = trial(*paths, reading=reading)
    ids = [{side.material.dataset.ids[i] for i in side.train.tolist()} for side in (found.before, found.after)]
    judged = [[side.test.dataset.ids[i] for i in side.rows.tolist()] for side in (found.before, found.after)]
    assert judged[0] == judged[1]
    assert ids[0] == ids[1]
    assert not ids[0] & set(judged[0])


def test_what_before_does_not_have_is_refused(tmp_path):
    """Made samples may be made of those that are held out."""
    rows = records()
    after = written(tmp_path / "after.csv", [*rows, ["9", "9", "u", "a", ""]], split=False)
    before = written(tmp_path / "before.csv", rows, split=False)
    with pytest.raises(ConfigError, match=r"1 samples? of .*after\.csv .* --test"):
        trial(after, before, reading=without_split())


def test_added_samples_with_test_data(tmp_path):
    rows = records()
    after = written(tmp_path / "after.csv", [*rows, ["9", "9", "u", "a", ""]], split=False)
    before = written(tmp_path / "before.csv", rows, split=False)
    test = written(tmp_path / "test.csv", records(20, seed=1), split=False)
    found = trial(after, before, reading=without_split(), test=test)
    assert len(check(found)) == 20
    assert len(found.after.train) == 61


def test_a_class_that_only_test_samples_have(tmp_path):
    """They are left out where the classes are those of the training data, and it is said."""
    rows = records(tested=12)
    rows += [["1", f"{i}", "u", "new", "test"] for i in range(3)]
    found = trial(written(tmp_path / "a.csv", rows[1:]), written(tmp_path / "b.csv", rows))
    assert "new" not in found.classes
    assert any("new" in note and "3" in note for note in found.notes)
    check(found)


def test_test_data_with_a_class_of_their_own(tmp_path):
    """The model cannot know it, and each such sample is a mistake of both; so it is said."""
    rows = records()
    test = [*records(20, seed=1), ["1", "1", "u", "new", ""]]
    paths = [
        written(tmp_path / f"{n}.csv", some, split=False) for n, some in (("a", rows[1:]), ("b", rows), ("t", test))
    ]
    found = trial(*paths[:2], reading=without_split(), test=paths[2])
    assert any("new" in note for note in found.notes)


def test_after_may_lack_a_class(tmp_path):
    """Both are judged by all classes of before."""
    rows = records(tested=12)
    kept = [row for row in rows if row[3] != "c"]
    found = trial(written(tmp_path / "a.csv", kept), written(tmp_path / "b.csv", rows))
    check(found)
    assert (found.before.test.goal.values[found.before.rows] == 2).any()


@pytest.mark.parametrize("side", ["before", "after"])
def test_leaks_of_either_side(side, tmp_path):
    """A test sample in the training data of one side is one too many."""
    rows, test = records(), records(20, seed=1)
    more = [*rows, test[4]]
    before = written(tmp_path / "b.csv", more if side == "before" else rows, split=False)
    after = written(tmp_path / "a.csv", more if side == "after" else rows[1:], split=False)
    judged = written(tmp_path / "t.csv", test, split=False)
    with pytest.raises(InputError, match="1 test sample"):
        trial(after, before, reading=without_split(), test=judged)
    left = trial(after, before, reading=without_split(), test=judged, leakage="exclude")
    assert len(left.before.rows) == len(left.after.rows) == 19
    assert left.leaked["exact"] == 1
    check(left)
    told = trial(after, before, reading=without_split(), test=judged, leakage="report")
    assert len(told.before.rows) == 20
    assert told.leaked["exact"] == 1
    assert told.notes[0].startswith("LEAKAGE")


def test_controls(tmp_path):
    """Random samples of each class as many as it has, in all as many as after has, others for each seed."""
    rows = records(90, tested=15)
    rows = [row for i, row in enumerate(rows) if row[3] != "c" or i % 2 == 0]
    kept = [row for i, row in enumerate(rows) if row[4] == "test" or i % 3 == 0]
    found = trial(written(tmp_path / "a.csv", kept), written(tmp_path / "b.csv", rows))
    asked = Evaluate(against="b", model="linear", seeds=4, epochs=6, batch_size=8)
    context = Context(seed=2)
    plans = {plan.name: plan for plan in planned(found, asked, "epochs", context)[0]}
    assert set(plans) == {"after", "before", "random", "cost"}
    drawn = plans["random"].rows
    assert len({tuple(rows.tolist()) for rows in drawn}) == len(drawn) == 4
    n_after, n_before = len(found.after.train), len(found.before.train)
    every = found.before.material.goal.values
    for chosen in drawn:
        assert len(set(chosen.tolist())) == n_after
        assert set(chosen.tolist()) <= set(found.before.train.tolist())
        share = np.bincount(every[found.before.train], minlength=3) * n_after / n_before
        assert (abs(np.bincount(every[chosen], minlength=3) - share) < 1).all()
    assert plans["cost"].recipe.iterations == 6 * -(-n_after // 8)
    assert {plan.recipe.epochs for plan in plans.values()} == {6}
    again = {plan.name: plan for plan in planned(found, asked, "epochs", context)[0]}
    assert all((one == two).all() for one, two in zip(drawn, again["random"].rows, strict=True))
    plans = {plan.name: plan for plan in planned(found, asked, "iterations", context)[0]}
    assert set(plans) == {"after", "before", "random"}
    assert {plan.recipe.iterations for plan in plans.values()} == {6 * -(-n_before // 8)}


keys = st.lists(st.integers(0, 5), min_size=2, max_size=25)


@settings(max_examples=30)
@given(before=keys, chosen=st.data())
def test_no_sample_is_two(before, chosen, tmp_path_factory):
    """Of any subset in any order each sample has a counterpart of its own that says the same; others have none."""
    folder = tmp_path_factory.mktemp("t")
    order = chosen.draw(st.permutations(range(len(before))))
    some = [before[i] for i in order[: chosen.draw(st.integers(1, len(before)))]]
    paths = [table(folder / f"{n}.csv", ["x"], [[v] for v in rows]) for n, rows in (("b", before), ("a", [*some, 77]))]
    one, other = (open_dataset(str(path), Reading(table=TableFormat())) for path in paths)
    found = counterparts(one, other, same_source=False)
    assert found[-1] == NOWHERE
    assert len(set(found[:-1].tolist())) == len(some)
    assert [before[i] for i in found[:-1]] == some
