"""A ladder of sizes from the models that are built to the file that is left, and its continuation."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from sightline.core.errors import InputError
from sightline.core.metrics import find_metric
from sightline.lab import scaling
from sightline.lab.directory import SCALE, size_directory
from sightline.lab.plan import CompareConfig
from sightline.lab.progress import Display
from sightline.lab.results import Architecture, BudgetPlan, Data, Rate, Results, Run
from sightline.lab.scaling import ScaleConfig, planned_sizes, scale
from sightline.lab.scaling_results import ScaleResults, SizePoint
from sightline.lab.sizes import TOLERANCE, fitted_metric, measure_sizes
from sightline.models import LANGUAGE_MODELS
from sightline.models.match import count_parameters, match_parameters

BYTES = 258
SETTINGS = {"context": "16", "batch_tokens": "64", "validations": "1", "model.dropout": "0"}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "text.txt"
    letters = random.Random(0)
    path.write_text("\n\n".join("".join(letters.choices("abc ", k=300)) for _ in range(20)))
    return path


@pytest.mark.parametrize("arch", sorted(LANGUAGE_MODELS))
def test_a_ladder_has_its_ratio_in_parameters_that_are_measured(arch: str) -> None:
    """Widths come in steps of 8 or more, so neighbours differ from the ratio by a quarter at most, the ends by less."""
    model = LANGUAGE_MODELS[arch]
    targets = ScaleConfig(CompareConfig(budget="1Mtok"), smallest=100_000, sizes=4).targets
    counts = [count_parameters(match_parameters(model, n, BYTES, BYTES), BYTES, BYTES) for n in targets]
    assert all(abs(count - target) <= TOLERANCE * target for count, target in zip(counts, targets, strict=True))
    ratios = [large / small for small, large in pairwise(counts)]
    assert ratios == pytest.approx([2.0] * 3, rel=0.25)
    assert (counts[-1] / counts[0]) ** (1 / 3) == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize(
    ("metrics", "asked", "fitted"),
    [
        (("bits_per_byte", "perplexity", "loss"), "auto", "bits_per_byte"),
        (("accuracy", "macro_f1", "loss"), "auto", "loss"),
        (("mse", "mae"), "mae", "mae"),
    ],
)
def test_the_loss_that_is_fitted_falls_with_quality(metrics: tuple[str, ...], asked: str, fitted: str) -> None:
    assert fitted_metric(metrics, asked) == fitted
    assert not find_metric(fitted).higher_is_better


def test_a_score_that_grows_is_refused() -> None:
    with pytest.raises(InputError, match="--metric: accuracy grows with the size: a power law is that of a loss"):
        fitted_metric(("accuracy", "loss"), "accuracy")


@pytest.mark.slow
def test_a_ladder_too_small_for_its_widths_is_refused(text: Path) -> None:
    config = CompareConfig("language", str(text), ("transformer",), "1ktok", settings=SETTINGS)
    with pytest.raises(InputError, match=r"--smallest: transformer has [\d,]+ parameters where the ladder asks for 25"):
        measure_sizes(config, [25_000])
    with pytest.raises(InputError, match=r"--smallest: transformer: params=300 is too small for this input"):
        measure_sizes(config, [300])


@pytest.mark.slow
def test_a_ladder_is_trained_fitted_and_continued(text: Path, tmp_path: Path) -> None:
    comparison = CompareConfig(
        "language", str(text), ("rnn",), "1ktok", seeds=1, search=0.0, workers=1, settings=SETTINGS
    )
    config = ScaleConfig(comparison, smallest=20_000, ratio=2.5, sizes=3)
    out_dir = tmp_path / "ladder"
    results = scale(config, out_dir, display=Display(quiet=True))
    assert ScaleResults.load(out_dir / SCALE).to_dict() == results.to_dict()
    assert results.metric == "bits_per_byte"
    assert [point.target for point in results.points] == config.targets == [20_000, 50_000, 125_000]
    assert [point.held_out for point in results.points] == [False, False, True]
    for point in results.points:
        assert len(point.losses) == 1
        assert point.loss is not None
        assert point.loss.mean == pytest.approx(point.losses[0])
        assert point.flops == pytest.approx(point.flops_per_token * (point.tokens or 0), rel=0.1)
        # Kaplan et al. 2020, table 1: 6 operations per token and parameter, without the embedding that is looked up.
        weights = point.parameters - BYTES * point.d_model
        assert point.flops_per_token == pytest.approx(6 * weights, rel=0.1)
    assert results.held_out[0].parameters == results.points[-1].parameters
    assert any("Fewer than 100 steps" in warning for warning in results.warnings)
    assert "not decided: with two sizes every law passes through both" in results.verdict

    kept = {path: path.stat().st_mtime_ns for path in out_dir.glob("sizes/*/runs/rnn-*/result.json")}
    assert len(kept) == 3
    with pytest.raises(InputError, match="contains a ladder of sizes: continue it with --resume"):
        scale(config, out_dir, display=Display(quiet=True))
    more = replace(config, comparison=replace(comparison, archs=("rnn", "gru")), sizes=2, held_out=0)
    again = scale(more, out_dir, resume=True, display=Display(quiet=True))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert again.archs == ["rnn", "gru"]
    assert (size_directory(out_dir, 50_000) / "runs" / "gru-seed0" / "result.json").exists()
    assert any("No size was held out" in warning for warning in again.warnings)


@pytest.mark.slow
def test_two_sizes_with_the_same_parameters_are_refused(text: Path) -> None:
    comparison = CompareConfig("language", str(text), ("transformer",), "1ktok", settings=SETTINGS)
    with pytest.raises(InputError, match=r"--smallest: two sizes of transformer have the same [\d,]+ parameters"):
        planned_sizes(ScaleConfig(comparison, smallest=100_000, ratio=1.01, sizes=3))


def compared_at(config: CompareConfig, directory: Path, **how: object) -> Results:
    """A comparison as it would be left, whose losses follow 2 · N^(−0.1) with a little luck; nothing is trained."""
    size = int((config.match or "").removeprefix("params="))
    runs, archs = [], []
    for arch in config.archs:
        for seed in config.all_seeds:
            loss = 2 * (size / 1e5) ** -0.1 * (1 + 0.002 * seed)
            items = [[loss * 8 + spread, 8.0] for spread in (-1.0, 0.0, 1.0)]
            place = directory / "runs" / f"{arch}-seed{seed}"
            place.mkdir(parents=True)
            (place / "result.json").write_text(json.dumps({"items": items}))
            metrics = {"bits_per_byte": loss}
            runs.append(Run(arch, seed, "done", metrics, steps=50, tokens=1000, flops=6e3 * size, epochs=9))
        rates = [Rate(1e-3, 2.1, "done"), Rate(3e-3, 2.0, "done")]
        archs.append(Architecture(arch, {}, learning_rate=3e-3, rates=rates, finished=2, started=2))
    data = Data("text", "0" * 64, 9, 3, 3, 3)
    return Results("", {}, data, BudgetPlan("1000tok", config.all_seeds), "", archs, runs)


def test_the_scores_of_all_sizes_become_laws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    comparison = CompareConfig("language", "text", ("rnn", "gru"), "1ktok", seeds=2)
    config = ScaleConfig(comparison, smallest=50_000, sizes=5)
    points = [
        SizePoint(arch, target, target + 11, 8, 6.0 * target, held_out=target == config.targets[-1])
        for target in config.targets
        for arch in comparison.archs
    ]
    monkeypatch.setattr(scaling, "planned_sizes", lambda config: ("bits_per_byte", points))
    monkeypatch.setattr(scaling, "run_comparison", compared_at)
    results = scale(config, tmp_path / "ladder", command="sightline scale …")
    assert ScaleResults.load(tmp_path / "ladder" / SCALE) == results
    for arch in comparison.archs:
        law = results.law(arch)
        assert law is not None
        assert law.law is not None
        assert law.law.exponent.mean == pytest.approx(0.1, abs=1e-3)
        assert law.sizes == 4
    assert [check.holds for check in results.held_out] == [True, True]
    assert results.points[0].losses == pytest.approx([2 * 2**0.1, 2 * 2**0.1 * 1.002])
    assert results.points[0].flops == 6e3 * 50_000
    assert [warning.partition(" (")[0] for warning in results.warnings] == [
        "Fewer than 100 steps of training",
        "The largest or smallest learning rate that was tried was the best",
        "More than 4 passes over the training data",
    ]
    assert all("(rnn at all sizes, gru at all sizes)" in warning for warning in results.warnings)
