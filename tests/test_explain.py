"""`datadiet explain`: what became of one sample and why, in words."""

import json
import os

import polars as pl
import pytest

from datadiet_cli.outcome import Action
from datadiet_cli.report.verdicts import VERDICT_COLUMNS
from tests.conftest import Cli, class_folders, report, save, table
from tests.test_hostile import ODD_NAMES, is_clean


@pytest.fixture
def explain(datadiet: Cli):
    """Explain a sample of a report: the words, which must all be printable."""

    def call(path, sample):
        ran = datadiet("explain", f"{path}.report.json", "--", sample)
        assert (ran.code, ran.err) == (0, "")
        words = ran.out.decode()
        assert is_clean(words)
        assert words.endswith("\n")
        return words.removesuffix("\n").split("\n")

    return call


@pytest.fixture
def deduped(pets, tmp_path, datadiet: Cli):
    save(pets / "dog/b-too.png", 2)
    assert datadiet("dedup", pets, tmp_path / "out").code == 0
    return tmp_path / "out"


class TestDedup:
    def test_a_copy(self, deduped, explain):
        (row,) = [row for row in report(deduped)["verdicts"] if row["action"] == "drop"]
        assert explain(deduped, "cat/copy-of-a.png") == [
            "cat/copy-of-a.png: dropped by dedup",
            "",
            "Step 1, dedup: dropped: a copy of a sample that is kept (duplicate)",
            "  compared with: cat/a.png",
            f"  score: 0 (threshold {row['threshold']:g})",
            f"  detail: {row['detail']}",
        ]

    def test_a_flagged_sample(self, deduped, explain):
        words = explain(deduped, "cat/b.png")
        assert words[0] == "cat/b.png: kept; flagged by dedup"
        assert words[2] == "Step 1, dedup: flagged: a copy of a sample with another label (conflict)"
        assert words[-1] == "  dog/b-too.png: flagged by dedup (conflict)"

    def test_a_sample_that_was_left_alone(self, deduped, explain, datadiet: Cli):
        assert explain(deduped, "dog/c.png") == ["dog/c.png: kept: no step had anything to say of it (dedup)"]
        assert explain(deduped, "cat/a.png")[2:] == [
            "Verdicts on 1 other sample name it:",
            "  cat/copy-of-a.png: dropped by dedup (duplicate)",
        ]
        assert json.loads(datadiet("explain", f"{deduped}.report.json", "dog/c.png", "--json").out) == []

    def test_as_json(self, deduped, datadiet: Cli):
        ran = datadiet("explain", f"{deduped}.report.json", "cat/copy-of-a.png", "--json")
        assert json.loads(ran.out) == [row for row in report(deduped)["verdicts"] if row["action"] == "drop"]

    @pytest.mark.parametrize(
        ("sample", "meant"),
        [
            ("d.png", "; did you mean dog/d.png"),
            ("cat/copy_of_a.png", "; did you mean cat/copy-of-a.png?"),
            ("a quite different name", ""),
            ("", ""),
        ],
    )
    def test_an_unknown_sample(self, deduped, datadiet: Cli, sample, meant):
        ran = datadiet("explain", f"{deduped}.report.json", sample)
        assert (ran.code, ran.out) == (2, b"")
        assert f"knows no sample {sample}{meant}" in ran.complaint
        assert meant or "did you mean" not in ran.complaint

    def test_when_the_input_has_changed(self, deduped, pets, explain, datadiet: Cli):
        save(pets / "cat/new.png", 9)
        assert explain(deduped, "cat/copy-of-a.png")[0].endswith("dropped by dedup")
        ran = datadiet("explain", f"{deduped}.report.json", "copy-of-a.png")
        assert ran.code == 2
        assert "has no verdict on copy-of-a.png, and whether there is such a sample cannot be told" in ran.complaint
        assert "has changed since" in ran.complaint
        assert "did you mean cat/copy-of-a.png?" in ran.complaint
        pets.rename(pets.parent / "gone")
        assert explain(deduped, "cat/copy-of-a.png")[0].endswith("dropped by dedup")
        assert "cannot be told" in datadiet("explain", f"{deduped}.report.json", "dog/c.png").complaint

    def test_a_run_that_wrote_nothing(self, pets, tmp_path, explain, datadiet: Cli):
        ran = datadiet("dedup", pets, "--dry-run", "--json", "--quiet")
        (tmp_path / "dry.report.json").write_bytes(ran.out)
        assert explain(tmp_path / "dry", "cat/copy-of-a.png")[:2] == [
            "cat/copy-of-a.png: dropped by dedup",
            "That run wrote nothing: it is what would have become of it.",
        ]


