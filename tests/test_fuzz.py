"""No bytes crash a run: a file is refused, flagged or copied, whatever it holds."""

import io
import json
import shutil

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import Cli, picture, report, tree_digest

# The fixtures are only places and ways to run: nothing in them outlives an example.
fuzz = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])

csv_text = st.lists(
    st.sampled_from(["a", "b", "1", "-2.5", '"', '""', ",", ";", "\t", "\n", "\r\n", "\r", " ", "ä"])
).map(lambda parts: "".join(parts).encode())
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "ü"]), inner, max_size=3),
    max_leaves=6,
)
json_lines = st.lists(json_value | st.sampled_from(["{", '{"a": 1, "a": 2}'])).map(
    lambda values: "\n".join(v if v == "{" else json.dumps(v) for v in values).encode()
)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Some bytes of a file changed, or its end cut off."""
    # Headers, where a byte decides most, stand at the front.
    place = st.integers(0, min(64, len(content)) - 1) | st.integers(0, len(content) - 1)
    changes = st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=8)

    def change(places: list[tuple[int, int]], end: int) -> bytes:
        altered = bytearray(content)
        for place, value in places:
            altered[place] = value
        return bytes(altered[:end])

    return st.builds(change, changes, st.just(len(content)) | st.integers(0, len(content)))


def parquet() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"a": [1, 1, 2], "b": ["x", "x", None]}).write_parquet(buffer)
    return buffer.getvalue()


TABLES = [
    ("csv", st.binary(max_size=200) | csv_text),
    ("jsonl", st.binary(max_size=200) | json_lines),
    ("parquet", st.binary(max_size=200) | st.integers(0, len(parquet()) - 1).map(lambda end: parquet()[:end])),
]


@pytest.mark.parametrize(("suffix", "contents"), TABLES, ids=[suffix for suffix, _ in TABLES])
@pytest.mark.parametrize("method", ["exact", "near"])
def test_table_of_any_bytes(tmp_path, datadiet: Cli, suffix, contents, method):
    @fuzz
    @given(contents)
    def check(content: bytes) -> None:
        source, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
        source.write_bytes(content)
        output.unlink(missing_ok=True)
        ran = datadiet("dedup", source, output, "--force", "--rerun", "--no-cache", "--method", method)
        assert source.read_bytes() == content
        if ran.code == 2:
            assert f"in.{suffix}" in ran.complaint
            assert not output.exists()
        else:
            assert ran.code == 0, ran.err
            figures = report(output)["figures"]
            # What was published can be read again, and nothing more goes from it.
            assert (
                datadiet("dedup", output, "--check", "--no-cache", "--method", "exact", "--header", "first-row").code
                == 0
            )
            assert figures["removed"] or suffix == "parquet" or output.read_bytes() == content

    check()


def test_damaged_parquet_is_refused_in_one_line(tmp_path, datadiet: Cli):
    content = bytearray(parquet())
    content[52] = 127  # a page's header; the library panics over it, which is no news for the user
    (tmp_path / "in.parquet").write_bytes(content)
    before = tree_digest(tmp_path)
    ran = datadiet("dedup", tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert ran.code == 2
    assert "in.parquet: cannot be read as Parquet" in ran.complaint
    assert tree_digest(tmp_path) == before


def test_parquet_that_kills_the_library_harms_nothing(tmp_path, datadiet_process: Cli):
    content = bytearray(parquet())
    content[50] = 127  # a page of a length below zero; polars 2.1 asks for exabytes and aborts the process
    (tmp_path / "in.parquet").write_bytes(content)
    before = tree_digest(tmp_path)
    ran = datadiet_process("dedup", tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert ran.code != 0
    assert tree_digest(tmp_path) == before


@pytest.mark.parametrize(
    ("format", "mode"),
    [("PNG", "RGBA"), ("JPEG", "RGB"), ("GIF", "P"), ("TIFF", "I;16"), ("BMP", "1"), ("WEBP", "RGB"), ("PPM", "L")],
)
def test_pictures_of_damaged_bytes(tmp_path, datadiet: Cli, format, mode):
    buffer = io.BytesIO()
    whole = picture(1).convert("L" if mode == "I;16" else mode)
    (whole.convert("I").convert("I;16") if mode == "I;16" else whole).save(buffer, format)
    content = buffer.getvalue()

    @fuzz
    @given(st.lists(damaged(content), min_size=1, max_size=4))
    @example([content[:50]])
    def check(contents: list[bytes]) -> None:
        root, output = tmp_path / "in", tmp_path / "out"
        for folder in (root, output):
            shutil.rmtree(folder, ignore_errors=True)
        root.mkdir()
        for number, damage in enumerate(contents):
            (root / f"{number}.{format.lower()}").write_bytes(damage)
        ran = datadiet("dedup", root, output, "--force", "--no-cache", "--workers", 1)
        assert ran.code in (0, 3), ran.err
        causes = [row["detail"] for row in report(output)["verdicts"] if row["reason"] == "unreadable"]
        assert bool(causes) == (ran.code == 3)
        assert all(causes)
        assert {path.name for path in output.iterdir()} <= {path.name for path in root.iterdir()}

    check()
