"""A folder or table with some samples relabelled and others made is written as somebody would have done it by hand."""

from dataclasses import replace

import numpy as np
import pytest

from datadiet_cli.data.changed import NewFile, free_names, relabelled, unchangeable, with_cells, with_files
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.errors import InputError
from tests.conftest import class_folders, names, save


def written(dataset, to, link="copy"):
    to.mkdir()
    dataset.source.write(dataset.rows, str(to), link)
    return open_dataset(str(to), Reading())


def row_of(dataset, name):
    return int(dataset.rows[dataset.ids.index(name)])


def labels(dataset):
    return {
        name: None if code < 0 else dataset.classes[code]
        for name, code in zip(dataset.ids, dataset.labels.tolist(), strict=True)
    }


class TestClassFolders:
    @pytest.fixture
    def data(self, tmp_path):
        files = {"train/cat/a.png": 1, "train/cat/b.png": 2, "train/dog/a.png": 3, "test/dog/c.png": 4}
        return open_dataset(str(class_folders(tmp_path / "in", files)))

    def test_a_relabelled_file_moves_and_takes_nobodys_place(self, data, tmp_path):
        content = (tmp_path / "in/train/cat/a.png").read_bytes()
        changed = relabelled(data, {row_of(data, "train/cat/a.png"): "dog"})
        assert changed.ids == data.ids, "an id stays the same through a pipeline"
        again = written(changed, tmp_path / "out")
        assert again.ids == ["test/dog/c.png", "train/cat/b.png", "train/dog/a-2.png", "train/dog/a.png"]
        assert (tmp_path / "out/train/dog/a-2.png").read_bytes() == content
        assert labels(again)["train/dog/a-2.png"] == "dog"

    def test_a_class_that_the_split_has_not_gets_a_folder(self, data, tmp_path):
        changed = relabelled(data, {row_of(data, "test/dog/c.png"): "cat"})
        written(changed, tmp_path / "out")
        assert "test/cat/c.png" in names(tmp_path / "out")

    def test_new_files_lie_beside_what_they_are_made_of(self, data, tmp_path):
        (tmp_path / "made.png").write_bytes(b"new")
        row = row_of(data, "train/cat/a.png")
        first, second = free_names(data, [row, row], [".png", ".PNG"])
        assert (first, second) == ("train/cat/a-new.png", "train/cat/a-new-2.PNG"), "capitals tell no names apart"
        grown = with_files(data, [NewFile(row, first, str(tmp_path / "made.png"))])
        assert labels(grown)["train/cat/a-new.png"] == "cat"
        assert grown.split_names[grown.splits[-1]] == "train"
        assert grown.bytes[-1] == 3
        written(grown, tmp_path / "out", link="symlink")
        made = tmp_path / "out/train/cat/a-new.png"
        assert made.read_bytes() == b"new"
        assert not made.is_symlink(), "what it would lead to is gone after the run"

    def test_a_sample_can_be_made_of_one_that_moved(self, data, tmp_path):
        row = row_of(data, "train/cat/a.png")
        moved = relabelled(data, {row: "dog"})
        (name,) = free_names(moved, [row], [".png"])
        grown = with_files(moved, [NewFile(row, name, moved.source.paths(np.array([row]))[0])])
        assert written(grown, tmp_path / "out").ids == sorted(
            ["train/cat/b.png", "train/dog/a.png", "train/dog/a-2.png", "train/dog/a-2-new.png", "test/dog/c.png"]
        )

    def test_a_file_beside_the_classes_has_no_label_to_change(self, tmp_path):
        class_folders(tmp_path / "in", {"cat/a.png": 1, "dog/b.png": 2, "c.png": 3})
        data = open_dataset(str(tmp_path / "in"))
        with pytest.raises(InputError, match=r"c\.png: neither a folder nor a table says its label"):
            relabelled(data, {row_of(data, "c.png"): "dog"})