def test_denoise_tells_its_evidence(tmp_path, datadiet: Cli, explain):
    rows = [[f"r{i}", 10 * (i % 2) + i % 7 / 7, 10 * (i % 2) - i % 5 / 5, "ab"[i % 2]] for i in range(60)]
    rows[5][-1] = "a"
    rows[8][1] = 900
    data = table(tmp_path / "in.csv", ["id", "x", "y", "label"], rows)
    out = tmp_path / "out.csv"
    assert datadiet("denoise", data, out, "--id-column", "id", "--label", "label").code == 0
    words = explain(out, "r5")
    assert words[0] == "r5: dropped by denoise"
    assert words[2] == "Step 1, denoise: dropped: the label is most likely wrong (wrong-label)"
    assert {"  given: a", "  suggested: b"} <= set(words)
    near = words.index("  neighbours:") + 1
    assert words[near].startswith("    - id r")
    assert words[near].endswith(", label b")
    words = explain(out, "r8")
    assert words[0] == "r8: kept; flagged by denoise"
    assert any(line.startswith("    - column x, part ") and ", value 900, usual " in line for line in words)


SELECTION = {
    "method": "el2n",
    "rule": "top-k",
    "score": 0.0412345,
    "percentile": 12.5,
    "class": "cat",
    "kept_of_class": [120, 400],
    "stratum": None,
    "strata": None,
    "why": "below",
    "nearest_kept": "train/cat/0123.jpg",
    "distance": 0.18,
    "terms": None,
}


def verdict(**facts):
    row = dict.fromkeys(VERDICT_COLUMNS)
    return {**row, "step": "select-samples", "step_number": 1, "action": "drop", "reason": "not-selected", **facts}


@pytest.fixture
def by_hand(deduped, tmp_path):
    """A report with these verdicts: in it, or in a file beside it as where they are very many."""

    def make(*rows, beside=False):
        document = report(deduped)
        document["verdicts"] = list(rows)
        document["steps"][-1]["name"] = "select-samples"
        if beside:
            lines = [{**row, "evidence": row["evidence"] and json.dumps(row["evidence"])} for row in rows]
            types = dict.fromkeys(("score", "threshold"), pl.Float64) | {"step_number": pl.Int32}
            schema = {name: types.get(name, pl.String) for name in VERDICT_COLUMNS}
            pl.DataFrame(lines, schema=schema).write_parquet(tmp_path / "hand.verdicts.parquet")
            document |= {"verdicts": [], "verdicts_file": "hand.verdicts.parquet"}
        (tmp_path / "hand.report.json").write_text(json.dumps(document))
        return tmp_path / "hand"

    return make


class TestSelection:
    @pytest.mark.parametrize("beside", [False, True])
    def test_a_low_score(self, by_hand, explain, beside):
        row = verdict(id="cat/b.png", score=0.0412345, threshold=0.312, evidence=SELECTION)
        assert explain(by_hand(row, verdict(id="x"), beside=beside), "cat/b.png") == [
            "cat/b.png: dropped by select-samples",
            "",
            "Step 1, select-samples: dropped (not-selected)",
            "  el2n gives it 0.04123, less than 87.5 % of its class.",
            "  The rule top-k kept 120 of the 400 samples of class cat, from 0.312 on.",
            "  Nearest sample that was kept: train/cat/0123.jpg (distance 0.18).",
        ]

    @pytest.mark.parametrize(
        ("evidence", "lines"),
        [
            (
                {"rule": "ccs", "why": "wrong", "percentile": 99},
                [
                    "It is one of the hardest, whose labels are likeliest wrong and which go first (hardness 0.04123; "
                    "from 0.3 on they go). The rule ccs kept 120 of the 400 samples of class cat.",
                ],
            ),
            (
                {"rule": "ccs", "why": "not-drawn", "stratum": 3, "strata": 50, "class": None},
                [
                    "el2n gives it 0.04123, less than 87.5 % of the samples.",
                    "It is in stratum 4 of 50, from the lowest scores on. The rule ccs kept 120 of the 400 samples; "
                    "this one was not drawn.",
                ],
            ),
            (
                {"method": "k-center", "score": 0, "why": "covered"},
                ["What was kept stands for it. The method k-center kept 120 of the 400 samples of class cat."],
            ),
            (
                {"rule": "d2", "score": None, "why": "covered", "kept_of_class": None},
                ["What was kept stands for it. The rule d2 chose others."],
            ),
            (
                {"method": "random", "class": None, "kept_of_class": [1, 1]},
                ["The draw kept 1 of the 1 sample; this one was not drawn."],
            ),
            (
                {"method": "composite", "percentile": 100, "terms": {"redundancy": 0.25, "noise": -1.0}},
                [
                    "composite gives it 0.04123, the most of its class.",
                    "The method composite kept 120 of the 400 samples of class cat, from 0.3 on.",
                    "Its worth is made up of redundancy 0.25 and noise -1.",
                ],
            ),
            ({"kept_of_class": None, "score": None}, ["The rule top-k chose others, from 0.3 on."]),
        ],
    )
    def test_other_reasons(self, by_hand, explain, evidence, lines):
        told = {**SELECTION, "nearest_kept": None, **evidence}
        row = verdict(id="cat/b.png", threshold=0.3, evidence=told, detail="the same in short")
        assert explain(by_hand(row), "cat/b.png")[3:] == [f"  {line}" for line in lines]

    def test_a_sample_that_was_spared_after_all(self, by_hand, explain):
        row = verdict(id="cat/b.png", action="flag", evidence=SELECTION, detail="kept: the last sample of class cat")
        words = explain(by_hand(row), "cat/b.png")
        assert words[0] == "cat/b.png: kept; flagged by select-samples"
        assert words[-1] == "  kept: the last sample of class cat"

    def test_odd_evidence_is_told_as_it_is(self, by_hand, explain):
        told = {**SELECTION, "kept_of_class": ["many"], "x": {"deep": [1, {"er": None}]}, "yes": True}
        words = explain(by_hand(verdict(id="cat/b.png", step="dedup", evidence=told)), "cat/b.png")
        assert words[2] == "Step 1, dedup: dropped: not-selected"
        assert {"  kept_of_class: many", "    deep: 1, er none", "  yes: yes", "  method: el2n"} <= set(words)

    def test_several_steps_in_order(self, by_hand, explain):
        steps = [
            verdict(id="cat/b.png", step="denoise", step_number=1, action="relabel", reason="wrong-label"),
            verdict(id="cat/b.png", step="denoise", step_number=1, action="flag", reason="blurred"),
            verdict(id="cat/b.png", step="select-samples", step_number=2, evidence=SELECTION),
        ]
        words = explain(by_hand(*steps[:2]), "cat/b.png")
        assert words[0] == "cat/b.png: kept; relabelled by denoise, flagged by denoise"
        words = explain(by_hand(*steps), "cat/b.png")
        assert words[0] == "cat/b.png: dropped by select-samples"
        told = [line.partition(":")[0] for line in words if line.startswith("Step")]
        assert told == ["Step 1, denoise", "Step 1, denoise", "Step 2, select-samples"]

    @pytest.mark.parametrize("action", Action)
    def test_every_action_has_words(self, by_hand, explain, action):
        words = explain(by_hand(verdict(id="cat/b.png", action=str(action), step="dedup", reason="leak")), "cat/b.png")
        assert "a copy of a sample in an evaluation split (leak)" in words[2]
        assert f": {action} " not in words[0]


