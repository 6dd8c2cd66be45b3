"""The measured run of the tutorial on sizes: `docs/scale_page.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.report.synthetic_scale import make_scale

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/tutorials/scale.md").read_text(encoding="utf-8")


@pytest.fixture
def scale_page(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import scale_page

    yield scale_page
    sys.modules.pop("scale_page")


def test_a_measured_run_is_written_once_and_only_from_its_results(scale_page, tmp_path):
    results = make_scale()
    page = scale_page.scale_page(PAGE, results)
    assert scale_page.scale_page(page, results) == page
    assert scale_page.scale_page(PAGE, None) == PAGE
    before, _, after = PAGE.partition(scale_page.BEGIN)
    assert page.startswith(before)
    assert page.endswith(after.partition(scale_page.END)[2])
    assert results.verdict in page.replace("\n- ", " ")
    for point in results.points:
        assert f"| {point.parameters:,} | {point.d_model} |" in page
    scale_page.draw_scale(results, tmp_path)
    (figure,) = tmp_path.iterdir()
    assert f"(../figures/scale/{figure.name})" in page
