"""Settings of what is larger than a machine: sizes, the scheduler, and the extra that a cluster needs."""

import re
import subprocess
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from datadiet_cli.config.base import SIZE_PATTERN, Common, parse_size

FACTORS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@given(st.integers(1, 10**6), st.sampled_from(list(FACTORS)), st.booleans())
def test_a_size_is_its_number_times_its_unit(number, unit, spaced):
    text = f"{number}{' ' if spaced else ''}{unit}"
    assert parse_size(text) == number * FACTORS[unit]
    assert re.fullmatch(SIZE_PATTERN, text)  # what the schema lets through is what is read


@pytest.mark.parametrize(("text", "size"), [("2GiB", 2**31), ("1.5kiB", 1536), ("0.5MB", 500_000)])
def test_sizes_with_points_and_binary_units(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("value", ["", "2", "GB", "2 gb", "-1GB", "2KiB", "1e3MB", "0B", "0.1B", ".5GB", "٢GB"])
def test_what_is_no_size_is_refused(value):
    with pytest.raises(ValueError, match="must be a size such as 2GB"):
        parse_size(value)


@given(st.text(max_size=8))
def test_any_other_text_is_refused_in_words(text):
    assume(not re.fullmatch(SIZE_PATTERN, text))
    with pytest.raises(ValueError, match="must be a size such as 2GB"):
        parse_size(text)


def test_a_limit_reads_back_from_a_report():
    assert Common.model_validate(Common(memory_limit="1kB").model_dump()).memory_limit == "1kB"
    for wrong in ("lots", 300):
        with pytest.raises(ValidationError):
            Common.model_validate({"memory_limit": wrong})


def test_a_wrong_limit_is_one_line(datadiet, tmp_path):
    result = datadiet("dedup", tmp_path, "--dry-run", "--memory-limit", "300")
    assert result.code == 2
    assert result.complaint == "--memory-limit: must be a size such as 2GB or 512MiB, not '300'"


def test_a_scheduler_is_of_dask(datadiet):
    result = datadiet("dedup", "sample_data/images", "--dry-run", "--scheduler", "tcp://127.0.0.1:1")
    assert result.code == 2
    assert result.complaint == "--scheduler tcp://127.0.0.1:1: that is of a Dask cluster; add --engine dask"


def test_without_the_extra_one_line_says_what_to_install(tmp_path):
    hide = "import sys; sys.modules['distributed'] = None; from datadiet_cli.__main__ import run; "
    arguments = ["dedup", "sample_data/images", str(tmp_path / "out"), "--engine", "dask"]
    done = subprocess.run(
        [sys.executable, "-c", f"{hide} sys.exit(run({arguments!r}))"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "datadiet: --engine dask needs Dask: pip install 'datadiet[dask]'\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("engine", ["serial", "threads", "processes"])
def test_nothing_of_dask_is_imported_otherwise(engine, tmp_path):
    look = "import sys; from datadiet_cli.__main__ import run; "
    arguments = ["dedup", "sample_data/table.csv", str(tmp_path / "out.csv"), "--engine", engine]
    tell = "print(sorted(m for m in sys.modules if m.split('.')[0] in ('dask', 'distributed', 'fsspec')))"
    done = subprocess.run(
        [sys.executable, "-c", f"{look} code = run({arguments!r}); {tell}; sys.exit(code)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
