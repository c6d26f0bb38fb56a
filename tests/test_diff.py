"""`datadiet diff`: what is new, gone and changed between two runs."""

import json

import jsonschema
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.report.differences import compared
from tests.conftest import Cli, class_folders, report, save, table
from tests.report.documents import document, verdict
from tests.test_hostile import ODD_NAMES, is_clean


@pytest.fixture
def write(tmp_path):
    """Write a report by hand."""

    def call(name, rows, kind="image", **changes):
        path = tmp_path / f"{name}.report.json"
        made = document(rows, kind, **changes)
        made["settings"] = {"seed": 0, **changes.get("settings", {})}
        path.write_text(json.dumps(made))
        return path

    return call


@pytest.fixture
def diff(datadiet: Cli):
    """What the command prints, in words."""

    def call(one, other, *flags, code=0):
        ran = datadiet("diff", one, other, *flags)
        assert (ran.code, ran.err) == (code, "")
        words = ran.out.decode()
        assert is_clean(words)
        return words.splitlines()

    return call


def findings(diff_of_two):
    return {name: [row["id"] for row in part["verdicts"]] for name, part in diff_of_two["findings"].items()}


class TestRuns:
    @pytest.fixture
    def runs(self, pets, tmp_path, datadiet: Cli):
        """Two runs on the same folder, which got a copy of a dog and lost that of a cat."""
        assert datadiet("dedup", pets, tmp_path / "one").code == 0
        (pets / "cat/copy-of-a.png").unlink()
        save(pets / "dog/the-other-c.png", 3)
        assert datadiet("dedup", pets, tmp_path / "two", "--prefer", "first").code == 0
        return tmp_path / "one.report.json", tmp_path / "two.report.json"

    def test_of_changed_data(self, runs, diff):
        words = diff(*runs)
        assert words[0] == f"{runs[0]} -> {runs[1]}"
        assert "  dedup.prefer: largest -> first" in words
        assert "  class cat: 3 -> 2" in words
        assert "findings: 1 new, 1 gone, 0 changed" in words
        at = words.index("new: 1 duplicate")
        assert words[at + 1].startswith("  drop dog/the-other-c.png: duplicate of dog/c.png (score 0, threshold")
        assert words[at + 2] == "gone: 1 duplicate"
        # The folder is not any more what the first run was given.
        (unknown,) = [line for line in words if line.startswith("samples of only one dataset")]
        assert "has changed since" in unknown

    def test_check_fails_on_new_findings_alone(self, runs, diff, write):
        diff(*runs, "--check", code=1)
        diff(*reversed(runs), "--check", code=1)
        diff(runs[0], runs[0], "--check")
        one, other = write("x", [verdict("a"), verdict("b")]), write("y", [verdict("a", witness="c")])
        diff(one, other, "--check")
        diff(other, one, "--check", code=1)

    def test_a_run_differs_in_nothing_from_itself(self, runs, diff):
        assert diff(runs[0], runs[0]) == [f"{runs[0]} -> {runs[0]}", "nothing differs"]

    def test_of_two_datasets_the_samples_are_told(self, tmp_path, diff, datadiet: Cli):
        class_folders(tmp_path / "a", {"x/1.png": 1, "x/2.png": 2})
        class_folders(tmp_path / "b", {"x/2.png": 2, "x/3.png": 3, "x/4.png": 3})
        for name in "ab":
            datadiet("dedup", tmp_path / name, tmp_path / f"out-{name}")
        words = diff(tmp_path / "out-a.report.json", tmp_path / "out-b.report.json")
        at = words.index("new samples: 2")
        assert words[at + 1 : at + 5] == ["  x/3.png", "  x/4.png", "gone samples: 1", "  x/1.png"]

    def test_of_two_commands(self, tmp_path, diff, datadiet: Cli):
        source = table(tmp_path / "in.csv", ["x", "label"], [[n % 5, "ab"[n % 2]] for n in range(40)])
        datadiet("dedup", source, tmp_path / "one.csv")
        datadiet("balance", source, tmp_path / "two.csv", "--label", "label", "--no-split")
        words = diff(tmp_path / "one.csv.report.json", tmp_path / "two.csv.report.json")
        assert "  command: dedup -> balance" in words
        assert '  steps: ["dedup"] -> ["balance"]' in words
        assert not any("balance." in line for line in words)

    def test_very_many_verdicts_are_read_from_beside_the_report(self, tmp_path, datadiet: Cli):
        for name, modulus in (("one", 9_000), ("two", 8_000)):
            source = table(tmp_path / f"{name}.csv", ["x"], [[n % modulus] for n in range(20_000)])
            datadiet("dedup", source, tmp_path / f"out-{name}.csv", "--quiet")
        paths = [tmp_path / f"out-{name}.csv.report.json" for name in ("one", "two")]
        assert json.loads(paths[0].read_bytes())["verdicts"] == []
        told = json.loads(datadiet("diff", *paths, "--format", "json").out)
        assert findings(told)["new"] == [str(n) for n in range(8_000, 9_000)]
        assert told["findings"]["gone"]["count"] == 0
        # Each is compared with another record than before.
        assert told["findings"]["changed"]["count"] == 11_000
        assert told["findings"]["changed"]["verdicts"][0]["witness_before"] == "0"


