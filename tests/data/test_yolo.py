"""YOLO datasets, the full way through: labels go with their images, lists lose lines, all else stays as it is."""

import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datadiet_cli.data.open import open_dataset
from tests.conftest import Cli, report, tree_digest
from tests.data.trees import labels_of, read, without, write

CAT, DOG = "0 0.5 0.5 0.25 0.25\n", "1 0.5 0.5 0.25 0.25\n"
NAMES = "names: [cat, dog]\n"


def splits_of(root):
    dataset = open_dataset(str(root))
    names = (*dataset.split_names, None)
    return {name: names[code] for name, code in zip(dataset.ids, dataset.splits.tolist(), strict=True)}


def layout_of(root):
    return open_dataset(str(root)).source.layout


def facts_of(root):
    return dict(open_dataset(str(root)).source.facts())


ULTRALYTICS = ("images/{split}/{name}.jpg", "labels/{split}/{name}.txt")
ROBOFLOW = ("{split}/images/{name}.jpg", "{split}/labels/{name}.txt")
FLAT = ("images/{name}.jpg", "labels/{name}.txt")
DEEP = ("data/{split}/images/cam1/{name}.jpg", "data/{split}/labels/cam1/{name}.txt")


class TestForms:
    @pytest.mark.parametrize("form", [ULTRALYTICS, ROBOFLOW, FLAT, DEEP])
    @pytest.mark.parametrize("described", [True, False])
    def test_a_removed_image_takes_its_labels_along(self, tmp_path, datadiet: Cli, form, described):
        image, label = form
        files = {"README.md": "about"}
        for name, content, boxes in [("a", "A", CAT), ("b", "A", CAT + CAT), ("c", "C", DOG), ("d", "D", "")]:
            files |= {image.format(split="train", name=name): content, label.format(split="train", name=name): boxes}
        if described:
            folder = os.path.dirname(image.format(split="train", name=""))
            files["data.yaml"] = f"path: .\ntrain: {folder}\nnc: 2\n{NAMES}"
        root = write(tmp_path / "in", files)
        before = tree_digest(root)
        assert layout_of(root) == "YOLO"
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        gone = image.format(split="train", name="b")
        assert (ran.code, ran.ids) == (0, [gone])
        assert read(tmp_path / "out") == without(files, gone, label.format(split="train", name="b"))
        assert tree_digest(root) == before
        cat = "cat" if described else "0"
        assert labels_of(root)[gone] == cat
        assert report(tmp_path / "out")["input"]["layout"] == "YOLO"

    def test_without_duplicates_the_copy_is_the_input(self, tmp_path, datadiet: Cli):
        files = {
            "images/train/a.jpg": "A", "images/train/b.jpg": "B", "labels/train/a.txt": CAT, "train.txt": "./a\n",
            "lists/": "", "images/val/v.png": "V", "data.yaml": f"train: images/train\nval: images/val\n{NAMES}",
        }  # fmt: skip
        root = write(tmp_path / "in", files)
        for number, path in enumerate(sorted(root.rglob("*"), reverse=True)):
            os.utime(path, ns=(10**18 + number, 10**18 + number))
            path.chmod(0o640 if path.is_file() else 0o750)
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        for path in root.rglob("*"):
            was, now = path.stat(), (tmp_path / "out" / path.relative_to(root)).stat()
            assert (now.st_mode, now.st_mtime_ns) == (was.st_mode, was.st_mtime_ns)
        assert read(tmp_path / "out") == read(root)

    def test_inspect_says_it(self, tmp_path, datadiet: Cli):
        root = write(tmp_path / "in", {"images/a.jpg": "A", "images/b.jpg": "B", "labels/a.txt": CAT})
        assert f"{root}: YOLO\n" in datadiet("inspect", root, "--quick").out.decode()

    def test_captions_are_no_labels(self, tmp_path):
        files = {f"images/{i}.jpg": str(i) for i in range(3)} | {f"labels/{i}.txt": "A cat on a mat." for i in range(3)}
        assert layout_of(write(tmp_path / "in", files)) != "YOLO"

    def test_plots_are_no_samples_and_stay(self, tmp_path, datadiet: Cli):
        files = {"images/a.jpg": "A", "images/b.jpg": "B", "images/c.jpg": "C", "labels/a.txt": CAT}
        files |= {"plot.jpg": "A", "runs/plot.jpg": "A", "images/notes": "A"}
        root = write(tmp_path / "in", files)
        assert open_dataset(str(root)).ids == ["images/a.jpg", "images/b.jpg", "images/c.jpg"]
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        assert read(tmp_path / "out") == without(files)


