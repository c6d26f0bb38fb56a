"""Where the records of a CSV lie, and what their bytes are worth, against the csv module and plain slices."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.data import csvscan
from datadiet_cli.data.csvfile import cell_spans
from datadiet_cli.data.csvscan import split_csv
from datadiet_cli.data.records import (
    Records,
    equal_records,
    hash_records,
    line_number,
    map_file,
    write_records,
)
from datadiet_cli.errors import InputError

SOUP = st.text(alphabet='ab",;\n 5', max_size=200)


def as_bytes(content: bytes):
    return np.frombuffer(content, dtype=np.uint8)


def split(tmp_path, content: bytes):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    return split_csv(map_file(str(path)), 0, str(path), ",")


def texts_of(content: bytes, spans: Records) -> list[bytes]:
    return [content[a:b] for a, b in zip(spans.starts[:-1].tolist(), spans.ends.tolist(), strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("records")


@given(
    rows=st.lists(st.lists(st.text('a",\r\n\té€𐍈', max_size=5), min_size=3, max_size=3), min_size=1),
    crlf=st.booleans(),
)
def test_records_are_cut_where_the_csv_module_cuts_them(folder, rows, crlf):
    text = io.StringIO(newline="")
    # Some Pythons leave a carriage return unquoted where lines end with a line feed only.
    quoting = csv.QUOTE_MINIMAL if crlf else csv.QUOTE_ALL
    csv.writer(text, lineterminator="\r\n" if crlf else "\n", quoting=quoting).writerows(rows)
    content = text.getvalue().encode()
    found = split(folder, content)
    assert not found.stray
    assert found.fields == 3
    cells = [next(csv.reader(io.StringIO(t.decode(), newline=""))) for t in texts_of(content, found.spans)]
    assert cells == rows


@given(soup=SOUP.filter(lambda s: s.strip("\n") and "\0" not in s))
def test_any_soup_of_quotes_is_cut_as_the_csv_module_cuts_it(folder, soup):
    content = soup.encode()
    rows = [row for row in csv.reader(io.StringIO(soup, newline="")) if row]
    try:
        found = split(folder, content)
    except InputError as error:
        message = str(error)
    else:
        message = None
    if message is not None:
        assert "never closed" in message or len({len(row) for row in rows}) > 1
        return
    texts = texts_of(content, found.spans)
    assert [next(csv.reader(io.StringIO(t.decode(), newline=""))) for t in texts] == rows
    for text, row in zip(texts, rows, strict=True):
        pieces = [text[a:b].decode() for a, b in cell_spans(text, ",")]
        assert len(pieces) == len(row)
        alone = [csv.reader(io.StringIO(piece + "\t", newline=""), delimiter="\t") for piece in pieces]
        assert [next(reader)[0] for reader in alone] == row


@given(rows=st.lists(st.lists(st.text('a",\n', max_size=30), min_size=2, max_size=2), min_size=1, max_size=20))
def test_windows_smaller_than_a_record_find_the_same(folder, rows):
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    content = text.getvalue().encode()
    whole = split(folder, content).spans
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvscan, "CHUNK_BYTES", 7)
        pieces = split(folder, content).spans
    assert whole.starts.tolist() == pieces.starts.tolist()
    assert whole.ends.tolist() == pieces.ends.tolist()


def test_blank_lines_belong_to_the_record_before(tmp_path):
    content = b"\n\na,b\n\r\n\n1,2\r\n\n3,4"
    found = split(tmp_path, content)
    assert texts_of(content, found.spans) == [b"a,b", b"1,2", b"3,4"]
    assert found.spans.starts.tolist() == [2, 9, 15, 18]
    assert found.blank


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"a,b\n1,2\n\n3\n", 4, "1 cell, expected 2"),
        (b'a,b\n"x\ny",2\n3,4,5\n', 4, "3 cells, expected 2"),
        (b"a,b\n1,2\n3,4,5,6", 3, "4 cells, expected 2"),
        (b'a,b\n5" pipe,2\n3\n', 3, "1 cell, expected 2"),
        (b"a,b\r1,2\r", 1, "carriage return"),
        (b"a,b\n1,2\n3,4\r5,6\n", 3, "carriage return"),
        (b'a,b\n5" pipe,4\n3\r,4\n', 3, "carriage return"),
        (b'a,b\n1,2\n3,"4\n5,6\n', 3, "never closed"),
    ],
)
def test_an_error_names_the_physical_line(tmp_path, content, line, said):
    with pytest.raises(InputError) as caught:
        split(tmp_path, content)
    assert f"t.csv:{line}: " in str(caught.value)
    assert said in str(caught.value)


def test_ragged_records_far_into_the_file_are_found(tmp_path):
    for bad in (b"1\n", b"1,2,3\n"):
        with pytest.raises(InputError, match=r"t\.csv:400001: "):
            split(tmp_path, b"1,2\n" * 400_000 + bad + b"1,2\n" * 9)
    # Two wrongs that make the number of delimiters right.
    with pytest.raises(InputError, match=r"t\.csv:2: "):
        split(tmp_path, b"1,2\n1,2,3\n1\n")


def test_too_many_columns_and_too_long_a_first_line(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"100,001 columns.*delimiter"):
        split(tmp_path, b"," * 100_000 + b"\n")
    monkeypatch.setattr(csvscan, "MAX_HEADER_BYTES", 2**21)
    with pytest.raises(InputError, match=r"t\.csv:1: .*longer than 2 MiB"):
        split(tmp_path, b"x" * 2**23)


TEXTS = st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")), min_size=1, max_size=200)


def lines(texts: list[bytes]) -> tuple[bytes, Records]:
    ends = np.cumsum([len(t) + 1 for t in texts]) - 1
    return b"\n".join([*texts, b""]), Records(np.concatenate(([0], ends + 1)), ends)


@given(texts=TEXTS, data=st.data())
def test_equal_texts_and_only_they_are_equal(texts, data):
    texts = texts + data.draw(st.lists(st.sampled_from(texts), max_size=60))
    content, spans = lines(texts)
    hashes = hash_records(as_bytes(content), spans)
    index = np.arange(len(texts))
    a, b = (grid.ravel() for grid in np.meshgrid(index, index))
    expected = [texts[i] == texts[j] for i, j in zip(a, b, strict=True)]
    assert equal_records(as_bytes(content), spans, a, b).tolist() == expected
    assert (hashes[a] == hashes[b]).tolist() == expected


def test_long_records_are_hashed_and_compared_to_the_last_byte():
    long = b"x" * 100_000
    texts = [long, long[:-1] + b"y", b"short", long, long[:-1], b"", b"short"]
    content, spans = lines(texts)
    hashes = hash_records(as_bytes(content), spans)
    assert [hashes[0] == h for h in hashes] == [t == long for t in texts]
    assert hashes[2] == hashes[6]
    assert len(set(hashes.tolist())) == 5
    first = np.zeros(7, dtype=np.int64)
    assert equal_records(as_bytes(content), spans, first, np.arange(7)).tolist() == [t == long for t in texts]


def test_nothing_is_hashed_and_compared():
    none = np.empty(0, dtype=np.int64)
    spans = Records(np.array([1]), none)
    assert hash_records(as_bytes(b"\n"), spans).shape == (0,)
    assert equal_records(as_bytes(b"\n"), spans, none, none).shape == (0,)


@given(texts=TEXTS, data=st.data())
def test_written_records_are_the_slices(folder, texts, data):
    content, spans = lines(texts)
    numbers = st.sets(st.integers(0, len(texts) - 1))
    kept = sorted(data.draw(numbers))
    rewritten = {row: b"new %d" % row for row in data.draw(numbers)}
    target = folder / "out"
    target.unlink(missing_ok=True)
    written = write_records(as_bytes(content), spans, np.array(kept, dtype=np.int64), str(target), rewritten)
    assert target.read_bytes() == b"".join(rewritten.get(i, texts[i]) + b"\n" for i in kept)
    assert written == target.stat().st_size


def test_an_existing_destination_is_not_touched(tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"precious")
    content, spans = lines([b"a"])
    with pytest.raises(FileExistsError):
        write_records(as_bytes(content), spans, np.array([0]), str(target), {})
    assert target.read_bytes() == b"precious"


def test_line_numbers_count_line_feeds():
    content = b"a\n" * 2_000_000
    assert line_number(as_bytes(content), 0) == 1
    assert line_number(as_bytes(content), 3_000_001) == 1_500_001
