"""`sightline inspect --heads` and `--prune`: tables, files, a smaller model, and refusals in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.inspect.head_report import HeadsReport
from sightline.inspect.influence_map import InspectedModel
from sightline.tasks.load import load
from tests.inspect.test_agreement import sentences
from tests.tasks.translation import small

HEADER = ("source", "target")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    task = small.untrained("transformer")
    task.save(tmp_path / "model")
    rows = zip(small.corpus().valid.sources, small.corpus().valid.targets)
    (tmp_path / "data.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in [HEADER, *rows]))
    return tmp_path


def inspected(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["inspect", *arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


@pytest.mark.slow
def test_heads_are_shown_as_a_table_as_json_and_on_a_page(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--heads", "--data", "data.tsv", "--items", "30", "--metric", "token_accuracy", "--orders", "2"]
    status, out, _ = inspected(capsys, "model", *flags, "--json", "heads.json", "-o", "page.html")
    assert status == 0
    assert "data.tsv, 30 pairs: loss " in out
    lines = [line for line in out.splitlines() if line.startswith(("full self", "causal self", "cross"))]
    assert [line[:13].strip() for line in lines] == [
        "full self 1.0", "full self 1.1", "causal self 1", "causal self 1", "cross 1.0", "cross 1.1",
    ]  # fmt: skip
    found = HeadsReport.load(model / "heads.json")
    assert found.command == f"sightline inspect model {' '.join(flags)}"
    assert (found.items, found.unit, found.metric, len(found.heads)) == (30, "pairs", "token_accuracy", 6)
    assert [(layer.kind, layer.causal) for layer in found.layers] == [("self", False), ("self", True), ("cross", True)]
    for head in found.heads:
        if found.layers[head.layer].kind == "self":
            assert sum(head.before) + sum(head.after) == pytest.approx(1.0)  # type: ignore[arg-type]
    assert [curve.order for curve in found.curves] == ["ablation", "gradient", "random"]
    assert found.curves[0].points[0].loss == found.loss
    ends = {curve.points[-1].loss for curve in found.curves}
    assert max(ends) - min(ends) < 1e-9  # without any head all orders are the same
    page = (model / "page.html").read_text()
    assert "causal self 1" in page


def test_reports_of_other_versions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "heads.json").write_text('{"schema_version": 7}')
    with pytest.raises(InputError, match=r"heads\.json: expected schema_version 1, found 7"):
        HeadsReport.load(tmp_path / "heads.json")


@pytest.mark.slow
def test_a_pruned_model_is_written_and_measures_as_it_says(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--prune", "50%", "--data", "data.tsv", "--out-dir", "small", "--metric", "loss")
    status, out, _ = inspected(capsys, "model", *flags)
    assert status == 0
    table = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line and line[0].isalpha()}
    assert table["heads"] == ["6", "3"]
    whole, pruned = load(model / "model"), load(model / "small")
    assert table["parameters"] == [f"{whole.parameters:,}", f"{pruned.parameters:,}"]
    valid = small.corpus().valid
    values = [task.measure(valid).metrics["loss"] for task in (whole, pruned)]
    assert [float(value) for value in table["loss"][:2]] == pytest.approx(values, rel=1e-3)
    assert len(pruned.predict(["12", "907"])) == 2
    kept = json.loads((model / "small" / "config.json").read_text())["kept_heads"]
    assert sum(map(len, kept.values())) + 2 * (3 - len(kept)) == 3
    status, out, _ = inspected(capsys, "small", "--heads", "--data", "data.tsv", "--items", "5", "--orders", "0")
    assert status == 0
    status, out, err = inspected(capsys, "model", *flags)
    assert (status, out, err) == (2, "", "sightline: error: small: already exists\n")


@pytest.mark.slow
def test_a_treebank_is_compared_with_the_heads_of_a_classifier(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ud.conllu").write_text(sentences(40))
    rows = "".join(f"w{row} w1 w2 w3 w4 w5 w6 w7 w8\t{'ab'[row % 2]}\n" for row in range(60))
    (tmp_path / "texts.tsv").write_text(f"source\tlabel\n{rows}")
    flags = ["--task", "classification", "--arch", "transformer", "--max-steps", "1", "--out-dir", "run", "-q"]
    assert main(["train", "--data", "texts.tsv", *flags]) == 0
    capsys.readouterr()
    status, out, err = inspected(
        capsys, "run", "--heads", "--dependencies", "ud.conllu", "--orders", "0", "--json", "heads.json"
    )
    assert (status, err) == (0, "")
    found = HeadsReport.load(tmp_path / "heads.json").arcs
    assert found is not None
    assert (found.treebank, found.sentences + found.chosen_on, found.left_out) == ("ud.conllu", 40, 0)
    assert "all " in out
    (tmp_path / "bad.conllu").write_text("1\tThe\n")
    status, out, err = inspected(capsys, "run", "--heads", "--dependencies", "bad.conllu")
    assert (status, err) == (2, "sightline: error: bad.conllu:1: expected 10 columns, found 2\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["907", "--heads", "--data", "data.tsv"], "--heads: takes no input, found '907': leave out one of the two"),
        ([], "no input given: write a text, numbers or a file after the run, or set --heads or --faithfulness"),
        (["--heads"], "model: no config.yaml here says what it was trained on: set --data"),
        (["--heads", "--prune", "3"], "--prune: leave out one of --heads and --prune"),
        (["--heads", "--out-dir", "x", "--data", "data.tsv"], "--out-dir: is for --prune, not for --heads"),
        (["--prune", "3", "--data", "data.tsv"], "--prune: needs --out-dir, the directory for the smaller model"),
        (
            ["--prune", "7", "--data", "data.tsv", "--out-dir", "x"],
            "--prune: expected a number of heads from 1 to 6 or a share such as 25%, found '7'",
        ),
        (["--heads", "--data", "data.tsv", "--items", "0"], "--items: must be at least 1, found 0"),
        (
            ["--heads", "--data", "data.tsv", "--metric", "blue"],
            "--metric: translation measures no 'blue', did you mean 'bleu'?",
        ),
    ],
)
def test_refusals_are_one_line(model: Path, capsys, arguments: list[str], message: str) -> None:
    status, out, err = inspected(capsys, "model", *arguments)
    assert (status, out) == (2, "")
    assert err == f"sightline: error: {message}\n"
    assert not (model / "x").exists()


def test_the_command_names_the_plugins(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    report = HeadsReport(InspectedModel("", "gru", "", 1), "", 1, "pairs", 1.0, "", "bleu", 1.0, [], [], [])
    monkeypatch.setattr("sightline.inspect.head_survey.inspect_heads", lambda *_, **__: report)
    monkeypatch.setattr("sightline.cli.inspect_heads.print_heads", lambda one: commands.append(one.command))
    monkeypatch.setattr("sightline.models.plugins.load_plugins", lambda _: [])
    assert main(["inspect", "model", "--heads", "--data", "data.tsv", "--plugin", "mine.py"]) == 0
    assert commands == ["sightline inspect model --heads --data data.tsv --plugin mine.py"]


def test_a_model_without_heads_says_so(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.untrained("gru").save(model / "gru")
    status, _, err = inspected(capsys, "gru", "--heads", "--data", "data.tsv")
    assert (status, err) == (
        2,
        "sightline: error: a model of the architecture 'gru' has no attention heads to look at\n",
    )


@pytest.mark.slow
def test_heads_of_pictures_have_no_scores_of_tokens(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for row in range(24):
        folder = tmp_path / "pictures" / "ab"[row % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 + row + 200 * (row % 2)).save(folder / f"{row}.png")
    flags = ["--task", "classification", "--arch", "transformer", "--max-steps", "1", "--out-dir", "run", "-q"]
    assert main(["train", "--data", "pictures", *flags]) == 0
    capsys.readouterr()
    status, _, _ = inspected(capsys, "run", "--heads", "--orders", "0", "--json", "heads.json")
    assert status == 0
    found = HeadsReport.load(tmp_path / "heads.json")
    assert found.metric == "accuracy"
    assert all(head.scores["duplicate"] is None and head.scores["previous"] is not None for head in found.heads)
