"""Take the picture of a report that the front page shows: `python docs/make_picture.py`, with Chromium installed."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parent
WIDTH, HEIGHT = 1120, 1640
"""Pixels of the page that are shown."""


def main() -> None:
    """Run the quickstart on the sample data, open its page, and write `docs/report.png`."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "images"
        quickstart = [sys.executable, "-m", "datadiet_cli", "run", "configs/quickstart.yaml", "--output", output]
        # Exit code 3: some samples cannot be read, on purpose.
        if subprocess.run(
            [*map(os.fspath, quickstart), "--quiet", "--rerun"], cwd=DOCS.parent, check=False
        ).returncode not in (
            0,
            3,
        ):
            sys.exit("the quickstart failed")
        with sync_playwright() as tools:
            browser = tools.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.goto((output.parent / "images.report.html").as_uri())
            page.screenshot(path=DOCS / "report.png")
            browser.close()


if __name__ == "__main__":
    main()
