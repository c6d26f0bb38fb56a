"""Reports in a real browser: nothing is asked of the network, nothing complains, and it fits a phone and a desk."""

from pathlib import Path

import pytest

from tests.browser import CHROMIUM, WIDTHS, browser, opened
from tests.lessons import KINDS, QUICK, to_prune
from tests.trials import LABEL, records, written

ROOT = Path(__file__).parents[1]
SHOTS = ROOT / "build" / "screenshots"
"""What CI keeps for people to look at."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


def pipeline_of(name):
    return lambda root: (["run", ROOT / "configs" / name, "--input", ROOT / "sample_data" / "images", "--output"], ())


def single(step, kind, *flags):
    def arguments(root):
        source, label = KINDS[kind][0](root)[:2]
        return [step, source], [*label, *flags]

    return arguments


def table_pipeline(root):
    return [
        "run",
        ROOT / "configs" / "quickstart-table.yaml",
        "--input",
        ROOT / "sample_data" / "table.csv",
        "--output",
    ], ()


REPORTS = {
    "pictures": (pipeline_of("quickstart.yaml"), ""),
    "table": (table_pipeline, ".csv"),
    "texts": (single("dedup", "messages"), ".csv"),
    "sounds": (single("denoise", "sounds"), ""),
    "balance": (single("balance", "letters"), ""),
    "select-features": (single("select-features", "things"), ".csv"),
    "select-samples": (single("select-samples", "pictures", "--method", "aum", "--keep", "50%", *QUICK), ""),
    "train": (single("train", "messages", *QUICK), ""),
}


def report_of(name, datadiet, root):
    """Make a report and give its page."""
    if name == "prune-model":
        assert datadiet(*to_prune("pictures")(root / "out"), "--html").code == 0
        return root / "out.report.html"
    if name == "evaluate":
        before, after = (written(root / f"{n}.csv", records(n)) for n in (80, 60))
        assert datadiet("evaluate", after, root / "proof.json", "--against", before, *LABEL, "--html").code == 0
        return root / "proof.html"
    make, ending = REPORTS[name]
    first, flags = make(root)
    out = root / f"out{ending}"
    ran = datadiet(*first, out, *flags, "--html")
    assert ran.code in (0, 3), ran.err
    return Path(f"{out}.report.html")


@pytest.mark.parametrize("name", [*REPORTS, "prune-model", "evaluate"])
def test_the_report_of_every_step_opens(name, datadiet, tmp_path):
    path = report_of(name, datadiet, tmp_path)
    with browser() as running:
        for scheme in ("light", "dark"):
            for place, width in WIDTHS.items():
                with opened(running, path, width, scheme) as seen:
                    assert seen.complaints == []
                    assert [url for url in seen.requests if not url.startswith("data:")] == [path.as_uri()]
                    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                    assert seen.page.evaluate(overflow) <= 0
                    assert seen.page.locator("h1").is_visible()
                    broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).length"
                    assert seen.page.evaluate(broken) == 0
                    seen.picture(SHOTS / f"{name}-{place}-{scheme}.png")
        with opened(running, path, 1280, scripts=False) as seen:
            assert seen.page.locator("section.step").count() >= 1


def test_the_policy_of_the_page_would_stop_a_script(datadiet, pets, tmp_path):
    datadiet("dedup", pets, tmp_path / "out", "--html")
    path = tmp_path / "out.report.html"
    attack = '<img src="http://127.0.0.1:9/x.png"><script>document.title = "taken"</script></body>'
    path.write_text(path.read_text().replace("</body>", attack))
    with browser() as running, opened(running, path, 1280) as seen:
        assert seen.page.title() != "taken"
        assert len(seen.complaints) == 2
        assert all("Content Security Policy" in said for said in seen.complaints)
