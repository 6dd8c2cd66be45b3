"""The page on notebooks runs in a notebook, and shows there what it promises."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.snippets import snippets

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "notebook.md"


def ran(folder: Path) -> list[nbformat.NotebookNode]:
    """The cells of the page, run in a kernel whose working directory is `folder`."""
    texts = [snippet.text.replace("seeds=2", "seeds=1, workers=1") for snippet in snippets(PAGE)]
    cells = [nbformat.v4.new_code_cell(text) for text in texts]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(notebook, kernel_name="python3", timeout=300, resources={"metadata": {"path": str(folder)}})
    return client.execute().cells


def shown(cell: nbformat.NotebookNode, kind: str) -> list[str]:
    """The outputs of a cell in one form; the text that it prints, on both streams, as "stdout" and "stderr"."""
    if kind.startswith("std"):
        return [output.text for output in cell.outputs if output.get("name") == kind]
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_page_runs_in_a_notebook(tmp_path):
    cells = ran(tmp_path)
    for call in ("which = sightline.compare(", "\nmodel = sightline.fit(", "forecaster = sightline.fit("):
        (cell,) = [cell for cell in cells if call in f"\n{cell.source}"]
        bars = [page for page in shown(cell, "text/html") if "<progress" in page]
        assert len(bars) == 1, "one bar, replaced in place"
        assert 'value="1.000"' in bars[0]
        assert len("".join(shown(cell, "stderr")).splitlines()) <= 3
    pages = [page for cell in cells for page in shown(cell, "text/html")]
    verdicts = [page for page in pages if page.startswith("<p><b>") and "report.html" in page]
    assert len(verdicts) == 1
    assert sum("<table" in page and 'class="dataframe"' in page for page in pages) == 3  # table, runs, forecast
    texts = [text for cell in cells for text in shown(cell, "text/plain")]
    assert any(re.match(r"ClassificationTask\(gru, [\d,]+ parameters, loss .*accuracy", text) for text in texts)
    error = "row 2: 'source' is empty, or leave such rows out by skip_bad=True\n"
    assert shown(cells[-1], "stdout") == [error]
