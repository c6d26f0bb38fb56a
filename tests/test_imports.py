"""What a command loads: asking for help must not wait for libraries that only some of the work needs."""

import json
import subprocess
import sys

import pytest

from tests.conftest import class_folders, table
from tests.data.trees import write

HEAVY = {
    "torch",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "sklearn",
    "scipy",
    "polars",
    "PIL",
    "imagehash",
    "pandas",
    "rapidfuzz",
    "rich",
    "soundfile",
    "transformers",
    "sentence_transformers",
    "tokenizers",
    "safetensors",
}
RUN = """
import json, sys
from datadiet_cli.__main__ import run
code = run(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def loaded(*arguments, code=0):
    """The libraries that a command loaded, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=100
    )
    ended, modules = json.loads(done.stdout.splitlines()[-1])
    assert ended == code, done.stderr
    assert "datadiet_cli" in modules
    return HEAVY & set(modules)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["dedup", "--help"], ["run", "--help"], ["inspect", "--help"], ["--version"], ["schema", "dedup"]],
    ids=" ".join,
)
def test_nothing_heavy_without_work(arguments):
    assert loaded(*arguments) == set()


def test_nothing_heavy_to_say_what_is_wrong(tmp_path):
    assert loaded("dedup", tmp_path / "none", tmp_path / "out", code=2) == set()
    assert loaded("dedup", "--treshold", code=2) == set()


def test_pictures_need_pillow_only(tmp_path):
    root = class_folders(tmp_path / "in", {"a.png": 1, "b.png": 1})
    assert loaded("dedup", root, tmp_path / "out") == {"PIL"}
    assert loaded("dedup", root, tmp_path / "full", "--decode", "full", "--method", "dhash") <= {"PIL", "imagehash"}


def test_equal_files_and_rows_need_no_pillow(tmp_path):
    write(tmp_path / "in", {"a.txt": "A", "b.txt": "A"})
    assert loaded("dedup", tmp_path / "in", tmp_path / "out") == set()
    rows = table(tmp_path / "in.csv", ["a"], [["x"], ["x"]])
    for method in ("exact", "near"):
        assert loaded("dedup", rows, tmp_path / f"{method}.csv", "--method", method) <= {"polars"}
