"""`sightline scale`: flags, tables, JSON, the dry run, and errors before anything is trained."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.lab import scaling
from sightline.lab.plan import CompareConfig
from sightline.lab.scaling import ScaleConfig
from sightline.lab.scaling_results import SizePoint
from sightline.report import scaling as pages
from tests.report.synthetic_scale import make_scale

DATA = ["scale", "--data", "builtin:stdlib", "--archs", "gru,transformer"]


@pytest.fixture
def trained(monkeypatch):
    """Replaces the training; has the arguments that it was called with."""
    calls = []

    def ladder(config, directory, **how):
        calls.append((config, directory, how))
        return make_scale()

    monkeypatch.setattr(scaling, "scale", ladder)
    monkeypatch.setattr(pages, "write_scaling_pages", lambda results, directory: directory / "scale.html")
    return calls


def test_the_tables_are_whole_in_a_pipe_and_the_page_is_named(trained, capsys, tmp_path):
    assert main([*DATA, "-o", str(tmp_path / "s")]) == 0
    out, _ = capsys.readouterr()
    assert "falls faster with size" in out
    assert "does not hold" in out
    assert "…" not in out
    assert str(tmp_path / "s" / "scale.html") in out
    ((config, directory, how),) = trained
    assert (config.sizes, config.smallest, config.ratio, config.held_out) == (5, 50_000, 2.0, 1)
    assert (config.comparison.budget, config.comparison.seeds, config.comparison.task) == ("2Mtok", 3, "language")
    assert (directory, how["resume"], how["overwrite"]) == (tmp_path / "s", False, False)


def test_quick_gives_way_to_flags_and_json_is_one_object(trained, capsys, tmp_path):
    flags = ["--quick", "--seeds", "4", "--context", "32", "--json", "-o", str(tmp_path / "s")]
    assert main([*DATA, *flags]) == 0
    assert json.loads(capsys.readouterr().out)["schema_version"] == 1
    config = trained[0][0]
    assert (config.sizes, config.comparison.seeds, config.comparison.budget) == (4, 4, "200ktok")
    assert config.comparison.settings == {"context": "32", "tokenizer.kind": "byte"}


def test_tokens_are_few_unless_they_are_chosen():
    for task, fewest in (("language", "byte"), ("translation", "char")):
        comparison = CompareConfig(task=task, budget="1Mtok")
        assert ScaleConfig(comparison).comparison.settings == {"tokenizer.kind": fewest}
        chosen = replace(comparison, settings={"tokenizer.kind": "bpe", "tokenizer.size": 300})
        assert ScaleConfig(chosen).comparison == chosen
    assert ScaleConfig(CompareConfig(task="forecasting", budget="1Mtok")).comparison.settings == {}


def test_a_dry_run_shows_sizes_and_compute(trained, monkeypatch, capsys):
    points = [SizePoint("gru", n, n + 7, 16, 6.0 * n, held_out=n > 1e5) for n in (100_000, 200_000)]
    monkeypatch.setattr(scaling, "planned_sizes", lambda config: ("bits_per_byte", points))
    assert main([*DATA, "--dry-run", "--budget", "1Mtok", "--seeds", "2"]) == 0
    out, _ = capsys.readouterr()
    assert "200,007" in out
    assert "held out" in out
    assert "3.60e+12 FLOPs in all" in out  # 2 seeds, 6 operations per token and parameter, 300,000 parameters
    assert "nothing was trained" in out
    assert main([*DATA, "--dry-run", "--budget", "1Mtok", "--seeds", "2", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["flops"] == pytest.approx(3.6e12)
    assert [row["parameters"] for row in planned["sizes"]] == [100_007, 200_007]
    assert trained == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--budget", "60s"], "--budget: sizes are compared at equal tokens (2Mtok) or training FLOPs (1e13flop)"),
        (["--ratio", "1"], "--ratio: must be above 1, found 1"),
        (["--sizes", "2"], "--held-out: a law needs at least two sizes, 1 size would be left"),
        (["--resume"], "--resume: needs --out-dir, the directory of the ladder to continue"),
        (["--resume", "--overwrite", "-o", "x"], "--resume and --overwrite are mutually exclusive"),
        (["--match", "params=2M"], "--match: is a key of the comparison itself"),
    ],
)
def test_errors_come_before_any_training(trained, capsys, flags, message):
    assert main([*DATA, *flags]) == 2
    assert message in capsys.readouterr().err
    assert trained == []


def test_sizes_grow_by_the_ratio():
    config = ScaleConfig(CompareConfig(budget="1Mtok"), smallest=30_000, ratio=3.0, sizes=4)
    assert config.targets == [30_000, 90_000, 270_000, 810_000]


def test_a_size_of_ones_own_is_refused():
    with pytest.raises(InputError, match="--match: the ladder sets the size of every model: leave it out"):
        ScaleConfig(CompareConfig(budget="1Mtok", match="params=2M"))
