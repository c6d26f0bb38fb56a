"""COCO datasets, the full way through: records go with their images, and every other byte of the JSON stays."""

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datadiet_cli.data import jsontree
from datadiet_cli.errors import InputError
from tests.conftest import Cli, report, tree_digest
from tests.data.test_yolo import facts_of, layout_of, splits_of
from tests.data.trees import labels_of, read, without, write

CATEGORIES = [{"id": 7, "name": "cat", "supercategory": "animal"}, {"id": 3, "name": "dog"}]


def document(images, annotations=(), categories=CATEGORIES, **more):
    """A COCO document: images are (id, name), annotations (image, category)."""
    return {
        "info": {"year": 2017, "images": [1, 2]},
        "images": [{"id": key, "file_name": name, "width": 640} for key, name in images],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": [0.10, 1e2, -0.0, 3.50]}
            for number, (image, category) in enumerate(annotations)
        ],
        "categories": list(categories),
        **more,
    }


def pruned(content, gone_names):
    """What is left of a document, the plain way."""
    gone = {image["id"] for image in content["images"] if image["file_name"] in gone_names}
    kept = {image["id"] for image in content["images"] if image["file_name"] not in gone_names}
    return {
        **content,
        "images": [image for image in content["images"] if image["file_name"] not in gone_names],
        "annotations": [note for note in content["annotations"] if note["image_id"] not in gone - kept],
    }


PETS = document(
    [(10, "a.jpg"), (20, "bb.jpg"), (30, "c.jpg"), (40, "d.jpg")],
    [(20, 7), (10, 7), (10, 7), (30, 3), (30, 7), (99, 3)],
)
FILES = {"a.jpg": "A", "bb.jpg": "A", "c.jpg": "C", "d.jpg": "D"}


