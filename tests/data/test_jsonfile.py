"""JSON Lines: values in, the same bytes out."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.data.tables import TableFormat, open_table
from datadiet_cli.errors import InputError
from tests.conftest import Cli

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda v: st.lists(v, max_size=2) | st.dictionaries(st.text(max_size=3), v, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", 'q"', "é"]), VALUES, max_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("json")


def table(folder, content: bytes, **fmt):
    path = folder / "t.jsonl"
    path.write_bytes(content)
    return open_table(path, TableFormat(**fmt))


def written(file, rows, folder, edits=None) -> bytes:
    target = folder / "out"
    target.unlink(missing_ok=True)
    assert file.write(np.array(rows, dtype=np.int64), str(target), edits or {}) == target.stat().st_size
    return target.read_bytes()


def parsed(content: bytes):
    return [json.loads(line) for line in content.decode().split("\n") if line.strip()]


@given(objects=st.lists(OBJECTS, min_size=1, max_size=8).filter(any), compact=st.booleans(), data=st.data())
def test_records_stay_the_bytes_they_were_and_edits_change_one_value(folder, objects, compact, data):
    separators = (",", ":") if compact else (" , ", " : ")
    ends = [data.draw(st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"])) for _ in objects]
    lines = [json.dumps(o, separators=separators, ensure_ascii=compact) + e for o, e in zip(objects, ends, strict=True)]
    content = "".join(lines).encode()
    file = table(folder, content)
    assert set(file.columns) == set().union(*objects)
    assert written(file, list(range(len(objects))), folder) == content
    kept = sorted(data.draw(st.sets(st.integers(0, len(objects) - 1))))
    assert written(file, kept, folder) == "".join(lines[i] for i in kept).encode()

    row, column = data.draw(st.integers(0, len(objects) - 1)), data.draw(st.sampled_from(file.columns))
    output = written(file, list(range(len(objects))), folder, {column: {row: 'new "é'}})
    expected = [dict(o) for o in objects]
    expected[row][column] = 'new "é'
    assert parsed(output) == expected
    assert output.startswith("".join(lines[:row]).encode())
    assert output.endswith("".join(lines[row + 1 :]).encode())


def test_an_edit_leaves_the_spelling_of_its_neighbours(tmp_path):
    content = b'{"a":1e5 ,"b" : "x", "c":0.10}\n{"c": 2.50}\n{}\n{"b":"x","b":"y"}'
    file = table(tmp_path, content)
    output = written(file, [0, 1, 2, 3], tmp_path, {"b": {0: "7", 1: None, 2: "z", 3: "w"}, "c": {0: "7.0"}})
    assert output == (b'{"a":1e5 ,"b" : "7", "c":7.0}\n{"c": 2.50, "b": null}\n{"b":"z"}\n{"b":"x","b":"w"}')


def test_texts_and_types(tmp_path):
    rows = [
        b'{"n": 1, "f": 0.10, "s": "007", "m": "x", "d": "2024-01-31", "l": [1, 0.5], "t": true}',
        b'{"n": -2, "f": 3, "s": "", "m": 1e5, "d": null, "l": {"k": "\\u00e9"}, "big": 9999999999999999999}',
    ]
    file = table(tmp_path, b"\n".join(rows))
    assert file.columns == ("n", "f", "s", "m", "d", "l", "t", "big")
    assert file.texts().rows() == [
        ("1", "0.10", "007", "x", "2024-01-31", "[1, 0.5]", "true", None),
        ("-2", "3", "", "1e5", None, '{"k": "é"}', None, "9999999999999999999"),
    ]
    typed = file.typed()
    kinds = [pl.Int64, pl.Float64, pl.String, pl.String, pl.Date, pl.String, pl.Boolean, pl.String]
    assert typed.dtypes == kinds
    assert typed["f"].to_list() == [0.1, 3.0]
    assert file.texts(["t", "n"]).columns == ["t", "n"]


def test_equal_by_value_whatever_the_order_of_keys(tmp_path):
    lines = [
        '{"a":1,"b":{"x":1,"y":2}}',
        '{"b": {"y": 2.0, "x": 1}, "a": 1e0}',
        '{"a":"1","b":{"x":1,"y":2}}',
        '{"a":true}',
        '{"a":true,"b":null}',
        '{"a":1}',
    ]
    file = table(tmp_path, "\n".join(lines).encode())
    group = [0, 0, 1, 2, 2, 3]
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(6), np.arange(6)))
    keys = file.keys()
    expected = [group[i] == group[j] for i, j in zip(a, b, strict=True)]
    assert file.same(a, b).tolist() == expected
    assert (keys[a] == keys[b]).tolist() == expected
    assert file.same(np.array([0]), np.array([5]), ["a"]).tolist() == [True]


def test_numbers_that_only_floats_would_confuse_differ(tmp_path):
    file = table(tmp_path, b'{"a":9007199254740993}\n{"a":9007199254740992}\n{"a":1e400}\n{"a":NaN}\n{"a":NaN}')
    assert len(set(file.keys().tolist())) == 4


def test_half_a_surrogate_pair_is_no_crash(tmp_path):
    content = b'{"a": "\\ud83d", "b": 1}\n'
    file = table(tmp_path, content)
    assert file.texts()["b"].to_list() == ["1"]
    assert len(file.keys()) == 1
    assert written(file, [0], tmp_path, {"b": {0: "2"}}) == content.replace(b"1", b"2")


@pytest.mark.parametrize("form", ["{}", "[1, {}]"])
def test_halves_of_surrogate_pairs_stay_apart(tmp_path, form):
    texts = ["\\ud800", "\\ud801", "\\udfff", "?", "\\ud83d\\ude00", "\\ud800x", "\\\\ud800", "\\ud800"]
    lines = ['{"a": %s}' % form.format(f'"{text}"') for text in texts]  # noqa: UP031 - braces are JSON's
    file = table(tmp_path, "\n".join(lines).encode())
    cells = file.texts()["a"].to_list()
    assert cells[0] == cells[-1]
    assert len(set(cells)) == len(texts) - 1
    assert file.typed()["a"].to_list() == cells
    emoji = "\N{GRINNING FACE}"
    assert cells[3:5] == [text if form == "{}" else f'[1, "{text}"]' for text in ("?", emoji)]
    assert all(cell.encode() for cell in cells)


@pytest.mark.parametrize("method", ["exact", "near", "normalised"])
def test_halves_of_surrogate_pairs_are_no_copies(tmp_path, datadiet: Cli, method):
    texts = ["\\ud800 one two three four", "\\ud801 one two three four", "? one two three four", "ONE two"]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"text": "{text}"}}\n' for text in texts))
    assert datadiet("dedup", path, "--dry-run", "--method", method, "--list", "dropped").ids == []


def test_marks_encodings_and_sizes(tmp_path):
    content = b'\xef\xbb\xbf\n{"a":"x"}\r\n\r\n{"a":"y"}'
    file = table(tmp_path, content)
    assert file.record_bytes().tolist() == [13, 9]
    assert written(file, [0, 1], tmp_path) == content
    assert written(file, [1], tmp_path) == b'\xef\xbb\xbf\n{"a":"y"}'
    latin = table(tmp_path, b'{"a":"\xe9"}\n', encoding="latin-1")
    assert latin.texts()["a"].to_list() == ["é"]
    assert written(latin, [0], tmp_path, {"a": {0: "ü"}}) == b'{"a":"\xfc"}\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n \n", "no columns"),
        (b"{}\n", "no columns"),
        (b'{"a":1}\n\n[1]\n', r"t\.jsonl:3: not a JSON object"),
        (b'{"a":1}\n{"a":1,}\n', r"t\.jsonl:2: not JSON: .* at character"),
        (b'{"a":1}{"a":2}\n', r"t\.jsonl:1: not JSON: Extra data"),
        (b'{"a":\n1}\n', r"t\.jsonl:1: not JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", r"t\.jsonl:1: .*too long"),
        (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", r"t\.jsonl:1: .*too deep"),
        (b'{"a":"\xff"}', r"t\.jsonl:1: byte 0xFF is not UTF-8"),
    ],
)
def test_an_error_names_the_line(tmp_path, content, said):
    with pytest.raises(InputError, match=said):
        table(tmp_path, content)
