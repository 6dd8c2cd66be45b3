"""The conformance table: its cells, their notes, and the page that shows them."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conformance.planted import DropsLast, planted
from conformance.run import requirements
from conformance.subjects.torch_modules import SUBJECTS, BidirectionalLSTM, TorchLSTM
from sightline.testing.foreign import FOREIGN_LAWS, check_foreign

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))
from conformance_page import NO_REPORT, OUTCOMES, Note, conformance_page, load_notes, load_results  # noqa: E402


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    return load_results()


@pytest.fixture(scope="module")
def cells(results: dict[str, dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Every cell by its subject and law."""
    reports = [report for one in results.values() for report in one["subjects"]]
    return {(report["subject"], cell["law"]): cell for report in reports for cell in report["cells"]}


@pytest.fixture(scope="module")
def notes() -> list[Note]:
    return load_notes()


def test_every_cell_is_one_of_four_words_and_two_runs_agreed(results, cells):
    assert {cell["outcome"] for cell in cells.values()} <= set(OUTCOMES)
    assert [name for name, one in results.items() if not one["runs_agree"]] == []
    reports = [report for one in results.values() for report in one["subjects"]]
    assert [name for name, count in Counter(report["subject"] for report in reports).items() if count > 1] == []
    assert all([cell["law"] for cell in report["cells"]] == list(FOREIGN_LAWS) for report in reports)


def test_every_control_holds_and_every_planted_fault_is_seen(results):
    for report in (report for one in results.values() for report in one["subjects"]):
        assert report["cells"][0]["outcome"] == "holds", report["subject"]
        assert report["planted"]["seen"] == "yes", report["subject"]


def test_results_are_those_of_the_pinned_versions(results):
    for name, one in results.items():
        assert requirements(ROOT / "conformance" / "subjects" / f"{name}.py") == one["requirements"], name
        assert all("==" in pin for pin in one["requirements"]), name


def test_every_violated_cell_has_one_note_and_no_note_is_of_a_cell_that_holds(cells, notes):
    violated = {place for place, cell in cells.items() if cell["outcome"] == "violated"}
    refused = {place for place, cell in cells.items() if cell["outcome"] == "refused"}
    noted = Counter((subject, law) for note in notes for subject in note.subjects for law in note.laws)
    assert sorted(place for place, count in noted.items() if count > 1) == []
    assert sorted(violated - noted.keys()) == []
    assert sorted(noted.keys() - violated - refused) == []


def test_a_finding_that_is_named_exists_and_a_violation_without_one_says_how_it_was_checked(cells, notes):
    for note in notes:
        outcomes = {cells[subject, law]["outcome"] for subject in note.subjects for law in note.laws}
        assert note.finding or note.checked or outcomes == {"refused"}, note.subjects
        assert not note.finding or (ROOT / "findings" / f"{note.finding}.sh").exists(), note.finding
        if outcomes != {"refused"}:
            assert note.reported.startswith(("https://", NO_REPORT)), note.reported


def test_the_page_has_every_subject_and_every_note(results, notes):
    page = conformance_page()
    for report in (report for one in results.values() for report in one["subjects"]):
        assert report["subject"].replace("_", "\\_") in page
    assert all(note.cause.strip() in page and note.instead.strip() in page for note in notes)
    assert page.index("## How it was measured") < page.index("## What the cells do not say") < page.index("| package")


@pytest.mark.parametrize("kind", SUBJECTS, ids=lambda kind: kind.name)
def test_a_fault_planted_in_a_module_of_torch_is_seen(kind):
    laws = ["control", *DropsLast.could_see, "rows"]
    assert planted(kind(), check_foreign(kind(), laws)).seen == "yes"


def test_the_planted_faults_are_those_of_states_and_of_rows():
    laws = [*DropsLast.could_see, "rows"]
    seen = planted(TorchLSTM(), check_foreign(TorchLSTM(), laws))
    assert seen.fault == "the state lacks the last token of every call"
    assert set(seen.laws) == set(DropsLast.could_see)
    assert planted(BidirectionalLSTM(), check_foreign(BidirectionalLSTM(), laws)).laws == ["rows"]


def test_the_runner_reads_requirements_without_importing(tmp_path):
    path = tmp_path / "other.py"
    path.write_text('import nothing_of_this_name\nREQUIREMENTS: tuple[str, ...] = ("a==1",)\n', encoding="utf-8")
    assert requirements(path) == ["a==1"]
    path.write_text("SUBJECTS = ()\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="has no REQUIREMENTS"):
        requirements(path)
