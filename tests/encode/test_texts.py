"""Text files in every encoding, and those that are none."""

import codecs

import numpy as np
import polars as pl
import pytest
import xxhash

from datadiet_cli.encode import texts
from datadiet_cli.encode.texts import code_points, digest_texts, normalised_texts, read_documents, taken
from datadiet_cli.errors import ConfigError

WORDS = "Ünïcode  ﬁle\n\tstraße 😀"
NORMAL = "ünïcode file strasse 😀"


def read(tmp_path, data, encoding=None):
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    return next(iter(read_documents([str(path)], encoding)))


@pytest.mark.parametrize(
    "data",
    [
        WORDS.encode(),
        codecs.BOM_UTF8 + WORDS.encode(),
        codecs.BOM_UTF16_LE + WORDS.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + WORDS.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + WORDS.encode("utf-32-le"),
        codecs.BOM_UTF32_BE + WORDS.encode("utf-32-be"),
    ],
    ids=["utf-8", "utf-8-bom", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"],
)
@pytest.mark.parametrize("encoding", [None, "utf-8"])
def test_encodings_that_a_file_tells_itself(tmp_path, data, encoding):
    assert read(tmp_path, data, encoding) == [NORMAL]


def test_an_encoding_that_the_user_tells(tmp_path):
    data = "Grüße aus Köln".encode("latin-1")
    assert read(tmp_path, data) == "not-text"
    assert read(tmp_path, data, "latin-1") == ["grüsse aus köln"]
    assert read(tmp_path, codecs.BOM_UTF8 + "Köln".encode(), "latin-1") == ["köln"], "the file's own mark wins"
    with pytest.raises(ConfigError, match="unknown"):
        read(tmp_path, data, "no-such-code")


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "empty"),
        (b"\xff\xfe\x00", "not-text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "not-text"),
        (b"half a character \xc3", "not-text"),
        ("no mark".encode("utf-16-le"), "not-text"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8", "not-text"),
    ],
)
def test_what_is_no_text(tmp_path, data, cause):
    assert read(tmp_path, data) == cause


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("abc")
    (tmp_path / "b.txt").write_text("abcd")
    monkeypatch.setattr(texts, "LARGEST", 3)
    paths = [str(tmp_path / name) for name in ("a.txt", "b.txt", "none.txt", ".")]
    digests, lengths, causes = digest_texts(paths, None)
    assert causes.tolist() == [None, "too-large", "unreachable", "unreachable"]
    assert lengths.tolist() == [3, 0, 0, 0]
    assert digests[0].tobytes() == xxhash.xxh3_128_digest(b"abc")
    assert normalised_texts(paths, None) == ["abc", None, None, None]


def test_every_cause_has_words():
    assert set(texts.meanings(None)) == set(texts.CAUSES)
    assert texts.meanings("latin-1")["not-text"] == "the bytes are no latin-1; --encoding names another"


def test_a_mark_alone_is_a_blank_text(tmp_path):
    assert read(tmp_path, codecs.BOM_UTF8) == [""]


def test_rows_keep_their_cells_apart():
    frame = pl.DataFrame({"a": ["A  b", None, "a"], "b": ["c", "x", "b c"]})
    assert list(read_documents(frame, None)) == [["a b", "c"], ["", "x"], ["a", "b c"]]
    digests, lengths, causes = digest_texts(frame, None)
    assert len({tuple(row) for row in digests.tolist()}) == 3
    assert lengths.tolist() == [4, 1, 4]
    assert causes.tolist() == [None] * 3
    assert list(read_documents(taken(frame, np.array([2, 0])), None)) == [["a", "b c"], ["a b", "c"]]
    assert taken(["p", "q"], np.array([1])) == ["q"]


def test_code_points():
    points, lengths = code_points(["a😀", "", "é"])
    assert points.tolist() == [97, 0x1F600, 0xE9]
    assert points.dtype == np.uint32
    assert lengths.tolist() == [2, 0, 1]
    assert code_points([])[0].shape == (0,)