THREE = ("train/images/a.jpg", "valid/images/v.jpg", "test/images/t.jpg")
SPLIT = {path: path for path in THREE}
SPLIT |= {path.replace("images", "labels").replace("jpg", "txt"): CAT for path in THREE}


class TestSplits:
    @pytest.mark.parametrize(
        "said",
        [
            "train: train/images\nval: valid/images\ntest: test/images",
            "train: ../train/images\nval: ../valid/images\ntest: ../test/images",
            "path: ../datasets/pets\ntrain: train/images/\nval: ./valid/images\ntest: test/images",
            "path: /home/somebody/pets\ntrain: train\nval: valid\ntest: test",
            "train: /home/somebody/pets/train/images\nval: /x/pets/valid/images\ntest: /x/pets/test/images",
            "train: [train/images]\nval:\n  - valid/images\n  - nowhere\ntest: [test/images]",
            "train: train/images\nval: valid/images\ntest:",
        ],
    )
    def test_as_data_yaml_says(self, tmp_path, said):
        root = write(tmp_path / "in", SPLIT | {"data.yaml": f"{said}\n{NAMES}"})
        expected = ["train", "val", "test"]
        assert [splits_of(root)[name] for name in THREE] == expected

    def test_as_the_folders_say(self, tmp_path):
        root = write(tmp_path / "in", SPLIT)
        assert [splits_of(root)[name] for name in THREE] == ["train", "valid", "test"]

    @pytest.mark.parametrize("split", ["train2017", "val2017", "test-images", "train_images"])
    def test_folders_with_more_in_their_names(self, tmp_path, split):
        root = write(tmp_path / "in", {f"images/{split}/a.jpg": "A", f"labels/{split}/a.txt": CAT})
        assert list(splits_of(root).values()) == [split.split("2")[0].split("-")[0].split("_")[0]]

    def test_what_is_for_both_is_for_evaluation(self, tmp_path):
        files = {f"images/{part}/a.jpg": part for part in "xyz"} | {f"labels/{part}/a.txt": CAT for part in "xyz"}
        described = f"train: [images/x, images/y]\nval: images/y\n{NAMES}"
        root = write(tmp_path / "in", files | {"data.yaml": described})
        assert list(splits_of(root).values()) == ["train", "val", None]

    def test_but_all_for_both_is_for_training(self, tmp_path):
        files = {"images/a.jpg": "A", "images/b.jpg": "B", "labels/a.txt": CAT}
        root = write(tmp_path / "in", files | {"data.yaml": f"train: images\nval: images\n{NAMES}"})
        assert set(splits_of(root).values()) == {"train"}

    def test_leaks_go_from_train(self, tmp_path, datadiet: Cli):
        files = {"images/train/a.jpg": "A", "images/train/b.jpg": "B", "images/val/leak.jpg": "B"}
        files |= {"labels/train/a.txt": CAT, "labels/train/b.txt": CAT, "labels/val/leak.txt": DOG}
        root = write(tmp_path / "in", files)
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        assert read(tmp_path / "out") == without(files, "images/train/b.jpg", "labels/train/b.txt")


FIVE = {f"images/{name}.jpg": content for name, content in zip("abcde", "AACDA", strict=True)}
FIVE |= {f"labels/{name}.txt": CAT for name in "abcde"}