class TestForms:
    @pytest.mark.parametrize(
        ("images", "path", "split"),
        [
            ("train2017/", "annotations/instances_train2017.json", "train"),
            ("images/", "annotations/instances.json", None),
            ("images/val2017/", "annotations/instances_val2017.json", "val"),
            ("train/", "train/_annotations.coco.json", "train"),
            ("valid/", "valid/_annotations.coco.json", "valid"),
            ("data/", "labels.json", None),
            ("", "instances_default.json", None),
            ("train_images/", "annotations/train.json", "train"),
        ],
    )
    @pytest.mark.parametrize("indent", [None, 2])
    def test_a_removed_image_takes_its_records_along(self, tmp_path, datadiet: Cli, images, path, split, indent):
        files = {images + name: content for name, content in FILES.items()} | {"README.md": "about"}
        text = json.dumps(PETS, indent=indent)
        root = write(tmp_path / "in", {**files, path: text})
        before = tree_digest(root)
        assert layout_of(root) == "COCO"
        assert set(splits_of(root).values()) == {split}
        expected = dict(zip(sorted(FILES), ["cat", "cat", "cat+dog", "no objects"], strict=True))
        assert labels_of(root) == {images + name: label for name, label in expected.items()}
        assert facts_of(root)["tables"] == {path: 4}
        assert "missing_files" not in facts_of(root)
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        is_evaluation = split in ("val", "valid")
        assert (ran.code, ran.ids) == (0, [] if is_evaluation else [f"{images}bb.jpg"])
        left = read(tmp_path / "out")
        if is_evaluation:
            assert left[path].decode() == text
        else:
            assert left[path].decode() == json.dumps(pruned(PETS, {"bb.jpg"}), indent=indent)
        assert without(left, path) == without(files, *ran.ids)
        assert tree_digest(root) == before
        assert report(tmp_path / "out")["input"]["layout"] == "COCO"

    def test_inspect_says_it(self, tmp_path, datadiet: Cli):
        root = write(tmp_path / "in", FILES | {"labels.json": json.dumps(PETS)})
        assert f"{root}: COCO\n" in datadiet("inspect", root, "--quick").out.decode()

    def test_every_file_about_the_images_loses_its_records(self, tmp_path, datadiet: Cli):
        captions = {**PETS, "annotations": [{"image_id": i, "id": i, "caption": "na\u00efve \u732b"} for i in (10, 20)]}
        del captions["categories"]
        documents = {
            "annotations/instances_train2017.json": PETS,
            "annotations/captions_train2017.json": captions,
            "annotations/person_keypoints_train2017.json": document([(1, "bb.jpg"), (2, "a.jpg")], [(1, 3), (2, 3)]),
            "annotations/image_info_train2017.json": {k: v for k, v in PETS.items() if k != "annotations"},
        }
        unrelated = {"results.json": json.dumps([{"image_id": 20, "category_id": 7, "images": 1, "annotations": 2}]),
                     "train2017/a.json": "{", "broken.json": "{", "other.json": '{"images": 1, "annotations": {}}',
                     ".hidden.json": json.dumps(PETS)}  # fmt: skip
        images = {f"train2017/{name}": content for name, content in FILES.items()}
        texts = {path: json.dumps(content, ensure_ascii=False) for path, content in documents.items()}
        root = write(tmp_path / "in", images | texts | unrelated)
        assert labels_of(root)["train2017/a.jpg"] == "cat+dog"
        assert facts_of(root)["tables"].keys() == documents.keys()
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        assert ran.ids == ["train2017/bb.jpg"]
        left = read(tmp_path / "out")
        for path, content in documents.items():
            expected = pruned({"annotations": [], **content}, {"bb.jpg"})
            assert json.loads(left[path]) == {key: expected[key] for key in content}
        assert {name: left[name] for name in unrelated} == without(unrelated)

    def test_yolo_and_coco_at_once(self, tmp_path, datadiet: Cli):
        files = {f"images/train2017/{name}": content for name, content in FILES.items()}
        files |= {f"labels/train2017/{name[:-4]}.txt": "0 .5 .5 .5 .5\n" for name in FILES}
        files |= {"train2017.txt": "".join(f"./images/train2017/{name}\n" for name in FILES)}
        path = "annotations/instances_train2017.json"
        root = write(tmp_path / "in", {**files, path: json.dumps(PETS)})
        assert layout_of(root) == "YOLO with COCO annotations"
        assert set(labels_of(root).values()) == {"0"}
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        left = read(tmp_path / "out")
        assert json.loads(left[path]) == pruned(PETS, {"bb.jpg"})
        assert left["train2017.txt"].count(b"\n") == 3
        assert "labels/train2017/bb.txt" not in left

    def test_modes_and_times(self, tmp_path, datadiet: Cli):
        texts = {"labels.json": json.dumps(PETS), "others.json": json.dumps(document([(1, "c.jpg")]))}
        root = write(tmp_path / "in", FILES | texts)
        for name in texts:
            (root / name).chmod(0o600)
            os.utime(root / name, ns=(10**18, 10**18))
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--link", "symlink").code == 0
        for name in texts:
            assert not (tmp_path / "out" / name).is_symlink()
            assert (tmp_path / "out" / name).stat().st_mode == (root / name).stat().st_mode
        assert (tmp_path / "out/others.json").stat().st_mtime_ns == 10**18
        assert (tmp_path / "out/labels.json").stat().st_mtime_ns != 10**18


