"""Galleries: which samples of a step are shown, in which order, and that all of them show as what they are."""

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from datadiet_cli.commands.reading import dataset_of
from datadiet_cli.data.csvfile import CsvFile
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.report.frame import verdict_frame
from datadiet_cli.report.html.cards import GALLERIES, galleries_of
from datadiet_cli.report.html.samples.content import Content
from tests.conftest import class_folders, picture, report, table

HOSTILE = "<img src=x onerror=alert(1)>[/]\x1b[31m\n\udcff"
VOID = {"img", "path"}


class Page(HTMLParser):
    """What a browser would make of some HTML."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.images, self.words, self.marked, self._open = [], [], [], [], []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert tag not in ("script", "style", "a", "iframe", "object")
        assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
        if tag == "img":
            self.images.append(dict(attributes))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if "mark" in self._open:
            self.marked.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def looked(html):
    page = Page(str(html))
    for image in page.images:
        assert image["src"].startswith("data:image/")
        assert image["alt"]
    assert page.text.isprintable()
    return page


def row(name, reason, **more):
    base = {"step": "x", "step_number": 1, "id": name, "action": "drop", "reason": reason, "score": None}
    return base | {"threshold": None, "witness": None, "detail": None, "evidence": None} | more


def galleries(rows, root=None, kind="image", metrics=None, step="x", **reading):
    """The galleries of a step with these verdicts."""
    counts = {"drop": {"any": len(rows)}} if rows else {}
    steps = [
        {"name": "open", "verdicts": {}, "metrics": {}},
        {"name": step, "verdicts": counts, "metrics": metrics or {}},
    ]
    document = {"steps": steps, "input": {"kind": kind}, "verdicts": rows, "verdicts_file": None}
    dataset = None if root is None else open_dataset(str(root), Reading(**reading))
    content = Content(dataset, max_pixels=10**6, encoding=None, workers=2)
    [found] = galleries_of(document, verdict_frame(document, None), content, [1])
    assert len({gallery.name for gallery in found}) == len(found)
    for gallery in found:
        assert re.fullmatch("[A-Za-z0-9-]+", gallery.name)
    return {gallery.title: gallery for gallery in found}


def shown(gallery):
    """The ids on the cards of a gallery, the first of each."""
    return re.findall(r'<li class="card">.*?<code[^>]*>(.*?)</code>', str(gallery.body), re.DOTALL)


class TestWhatIsShown:
    def test_copies_come_with_what_was_kept_the_closest_to_the_threshold_first(self, tmp_path):
        root = class_folders(tmp_path / "in", {f"cat/{name}.png": seed for seed, name in enumerate("abcd")})
        rows = [
            row("cat/a.png", "duplicate", score=1.0, threshold=6.0, witness="cat/b.png", detail="correlation 0.99"),
            row("cat/c.png", "duplicate", score=5.0, threshold=6.0, witness="cat/d.png"),
        ]
        near = [{"id": "cat/a.png", "other": "cat/c.png", "score": 8.0, "agreement": 0.9}]
        found = galleries(rows, root, metrics={"closest_calls": {"copies": [], "no_copies": near}})
        copies = found["Copies, beside what was kept"]
        assert copies.lead == "2 samples dropped. The closest calls stand first."
        assert shown(copies) == ["cat/c.png", "cat/a.png"]
        page = looked(copies.body)
        assert [image["alt"].partition(",")[0] for image in page.images] == [
            "dropped: cat/c.png",
            "kept: cat/d.png",
            "dropped: cat/a.png",
            "kept: cat/b.png",
        ]
        assert "distance 1, threshold 6 · correlation 0.99" in page.text
        kept = found["Kept, though much alike"]
        assert kept.lead == "The one that came nearest to the threshold of 6 and was not found."
        assert "distance 8 · correlation 0.90" in looked(kept.body).text
        assert list(found) == ["Copies, beside what was kept", "Kept, though much alike"]

    def test_a_pair_that_is_in_two_verdicts_is_shown_once(self):
        pair = {"score": 0.9, "threshold": 0.8}
        labels = {"evidence": {"label": "cat", "witness_label": "dog"}}
        rows = [row("a", "conflict", witness="b", **pair, **labels), row("b", "conflict", witness="a", **pair)]
        [conflicts] = galleries(rows).values()
        assert conflicts.lead.startswith("2 samples dropped, in 1 pair.")
        assert shown(conflicts) == ["a"]
        assert "similarity 0.9, threshold 0.8 · labelled cat and dog" in looked(conflicts.body).text

    def test_wrong_labels_have_both_labels_and_the_neighbours_that_disagree(self, tmp_path):
        root = class_folders(tmp_path / "in", {f"cat/{name}.png": seed for seed, name in enumerate("abc")})
        evidence = {
            "given": "cat",
            "suggested": "<dog>",
            "given_probability": 0.2,
            "suggested_probability": 0.7,
            "neighbours": [{"id": "cat/b.png", "label": "<dog>"}, {"id": "cat/c.png", "label": "cow"}],
            "disagreeing": "2 of 3",
        }
        [found] = galleries(
            [row("cat/a.png", "wrong-label", score=0.1, threshold=0.5, evidence=evidence)], root
        ).values()
        page = looked(found.body)
        assert "cat 20% → <dog> 70%" in page.text
        assert "2 of 3 neighbours have another label" in page.text
        assert "its nearest neighbours with other labels" in page.text
        assert len(page.images) == 3

    def test_neighbours_that_say_nothing_of_labels_are_the_nearest_others(self, tmp_path):
        root = class_folders(tmp_path / "in", {f"1.5/{name}.png": seed for seed, name in enumerate("ab")})
        evidence = {
            "given": 1.5,
            "suggested": 9.0,
            "residual": 7.1,
            "neighbours": [{"id": "1.5/b.png", "label": "1.5"}],
        }
        rows = [row("1.5/a.png", "wrong-label", score=0.1, threshold=0.5, evidence=evidence)]
        [found] = galleries(rows, root).values()
        page = looked(found.body)
        assert "the nearest others" in page.text
        assert "with other labels" not in page.text

    def test_copies_of_many_kept_samples_are_shown_where_one_has_very_many(self):
        rows = [row(f"a{i:03}", "duplicate", score=5.0, threshold=6.0, witness="often") for i in range(60)]
        rows += [row(f"b{i}", "duplicate", score=1.0, threshold=6.0, witness=f"once{i}") for i in range(5)]
        [copies] = galleries(rows).values()
        assert shown(copies)[:8] == ["a000", "a001", "a002", "b0", "b1", "b2", "b3", "b4"]
        assert len(shown(copies)) == 24
        assert copies.lead == (
            "65 samples dropped. 24 of them are shown: the 3 closest calls of each kept sample first, then others."
        )

    def test_of_exact_copies_none_is_called_a_close_call(self):
        rows = [row(f"a{i:03}", "duplicate", score=0.0, threshold=0.0, witness=f"b{i:03}") for i in range(100)]
        [copies] = galleries(rows).values()
        assert copies.lead == "100 samples dropped. 24 of them are shown, spread evenly over all."
        assert shown(copies)[-1] == "a099"

    def test_what_only_came_near_is_folded_away_where_nothing_was_found(self):
        near = [
            {"reason": reason, "id": "k", "witness": None, "score": 4.9, "threshold": 5.0}
            for reason in ("blurred", "dark")
        ]
        found = galleries([row("s", "blurred", score=6.0, threshold=5.0)], metrics={"close_calls": near})
        assert {title: gallery.aside for title, gallery in found.items()} == {
            "Blurred": False,
            "Kept, closest to: blurred": False,
            "Kept, closest to: dark": True,
        }

    def test_what_cannot_be_read_is_shown_where_it_was_named_first(self):
        broken = {"reason": "unreadable", "detail": "truncated", "action": "flag"}
        rows = [row("a", step_number=0, **broken), row("a", **broken), row("b", **broken)]
        [found] = galleries(rows).values()
        assert shown(found) == ["b"]
        assert found.lead == "1 sample flagged. 1 more was named at an earlier step."
        assert galleries(rows[:2]) == {}

    def test_of_many_the_clearest_and_the_closest_are_shown(self):
        rows = [row(f"s{i:03}", "blurred", score=5 + i / 10, threshold=5.0) for i in range(1, 101)]
        near = [{"reason": "blurred", "id": "k", "witness": None, "score": 4.9, "threshold": 5.0}]
        histogram = {"of": "blurred", "unit": "edge width", "edges": [0, 1], "counts": [1], "threshold": 5.0}
        found = galleries(rows, metrics={"close_calls": near, "histograms": [histogram]})
        blurred = found["Blurred"]
        assert shown(blurred) == [f"s{i:03}" for i in [*range(100, 88, -1), *range(12, 0, -1)]]
        assert (
            blurred.lead == "100 samples dropped. The 12 clearest are shown, and the 12 closest to the threshold of 5."
        )
        kept = found["Kept, closest to: blurred"]
        assert "edge width: 4.9, threshold 5" in looked(kept.body).text

    def test_of_what_was_not_chosen_some_of_every_score_are_shown(self):
        rows = [row(f"s{i:03}", "not-selected", score=float(i)) for i in range(100)]
        [found] = galleries(rows).values()
        assert len(shown(found)) == 24
        assert shown(found)[0] == "s000"
        assert shown(found)[-1] == "s099"
        assert found.lead == "100 samples dropped. 24 of them are shown, spread evenly over all."

    def test_every_cause_of_what_cannot_be_read_is_shown(self, tmp_path):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1})
        (root / "cat" / "none.png").write_bytes(b"")
        rows = [row("cat/none.png", "unreadable", detail="empty: the file is empty", action="flag")]
        rows += [row(f"gone{i}", "unreadable", detail="truncated") for i in range(60)]
        [found] = galleries(rows, root).values()
        page = looked(found.body)
        assert "empty: the file is empty, 0 B" in page.text
        assert found.lead == "61 samples: 60 dropped and 1 flagged. 24 of them are shown, spread evenly over all."
        assert not page.images

    def test_more_sorts_than_there_is_room_for_are_named(self):
        rows = [row("a", f"reason-{i:02}") for i in range(GALLERIES + 2)]
        near = [{"reason": "dark", "id": "b", "witness": None, "score": 0.3, "threshold": 0.2}]
        found = galleries(rows, metrics={"close_calls": near})
        assert len(found) == GALLERIES
        assert list(found.values())[-1].lead.endswith("Not shown at all: kept, closest to: dark, reason 12, reason 13.")

    def test_what_a_baseline_accepts_stands_apart(self):
        rows = [row("a", "duplicate", action="accept"), row("b", "duplicate")]
        found = galleries(rows)
        assert shown(found["Copies, beside what was kept"]) == ["b"]
        assert shown(found["Left alone, as the baseline lists them"]) == ["a"]

    def test_samples_of_another_dataset_are_named_and_never_mistaken_for_ours(self, tmp_path):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1, "cat/b.png": 2})
        pair = {"score": 0.0, "threshold": 6.0, "witness": "cat/b.png"}
        [found] = galleries([row("cat/a.png", "contamination", **pair)], root).values()
        page = looked(found.body)
        assert len(page.images) == 1
        assert "in another dataset" in page.text

    def test_with_other_datasets_each_near_pair_says_whose_it_is(self, tmp_path):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1, "cat/b.png": 2, "cat/c.png": 3})
        near = [
            {"id": "cat/a.png", "other": "cat/b.png", "score": 8.0, "agreement": None, "foreign": True},
            {"id": "cat/a.png", "other": "cat/c.png", "score": 9.0, "agreement": None},
        ]
        [found] = galleries(
            [], root, metrics={"against": {}, "closest_calls": {"copies": [], "no_copies": near}}
        ).values()
        theirs, ours = map(looked, re.findall(r'<li class="card">.*?</li>', str(found.body), re.DOTALL))
        assert [image["alt"].partition(",")[0] for image in theirs.images] == ["kept: cat/a.png"]
        assert "in another dataset" in theirs.text
        assert [image["alt"].partition(",")[0] for image in ours.images] == ["kept: cat/a.png", "kept: cat/c.png"]
        assert "in another dataset" not in ours.text

    def test_a_pair_with_another_dataset_lends_its_place_to_none_of_ours(self):
        pair = {"threshold": 6.0, "witness": "x.png"}
        rows = [row("a.png", "duplicate", score=1.0, **pair), row("b.png", "duplicate", score=5.0, **pair)]
        calls = [{"id": "a.png", "other": "x.png", "score": 6.0, "agreement": None, "foreign": True}]
        [found] = galleries(rows, metrics={"closest_calls": {"copies": calls, "no_copies": []}}).values()
        assert shown(found) == ["b.png", "a.png"]

    def test_what_was_made_is_shown_by_what_it_was_made_of(self, tmp_path):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1})
        made = {"action": "add", "evidence": {"parents": ["cat/a.png"], "recipe": {}}, "detail": "turned by 3 degrees"}
        [found] = galleries([row("cat/a-new.png", "augmented", witness="cat/a.png", **made)], root).values()
        page = looked(found.body)
        assert [image["alt"].partition(",")[0] for image in page.images] == ["made of: cat/a.png"]
        assert "made in this run" in page.text
        assert "turned by 3 degrees" in page.text

    def test_a_step_without_verdicts_has_no_gallery(self):
        assert galleries([]) == {}


class TestRows:
    @pytest.fixture
    def wine(self, tmp_path):
        rows = [
            ["red", "12.1", "", "x" * 10_000],
            ["red", "127", "3", "the cat sat on the mat"],
            ["white", "9", "4", "a"],
        ]
        rows += [["red", "12.1", "", "x" * 10_000]]
        return table(tmp_path / "in.csv", ["kind", "alcohol", "<b>ash</b>", "words"], rows)

    def test_odd_cells_are_marked_and_what_is_usual_beside_them(self, wine):
        odd = {"columns": [{"column": "alcohol", "value": 127.0, "part": 9.0, "usual": [9.0, 12.1]}]}
        [found] = galleries(
            [row("1", "outlier", score=9.5, threshold=3.0, evidence=odd, witness="0")], wine, "row", label="kind"
        ).values()
        page = looked(found.body)
        assert page.marked == ["127"]
        assert "9 to 12.1" in page.text
        assert "<b>ash</b> 3" in page.text

    def test_a_value_that_was_put_in_stands_beside_the_empty_cell(self, wine):
        put = {"columns": {"<b>ash</b>": "3.5"}, "by": "median"}
        rows = [row("0", "missing", action="impute", evidence=put, detail="put in by median: ash 3.5")]
        [found] = galleries(rows, wine, "row").values()
        page = looked(found.body)
        assert page.marked == ["3.5"]
        assert "<b>ash</b> empty 3.5" in page.text
        assert found.lead == "1 sample filled in."

    def test_cells_of_a_pair_that_differ_are_marked(self, wine):
        pair = {"score": 0.1, "threshold": 0.2, "witness": "1"}
        found = galleries(
            [row("0", "duplicate", **pair), row("3", "duplicate", **pair | {"witness": "0"})], wine, "row"
        )
        page = looked(found["Copies, beside what was kept"].body)
        assert page.marked[:4] == ["12.1", "127", "empty", "3"]
        assert "(10,000 characters)" in page.text
        assert "all cells are equal" in page.text
        assert len(found["Copies, beside what was kept"].body) < 10_000

    def test_neighbours_stand_beside_a_row_of_numbers(self, tmp_path):
        path = table(tmp_path / "in.csv", ["kind", "size"], [["a", "1"], ["b", "2"], ["b", "3"]])
        near = [{"id": "1", "label": "b"}, {"id": "2", "label": "b"}]
        evidence = {"given": "a", "suggested": "b", "neighbours": near, "disagreeing": "2 of 2"}
        rows = [row("0", "wrong-label", score=0.1, threshold=0.5, evidence=evidence)]
        [found] = galleries(rows, path, "row", label="kind").values()
        page = looked(found.body)
        assert page.marked == ["b", "b"]
        assert "size 1 2 3" in page.text

    def test_a_row_that_was_made_is_shown_by_the_two_that_it_lies_between(self, wine):
        made = {"action": "add", "evidence": {"parents": ["0", "1"], "lambda": 0.5}, "detail": "between 0 and 1"}
        [found] = galleries([row("9", "synthetic", witness="0", **made)], wine, "row", label="kind").values()
        page = looked(found.body)
        assert "alcohol 12.1 127" in page.text
        assert page.marked == []

    def test_a_table_is_read_once_for_all_steps_and_galleries(self, tmp_path, monkeypatch):
        names = [f"c{i}" for i in range(300)]
        path = table(tmp_path / "in.csv", names, [[f"{i}.{k}" for i in range(300)] for k in range(40)])
        odd = {"columns": [{"column": "c299", "value": 1.0}]}
        rows = [
            row(str(k), reason, step_number=step, witness=str(k + 1), evidence=odd if reason == "outlier" else None)
            for k, (step, reason) in enumerate(itertools.product((1, 2), ("duplicate", "outlier", "empty")))
        ]
        steps = [{"name": name, "verdicts": {"drop": {"any": 1}}, "metrics": {}} for name in ("open", "x", "y")]
        document = {"steps": steps, "input": {"kind": "row"}, "verdicts": rows, "verdicts_file": None}
        content = Content(open_dataset(str(path), Reading()), max_pixels=1, encoding=None, workers=1)
        reads, texts = [], CsvFile.texts
        monkeypatch.setattr(CsvFile, "texts", lambda self, columns=None: reads.append(columns) or texts(self, columns))
        found = list(galleries_of(document, verdict_frame(document, None), content, [1, 2]))
        assert [len(each) for each in found] == [3, 3]
        assert len(reads) == 1
        assert "299.1" in looked(found[0][1].body).text
        # What nobody said would be asked for is read all the same.
        assert content.records(["39"])["39"]["c0"] == "0.39"
        assert content.records(["3"], ["c250"])["3"]["c250"] == "250.3"
        assert len(reads) == 3

    def test_without_input_the_evidence_is_shown(self):
        odd = {"columns": [{"column": "alcohol", "value": 127.0, "usual": [9.0, 12.1]}, {"column": "c", "value": None}]}
        [found] = galleries([row("1", "outlier", score=9.5, threshold=3.0, evidence=odd)], kind="row").values()
        assert looked(found.body).marked == ["127", "empty"]


class TestHostile:
    @pytest.mark.parametrize("kind", ["image", "audio", "text", "row", "file"])
    def test_names_and_words_show_as_what_they_are(self, kind):
        evidence = {
            "given": HOSTILE,
            "suggested": HOSTILE,
            "neighbours": [{"id": HOSTILE, "label": HOSTILE}],
            "columns": {HOSTILE: HOSTILE},
        }
        verdict = {"score": 1.0, "threshold": 2.0, "witness": HOSTILE, "detail": HOSTILE, "evidence": evidence}
        reasons = ("wrong-label", "duplicate", "outlier", "augmented", "unreadable", "not-drawn", HOSTILE[:-1])
        for gallery in galleries([row(HOSTILE, reason, **verdict) for reason in reasons], kind=kind).values():
            page = looked(gallery.body)
            assert r"<img src=x onerror=alert(1)>[/]\x1b[31m\n\udcff" in page.text

    def test_long_names_are_cut_and_say_so(self):
        [found] = galleries([row("n" * 10_000, "dark", detail="d" * 10_000)]).values()
        assert "… (10,000 characters)" in looked(found.body).text
        assert len(found.body) < 4000

    def test_contents_that_cannot_be_shown_say_why_and_the_rest_is_shown(self, tmp_path):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1, "cat/cut.png": 2})
        whole = (root / "cat/cut.png").read_bytes()
        (root / "cat/cut.png").write_bytes(whole[: len(whole) // 2])
        [found] = galleries([row("cat/a.png", "duplicate", witness="cat/cut.png")], root).values()
        page = looked(found.body)
        assert len(page.images) == 1
        assert "the file ends in the middle of the picture" in page.text

    def test_evidence_of_another_shape_is_no_error(self):
        odd = [{"neighbours": 3, "columns": 7}, {"given": 1}, {"given": ["a"], "missing": 2}, {"parents": "x"}, {}]
        rows = [row("a", reason, evidence=each) for each in odd for reason in ("outlier", "wrong-label", "augmented")]
        assert len(galleries(rows)) == 3

    def test_there_is_room_for_some_of_each_and_the_lead_says_how_many(self, tmp_path, monkeypatch):
        root = tmp_path / "in"
        for i in range(30):
            (root / "cat").mkdir(parents=True, exist_ok=True)
            picture(i, 100).save(root / "cat" / f"{i:02}.png")
        monkeypatch.setattr("datadiet_cli.report.html.cards.ROOM", 60_000)
        reasons = ("dark", "flat", "blurred")
        found = galleries([row(f"cat/{i:02}.png", reason) for i in range(30) for reason in reasons], root)
        assert sum(len(gallery.body) for gallery in found.values()) < 60_000
        for gallery in found.values():
            count = len(shown(gallery))
            assert 3 <= count < 24
            assert gallery.lead == f"30 samples dropped. {count} cards are shown."


def made_texts(root):
    texts = {"a": "one fine day in the middle of the night", "b": "one fine day in the middle of a night", "c": "no"}
    (root / "in").mkdir()
    for name, text in texts.items():
        (root / "in" / f"{name}.txt").write_text(text)
    return root / "in", ["--method", "minhash", "--similarity", "0.5"], "<mark>"


def made_sounds(root):
    (root / "in").mkdir()
    for name, seed in {"a": 1, "b": 2, "copy-of-a": 1}.items():
        noise = np.random.default_rng(seed).normal(0, 0.1, 2400)
        soundfile.write(root / "in" / f"{name}.wav", noise, 8000)
    return root / "in", [], "<svg"


def made_pictures(root):
    return class_folders(root / "in", {"train/a/1.png": 1, "train/a/2.png": 1, "test/a/3.png": 3}), [], "<img"


def made_rows(root):
    path = table(root / "in.csv", ["size", "words"], [["1", "one"], ["2", "two"], ["1", "one"]])
    return path, [], "all cells are equal"


@pytest.mark.parametrize("make", [made_texts, made_sounds, made_pictures, made_rows])
def test_a_run_on_every_kind_of_data_has_its_samples_shown(make, tmp_path, datadiet):
    source, flags, sign = make(tmp_path)
    out = tmp_path / f"out{Path(source).suffix}"
    ran = datadiet("dedup", source, out, *flags, "--quiet", "--max-removed", "90%")
    assert ran.code == 0, ran.err
    document, path = report(out), f"{out}.report.json"
    content = Content(dataset_of(path, document), max_pixels=10**6, encoding=None, workers=None)
    [galleries] = galleries_of(document, verdict_frame(document, path), content, [1])
    found = {g.title: g for g in galleries}
    copies = found["Copies, beside what was kept"]
    assert sign in copies.body
    assert "dropped" in looked(copies.body).text
