"""Folders of files, the full way through: which class and split a file has, what goes, and that the rest stays."""

import os
import wave

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datadiet_cli.data.open import open_dataset
from tests.conftest import Cli, class_folders, names, picture, report, save
from tests.data.trees import read, without, write


def described(root):
    """What the public API says of a folder: layout, label and split by id."""
    dataset = open_dataset(str(root))
    classes, splits = (*dataset.classes, None), (*dataset.split_names, None)
    labels = {name: classes[code] for name, code in zip(dataset.ids, dataset.labels.tolist(), strict=True)}
    parts = {name: splits[code] for name, code in zip(dataset.ids, dataset.splits.tolist(), strict=True)}
    return dataset.source.layout, labels, parts


class TestClassesAndSplits:
    def test_class_folders(self, tmp_path, datadiet: Cli):
        files = {"cat/a.png": "A", "cat/b.png": "A", "dog/c.png": "C", "dog/deep/er/d.png": "C", "owl/e.png": "E"}
        root = write(tmp_path / "in", files)
        layout, labels, splits = described(root)
        assert layout == "class folders"
        assert labels == {name: name.split("/")[0] for name in files}
        assert set(splits.values()) == {None}
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        assert ran.ids == ["cat/b.png", "dog/deep/er/d.png"]
        assert read(tmp_path / "out") == without(files, *ran.ids)

    @pytest.mark.parametrize(
        ("train", "test"),
        [
            ("train", "test"),
            ("Train", "Test"),
            ("TRAIN", "VAL"),
            ("training", "validation"),
            ("Training", "Testing"),
            ("train", "dev"),
            ("train", "valid"),
            ("train", "eval"),
            ("train", "Evaluation"),
            ("train", "holdout"),
        ],
    )
    def test_splits_by_any_of_their_names(self, tmp_path, datadiet: Cli, train, test):
        files = {
            f"{train}/cat/a.png": "A", f"{train}/cat/b.png": "A", f"{train}/cat/leak.png": "T",
            f"{train}/dog/c/1.png": "C", f"{train}/dog/d/2.png": "C",
            f"{test}/cat/t.png": "T", f"{test}/cat/u.png": "T", f"{test}/dog/v.png": "V",
        }  # fmt: skip
        root = write(tmp_path / "in", files)
        layout, labels, splits = described(root)
        assert layout == "class folders with splits"
        assert labels == {name: name.split("/")[1] for name in files}
        assert splits == {name: name.split("/")[0] for name in files}
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        assert ran.ids == [f"{train}/cat/b.png", f"{train}/cat/leak.png", f"{train}/dog/d/2.png"]
        assert read(tmp_path / "out") == without(files, *ran.ids)
        told = report(tmp_path / "out")
        assert told["input"]["splits"] == {train: 5, test: 3}
        assert told["output"]["classes"] == {"cat": 3, "dog": 2}
        assert told["figures"]["leaks"] == 1

    @pytest.mark.parametrize(
        ("train", "evaluation"),
        [("train2017", "val2017"), ("Train_images", "Test_images"), ("training_set", "test_set"), ("train", "minival")],
    )
    @pytest.mark.parametrize("above", ["", "images/", "pets/data/"])
    @pytest.mark.parametrize("below", ["", "cat/"])
    def test_splits_whose_folders_say_more_or_lie_deeper(
        self, tmp_path, datadiet: Cli, train, evaluation, above, below
    ):
        samples = {f"{train}/{below}{name}.png": name[0] for name in ("a", "aa", "b", "c")}
        samples |= {f"{evaluation}/{below}{name}.png": name[0] for name in ("b", "v", "vv")}
        files = {above + name: content for name, content in samples.items()}
        root = write(tmp_path / "in", files | {"README.md": "about"})
        layout, labels, splits = described(root)
        assert layout == ("class folders with splits" if below else "flat folders, one for each split")
        assert set(labels.values()) == {"cat" if below else None}
        words = {"Train_images": "Train", "Test_images": "Test", "minival": "val", "train": "train"}
        expected = {train: words.get(train, "train"), "training_set": "training"}[train]
        assert splits[f"{above}{train}/{below}a.png"] == expected
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        assert ran.ids == [f"{above}{train}/{below}aa.png", f"{above}{train}/{below}b.png"]

    @pytest.mark.parametrize("word", ["val2017", "test", "images/val2017", "images/test"])
    def test_evaluation_data_alone_is_kept(self, tmp_path, datadiet: Cli, word):
        root = write(tmp_path / "in", {f"{word}/a.png": "A", f"{word}/b.png": "A"})
        assert datadiet("dedup", root, "--dry-run", "--method", "exact", "--list", "dropped").ids == []

    def test_splits_below_each_class(self, tmp_path, datadiet: Cli):
        places = [
            f"{top}/{place}.png" for top in ("bottle", "cable") for place in ("train/good/x", "train/a", "test/a")
        ]
        files = {place: place.split("/")[0] + place[-5] for place in places}
        root = write(tmp_path / "in", files | {"cable/train/more.png": "more"})
        layout, labels, splits = described(root)
        assert layout == "class folders, each with splits"
        assert labels == {name: name.split("/")[0] for name in labels}
        assert splits == {name: name.split("/")[1] for name in splits}
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        assert ran.ids == ["bottle/train/a.png", "cable/train/a.png"]

    @pytest.mark.parametrize(
        "paths",
        [
            ("photos/train/a.png", "photos/bus/b.png"),
            ("science/test/a.png", "traffic/train/b.png", "traffic/bus/c.png"),
            ("cat/a.png", "traffic/train/b.png"),
            ("train1/a.png", "test1x/b.png"),
            ("cat/deep/train/a.png", "dog/b.png"),
        ],
    )
    def test_folders_that_only_sound_like_splits(self, tmp_path, paths):
        layout, labels, splits = described(write(tmp_path / "in", {path: path for path in paths}))
        assert layout == "class folders"
        assert labels == {path: path.split("/")[0] for path in paths}
        assert set(splits.values()) == {None}

    def test_three_splits(self, tmp_path, datadiet: Cli):
        files = {f"{split}/cat/{i}.png": str(i) for split in ("train", "val", "test") for i in range(2)}
        files |= {"train/cat/own.png": "own"}
        root = write(tmp_path / "in", files)
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        assert read(tmp_path / "out") == without(files, "train/cat/0.png", "train/cat/1.png")

    def test_a_folder_beside_the_splits_is_no_class_and_makes_them_none(self, tmp_path, datadiet: Cli):
        files = {"train/cat/a.png": "A", "train/cat/b.png": "B", "test/cat/t.png": "A", "test/cat/u.png": "A"}
        root = write(tmp_path / "in", {**files, "unlabelled/x.png": "X", "unlabelled/y.png": "A"})
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "kept")
        assert [name for name in ran.ids if not name.startswith("unl")] == [
            "test/cat/t.png", "test/cat/u.png", "train/cat/b.png",
        ]  # fmt: skip

    def test_a_class_may_be_called_train(self, tmp_path):
        root = write(tmp_path / "in", {"bus/a.png": "A", "car/b.png": "B", "train/c.png": "C"})
        layout, labels, splits = described(root)
        assert layout == "class folders"
        assert labels["train/c.png"] == "train"
        assert splits["train/c.png"] is None

    def test_flat_folder(self, tmp_path, datadiet: Cli):
        files = {"a.png": "A", "b.png": "A", "c.jpg": "C", "d": "A"}
        root = write(tmp_path / "in", files)
        assert described(root) == ("flat folder", dict.fromkeys(files), dict.fromkeys(files))
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        assert read(tmp_path / "out") == without(files, *ran.ids)
        assert ran.ids == ["a.png", "b.png"]  # the shortest name stays

    def test_flat_folders_per_split(self, tmp_path, datadiet: Cli):
        files = {"Train/a.png": "A", "Train/b.png": "B", "Train/c.png": "B", "Test/x.png": "A", "Test/y.png": "A"}
        root = write(tmp_path / "in", files)
        layout, labels, splits = described(root)
        assert layout == "flat folders, one for each split"
        assert set(labels.values()) == {None}
        assert splits == {name: name.split("/")[0] for name in files}
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        assert read(tmp_path / "out") == without(files, "Train/a.png", "Train/c.png")

    def test_class_indices_do_not_shift(self, tmp_path, datadiet: Cli):
        """The whole class `bee` leaks into test: a loader that numbers sorted folders must still find it."""
        files = {"test/bee/t.png": "B", "test/ant/u.png": "U", "test/cow/v.png": "V"}
        files |= {"train/bee/b.png": "B", "train/bee/bb.png": "B"}
        files |= {f"train/{animal}/{i}.png": f"{animal}{i}" for animal in ("ant", "cow") for i in range(4)}
        root = write(tmp_path / "in", files)
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0

        def classes(split):
            top = tmp_path / "out" / split
            return sorted(name for name in os.listdir(top) if os.listdir(top / name))

        assert classes("train") == classes("test") == ["ant", "bee", "cow"]


