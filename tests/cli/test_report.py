"""`sightline report`: the page again, other priorities, differences, refusals; without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sightline.cli.app import main
from sightline.cli.studies import STUDIES, study_file
from tests.lab.test_pareto import FOUR, WORSE, made
from tests.report.synthetic_claims import make_claims
from tests.report.synthetic_ladder import make_ladder
from tests.report.synthetic_panel import make_panel
from tests.report.synthetic_scale import make_scale
from tests.report.synthetic_swap import make_swap

RESULTS = made(FOUR, WORSE)


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    older = replace(RESULTS, data=replace(RESULTS.data, name="<b>old</b>"))
    for name, results in (("new", RESULTS), ("old", older)):
        (tmp_path / name).mkdir()
        results.save(tmp_path / name / "results.json")
    return tmp_path


def _report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["report", *arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


@pytest.mark.slow
def test_another_priority_and_differences_go_to_a_page_of_their_own(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = _report(capsys, "new", "--prefer", "speed", "--against", "old", "-o", "page.html")
    assert status == 0
    assert "Recommended for speed: fast." in out
    assert "the same data" in out
    assert "best: accuracy 90.0 % → 90.0 %, 0.0 (no interval)" in out
    page = (saved / "page.html").read_text()
    assert "Recommended for speed: fast." in page.replace("\u00a0", " ")
    assert 'id="differences"' in page
    assert "&lt;b&gt;old&lt;/b&gt;" in page
    assert sorted(path.name for path in (saved / "new").iterdir()) == ["results.json"]


@pytest.mark.slow
def test_json_has_the_recommendation_the_fronts_and_the_differences(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = _report(capsys, "new/results.json", "--json", "--against", "old/results.json", "-o", "page.html")
    record: dict[str, Any] = json.loads(out)
    assert record["schema_version"] == 1
    assert record["recommendation"]["arch"] == "best"
    assert [front["cost"] for front in record["fronts"]] == ["ms", "state_bytes", "parameters"]
    assert record["differences"]["same_data"] is True
    assert record["differences"]["settings"] == {"data": {"then": "<b>old</b>", "now": "d"}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such file"),
        (["new", "--against", "old/x.json"], "old/x.json: no such file"),
        (["new", "--against", "other"], "other: ranks by MSE, this comparison by accuracy"),
    ],
)
def test_it_refuses_in_one_line(
    saved: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (saved / "other").mkdir()
    made({"a": {"q": 0.1}}, metric="mse").save(saved / "other" / "results.json")
    status, out, err = _report(capsys, *arguments, "-o", "page.html")
    assert (status, out) == (2, "")
    assert err.strip() == f"sightline: error: {message}"
    assert not (saved / "page.html").exists()


SERIAL_ALONE = {part: [] for part in ("growth", "crossovers", "saturation", "reach", "recall", "contexts", "gaps")}
MADE: dict[str, Callable[[], Any]] = {
    "ladder": make_ladder, "scale": make_scale, "panel": partial(make_panel, **SERIAL_ALONE), "claims": make_claims,
    "swap": make_swap,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", MADE)
def test_the_page_of_every_study_is_made_again(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    results = MADE[kind]()
    Path("study").mkdir()
    results.save(Path("study", f"{kind}.json"))
    assert f"{kind}.json" in STUDIES
    status, out, _ = _report(capsys, "study", "-o", "page.html")
    assert (status, out.splitlines()[-1]) == (0, "page: page.html")
    assert f"{kind}.json#" in Path("page.html").read_text()
    assert [path.name for path in Path("study").iterdir()] == [f"{kind}.json"]
    status, out, _ = _report(capsys, f"study/{kind}.json", "-o", "page.html", "--json")
    assert (status, json.loads(out)) == (0, results.to_dict())


@pytest.mark.slow
def test_figures_of_a_study_are_made_beside_its_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    MADE["panel"]().save(tmp_path / "panel.json")
    status, out, _ = _report(capsys, str(tmp_path))
    assert (status, out.splitlines()[-1]) == (0, f"page: {tmp_path / 'panel.html'}")
    assert (tmp_path / "figures" / "serial-forward.svg").exists()


def test_a_ladder_comes_before_the_comparison_behind_it(tmp_path: Path) -> None:
    for name in ("results.json", "ladder.json"):
        (tmp_path / name).touch()
    assert study_file(tmp_path) == tmp_path / "ladder.json"
    assert study_file(tmp_path / "results.json") is None
    (tmp_path / "ladder.json").unlink()
    assert study_file(tmp_path) is None


@pytest.mark.slow
def test_it_makes_the_page_and_the_figures_again_without_torch(saved: Path) -> None:
    program = "import sys; from sightline.cli.app import main; s = main(); sys.exit('torch' in sys.modules or s)"
    subprocess.run([sys.executable, "-c", program, "report", str(saved / "new")], check=True)
    assert (saved / "new" / "report.html").stat().st_size > 10_000
    assert (saved / "new" / "figures" / "front-ms.svg").exists()
