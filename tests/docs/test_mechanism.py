"""The chapter on a mechanism of one's own works as it says, in a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.snippets import snippets
from tests.docs.test_pages import ROOT, shortened, write_pairs

PAGE = ROOT / "docs" / "tutorials" / "mechanism.md"


def checkout(folder: Path) -> Path:
    """A copy of the package and of the references, with the files and the line of the chapter."""
    for part in ("src/sightline", "tests/reference"):
        shutil.copytree(ROOT / part, folder / part)  # compiled files too, whose sources keep their times
    mechanism, reference = (snippet.text for snippet in snippets(PAGE) if snippet.language == "python")
    (folder / "src/sightline/mixers/forget.py").write_text(mechanism, encoding="utf-8")
    (folder / "tests/reference/forget.py").write_text(reference, encoding="utf-8")
    table = folder / "src/sightline/mixers/__init__.py"
    line, entry = re.search(r"```text\n(from .*)\n( .*)\n```", PAGE.read_text("utf-8")).groups()
    text = table.read_text(encoding="utf-8")
    text = text.replace("from sightline.mixers.gated_delta", f"{line}\nfrom sightline.mixers.gated_delta", 1)
    table.write_text(text.replace("MIXERS = {\n", f"MIXERS = {{\n{entry}\n", 1), encoding="utf-8")
    return folder


def test_the_mechanism_takes_thirty_lines():
    text = next(snippet.text for snippet in snippets(PAGE))
    lines = [line for line in text.splitlines() if line and not line.startswith(("from ", "import ", '"""'))]
    assert len(lines) <= 30


@pytest.mark.slow
def test_the_commands_of_the_chapter_work(tmp_path):
    folder = checkout(tmp_path)
    write_pairs(folder)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder / "src")}

    def run(command: str) -> str:
        script = command.replace("sightline ", f"{sys.executable} -m sightline ", 1)
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return done.stdout

    certified, compared = (run(shortened(one)) for snippet in snippets(PAGE) for one in snippet.commands)
    assert "4 checks over 2 configurations" in certified
    assert "–  equals the reference" not in certified
    assert "forget" in compared
    assert (folder / "runs/forget/report.html").exists()
