"""The page of a swap and its words, from results alone."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sightline.api.swap import SwapResult
from sightline.cli.swap import print_swap
from sightline.report.swap import render_swap, write_swap
from sightline.report.swap_figures import swap_drawings
from sightline.report.swap_text import lost_per_mb_text, row_name, saved_text, share_text, step_text, terms, verdict
from tests.browser import opened
from tests.report.synthetic_swap import make_swap
from tests.report.test_browser import _open, draw_all
from tests.report.test_html import without_scripts


def test_the_verdict_names_the_layers_of_each_outcome_and_what_all_save() -> None:
    assert verdict(make_swap()) == (
        "Layer 1 can become linear: quality is kept within the margin of 0.020 bits per byte; layer 2 loses "
        "quality (+0.120 [+0.100, +0.140] bits per byte); for layer 3 it is not decided. With layers 1, 2 and 3 "
        "replaced, the model loses +0.151 [+0.126, +0.176] bits per byte and saves 393 kB of state, 99.2 %, after "
        "1,024 positions."
    )
    encoder = make_swap(encoder=True)
    assert verdict(encoder).endswith("replaced, the model loses +0.151 [+0.126, +0.176] bits per byte.")
    one = replace(make_swap(), rows=make_swap().rows[:1])
    assert verdict(one).endswith(
        "bits per byte. The model loses +0.004 [−0.006, +0.014] bits per byte and saves 131 kB of state, 99.2 %, after "
        "1,024 positions."
    )


@pytest.mark.parametrize(
    ("heads", "sentence"),
    [
        ([[], []], "layers 1 and 2 lose quality"),
        ([[], [1]], "layer 1 and head 2.1 lose quality"),
        ([[1, 3]], "heads 1.1+3 lose quality"),
        ([[3]], "head 1.3 loses quality"),
        ([[]], "layer 1 loses quality"),
    ],
)
def test_several_layers_or_heads_are_in_the_plural(heads: list[list[int]], sentence: str) -> None:
    lost = make_swap().rows[1]
    rows = [replace(lost, layers=[number], heads=[own]) for number, own in enumerate(heads, 1)]
    assert sentence in verdict(replace(make_swap(), rows=rows)).replace("Layer", "layer").replace("Head", "head")


def test_rows_are_named_by_their_layers() -> None:
    results = make_swap()
    assert [row_name(row, results) for row in results.rows] == ["layer 1", "layer 2", "layer 3", "layers 1, 2 and 3"]
    assert row_name(replace(results.rows[-1], layers=[1, 2, 3, 4]), results) == "all 4 layers"


def test_what_is_lost_is_told_for_each_kb_that_is_saved() -> None:
    results = make_swap()
    assert lost_per_mb_text(results, results.rows[1]) == "0.92"
    assert share_text(results, results.rows[1]) == "99.2 %"
    more = replace(results.rows[1], saved_bytes=-500)
    assert (lost_per_mb_text(results, more), saved_text(more.saved_bytes)) == ("—", "−500 B")
    assert step_text(results.layers[0]) == "181 → 90.3 µs"


def test_the_command_and_python_say_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    results = make_swap()
    print_swap(results)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("layer 2"))
    assert line.rstrip().endswith("0.92")
    found = SwapResult(results, Path("a"), Path("a/swap.html"))
    assert list(found.table["lost_per_mb"]) == [row.lost_per_mb for row in results.rows]
    assert "lost for each MB" in repr(found)


def test_quality_lost_is_counted_from_the_better_of_the_two() -> None:
    assert "than the original, trained as long, with" in terms(make_swap())
    assert "than the original, with" in terms(replace(make_swap(), reference="original"))


@pytest.mark.slow
def test_the_page_is_one_file_that_tells_every_row_and_escapes_names() -> None:
    results = make_swap(lambda text: f"{text} <b>&")
    page = without_scripts(render_swap(results))
    assert "<b>" not in page
    assert "runs/lm &lt;b&gt;&amp;" in page
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)
    assert page.count("<svg") == 2 * len(swap_drawings(results)) == 4
    assert "NaN" not in page
    assert "None" not in page
    assert page.index("can become linear") < page.index('id="losses"') < page.index('id="layers"')
    assert page.index('id="layers"') < page.index('id="methods"') < page.index('id="reproduce"')


def test_an_encoder_has_no_figure_of_bytes() -> None:
    results = make_swap(encoder=True)
    assert [drawing.name for drawing in swap_drawings(results)] == ["swap"]
    assert "None" not in without_scripts(render_swap(results))


def test_the_charts_have_every_row_with_the_texts_of_the_tables() -> None:
    results = make_swap()
    losses, against = (drawing.chart for drawing in swap_drawings(results))
    assert [row["line"] for row in losses.rows] == ["layer 1", "layer 2", "layer 3", "layers 1, 2 and 3"]
    assert [row["series"] for row in losses.rows] == ["kept", "lost", "not decided", "lost"]
    assert [axis.field for axis in losses.x] == ["lost", "matched", "replaced", "per_mb"]
    assert losses.rows[1]["text"].split("\n")[:2] == ["Layer 2: lost", "lost +0.120 [+0.100, +0.140] bits per byte"]
    assert losses.bands == [(-0.0201, 0.0201)]
    assert [row["saved"] for row in against.rows] == pytest.approx([131.072, 131.072, 131.072, 393.216])


@pytest.mark.slow
def test_figures_are_files_beside_the_page(tmp_path: Path) -> None:
    assert write_swap(make_swap(), tmp_path).name == "swap.html"
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {f"{name}.{kind}" for name in ("swap", "swap-bytes") for kind in ("png", "svg")}


@pytest.mark.slow
def test_the_page_needs_no_torch() -> None:
    script = "import sys, sightline.report.swap; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_it_fits_every_width_and_asks_for_nothing(tmp_path: Path) -> None:
    path = write_swap(make_swap(), tmp_path)
    with opened() as browser:
        for width, scheme in ((1240, "light"), (390, "dark"), (320, "light")):
            page, complaints = _open(browser, path, width, scheme)
            page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
            draw_all(page)
            assert complaints == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.close()
