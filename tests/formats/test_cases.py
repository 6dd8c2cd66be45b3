"""Every file that a real tool wrote is read as the tool's user means it."""

from __future__ import annotations

import pytest

from sightline.tasks.infer import infer
from tests.formats.cases import FILES, Case, all_cases, versions
from tests.formats.reading import ITEMS, run_of

CASES = all_cases()
NUMBERS_ALONE = ("compact.csv", "epoch.csv", "nanoseconds.csv")  # times without a name or a form


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_items(case: Case) -> None:
    assert ITEMS[case.task](run_of(case, FILES / case.tool)) == case.items


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_notes(case: Case) -> None:
    """A note names each value that is not read as its plain text."""
    notes = run_of(case, FILES / case.tool).load().notes if case.notes else ()
    assert [part for part in case.notes if not any(part in note for note in notes)] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_task(case: Case) -> None:
    """No file of a tool is taken to be for another task than its user means."""
    inferred = infer(str(FILES / case.tool / case.file))
    if case.file in NUMBERS_ALONE:
        assert inferred is None
    else:
        assert (inferred.task if inferred else "translation") == case.task


def test_every_file_is_read() -> None:
    written = {path.parent.relative_to(FILES).parts[0] for path in FILES.glob("*/*")}
    assert written == {case.tool for case in CASES} == set(versions())