class TestKinds:
    def test_pictures_without_being_asked(self, tmp_path, datadiet: Cli):
        root = class_folders(tmp_path / "in", {"train/cat/a.png": 1, "test/cat/c.png": 2})
        picture(1).save(root / "train/cat/b.jpg", quality=95)
        save(root / "train/cat/leak.webp", 2)
        ran = datadiet("dedup", root, tmp_path / "out", "--list", "dropped")
        assert ran.code == 0
        assert ran.ids == ["train/cat/b.jpg", "train/cat/leak.webp"]

    @pytest.mark.parametrize(("suffix", "kind"), [(".txt", "text"), (".wav", "audio"), (".bin", "file"), ("", "file")])
    def test_texts_sounds_and_whatever(self, tmp_path, datadiet: Cli, suffix, kind):
        def content(seed):
            if kind != "audio":
                return f"content {seed}\r\n".encode()
            with wave.open(str(tmp_path / "one.wav"), "wb") as sound:
                sound.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
                sound.writeframes(bytes([seed, 0]) * 800)
            return (tmp_path / "one.wav").read_bytes()

        seeds = {"spam/a": 1, "spam/b": 2, "spam/again": 1, "ham/c": 3, "ham/copy-of-a": 1}
        files = {name + suffix: content(seed) for name, seed in seeds.items()}
        root = write(tmp_path / "in", files)
        assert datadiet("dedup", root, tmp_path / "out").code == 0
        assert read(tmp_path / "out") == without(files, f"spam/again{suffix}")
        told = report(tmp_path / "out")
        assert told["input"]["kind"] == kind
        assert told["figures"]["conflicts"] == 2

    def test_what_is_no_sample_is_carried_along(self, tmp_path, datadiet: Cli):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1, "cat/b.png": 1, "dog/c.png": 3})
        extra = {"README.md": "about", "cat/README.md": "about", "cat/a.mp3": "sound", "dog/a.mp3": "sound",
                 "cat/notes.txt": "n", "dog/notes.txt": "n", "cat/.DS_Store": "", "LICENSE": ""}  # fmt: skip
        write(root, extra)
        before = read(root)
        ran = datadiet("dedup", root, tmp_path / "out")
        assert ran.code == 0
        assert read(tmp_path / "out") == without(before, "cat/b.png")
        told = report(tmp_path / "out")["input"]
        assert (told["kind"], told["samples"]) == ("image", 3)

    def test_hidden_folders_hold_no_samples(self, tmp_path, datadiet: Cli):
        root = class_folders(tmp_path / "in", {"train/cat/a.png": 1, "train/cat/b.png": 2, "test/cat/c.png": 2})
        save(root / "train/cat/.ipynb_checkpoints/a-checkpoint.png", 1)
        write(root, {".git/HEAD": "ref", ".git/objects/ab/cd": "x", ".git/objects/ab/ce": "x"})
        before = read(root)
        ran = datadiet("dedup", root, tmp_path / "out", "--list", "dropped")
        assert (ran.code, ran.ids) == (0, ["train/cat/b.png"])
        assert read(tmp_path / "out") == without(before, "train/cat/b.png")
        assert report(tmp_path / "out")["input"]["classes"] == {"cat": 3}

    def test_hidden_files_of_no_kind_are_no_samples(self, tmp_path, datadiet: Cli):
        files = {"a/x.bin": "X", "a/y.bin": "X", "a/.keep": "", "b/.keep": "", ".cache/x.bin": "X", ".cache/y.bin": "X"}
        ran = datadiet("dedup", write(tmp_path / "in", files), tmp_path / "out")
        assert ran.code == 0
        assert read(tmp_path / "out") == without(files, "a/y.bin")

    def test_pictures_need_no_suffix(self, tmp_path, datadiet: Cli):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1, "cat/b.png": 2, "cat/c.png": 2})
        (root / "cat/c.png").rename(root / "cat/c")
        (root / "cat/b.png").rename(root / "cat/bb")
        ran = datadiet("dedup", root, "--dry-run", "--list", "dropped")
        assert (ran.code, ran.ids) == (0, ["cat/bb"])