class TestMatching:
    def two_splits(self, tmp_path, train, val, images):
        told = {"train": document(train), "val": document(val)}
        files = {f"annotations/{split}.json": json.dumps(content) for split, content in told.items()}
        return write(tmp_path / "in", {name: name for name in images} | files)

    def test_one_folder_divided_by_files_alone(self, tmp_path):
        images = [f"train/{i}.jpg" for i in range(4)]
        root = self.two_splits(tmp_path, [(0, "0.jpg"), (1, "1.jpg")], [(2, "2.jpg"), (3, "3.jpg")], images)
        assert list(splits_of(root).values()) == ["train", "train", "val", "val"]

    def test_equal_names_of_a_split_that_is_not_there(self, tmp_path):
        names = [(i, f"{i}.jpg") for i in range(4)]
        root = self.two_splits(tmp_path, names, names, [f"train/{i}.jpg" for i in range(4)])
        assert set(splits_of(root).values()) == {"train"}
        assert facts_of(root)["tables"] == {"annotations/train.json": 4}

    def test_equal_names_in_two_splits(self, tmp_path, datadiet: Cli):
        names = [(i, f"{i}.jpg") for i in range(3)]
        files = {f"{split}/{i}.jpg": f"{split}{i}" for split in ("train", "valid") for i in range(3)}
        files |= {f"{split}/_annotations.coco.json": json.dumps(document(names)) for split in ("train", "valid")}
        root = write(tmp_path / "in", files | {"train/1.jpg": "valid1"})
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        left = read(tmp_path / "out")
        kept = {split: [i["id"] for i in json.loads(left[f"{split}/_annotations.coco.json"])["images"]]
                for split in ("train", "valid")}  # fmt: skip
        assert kept == {"train": [0, 2], "valid": [0, 1, 2]}

    @pytest.mark.parametrize(
        "name",
        ["a.jpg", "./a.jpg", "images/a.jpg", "pets/images/a.jpg", "/home/x/images/a.jpg", "../images/a.jpg",
         "images\\a.jpg", "C:\\pets\\images\\a.jpg", "elsewhere/a.jpg", "http://host/images/a.jpg"],
    )  # fmt: skip
    def test_names_of_all_sorts(self, tmp_path, name):
        content = document([(1, name), (2, "nowhere.jpg")], [(1, 3)])
        root = write(tmp_path / "in", {"images/a.jpg": "A", "images/b.jpg": "B", "x/labels.json": json.dumps(content)})
        assert labels_of(root) == {"images/a.jpg": "dog", "images/b.jpg": None}
        assert facts_of(root)["missing_files"] == 1

    @pytest.mark.parametrize(
        "name", ["../secret.jpg", "../../secret.jpg", "/secret.jpg", "x/../../secret.jpg", "..", "/", ""]
    )
    def test_nothing_leads_out(self, tmp_path, name):
        write(tmp_path, {"secret.jpg": "S"})
        content = document([(1, name), (2, "a.jpg")], [(1, 3)])
        root = write(tmp_path / "in", {"images/a.jpg": "A", "labels.json": json.dumps(content)})
        assert labels_of(root) == {"images/a.jpg": "no objects"}
        assert facts_of(root)["missing_files"] == 1

    def test_names_that_are_no_text(self, tmp_path, datadiet: Cli):
        odd = [os.fsdecode(b"\xff.jpg"), "\u732b.jpg", "na\u00efve.jpg", "\U0001f408.jpg"]
        text = json.dumps(document(list(enumerate(odd))), ensure_ascii=False)
        raw = text.encode("utf-8", "surrogateescape").replace("na\u00efve".encode(), b"na\\u00efve")
        files = dict.fromkeys(odd, "same") | {"other.jpg": "other"}
        root = write(tmp_path / "in", {**files, "labels.json": raw})
        assert "missing_files" not in facts_of(root)
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "kept")
        assert len(ran.ids) == 2
        left = json.loads((tmp_path / "out/labels.json").read_bytes().decode("utf-8", "surrogateescape"))
        assert [image["file_name"] for image in left["images"]] == [name for name in ran.ids if name != "other.jpg"]


