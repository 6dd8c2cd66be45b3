"""The directory of an export: what it may replace, and where it appears."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import pytest

from sightline.core.errors import InputError
from sightline.export import FORMATS, ExportFormat, export
from sightline.export.format import check_replaceable
from tests.tasks.translation import small


@final
class Plain(ExportFormat):
    """A format of one file."""

    name, summary, mark = "plain", "for tests", "plain.txt"

    def refusal(self, task: Any) -> str | None:
        return None

    def write(self, task: Any, directory: Path) -> None:
        (directory / self.mark).write_text("new", encoding="utf-8")


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def test_overwrite_replaces_an_earlier_export_or_an_empty_directory_and_nothing_else(tmp_path: Path) -> None:
    task, form = small.untrained("gru"), Plain()
    export(task, form, tmp_path / "not" / "yet" / "there")
    assert content(tmp_path) == {"not/yet/there/plain.txt": "new"}
    (tmp_path / "empty").mkdir()
    (tmp_path / "earlier" / "__pycache__").mkdir(parents=True)
    (tmp_path / "earlier" / "plain.txt").write_text("old", encoding="utf-8")
    for name in ("empty", "earlier"):
        with pytest.raises(InputError, match="exists: replace it with --overwrite"):
            export(task, form, tmp_path / name)
        export(task, form, tmp_path / name, overwrite=True)
        assert content(tmp_path / name) == {"plain.txt": "new"}


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_overwrite_keeps_what_is_no_export(form: ExportFormat, tmp_path: Path) -> None:
    (tmp_path / "run" / "best").mkdir(parents=True)
    for file in ("run/config.yaml", "run/best/config.json", f"run/{form.mark}", "notes/thesis.txt", "file"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("mine", encoding="utf-8")
    before = content(tmp_path)
    for name in ("run", "notes", "file", "."):
        with pytest.raises(InputError, match=f"is not an earlier export to {form.name}, with a file {form.mark}"):
            check_replaceable(form, tmp_path / name, overwrite=True)
    assert content(tmp_path) == before