class TestHostile:
    @pytest.mark.parametrize("beside", [False, True])
    def test_odd_names_and_their_printed_forms(self, by_hand, explain, datadiet: Cli, beside):
        ids = [os.fsdecode(name) for name in ODD_NAMES]
        stored = [name.encode("utf-8", "backslashreplace").decode() for name in ids] if beside else ids
        told = {**SELECTION, "class": "\x1b[31m", "nearest_kept": "\x1b[2J\n"}
        rows = [
            verdict(id=name, step="dedup", witness=stored[i - 1], detail="\x07", evidence=(told, {"\x1b": "\n"})[i % 2])
            for i, name in enumerate(stored)
        ]
        path = by_hand(*rows, beside=beside)
        for name in ids:
            words = explain(path, name)
            assert words[0].endswith(": dropped by dedup")
            assert "Verdicts on 1 other sample name it:" in words
            assert explain(path, words[0].removesuffix(": dropped by dedup")) == words
            ran = datadiet("explain", f"{path}.report.json", "--json", "--", name)
            assert [row["id"] for row in json.loads(ran.out)] == [stored[ids.index(name)]]

    def test_bytes_on_the_command_line(self, tmp_path, datadiet_process: Cli):
        odd = os.fsdecode(b"a/copy-\xff\xfe.png")
        class_folders(tmp_path / "in", {"a/a.png": 1, odd: 1})
        assert datadiet_process("dedup", tmp_path / "in", tmp_path / "out").code == 0
        ran = datadiet_process("explain", tmp_path / "out.report.json", odd)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.decode().startswith("a/copy-\\udcff\\udcfe.png: dropped by dedup\n")

    def test_damaged_reports(self, by_hand, tmp_path, datadiet: Cli):
        def complaint(said="is damaged"):
            ran = datadiet("explain", tmp_path / "hand.report.json", "cat/b.png")
            assert ran.code == 2
            assert said in ran.complaint

        for wrong in ({"id": None}, {"score": "high"}, {"evidence": "much"}, {"action": ["drop"]}):
            by_hand({**verdict(id="cat/b.png"), **wrong})
            complaint()
        by_hand({"id": "cat/b.png"})
        complaint()
        by_hand(verdict(id="cat/b.png"), beside=True)
        (tmp_path / "hand.verdicts.parquet").write_bytes(b"PAR1 no more PAR1")
        complaint()
        (tmp_path / "hand.verdicts.parquet").unlink()
        complaint("hand.verdicts.parquet: cannot be read: No such file")
        by_hand(verdict(id="cat/b.png"))
        document = json.loads((tmp_path / "hand.report.json").read_text())
        (tmp_path / "hand.report.json").write_text(json.dumps({**document, "settings": 5}))
        complaint("is no report of datadiet")
        (tmp_path / "hand.report.json").write_text("{}")
        complaint("is no report of datadiet")
