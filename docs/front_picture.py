"""The picture on the front page: the head of a report, as a browser shows it.

`python docs/front_picture.py runs/compare-demo` makes it of the comparison that `sightline demo` leaves.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "figures" / "report.png"
WIDTH, BELOW = 1240, 8  # pixels: of the page, and below the table that ends the picture

sys.path.insert(0, str(ROOT))
from sightline.lab.results import Results  # noqa: E402
from sightline.report.html import render  # noqa: E402
from tests.browser import opened  # noqa: E402


def photograph(page_file: Path) -> Image.Image:
    """The page from its top to the end of its first table, in light colours."""
    with opened() as browser:
        page = browser.new_page()
        page.set_viewport_size({"width": WIDTH, "height": 1000})
        page.emulate_media(color_scheme="light")
        page.goto(page_file.as_uri())
        end = page.evaluate("document.querySelector('#quality table').getBoundingClientRect().bottom + scrollY")
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": round(end) + BELOW}
        return Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip))).convert("RGB")


def main(directory: Path) -> None:
    """Make the picture of the comparison in `directory`."""
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        page.write_text(render(Results.load(directory / "results.json"), directory), "utf-8")
        photograph(page).quantize(method=Image.Quantize.MAXCOVERAGE).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