class TestWords:
    def test_what_has_changed_about_a_finding(self, write, diff):
        def label(suggested):
            return {"evidence": {"suggested": suggested}, "reason": "wrong-label", "step": "denoise"}

        one = [verdict("a", witness="x"), verdict("b"), verdict("c", **label("cat")), verdict("d", detail="old")]
        other = [
            verdict("a", witness=None),
            verdict("b", action="flag"),
            verdict("c", **label("[/] dog")),
            verdict("d"),
        ]
        words = diff(write("one", one), write("two", other))
        assert words[-4:] == [
            "changed: 2 duplicate, 1 wrong-label",
            "  a: duplicate: witness x -> null",
            "  c: wrong-label: suggested cat -> [/] dog",
            "  b: duplicate: action drop -> flag",
        ]

    def test_twenty_of_each_unless_all_are_asked_for(self, write, diff):
        rows = [verdict(f"{n:03}") for n in range(300)] + [verdict("x", "leak")]
        one, other = write("one", []), write("two", rows)
        words = diff(one, other)
        at = words.index("new: 300 duplicate, 1 leak")
        assert len(words[at + 1 :]) == 21
        assert words[at + 2].startswith("  drop x: leak")
        assert words[-1] == "  and 281 more; --all names all"
        every = diff(one, other, "--all")
        assert len(every) == at + 302
        assert [line.split(":")[0] for line in every[at + 1 :]] == [f"  drop {row['id']}" for row in rows]

    def test_figures_gates_and_settings(self, write, diff):
        gate = {"name": "max_removed", "limit": "<= 30%", "value": 0.1, "passed": True}
        one = write("one", [], gates=[gate], settings={"seed": 1, "workers": 1})
        two = write("two", [], gates=[{**gate, "value": 0.4, "passed": False}, {**gate, "name": "samples"}],
                    figures={"removed": 1, "accuracy": 0.5}, settings={"seed": 2, "workers": None})  # fmt: skip
        words = diff(one, two)
        for line in (
            "  max_removed: <= 30%: passed with 10.00% -> <= 30%: FAILED with 40.00%",
            "  samples: (none) -> <= 30%: passed with 10.00%",
            "  removed: 0 -> 1",
            "  accuracy: (none) -> 0.5",
            "  seed: 1 -> 2",
            "  workers: 1 -> null",
            "findings: none new, gone or changed",
        ):
            assert line in words

    def test_labels_that_only_python_reads(self, write, diff):
        def rows(label):
            return [
                verdict(f"{i}", reason="wrong-label", action="flag", evidence={"suggested": one, "trust": float("nan")})
                for i, one in enumerate([label, "\udcff", "\ud800\n", None, 3])
            ]

        words = diff(write("one", rows("cat\udcfe")), write("two", rows("cat\udcff")))
        assert words[-2:] == ["changed: 1 wrong-label", "  0: wrong-label: suggested cat\\udcfe -> cat\\udcff"]

    def test_records_of_a_table(self, write, diff):
        one = [verdict("17", witness="3")]
        words = diff(write("one", one, "row"), write("two", [verdict("4"), verdict("17", witness="5")], "row"))
        assert "  drop record 4: duplicate (score 2, threshold 12)" in words
        assert words[-1] == "  record 17: duplicate: witness record 3 -> record 5"

    def test_odd_names(self, tmp_path, write, diff):
        rows = [verdict(name.decode("utf-8", "surrogateescape"), witness="\x1b[31m") for name in ODD_NAMES]
        words = diff(write("one", []), write("two", rows))
        assert f"new: {len(rows)} duplicate" in words