class TestWhatStays:
    def test_modes_times_and_empty_folders(self, tmp_path, datadiet: Cli):
        files = {"cat/a.png": "A", "cat/b.png": "A", "dog/c.png": "C", "empty/deeper/": "", "dog/none/": ""}
        root = write(tmp_path / "in", files)
        moments = {"cat/a.png": 10**18 + 123_456_789, "dog/c.png": 1, "dog": 10**17, "empty/deeper": 10**16}
        for mode, (name, moment) in zip((0o600, 0o755, 0o700, 0o755), moments.items(), strict=True):
            (root / name).chmod(mode)
            os.utime(root / name, ns=(moment, moment))
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        assert names(tmp_path / "out") == names(root) - {"cat/b.png"}
        for name in moments:
            was, now = (root / name).stat(), (tmp_path / "out" / name).stat()
            assert (now.st_mode, now.st_mtime_ns) == (was.st_mode, was.st_mtime_ns)

    @pytest.mark.parametrize("kind", ["hardlink", "symlink"])
    def test_links_lead_to_input_but_tables_are_their_own(self, tmp_path, datadiet: Cli, kind):
        files = {"a.png": "A", "b.png": "A", "c.png": "C", "metadata.csv": "file_name,label\na.png,x\nb.png,x\n"}
        root = write(tmp_path / "in", files)
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--link", kind).code == 0
        for name in ("a.png", "c.png"):
            assert os.path.samefile(tmp_path / "out" / name, root / name)
        assert not (tmp_path / "out/metadata.csv").is_symlink()
        assert (tmp_path / "out/metadata.csv").read_text() == "file_name,label\na.png,x\n"
        assert read(root) == without(files)


