"""The report as a page: written with every run, made again from a report, complete in itself, and safe to open."""

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import class_folders, report, save, table, tree_digest
from tests.trials import LABEL, records, written


class Seen(HTMLParser):
    """What a browser would make of a page: tags with their attributes, and its text."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def page_of(output):
    return Path(f"{output}.report.html")


def seen(output):
    return Seen(page_of(output).read_text(encoding="utf-8"))


def harmless(page):
    """Whether nothing in it runs, or is loaded from elsewhere."""
    tags = {tag for tag, _ in page.tags}
    links = [v for _, attrs in page.tags for k, v in attrs.items() if k in ("src", "href", "xlink:href", "srcset")]
    events = [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    return (
        not tags & {"script", "iframe", "object", "embed", "form", "base"}
        and all(link.startswith(("#", "data:")) for link in links)
        and not events
    )


def test_a_page_is_written_with_the_report(datadiet, pets, tmp_path):
    out = tmp_path / "out"
    ran = datadiet("dedup", pets, out, "--html")
    assert ran.code == 0
    assert f"report in {out}.report.html and .json" in ran.err
    page = seen(out)
    assert harmless(page)
    assert "1 of 5 samples removed (20.0%)" in page.text
    assert "cat/copy-of-a.png" in page.text
    pictures = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(pictures) == 2
    assert all(attrs["src"].startswith("data:image/") and attrs["alt"] for attrs in pictures)


def test_none_is_written_if_nobody_wants_it(datadiet, pets, tmp_path):
    out = tmp_path / "out"
    assert datadiet("dedup", pets, out, "--no-html").err.endswith(f"report in {out}.report.json\n")
    assert not page_of(out).exists()
    assert datadiet("dedup", pets, tmp_path / "dry", "--html", "--dry-run").code == 0
    assert not page_of(tmp_path / "dry").exists()


def test_a_page_that_is_missing_is_made_without_doing_the_work_again(datadiet, pets, tmp_path):
    out = tmp_path / "out"
    datadiet("dedup", pets, out, "--no-html")
    before = tree_digest(out), report(out)
    assert "up to date" in datadiet("dedup", pets, out, "--html").err
    assert "cat/copy-of-a.png" in seen(out).text
    assert (tree_digest(out), report(out)) == before


def test_a_page_goes_with_the_report_that_is_replaced(datadiet, pets, tmp_path):
    out = tmp_path / "out"
    datadiet("dedup", pets, out, "--html")
    assert datadiet("dedup", pets, out, "--no-html", "--method", "exact", "--force").code == 0
    assert not page_of(out).exists()


def test_somebody_elses_file_is_not_replaced(datadiet, pets, tmp_path):
    out = tmp_path / "out"
    page_of(out).write_text("mine")
    said = datadiet("dedup", pets, out, "--html").complaint
    assert said.startswith(f"{page_of(out)}: exists already, and is no report of datadiet")
    assert not out.exists()
    assert page_of(out).read_text() == "mine"
    assert datadiet("dedup", pets, out, "--html", "--force").code == 0
    assert "datadiet" in seen(out).text


def test_a_page_is_made_again_from_a_report(datadiet, pets, tmp_path):
    out = tmp_path / "out"
    datadiet("dedup", pets, out, "--html")
    before = page_of(out).read_bytes()
    page_of(out).unlink()
    ran = datadiet("report", f"{out}.report.json")
    assert (ran.code, ran.err) == (0, f"{page_of(out)}\n")
    assert page_of(out).read_bytes() == before
    assert datadiet("report", f"{out}.report.json", "-o", "-").out == before
    other = tmp_path / "other.html"
    other.write_text("mine")
    assert "exists already" in datadiet("report", f"{out}.report.json", "-o", other).complaint
    assert datadiet("report", f"{out}.report.json", "-o", other, "--force", "--quiet").err == ""
    assert other.read_bytes() == before


def test_without_input_the_page_has_no_pictures_and_says_why(datadiet, pets, tmp_path):
    out, moved = tmp_path / "out", tmp_path / "moved"
    datadiet("dedup", pets, out)
    os.rename(pets, moved)
    assert datadiet("report", f"{out}.report.json").code == 0
    page = seen(out)
    assert "Samples are not shown" in page.text
    assert "cat/copy-of-a.png" in page.text
    assert not any(tag == "img" for tag, _ in page.tags)
    assert datadiet("report", f"{out}.report.json", moved).code == 0
    assert any(tag == "img" for tag, _ in seen(out).tags)
    save(moved / "cat" / "new.png", 99)
    said = datadiet("report", f"{out}.report.json", moved).complaint
    assert said.startswith(f"{moved}: is not what {out}.report.json was made of")


def test_a_run_without_output_prints_its_page(datadiet, pets):
    ran = datadiet("dedup", pets, "--check", "--format", "html")
    assert ran.code == 1
    page = Seen(ran.out.decode())
    assert harmless(page)
    assert "1 of 1 gate failed, so nothing was written. 1 of 5 samples would go (20.0%)." in page.text


def test_evaluate_writes_a_page_beside_its_report(datadiet, tmp_path):
    before, after = written(tmp_path / "before.csv", records(80)), written(tmp_path / "after.csv", records(60))
    ran = datadiet("evaluate", after, tmp_path / "proof.json", "--against", before, *LABEL, "--html")
    assert ran.code == 0, ran.err
    assert ran.err.endswith(f"report in {tmp_path}/proof.html and .json\n")
    page = Seen((tmp_path / "proof.html").read_text())
    assert harmless(page)
    assert any(tag == "svg" for tag, _ in page.tags)


HOSTILE = '<img src=x onerror=alert(1)>[/] "quoted" & \x1b[31m\u202e'


@pytest.mark.parametrize("name", [HOSTILE.replace("/", "|"), "\udce9\udcff", "$(x)`y`{{ 7 * 7 }}{% raw %}", "a" * 200])
def test_hostile_names_show_as_what_they_are(datadiet, tmp_path, name):
    source = class_folders(tmp_path / "in", {f"{name[:90]}/{name}.png": 1, f"{name[:90]}/copy.png": 1, "b/c.png": 2})
    assert datadiet("dedup", source, tmp_path / "out", "--html", "--prefer", "first").code == 0
    page = seen(tmp_path / "out")
    assert harmless(page)
    assert "{{" not in name or "{{ 7 * 7 }}" in page.text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page.text)


def test_hostile_cells_show_as_what_they_are(datadiet, tmp_path):
    long = HOSTILE * 300
    rows = [[HOSTILE, long, i % 2] for i in range(4)] + [[f"{i} words like no others", str(i), i % 2] for i in range(8)]
    source = table(tmp_path / "in.csv", ["<b>text</b>", "more", "kind"], rows)
    out = tmp_path / "out.csv"
    assert datadiet("dedup", source, out, "--label", "kind", "--html").code == 0
    page = seen(out)
    assert harmless(page)
    assert len(page_of(out).read_bytes()) < 1_000_000


def test_very_many_classes_and_verdicts_have_room(datadiet, tmp_path):
    rows = [[f"a {i // 2}", f"class-{i // 2}"] for i in range(40_000)]
    source = table(tmp_path / "in.csv", ["text", "kind"], rows)
    out = tmp_path / "out.csv"
    assert datadiet("dedup", source, out, "--method", "exact", "--label", "kind", "--html").code == 0
    assert report(out)["verdicts_file"]
    page = seen(out)
    assert "20,000 of 40,000 samples removed" in page.text
    assert "of which the first 500 are listed" in page.text
    assert len(page_of(out).read_bytes()) < 2_000_000


def test_a_damaged_report_is_refused_in_one_line(datadiet, pets, tmp_path):
    out = tmp_path / "out"
    datadiet("dedup", pets, out)
    path = Path(f"{out}.report.json")
    document = json.loads(path.read_bytes())
    for damage in ({"verdicts": [{}]}, {"steps": [{"name": "dedup"}]}, {"verdicts_file": "gone.parquet"}):
        path.write_text(json.dumps({**document, **damage}))
        said = datadiet("report", path)
        assert said.code == 2
        assert said.complaint


def test_a_report_is_never_written_into_input(datadiet, pets, tmp_path):
    out = tmp_path / "out"
    datadiet("dedup", pets, out)
    before = tree_digest(pets)
    for place in (pets / "page.html", pets):
        said = datadiet("report", f"{out}.report.json", "-o", place, "--force").complaint
        assert "INPUT" in said
    assert tree_digest(pets) == before


def test_rerun_is_no_leave_to_replace_somebody_elses_file(datadiet, pets, tmp_path):
    out = tmp_path / "out"
    page_of(out).write_text("mine")
    assert "exists already" in datadiet("dedup", pets, out, "--html", "--rerun").complaint
    assert page_of(out).read_text() == "mine"


def test_a_page_of_an_earlier_proof_does_not_outlive_it(datadiet, tmp_path):
    before, after = written(tmp_path / "before.csv", records(80)), written(tmp_path / "after.csv", records(60))
    command = ["evaluate", after, tmp_path / "proof.json", "--against", before, *LABEL]
    assert datadiet(*command, "--html").code == 0
    assert datadiet(*command, "--no-html", "--rerun").code == 0
    assert not (tmp_path / "proof.html").exists()


def test_a_report_that_lacks_something_is_refused_in_one_line(datadiet, pets, tmp_path):
    out = tmp_path / "out"
    datadiet("dedup", pets, out)
    path = Path(f"{out}.report.json")
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "environment": {"packages": {}}}))
    said = datadiet("report", path)
    assert (said.code, said.complaint) == (2, f"{path}: is damaged, or a file beside it; run the command again")
