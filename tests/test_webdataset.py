"""The command line on shards: the same verdicts as on the same images in folders, on every engine."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datadiet_cli.data.scan import scan
from tests.data.shards import keys, listed, tar
from tests.data.trees import read, write

IMAGES = Path(__file__).parent.parent / "sample_data" / "images"
_SHARD = 60


def _members(split):
    """The sample images of a split in order of their names, each with its class."""
    for number, entry in enumerate(entry for entry in scan(str(IMAGES)).entries if entry.path.startswith(split)):
        image = (IMAGES / entry.path).read_bytes()
        key = f"{number:06d}"
        ending = entry.path.rpartition(".")[2]
        yield [(f"{key}.{ending}", image), (f"{key}.cls", entry.path.split("/")[1].encode())], entry.path


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """A folder of shards, and the names of the images by the ids of samples."""
    root, names = tmp_path_factory.mktemp("shards") / "in", {}
    files = {"README.md": "Images.\n"}
    for split in ("test", "train"):
        samples = list(_members(split))
        for start in range(0, len(samples), _SHARD):
            shard = f"{split}-{start // _SHARD:06d}.tar"
            part = samples[start : start + _SHARD]
            files[shard] = tar(member for sample, _ in part for member in sample)
            names.update({f"{shard}/{sample[0][0]}": path for sample, path in part})
    return write(root, files), names


def _whole(datadiet, out, root, tmp_path):
    """Check that what was written is a dataset of whole samples in their order, that verify and restore agree."""
    for shard in sorted(Path(out).glob("*.tar")):
        members = listed(shard)
        assert keys(members) == sorted(set(keys(members)))
        assert [name.partition(".")[0] for name, _ in members] == [key for key in keys(members) for _ in (0, 1)]
    assert datadiet("verify", out).code == 0
    assert datadiet("restore", f"{out}.report.json", "--from", root, tmp_path / "again", "--quiet").code == 0
    assert read(tmp_path / "again") == read(Path(out))


def test_dedup_decides_as_on_folders_on_every_engine(datadiet, sharded, tmp_path):
    root, names = sharded
    expected = set(datadiet("dedup", IMAGES, "--prefer", "first", "--dry-run", "--list", "kept").ids)
    for engine in (["serial"], ["processes"], ["dask", "--scheduler", "inproc"]):
        out = tmp_path / engine[0]
        how = ["--prefer", "first", "--workers", 2, "--no-cache", "--list", "kept"]
        ran = datadiet("dedup", root, out, "--engine", *engine, *how)
        assert ran.code == 3
        # Of two equal copies the one with the first name stays, and keys are numbered in the order of names.
        assert {names[name] for name in ran.ids} == expected
        assert read(out) == read(tmp_path / "serial")
    kept = Counter(name.partition("/")[0] for name in ran.ids)
    there = {path.name: len(listed(path)) // 2 for path in out.glob("*.tar")}
    assert there == {shard: kept[shard] for shard in there}
    assert (out / "README.md").read_text() == "Images.\n"
    _whole(datadiet, out, root, tmp_path)


def test_a_second_run_reads_no_sample(datadiet, sharded, tmp_path):
    root, _ = sharded
    first = datadiet("dedup", root, tmp_path / "out")
    second = datadiet("dedup", root, tmp_path / "out")
    assert (first.code, second.code) == (3, 3)
    assert "up to date" in second.err


def test_inspect_says_what_the_shards_are(datadiet, sharded):
    root, _ = sharded
    facts = json.loads(datadiet("inspect", root, "--json").out)
    assert facts["layout"] == "WebDataset shards (4), keys with .cls .png .jpg"
    assert (facts["shards"], facts["samples"], len(facts["classes"]), facts["other_files"]) == (4, 222, 10, 1)
    assert set(facts["splits"]) == {"train", "test"}
    assert len(facts["unreadable"]) == 3


def test_select_samples_keeps_whole_samples(datadiet, sharded, tmp_path):
    root, _ = sharded
    out = tmp_path / "half"
    ran = datadiet("select-samples", root, out, "--keep", "50%", "--method", "k-center", "--list", "kept")
    assert ran.code in (0, 3), ran.err
    there = [f"{shard.name}/{key}" for shard in sorted(out.glob("*.tar")) for key in keys(listed(shard))]
    assert there == [name.rpartition(".")[0] for name in ran.ids]
    _whole(datadiet, out, root, tmp_path)


class TestChanges:
    """A small dataset of two classes, one of them rarer."""

    @pytest.fixture
    def few(self, tmp_path):
        def image(shade, i):
            picture = Image.new("RGB", (24, 24), (shade, 30 + 3 * i, 90))
            picture.paste((255 - shade, 9 * i, 10), (i, 4, i + 5, 12))
            path = tmp_path / "one.png"
            picture.save(path)
            return path.read_bytes()

        def sample(key, shade, i, label):
            return [(f"{key}.jpg.png", image(shade, i)), (f"{key}.cls", label), (f"{key}.json", b'{"k": 1}')]

        dark = [sample(f"d{i:02d}", 20, i, b"dark\n") for i in range(20)]
        light = [sample(f"l{i:02d}", 230, i, b"light\n") for i in range(12)]
        files = {
            "train-0.tar": tar(member for sample in dark for member in sample),
            "train-1.tar": tar(member for sample in light for member in sample),
            "test-0.tar": tar(sample("t", 20, 23, b"dark\n")),
        }
        return write(tmp_path / "in", files)

    def test_denoise_writes_labels(self, datadiet, few, tmp_path):
        out = tmp_path / "out"
        likely = np.array([[0.97, 0.03]] * 21 + [[0.03, 0.97]] * 12)
        likely[21 + 7] = [0.97, 0.03]
        np.save(tmp_path / "probs.npy", likely)
        how = ["--pred-probs", tmp_path / "probs.npy", "--quality", "none", "--outliers", "none"]
        ran = datadiet("denoise", few, out, "--labels-action", "relabel", *how)
        assert ran.code == 0, ran.err
        for name in ("train-0.tar", "test-0.tar"):
            assert (out / name).read_bytes() == (few / name).read_bytes()
        before, after = listed(few / "train-1.tar"), listed(out / "train-1.tar")
        changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
        assert changed == [(("l07.cls", b"light\n"), ("l07.cls", b"dark\n"))]

    def test_evaluate_knows_what_is_gone(self, datadiet, few, tmp_path):
        out, found = tmp_path / "out", tmp_path / "found.json"
        assert datadiet("select-samples", few, out, "--keep", "60%", "--method", "random").code == 0
        how = ["--model", "linear", "--epochs", 1, "--seeds", 2, "--leakage", "report"]
        ran = datadiet("evaluate", out, "--against", few, found, *how)
        assert ran.code in (0, 1), ran.err
        told = json.loads(found.read_text())
        assert told["input"]["samples"] < 33

    @pytest.mark.parametrize("over", ["repeat", "augment"])
    def test_balance_adds_whole_samples(self, datadiet, few, tmp_path, over):
        out = tmp_path / "out"
        ran = datadiet("balance", few, out, "--over", over, "--under", "none", "--target", "15")
        assert ran.code == 0, ran.err
        assert (out / "train-0.tar").read_bytes() == (few / "train-0.tar").read_bytes()
        old, new = listed(few / "train-1.tar"), listed(out / "train-1.tar")
        assert new[: len(old)] == old
        added = new[len(old) :]
        assert len(added) == 3 * 3
        names = [name for name, _ in added]
        assert len(set(names)) == len(names)
        contents = dict(old)
        for (image, data), (label, said), (more, fields) in zip(added[::3], added[1::3], added[2::3], strict=True):
            key = image.partition(".")[0]
            origin = key.partition("-new")[0]
            assert (image, label, more) == (f"{key}.jpg.png", f"{key}.cls", f"{key}.json")
            assert (said, fields) == (b"light\n", contents[f"{origin}.json"])
            assert (data == contents[f"{origin}.jpg.png"]) == (over == "repeat")
        assert datadiet("verify", out).code == 0

    def test_one_shard_may_be_input(self, datadiet, few, tmp_path):
        shard = few / "train-1.tar"
        out = tmp_path / "out.tar"
        ran = datadiet("select-samples", shard, out, "--keep", 4, "--method", "k-center", "--list", "kept")
        assert ran.code == 0, ran.err
        kept = {name.partition("/")[2].partition(".")[0] for name in ran.ids}
        assert listed(out) == [member for member in listed(shard) if member[0].partition(".")[0] in kept]
        assert len(kept) == 4
        assert datadiet("verify", out).code == 0
        assert datadiet("restore", f"{out}.report.json", "--from", shard, tmp_path / "again.tar").code == 0
        assert (tmp_path / "again.tar").read_bytes() == out.read_bytes()

    def test_links_are_made_for_shards_that_lose_nothing(self, datadiet, few, tmp_path):
        out = tmp_path / "out"
        assert datadiet("dedup", few, out, "--link", "hardlink", "--method", "exact").code == 0
        assert (out / "train-0.tar").samefile(few / "train-0.tar")

    def test_a_damaged_shard_is_named(self, datadiet, few, tmp_path):
        shard = few / "train-0.tar"
        shard.write_bytes(shard.read_bytes()[:5000])
        line = datadiet("dedup", few, tmp_path / "out").complaint
        assert f"{shard}: ends in the middle of" in line
        assert not (tmp_path / "out").exists()
