"""What is to be predicted, and which samples are learned from, watched and judged by."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.data.dataset import UNKNOWN, Dataset, encode_names
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.errors import InputError
from datadiet_cli.steps.division import divide, sample_keys
from datadiet_cli.steps.targets import aligned, target_of
from tests.conftest import save, table


class Source:
    """Samples by name only."""

    kind, layout, path = "file", "names", "memory"

    def __init__(self, names):
        self.names = names

    def ids(self, rows):
        return [self.names[row] for row in rows.tolist()]


def dataset(labels, names=None, splits=None, class_sets=None):
    names = names or [f"{i}.png" for i in range(len(labels))]
    codes, classes = encode_names(labels)
    parts, split_names = encode_names(splits or [None] * len(labels))
    return Dataset(Source(names), np.arange(len(labels)), codes, classes, parts, split_names, class_sets or {})


def rows(path, labels, header=("x", "y"), end=()):
    return table(path, header, [(f"{i}.5", label, *end) for i, label in enumerate(labels)])


def goal(labels, **options):
    return target_of(dataset(labels), "train", **options)


# Targets


def test_classes():
    found = goal(["b", "a", None, "b", "a"])
    assert found.task == "classes"
    assert found.classes == ("a", "b")
    assert found.values.tolist() == [1, 0, UNKNOWN, 1, 0]
    assert found.values.dtype == np.int64
    assert found.known.tolist() == [True, True, False, True, True]
    assert goal(list("001122")).task == "classes"
    assert goal([str(i % 30) for i in range(900)]).task == "classes"


def test_numbers(tmp_path):
    found = goal([f"{i}.25" for i in range(40)] + [None, "NA", "?"])
    assert found.task == "numbers"
    assert found.classes == ()
    assert found.values[:2].tolist() == [0.25, 1.25]
    assert np.isnan(found.values[40:]).all()
    assert found.known.sum() == 40
    assert goal(["1.5", "2.5", "3"]).task == "numbers"
    path = rows(tmp_path / "t.csv", [i * 7 % 50 for i in range(50)])
    assert target_of(open_dataset(str(path), Reading(label="y")), "train").label == "y"
    assert goal(["1", "2", "2"], task="numbers").values.tolist() == [1, 2, 2]
    assert goal([f"{i % 30}.5" for i in range(90)], task="classes").task == "classes"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([None, None], "no labels to learn"),
        (["a", "a", None], "all samples to learn from are of one class, 'a'"),
        ([f"text {i}" for i in range(30)], "30 labels, 'text 0', 'text 1' and so on, and no two samples have the same"),
        (["1", "2", "3"], "no two samples have the same"),
    ],
)
def test_labels_that_teach_nothing(labels, words):
    with pytest.raises(InputError, match=f"^train: memory: .*{words}"):
        goal(labels)


def test_other_labels_that_are_refused(tmp_path):
    with pytest.raises(InputError, match="several classes at once"):
        target_of(dataset(["a b", "a"], class_sets={"a b": ("a", "b"), "a": ("a",)}), "train")
    with pytest.raises(InputError, match="all labels are 2: there is nothing to learn"):
        goal(["2", "2", "2.0"], task="numbers")
    with pytest.raises(InputError, match="the label 'many' is no number"):
        goal(["2", "many"], task="numbers")
    path = str(rows(tmp_path / "t.csv", ["", ""]))
    with pytest.raises(InputError, match="--label names its column"):
        target_of(open_dataset(path, Reading()), "train")
    with pytest.raises(InputError, match="--label y: the column is empty"):
        target_of(open_dataset(path, Reading(label="y")), "train")
    with pytest.raises(InputError, match="no training sample has a label"):
        target_of(dataset(["a", "b"], splits=["test", "test"]), "train")


def test_a_set_that_is_only_judged_may_be_of_anything():
    for labels in (["a", "a"], ["a", "b"], ["3"]):
        assert target_of(dataset(labels, splits=["test"] * len(labels)), "evaluate", learned=False).known.all()


def test_classes_that_a_model_does_not_know():
    parts = ["train"] * 4 + ["test"] * 3
    found = target_of(dataset(["a", "a", "b", "b", "b", "c", "c"], splits=parts), "train")
    assert found.classes == ("a", "b")
    assert found.absent == {"c": 2}
    assert found.values.tolist() == [0, 0, 1, 1, 1, UNKNOWN, UNKNOWN]
    codes, foreign = aligned(goal(["b", "d", None, "b", "a"], learned=False), ("b", "c", "a"))
    assert codes.tolist() == [0, UNKNOWN, UNKNOWN, 0, 2]
    assert foreign == {"d": 1}


# Divisions


def parts(data, validation=0.2, test=None, seed=0, **options):
    found = divide(data, target_of(data, "train"), validation=validation, test=test, seed=seed, **options)
    whole = np.concatenate(found[:3])
    assert len(np.unique(whole)) == len(whole)
    assert all((np.diff(part) > 0).all() for part in found[:3])
    return found


def test_splits_of_the_data_are_kept():
    splits = ["train", "Val", "testing", None, "extra", "train", "holdout"]
    found = parts(dataset(list("abbabab"), splits=splits), test=0.5)
    assert [part.tolist() for part in found[:3]] == [[0, 3, 4, 5], [1], [2, 6]]
    assert found.notes == ()


def test_parts_are_drawn_class_by_class():
    labels = ["a"] * 600 + ["b"] * 300 + ["c"] * 99 + ["alone"]
    found = parts(dataset(labels), validation=0.1, test=0.2)
    names = np.array(labels)
    assert [len(part) for part in found[:3]] == [720, 80, 200]
    for part, share in zip(found[:3], (0.72, 0.08, 0.2), strict=True):
        for name, count in (("a", 600), ("b", 300), ("c", 99)):
            assert abs((names[part] == name).sum() - share * count) <= 1.2
    assert "alone" in names[found.train]
    assert found.notes[0].startswith("test: there is no such split; 200 of 1,000 training samples are held out")
    assert found.notes[1].startswith("validation: there is no such split; 80 of 800 training samples")
    assert found.notes[2] == "classes of one sample, which is learned from and never judged: alone"
    assert not np.array_equal(parts(dataset(labels), seed=1).validation, parts(dataset(labels)).validation)
    assert len(parts(dataset(labels), validation=0).validation) == 0


def test_small_classes_are_judged_too():
    labels = [f"class {i % 100:02}" for i in range(200)]
    found = parts(dataset(labels), validation=0.1, test=0.1)
    assert len({labels[i] for i in found.test.tolist()}) == 100
    assert len(found.train) == 100


@settings(max_examples=30)
@given(st.lists(st.sampled_from("aaabbc"), min_size=4, max_size=60), st.integers(0, 5), st.data())
def test_a_draw_depends_on_samples_only(labels, seed, data):
    labels = ["a", "a", "b", "b", *labels]
    names = [f"{i}.png" for i in range(len(labels))]
    one = parts(dataset(labels, names), test=0.3, seed=seed)
    order = data.draw(st.permutations(range(len(labels))))
    other = parts(dataset([labels[i] for i in order], [names[i] for i in order]), test=0.3, seed=seed)
    for a, b in zip(one[:3], other[:3], strict=True):
        assert {names[i] for i in a} == {names[order[i]] for i in b}


def test_samples_stay_in_their_part_when_others_go():
    rng = np.random.default_rng(0)
    labels = [f"class {i % 4}" for i in range(2000)]
    names = [f"{i}.png" for i in range(2000)]
    kept = np.flatnonzero(rng.random(2000) < 0.6)
    before = parts(dataset(labels, names), test=0.2)
    after = parts(dataset([labels[i] for i in kept], [names[i] for i in kept]), test=0.2)
    was = {names[i] for i in before.test}
    moved = sum(names[kept[i]] not in was for i in after.test)
    # Of an independent draw 80 % would have moved.
    assert moved < 0.1 * len(after.test)


def test_rows_that_say_the_same_stay_together(tmp_path):
    cells = [(i // 5, "ab"[i // 5 % 2]) for i in range(500)]
    data = open_dataset(str(table(tmp_path / "t.csv", ["x", "y"], cells)), Reading(label="y"))
    found = parts(data, test=0.2)
    groups = np.arange(500) // 5
    sides = [set(groups[part].tolist()) for part in found[:3]]
    assert sum(map(len, sides)) == len(set.union(*sides))
    assert len(found.test) == 100
    order = np.random.default_rng(0).permutation(500)[:400]
    shuffled = [(cells[i][1], i, cells[i][0]) for i in order]
    other = open_dataset(str(table(tmp_path / "o.csv", ["y", "z", "x"], shuffled)), Reading(label="y"))
    np.testing.assert_array_equal(sample_keys(other, ["x"]), sample_keys(data)[order])
    same = open_dataset(
        str(table(tmp_path / "s.csv", ["x", "y"], [(1, "ab"[i % 2]) for i in range(40)])), Reading(label="y")
    )
    assert len(parts(same, test=0.2).train) == 40


def test_numbers_are_drawn_at_any_size():
    found = parts(dataset([f"{i}.5" for i in range(200)]), validation=0.1, test=0.25)
    assert [len(part) for part in found[:3]] == [135, 15, 50]


def test_samples_that_take_no_part():
    labels = [*["a", "b"] * 20, None, None]
    usable = np.ones(42, dtype=bool)
    usable[[0, 1, 41]] = False
    found = parts(dataset(labels), usable=usable)
    assert not np.isin(np.concatenate(found[:3]), [0, 1, 40, 41]).any()
    assert found.notes[0] == "left out, without a label: 2"
    assert found.notes[1] == "left out, because they cannot be read or hold nothing: 2"
    with pytest.raises(InputError, match="no sample is left to learn from; left out, without"):
        parts(dataset(labels), usable=np.zeros(42, dtype=bool))
    usable[1::2] = False
    with pytest.raises(InputError, match="samples of one class only are left to learn from"):
        parts(dataset(labels), usable=usable)


def test_evaluation_samples_of_unknown_classes_are_named():
    data = dataset(["a", "a", "b", "b", "c"], splits=["train"] * 4 + ["test"])
    found = parts(data, validation=0)
    assert found.notes == ("left out, of classes that no training sample has (c): 1",)


def test_a_folder_is_divided_alike_wherever_it_lies(tmp_path):
    for root in ("one", "two"):
        for i in range(12):
            save(tmp_path / root / "ab"[i % 2] / f"{i}.png", i)
    one, two = (parts(open_dataset(str(tmp_path / root)), test=0.25) for root in ("one", "two"))
    assert [part.tolist() for part in one[:3]] == [part.tolist() for part in two[:3]]