class TestLists:
    @pytest.mark.parametrize("front", ["./images/", "images/", "/home/x/pets/images/", "../pets/images/", "data/obj/"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_lines_of_removed_images_go(self, tmp_path, datadiet: Cli, front, end):
        lists = {
            "train.txt": end.join(["", f"  {front}c.jpg ", f"{front}b.jpg", f"{front}a.jpg", f"{front}gone.jpg", ""]),
            "val.txt": f"{front}d.jpg{end}{front}e.jpg",
        }
        described = f"train: train.txt\nval: [val.txt]\n{NAMES}"
        root = write(tmp_path / "in", FIVE | lists | {"data.yaml": described})
        splits = {**dict.fromkeys(("a", "b", "c"), "train"), "d": "val", "e": "val"}
        assert splits_of(root) == {f"images/{name}.jpg": split for name, split in splits.items()}
        assert facts_of(root)["tables"] == {"train.txt": 4, "val.txt": 2}
        assert facts_of(root)["missing_files"] == 1
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        # Both are copies of an image of val.
        assert ran.ids == ["images/a.jpg", "images/b.jpg"]
        out = read(tmp_path / "out")
        assert out["val.txt"].decode() == lists["val.txt"]
        left = end.join(["", f"  {front}c.jpg ", f"{front}gone.jpg", ""])
        assert out["train.txt"].decode() == left
        assert "labels/a.txt" not in out

    def test_lists_that_nobody_names(self, tmp_path, datadiet: Cli):
        texts = {"train2017.txt": "images/a.jpg\nimages/b.jpg\nimages/c.jpg", "classes.txt": "cat\ndog\n",
                 "words.txt": "images/a.jpg is the first\nimages/b.jpg the second\n", "empty.txt": ""}  # fmt: skip
        files = {name: content for name, content in FIVE.items() if name[-5] in "abc"} | texts
        root = write(tmp_path / "in", files)
        assert set(splits_of(root).values()) == {"train"}
        assert facts_of(root)["tables"] == {"train2017.txt": 3}
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        expected = without(files, "images/b.jpg", "labels/b.txt") | {"train2017.txt": b"images/a.jpg\nimages/c.jpg"}
        assert read(tmp_path / "out") == expected

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        contents=st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=8),
        lines=st.lists(st.one_of(st.integers(0, 9), st.sampled_from(["", "images/none.jpg", " "])), max_size=12),
        last=st.booleans(),
    )
    def test_any_list(self, tmp_path_factory, datadiet: Cli, contents, lines, last):
        tmp_path = tmp_path_factory.mktemp("any")
        images = {f"images/{i}.jpg": content for i, content in enumerate(contents)}
        labels = {f"labels/{i}.txt": CAT for i in range(len(contents))}
        written = [f"./images/{line}.jpg" if isinstance(line, int) else line for line in lines]
        text = "\n".join(written) + "\n" * last
        described = {"data.yaml": f"train: train.txt\n{NAMES}", "train.txt": text}
        root = write(tmp_path / "in", images | labels | described)
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--scope", "across-classes",
                       "--list", "dropped")  # fmt: skip
        assert ran.code == 0
        gone = {f"./{name}" for name in ran.ids}
        kept = [line for line in text.splitlines(keepends=True) if line.strip() not in gone]
        assert read(tmp_path / "out")["train.txt"].decode() == "".join(kept)
        assert read(root) == without(images | labels | described)


class TestLabels:
    def one(self, tmp_path, text, described=f"train: images\n{NAMES}"):
        files = {"images/a.jpg": "A", "images/b.jpg": "B", "images/c.jpg": "C", "labels/b.txt": CAT, "labels/c.txt": ""}
        root = write(tmp_path / "in", {**files, "labels/a.txt": text, "data.yaml": described})
        assert layout_of(root) == "YOLO"
        return labels_of(root)["images/a.jpg"]

    @pytest.mark.parametrize(
        ("text", "label"),
        [
            (CAT, "cat"),
            (DOG + CAT + DOG, "cat+dog"),
            ("", "no objects"),
            ("\r\n \n", "no objects"),
            ("7 .1 .1 .1 .1", "7"),
            ("1.0 .1 .1 .1 .1\r\n", "dog"),
            ("0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8\n1 0.1 0.2 0.3 0.4 0.5 0.6", "cat+dog"),
            ("0 .1 .1 .1 .1 0.9 0.2 2 0.1 0.2 1 0.0 0.0 0", "cat"),
            ("cat .1 .1 .1 .1", None),
            ("-1 .1 .1 .1 .1", None),
            ("0.5 .1 .1 .1 .1", None),
            ("1e999 .1 .1 .1 .1", None),
            ("nan .1 .1 .1 .1", None),
            ("0 .1 .1", None),
            (b"\xff\xfe0\x00", None),
        ],
    )
    def test_are_the_classes_of_the_file(self, tmp_path, text, label):
        assert self.one(tmp_path, text) == label

    @pytest.mark.parametrize(
        ("names", "label"),
        [("names: {0: tabby}", "tabby"), ("names:\n- yes\n- dog", "yes"), ("names: {}", "0"), ("names: 3", "0")],
    )
    def test_names(self, tmp_path, names, label):
        assert self.one(tmp_path, CAT, f"train: images\n{names}\n") == label

    def test_texts_that_are_no_labels_are_counted(self, tmp_path):
        self.one(tmp_path, "rubbish")
        assert facts_of(tmp_path / "in")["unclear_labels"] == 1

    def test_copies_with_other_objects_contradict_each_other(self, tmp_path, datadiet: Cli):
        files = {f"images/{name}.jpg": content for name, content in zip("abcdefg", "AABBCCD", strict=True)}
        files |= {"labels/a.txt": CAT, "labels/b.txt": DOG, "labels/c.txt": CAT, "labels/e.txt": CAT + DOG,
                  "labels/f.txt": DOG + CAT, "labels/g.txt": DOG}  # fmt: skip
        root = write(tmp_path / "in", files)
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        assert (ran.code, ran.ids) == (0, ["images/f.jpg"])
        verdicts = report(tmp_path / "out")["verdicts"]
        assert sorted(v["id"][7] for v in verdicts if v["reason"] == "conflict") == ["a", "b", "c", "d"]

    def test_a_split_without_labels_is_not_empty_but_unlabelled(self, tmp_path):
        files = {"images/train/a.jpg": "A", "images/train/b.jpg": "B", "images/test/t.jpg": "T"}
        root = write(tmp_path / "in", files | {"labels/train/a.txt": CAT})
        expected = {"images/test/t.jpg": None, "images/train/a.jpg": "0", "images/train/b.jpg": "no objects"}
        assert labels_of(root) == expected