# Contents of equal and of different sizes, one of them beyond the part that is compared first, and the empty one.
CONTENTS = st.sampled_from([b"", b"a", b"b", b"aa", b"x" * 70_000, b"x" * 69_999 + b"y", b"x" * 70_000 + b"y"])
STEM = st.text("abc0-_", min_size=1, max_size=3)
PLACE = st.tuples(st.sampled_from(["train", "test"]), st.sampled_from(["cat", "dog"]), STEM)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(drawn=st.dictionaries(PLACE, CONTENTS, max_size=12), others=st.dictionaries(STEM, CONTENTS, max_size=3))
def test_one_of_each_content_stays(tmp_path_factory, datadiet: Cli, drawn, others):
    tmp_path = tmp_path_factory.mktemp("tree")
    drawn |= {("train", label, "own"): f"only in {label}".encode() for label in ("cat", "dog")}
    samples = {f"{split}/{label}/{stem}.bin": content for (split, label, stem), content in drawn.items()}
    hidden = {f"train/.{stem}": content for stem, content in others.items()}
    root = write(tmp_path / "in", samples | hidden)
    ran = datadiet("dedup", root, tmp_path / "out")
    assert ran.code == (3 if b"" in drawn.values() else 0)
    assert read(root) == samples | hidden

    left = read(tmp_path / "out")
    assert left.items() <= (samples | hidden).items()
    assert hidden.items() <= left.items()
    for split, label, stem in drawn:
        if split == "test":
            assert f"test/{label}/{stem}.bin" in left
    # Empty files are unreadable and stay; of the others one of each content and class, none that test has too.
    leaked = {content for (split, _, _), content in drawn.items() if split == "test" and content}
    for label in ("cat", "dog"):
        was = [c for (split, its, _), c in drawn.items() if (split, its) == ("train", label)]
        now = [c for name, c in left.items() if name.startswith(f"train/{label}/")]
        expected = [b""] * was.count(b"") + list(set(was) - leaked - {b""})
        assert sorted(now) == sorted(expected)