class TestOddDocuments:
    def test_ids_of_all_sorts(self, tmp_path, datadiet: Cli):
        content = {
            "annotations": [
                {"image_id": "x", "id": 1}, {"image_id": 1, "id": 1}, {"image_id": 1.5}, {"image_id": None}, {},
                {"image_id": [1]}, 5, None, {"image_id": True}, {"image_id": 10**40},
            ],
            "images": [
                {"id": "x", "file_name": "a.jpg"}, {"id": 1, "file_name": "bb.jpg"}, {"id": 1.5, "file_name": "bb.jpg"},
                {"id": 10**40, "file_name": "bb.jpg"}, {"id": 10**40, "file_name": "c.jpg"},
                {"file_name": "bb.jpg"}, {"id": 8}, {"id": {}, "file_name": ["bb.jpg"]}, None, "bb.jpg",
            ],
            "categories": [{"id": 1}, 4, {"name": "x"}],
        }  # fmt: skip
        root = write(tmp_path / "in", FILES | {"labels.json": json.dumps(content)})
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
        assert ran.ids == ["bb.jpg"]
        left = json.loads((tmp_path / "out/labels.json").read_bytes())
        assert left["images"] == [content["images"][i] for i in (0, 4, 6, 7, 8, 9)]
        assert left["annotations"] == [content["annotations"][i] for i in (0, 3, 4, 5, 6, 7, 8, 9)]

    @pytest.mark.parametrize(
        "text",
        ['{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [}', '{"images": [], "annotations": []} {}',
         '{"images": [1, 2' + "]" * 3 + ', "annotations": []', '{"annotations": [' + "[" * 100_000 + ', "images": []',
         '{"images": [' + "9" * 5000 + '], "annotations": []}', '{"images": "\\x", "categories": 1}',
         '{"images": [] "annotations": []}', '{"images" [], "annotations": []}', '{1: 2, "images": 1, "categories": 2}',
        ],
    )  # fmt: skip
    def test_broken_ones_are_refused_in_one_line(self, tmp_path, datadiet: Cli, text):
        root = write(tmp_path / "in", FILES | {"labels.json": text})
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact")
        assert ran.code == 2
        assert "labels.json" in ran.complaint
        assert not (tmp_path / "out").exists()

    def test_a_byte_order_mark_and_keys_that_stand_twice(self, tmp_path, datadiet: Cli):
        text = '\ufeff{"images": [{"id":1,"file_name":"a.jpg"},\n {"id":2,"file_name":"bb.jpg"} ], "x": {"images": []},'
        text += '"annotations":[{"image_id":2}] ,"images": [{"id":2,"file_name":"bb.jpg"}], "annotations" : [ ] } \n'
        expected = '\ufeff{"images": [{"id":1,"file_name":"a.jpg"} ], "x": {"images": []},'
        expected += '"annotations":[] ,"images": [], "annotations" : [ ] } \n'
        root = write(tmp_path / "in", FILES | {"labels.json": text})
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        assert (tmp_path / "out/labels.json").read_bytes().decode() == expected

    def test_a_file_of_no_image_here_stays_as_it_is(self, tmp_path, datadiet: Cli):
        text = json.dumps(document([(1, "x.jpg"), (2, "y.jpg")]))
        root = write(tmp_path / "in", {f"cat/{name}": content for name, content in FILES.items()} | {"l.json": text})
        assert layout_of(root) == "class folders"
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
        assert (tmp_path / "out/l.json").read_text() == text

    def test_an_image_that_is_no_file_loses_its_records(self, tmp_path, datadiet: Cli):
        root = write(tmp_path / "in", FILES | {"labels.json": json.dumps(PETS)})
        (root / "d.jpg").unlink()
        (root / "d.jpg").symlink_to("nothing")
        assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 3
        assert json.loads((tmp_path / "out/labels.json").read_bytes()) == pruned(PETS, {"bb.jpg", "d.jpg"})