class TestFormats:
    @pytest.fixture
    def two(self, write):
        return write("one", [verdict("a"), verdict("b")]), write("two", [verdict("b", witness="<i>"), verdict("|c")])

    def test_json(self, two, datadiet: Cli):
        told = json.loads(datadiet("diff", *two, "--format", "json").out)
        assert findings(told) == {"new": ["|c"], "gone": ["a"], "changed": ["b"]}
        assert told["findings"]["new"]["by_reason"] == {"duplicate": 1}
        jsonschema.validate(told["settings"], {"type": "array", "maxItems": 0})
        same = json.loads(datadiet("diff", two[0], two[0], "--format", "json").out)
        assert findings(same) == {"new": [], "gone": [], "changed": []}

    def test_github(self, two, datadiet: Cli):
        lines = datadiet("diff", *two, "--format", "github", "--check").out.decode().splitlines()
        assert lines[0] == "::notice title=datadiet diff::1 new, 1 gone, 1 changed"
        assert [line.split("::")[1] for line in lines[1:]] == ["warning file=in/|c,title=datadiet dedup%3A duplicate"]

    def test_markdown(self, two, datadiet: Cli):
        text = datadiet("diff", *two, "--format", "markdown").out.decode()
        assert text.startswith("## datadiet diff: 1 new, 1 gone, 1 changed\n")
        assert "| <code>&#124;c</code> | dropped | `duplicate` |" in text
        assert text.count("<details>") == text.count("</details>") == 3


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        [
            {"verdicts": [{}]},
            {"verdicts": [3]},
            {"verdicts": None},
            {"verdicts": [verdict("a", step_number="x")]},
            {"figures": 3},
            {"steps": 3},
            {"steps": [{}, {}]},
            {"gates": [{}]},
            {"verdicts_file": "gone.parquet", "verdicts": []},
            {"verdicts_file": "damaged.parquet", "verdicts": []},
            {"verdicts_file": 3, "verdicts": []},
            {"settings": {"seed": "x"}},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("place", [0, 1])
    def test_is_one_line(self, write, tmp_path, datadiet: Cli, damage, place):
        (tmp_path / "damaged.parquet").write_bytes(b"PAR1" + b"\xff" * 60 + b"PAR1")
        paths = [write("one", [verdict("a")]), write("two", [verdict("a")])]
        made = json.loads(paths[place].read_text())
        paths[place].write_text(json.dumps({**made, **damage}))
        ran = datadiet("diff", *paths)
        assert ran.code == 2
        assert ran.out == b""
        assert str(tmp_path) in ran.complaint

    def test_what_is_no_report(self, tmp_path, write, datadiet: Cli):
        path = tmp_path / "x.json"
        path.write_text("[]")
        assert "is no report of datadiet" in datadiet("diff", write("one", []), path).complaint
        assert "cannot be read" in datadiet("diff", tmp_path / "none.json", path).complaint


tables = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["duplicate", "leak"])),
    st.tuples(st.sampled_from(["drop", "flag"]), st.none() | st.sampled_from("xy"), st.none() | st.just("cat")),
)


@settings(max_examples=60)
@given(tables, tables)
def test_findings_are_told_apart_as_two_dictionaries_are(one, other):
    def as_frame(found):
        rows = [(*key, *value) for key, value in found.items()]
        return pl.DataFrame(rows, dict.fromkeys(["id", "reason", "action", "witness", "suggested"], pl.String),
                            orient="row")  # fmt: skip

    new, gone, changed = compared(as_frame(one), as_frame(other))
    assert new.select("id", "reason").rows() == [key for key in other if key not in one]
    assert gone.select("id", "reason").rows() == [key for key in one if key not in other]
    assert changed.select("id", "reason").rows() == [key for key in other if key in one and one[key] != other[key]]


def test_the_report_of_a_run_is_left_alone(pets, tmp_path, datadiet: Cli):
    datadiet("dedup", pets, tmp_path / "out")
    before = report(tmp_path / "out")
    datadiet("diff", tmp_path / "out.report.json", tmp_path / "out.report.json")
    assert report(tmp_path / "out") == before
