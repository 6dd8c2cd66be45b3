"""Frames per second of a map of 2,000 × 2,000 cells while it is moved, in headless Chromium.

    python benchmarks/verify_viewer.py
    python benchmarks/verify_viewer.py --length 4000

Writes a page with one map, zooms in, and drags it to and fro with the mouse, in the view of cells and in that of lines.
Counts the frames in which the map was drawn, and the processor's time of the browser and of this script for each, which
does not depend on what else the machine does. Exit status 5 below 30 frames per second: the machine must be idle.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from record import write
from sightline.report.inspection import write_page
from tests.browser import opened, wait_for
from tests.report.synthetic_inspection import long

RESULTS = Path(__file__).parent / "results" / "viewer.json"
LEAST = 30.0  # frames per second
SECONDS = 5.0
VIEWS = ("matrix", "lines")
# Counts drawings of the map itself, each of which clips once.
COUNTER = """
window.drawn = 0;
const clip = CanvasRenderingContext2D.prototype.clip;
CanvasRenderingContext2D.prototype.clip = function () {
  if (this.canvas.closest('.stage')) window.drawn++;
  return clip.apply(this, arguments);
};
"""


def main() -> int:
    """Measure both views and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, opened() as browser:
        path = write_page([long(arguments.length)], Path(directory) / "page.html")
        page = browser.new_page()
        page.add_init_script(COUNTER)
        page.set_viewport_size({"width": 1400, "height": 1000})
        began = time.perf_counter()
        page.goto(path.as_uri())
        wait_for(page, "document.querySelector('#viewer').dataset.ready !== undefined")
        ready_s = time.perf_counter() - began
        results = {view: moved(page, index) for index, view in enumerate(VIEWS)}
        size = path.stat().st_size
        version = browser.browser.version if browser.browser else ""
    measured = {
        "length": arguments.length,
        "page_bytes": size,
        "ready_s": round(ready_s, 2),
        "chromium": version,
        **results,
    }
    print(json.dumps(measured, indent=1))
    write(arguments.out, measured)
    return 0 if all(one["frames_per_s"] >= LEAST for one in results.values()) else 5


def moved(page: Any, view: int) -> dict[str, float]:
    """Frames per second, and milliseconds of drawing, while the map is dragged."""
    page.click(f".views button >> nth={view}")
    page.focus(".stage")
    for _ in range(2 if view == 0 else 8):
        page.keyboard.press("+")
    box = page.locator(".stage canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate("window.drawn = 0")
    began, before, step = time.perf_counter(), processor_s(), 0
    while (elapsed := time.perf_counter() - began) < SECONDS:
        step += 1
        page.mouse.move(x + 150 * ((step // 40) % 2 * 2 - 1) * (step % 40) / 40, y - 2 * (step % 100))
    drawn, used = page.evaluate("window.drawn"), processor_s() - before
    page.mouse.up()
    return {"frames_per_s": round(drawn / elapsed, 1), "processor_ms_per_frame": round(1000 * used / drawn, 1)}


def processor_s() -> float:
    """Seconds of the processor that this process and its living descendants have used (Linux)."""
    parents, used = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(stat.parent.name)
        parents[pid], used[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    total = 0.0
    for pid in used:
        above = pid
        while above not in (0, os.getpid()):
            above = parents.get(above, 0)
        total += used[pid] if above else 0.0
    return total


if __name__ == "__main__":
    raise SystemExit(main())