KEYS = st.text(st.characters(codec="utf-8"), max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
BLANK = st.text(" \t\r\n", max_size=2)


@st.composite
def spelled(draw, value):
    """JSON of a value, written with blanks and escapes anywhere."""
    if isinstance(value, list):
        return draw(joined([draw(spelled(item)) for item in value], "[", "]"))
    if isinstance(value, dict):
        pairs = [(draw(spelled(key)), draw(BLANK), draw(BLANK), draw(spelled(item))) for key, item in value.items()]
        members = [f"{key}{before}:{after}{item}" for key, before, after, item in pairs]
        return draw(joined(members, "{", "}"))
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@st.composite
def joined(draw, parts, opening, closing):
    padded = [draw(BLANK) + part + draw(BLANK) for part in parts]
    return opening + (",".join(padded) or draw(BLANK)) + closing


IDS = st.integers(0, 4)
UNKNOWN = st.dictionaries(KEYS, JSON, max_size=2)
IMAGES = st.lists(st.tuples(IDS, st.sampled_from("abcdef"), UNKNOWN), max_size=5)
ANNOTATIONS = st.lists(st.tuples(st.integers(0, 5), UNKNOWN), max_size=6)


class TestRoundTrip:
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(data=st.data(), images=IMAGES, annotations=ANNOTATIONS, more=UNKNOWN)
    def test_any_document(self, tmp_path_factory, datadiet: Cli, data, images, annotations, more):
        tmp_path = tmp_path_factory.mktemp("any")
        content = {
            **{key: value for key, value in more.items() if key not in ("images", "annotations", "categories")},
            "annotations": [{**extra, "image_id": image} for image, extra in annotations],
            "images": [{**extra, "id": key, "file_name": f"{name}.jpg"} for key, name, extra in images],
            "categories": [],
        }
        text = data.draw(spelled(content))
        files = {f"{name}.jpg": same for name, same in zip("abcd", data.draw(st.sampled_from(SAME)), strict=True)}
        root = write(tmp_path / "in", {**files, "labels.json": text})
        ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--scope", "across-classes",
                       "--list", "dropped")  # fmt: skip
        assert ran.code == 0
        left = (tmp_path / "out/labels.json").read_bytes().decode()
        assert json.loads(left) == pruned(content, set(ran.ids))
        if not {image["file_name"] for image in content["images"]} & set(ran.ids):
            assert left == text

    @given(data=st.data(), value=st.dictionaries(st.sampled_from("abc"), st.lists(JSON, max_size=4), max_size=3))
    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @pytest.mark.parametrize("part", [1, 7, 1 << 20])
    def test_arrays_are_found_and_cut_whatever_is_read_at_once(self, tmp_path, monkeypatch, part, data, value):
        monkeypatch.setattr(jsontree, "_PART", part)
        text = data.draw(BLANK) + data.draw(spelled(value)) + data.draw(BLANK)
        source, target = tmp_path / "in.json", tmp_path / "out.json"
        source.write_bytes(text.encode())
        target.unlink(missing_ok=True)
        seen = {"a": [], "b": []}
        arrays = jsontree.read_arrays(str(source), {key: found.append for key, found in seen.items()})
        assert arrays is not None
        assert seen == {key: value.get(key, []) for key in "ab"}
        raw = text.encode()
        for elements in arrays:
            spans = zip(elements.starts.tolist(), elements.stops.tolist(), strict=True)
            assert [json.loads(raw[start:stop]) for start, stop in spans] == value[elements.key]
        masks = [np.array(data.draw(st.lists(st.booleans(), min_size=len(e), max_size=len(e))), bool) for e in arrays]
        size = jsontree.write_without(str(source), list(zip(arrays, masks, strict=True)), str(target))
        assert size == target.stat().st_size
        cut = {elements.key: mask.tolist() for elements, mask in zip(arrays, masks, strict=True)}
        kept = {key: [item for item, stays in zip(value[key], mask, strict=True) if stays] for key, mask in cut.items()}
        assert json.loads(target.read_bytes()) == value | kept
        if all(mask.all() for mask in masks):
            assert target.read_bytes() == raw

    @given(text=st.text(st.sampled_from('{}[]",:a 1\\'), max_size=12))
    @settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_what_is_no_json_is_refused(self, tmp_path, text):
        source = tmp_path / "in.json"
        source.write_text('{"a": [' + text)
        try:
            json.loads(source.read_bytes())
        except ValueError:
            with pytest.raises(InputError, match=r"in\.json: not JSON"):
                jsontree.read_arrays(str(source), {"a": id})
        else:
            assert jsontree.read_arrays(str(source), {"a": id}) is not None


SAME = ("AABB", "AAAA", "ABCD", "AABC", "ABAC")