class TestWhatBelongsTogether:
    def test_two_images_of_one_stem_share_their_labels(self, tmp_path, datadiet: Cli):
        files = {"images/a.jpg": "A", "images/a.png": "B", "images/0.jpg": "A", "labels/a.txt": CAT}
        files |= {
            "labels/0.txt": CAT,
            "images/cc.jpg": "C",
            "images/cc.PNG": "C",
            "images/1.jpg": "C",
            "labels/cc.txt": CAT,
        }
        root = write(tmp_path / "in", files | {"labels/1.txt": CAT, "images/cc": "no image"})
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        assert sorted(ran.ids)[1:] == ["images/cc.PNG", "images/cc.jpg"]
        # The one copy of a.jpg that goes is not the last image of its stem.
        gone = ["labels/0.txt"] if "images/0.jpg" in ran.ids else []
        assert read(tmp_path / "out") == without(read(root), *ran.ids, *gone, "labels/cc.txt")

    def test_upper_case_and_names_that_are_no_text(self, tmp_path, datadiet: Cli):
        odd = os.fsdecode(b"images/\xff.JPG")
        files = {odd: "A", "images/B.JPG": "A", "images/longer.Jpg": "A", "images/z.jpeg": "Z"}
        files |= {os.fsdecode(b"labels/\xff.txt"): CAT, "labels/B.TXT": CAT, "labels/longer.txt": CAT}
        files |= {"labels/z.txt": CAT, "labels/Z.txt": DOG}
        root = write(tmp_path / "in", files)
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        assert len(ran.ids) == 2
        stems = {os.path.splitext(name)[0].replace("images", "labels") for name in ran.ids}
        gone = [name for name in files if name.startswith("labels") and os.path.splitext(name)[0] in stems]
        assert len(gone) == 2
        assert read(tmp_path / "out") == without(files, *ran.ids, *gone)

    def test_caches_are_left_out_and_pictures_in_arrays_go_along(self, tmp_path, datadiet: Cli):
        files = {"images/train/a.jpg": "A", "images/train/bb.jpg": "A", "images/train/a.npy": "N"}
        files |= {"images/train/bb.npy": "N", "labels/train/a.txt": CAT, "labels/train/bb.txt": CAT}
        files |= {"labels/orphan.txt": CAT, "images/train/other.npy": "N"}
        caches = ("labels/train.cache", "images/train.cache")
        root = write(tmp_path / "in", files)
        state = open_dataset(str(root)).source.signature()
        write(root, dict.fromkeys(caches, "stale"))
        source = open_dataset(str(root)).source
        assert source.signature() == state
        told = {"label_files": 2, "labels_without_image": 1, "left_out": sorted(caches), "other_files": 2}
        assert dict(source.facts()) == told
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        gone = ("images/train/bb.jpg", "images/train/bb.npy", "labels/train/bb.txt")
        assert read(tmp_path / "out") == without(files, *gone)

    def test_links(self, tmp_path, datadiet: Cli):
        files = {"images/a.jpg": "A", "images/c.jpg": "C", "labels/a.txt": CAT, "store/box.txt": DOG}
        root = write(tmp_path / "in", files | {"labels/none.txt": CAT, "labels/c.txt": CAT})
        secret = write(tmp_path, {"secret.txt": DOG})
        (root / "images/none.jpg").symlink_to("nothing.jpg")
        (root / "images/inside.jpg").symlink_to("c.jpg")
        (root / "labels/inside.txt").symlink_to("../store/box.txt")
        (root / "images/out.jpg").write_text("O")
        (root / "labels/out.txt").symlink_to(secret / "secret.txt")
        assert labels_of(root)["images/inside.jpg"] == "1"
        assert labels_of(root)["images/out.jpg"] is None
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 3
        assert sorted(read(tmp_path / "out")) == [
            "images/a.jpg", "images/c.jpg", "images/inside.jpg", "images/out.jpg",
            "labels/a.txt", "labels/c.txt", "labels/inside.txt", "store/box.txt",
        ]  # fmt: skip

    @pytest.mark.parametrize("kind", ["outside", "nothing", "pipe", "folder"])
    def test_labels_that_cannot_be_copied_are_told(self, tmp_path, datadiet: Cli, kind):
        files = {f"images/train/{name}.jpg": content for name, content in zip("abcd", "AACD", strict=True)}
        files |= {"labels/train/a.txt": CAT, "labels/train/b.txt": CAT, "labels/train/c.txt": DOG}
        root = write(tmp_path / "in", files | {"images/far/f.jpg": "F"})
        write(tmp_path / "store", {"d.txt": DOG, "f.txt": DOG})
        lost = "labels/far" if kind == "folder" else "labels/train/d.txt"
        leads_to = {"outside": "../../../store/d.txt", "nothing": "none.txt", "folder": "../../store"}
        os.mkfifo(root / lost) if kind == "pipe" else (root / lost).symlink_to(leads_to[kind])
        known = {"images/train/a.jpg": "0", "images/train/b.jpg": "0", "images/train/c.jpg": "1"}
        unknown = {"images/far/f.jpg": None, "images/train/d.jpg": "no objects" if kind == "folder" else None}
        assert labels_of(root) == known | unknown
        assert facts_of(root) == {"other_files": 0, "skipped": [lost], "label_files": 3}
        told = datadiet("inspect", root, "--quick").out.decode()
        assert "orphans" not in told
        assert "  skipped     1 cannot be copied, and OUTPUT lacks them\n" in told
        assert f"    {lost}: " in told
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact")
        assert f"1 file cannot be copied, and OUTPUT lacks it: {lost}\n" in ran.err
        assert report(tmp_path / "out")["input"]["skipped"] == [lost]
        assert {"b.jpg", "d.txt"}.isdisjoint(path.name for path in (tmp_path / "out").rglob("*"))
        assert (tmp_path / "out/images/train/d.jpg").exists()

    @pytest.mark.parametrize("whole", [False, True])
    def test_labels_that_all_lie_elsewhere(self, tmp_path, whole):
        root = write(tmp_path / "in", {f"images/{split}/a.jpg": split for split in ("train", "val")})
        write(tmp_path / "store", {"train/a.txt": CAT, "val/a.txt": DOG})
        if whole:
            (root / "labels").symlink_to(tmp_path / "store")
        else:
            for split in ("train", "val"):
                (root / "labels" / split).mkdir(parents=True)
                (root / "labels" / split / "a.txt").symlink_to(tmp_path / "store" / split / "a.txt")
        dataset = open_dataset(str(root))
        assert (dataset.kind, dataset.source.layout) == ("image", "YOLO")
        assert labels_of(root) == {"images/train/a.jpg": None, "images/val/a.jpg": None}
        assert list(splits_of(root).values()) == ["train", "val"]
        assert labels_of(root, follow_symlinks=True) == {"images/train/a.jpg": "0", "images/val/a.jpg": "1"}

    def test_of_many_files_that_cannot_be_copied_some_are_named(self, tmp_path, datadiet: Cli):
        root = write(tmp_path / "in", {f"images/{i}.jpg": str(i) for i in range(40)} | {"labels/0.txt": CAT})
        for number in range(1, 40):
            (root / f"labels/{number}.txt").symlink_to("nothing")
        told = datadiet("dedup", root, "--dry-run", "--method", "exact").err
        line = next(line for line in told.splitlines() if "skipped" in line)
        assert "39 files cannot be copied, and OUTPUT lacks them: " in line
        assert line.count(".txt") < 10
        assert datadiet("inspect", root, "--quick").out.decode().count(".txt: a symbolic link to nothing") == 20

    @pytest.mark.parametrize("kind", ["hardlink", "symlink"])
    def test_links_to_input(self, tmp_path, datadiet: Cli, kind):
        files = {"images/a.jpg": "A", "images/bb.jpg": "A", "labels/a.txt": CAT, "labels/bb.txt": CAT}
        root = write(tmp_path / "in", files)
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--link", kind).code == 0
        assert read(tmp_path / "out") == without(files, "images/bb.jpg", "labels/bb.txt")
        assert os.path.samefile(tmp_path / "out/labels/a.txt", root / "labels/a.txt")

    def test_a_table_at_the_top_loses_rows_and_labels_nothing(self, tmp_path, datadiet: Cli):
        files = {"images/a.jpg": "A", "images/bb.jpg": "A", "labels/a.txt": CAT, "labels/bb.txt": CAT}
        root = write(tmp_path / "in", files | {"sizes.csv": "file,label\na.jpg,1\nbb.jpg,2\n"})
        assert set(labels_of(root).values()) == {"0"}
        assert labels_of(root, label="label") == {"images/a.jpg": "1", "images/bb.jpg": "2"}
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        assert (tmp_path / "out/sizes.csv").read_text() == "file,label\na.jpg,1\n"
        ran = datadiet("dedup", root, "--dry-run", "--label", "colour")
        assert ran.code == 2