@pytest.mark.parametrize(
    ("table", "cells", "made", "relabel"),
    [
        ("labels.csv", "name,label\na.png,cat\nb.png,dog\n", "a-new.png,cat", "a.png,dog"),
        ("labels.csv", "id,label\na,cat\nb,dog\n", "a-new,cat", "a,dog"),
        ("metadata.csv", "file_name,label\na.png,cat\nb.png,dog\n", "a-new.png,cat", "a.png,dog"),
        (
            "metadata.jsonl",
            '{"file_name": "a.png", "label": "cat"}\n{"file_name": "b.png", "label": "dog"}\n',
            '{"file_name": "a-new.png", "label": "cat"}',
            '{"file_name": "a.png", "label": "dog"}',
        ),
    ],
    ids=["names", "stems", "metadata", "jsonl"],
)
def test_tables_beside_the_files_say_what_is_new(tmp_path, table, cells, made, relabel):
    folder = tmp_path / "in"
    for number, name in enumerate(("a.png", "b.png")):
        save(folder / name, number)
    (folder / table).write_text(cells)
    data = open_dataset(str(folder))
    row = row_of(data, "a.png")
    grown = with_files(data, [NewFile(row, *free_names(data, [row], [".png"]), str(folder / "a.png"))])
    again = written(grown, tmp_path / "out")
    assert labels(again) == {"a.png": "cat", "a-new.png": "cat", "b.png": "dog"}
    assert (tmp_path / "out" / table).read_text() == cells + made + "\n"

    changed = relabelled(grown, {row: "dog"})
    assert labels(written(changed, tmp_path / "other")) == {"a.png": "dog", "a-new.png": "cat", "b.png": "dog"}
    assert relabel in (tmp_path / "other" / table).read_text()


def test_a_table_that_names_files_by_path_follows_them(tmp_path):
    folder = class_folders(tmp_path / "in", {"cat/a.png": 1, "dog/b.png": 2})
    (folder / "notes.csv").write_text("file,note\ncat/a.png,first\ndog/b.png,second\n")
    data = open_dataset(str(folder))
    changed = relabelled(data, {row_of(data, "cat/a.png"): "dog"})
    written(changed, tmp_path / "out")
    assert (tmp_path / "out/notes.csv").read_text() == "file,note\ndog/a.png,first\ndog/b.png,second\n"


class TestTables:
    @pytest.fixture
    def data(self, tmp_path):
        (tmp_path / "in.csv").write_text("x,y\n1,cat\n02,dog\n3,cat\n")
        return open_dataset(str(tmp_path / "in.csv"), Reading(label="y"))

    def test_relabelled_cells_change_and_nothing_else(self, data, tmp_path):
        changed = relabelled(data, {0: "dog"})
        assert labels(changed) == {"0": "dog", "1": "dog", "2": "cat"}
        changed.source.write(changed.rows, str(tmp_path / "out.csv"), "copy")
        assert (tmp_path / "out.csv").read_text() == "x,y\n1,dog\n02,dog\n3,cat\n"

    def test_records_are_added_and_later_steps_see_them(self, data, tmp_path):
        grown = with_cells(data, {"x": {3: "2.5"}}, {"made": {3: "yes"}}, [1])
        assert grown.ids == ["0", "1", "2", "3"]
        assert grown.source.file.texts(["x"]).to_series().to_list() == ["1", "02", "3", "2.5"]
        assert grown.source.features == ["x"], "a mark is no feature"
        thinned = grown.without(np.array([0]))
        thinned.source.write(thinned.rows, str(tmp_path / "out.csv"), "copy")
        assert (tmp_path / "out.csv").read_text() == "x,y,made\n02,dog,\n3,cat,\n2.5,dog,yes\n"

    def test_relabelling_can_make_a_class(self, data):
        assert relabelled(data, {0: "horse"}).classes == ("cat", "dog", "horse")


def test_annotated_images_cannot_be_changed(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / f"in/images/{name}.png", ord(name))
        (tmp_path / "in/labels").mkdir(exist_ok=True)
        (tmp_path / f"in/labels/{name}.txt").write_text("0 .5 .5 .2 .2\n")
    (tmp_path / "in/data.yaml").write_text("names: [cat]\ntrain: images\n")
    data = open_dataset(str(tmp_path / "in"))
    assert "YOLO" in unchangeable(data)
    assert unchangeable(replace(data, source=replace(data.source, tables=()))) is None