TWO = {"images/a.jpg": "A", "images/b.jpg": "B", "labels/a.txt": CAT}


class TestBadDescriptions:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("a: &a [1]\nnames: *a\ntrain: images\n", "aliases"),
            ("names: [a\n", "not YAML"),
            (b"names: \xff\n", "not YAML"),
            (b"\x00", "not YAML"),
            ("{a: " * 50, "deep"),
            ("#" * (1 << 20) + "\n", "larger"),
            ("names: !!python/object/apply:os.system [x]\ntrain: *images\n", "aliases"),
            ("[1]: 2\n", "unhashable"),
        ],
    )
    def test_are_refused_in_one_line(self, tmp_path, datadiet: Cli, text, said):
        root = write(tmp_path / "in", TWO | {"data.yaml": text})
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact")
        assert ran.code == 2
        assert said in ran.complaint
        assert "data.yaml" in ran.complaint
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("text", ["", "- 1\n", "names: [x]\n", "1: 2\n"])
    def test_that_describe_nothing_do_no_harm(self, tmp_path, text):
        root = write(tmp_path / "in", TWO | {"data.yaml": text})
        assert labels_of(root)["images/a.jpg"] == "0"

    def test_of_other_things_do_no_harm(self, tmp_path):
        root = write(tmp_path / "in", TWO | {"args.yaml": "a: *b", "runs/data.yaml/x": "", "z.yml": NAMES})
        assert labels_of(root)["images/a.jpg"] == "0"

    @pytest.mark.parametrize("place", ["../other", "../../etc", "/etc", "/", "..", "../x/../other/images"])
    def test_nothing_leads_out(self, tmp_path, datadiet: Cli, place):
        write(tmp_path / "other", {"images/x.jpg": "A", "list.txt": "images/a.jpg\n"})
        described = f"path: {place}\ntrain: [{place}, {place}/list.txt]\nval: {place}/x.jpg\n{NAMES}"
        root = write(tmp_path / "in", TWO | {"data.yaml": described})
        dataset = open_dataset(str(root))
        assert dataset.ids == ["images/a.jpg", "images/b.jpg"]
        assert facts_of(root)["other_files"] == 1
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        assert read(tmp_path / "out") == read(root)


def test_many_labels_by_any_order_of_files(tmp_path):
    order = list(range(40))
    random.Random(4).shuffle(order)
    files = {f"images/{i}.jpg": str(i) for i in order} | {f"labels/{i}.txt": f"{i % 3} 0 0 1 1\n" for i in order}
    expected = {f"images/{i}.jpg": str(i % 3) for i in range(40)}
    assert labels_of(write(tmp_path / "in", files)) == expected
