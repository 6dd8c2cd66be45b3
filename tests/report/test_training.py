"""The page of a watched training, from its dynamics alone."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sightline.lab.dynamics import TrainingDynamics, training_dynamics
from sightline.report.training import (
    half_step,
    layer_rows,
    render_training,
    training_drawings,
    training_findings,
    write_training,
)
from tests.report.synthetic_training import write_run
from tests.report.test_html import without_scripts


@pytest.fixture(scope="module")
def dynamics(tmp_path_factory: pytest.TempPathFactory) -> TrainingDynamics:
    return training_dynamics(write_run(tmp_path_factory.mktemp("runs") / "run"))


def test_every_quantity_has_a_figure_over_steps(dynamics: TrainingDynamics) -> None:
    figures = {drawing.name: drawing for part in training_drawings(dynamics).values() for drawing in part}
    assert list(figures) == [
        "loss", "attention-entropy", "attention-largest", "attention-gradient", "gradients", "gradients-by-distance",
        "gates-open", "gates-shut", "matrices-largest", "matrices-radius",
    ]  # fmt: skip
    entropy = figures["attention-entropy"].chart
    assert entropy is not None
    assert list(entropy.series) == [f"layer {number}" for number in range(1, 13)]
    assert list(entropy.groups) == ["layer 1 to layer 6", "layer 7 to layer 12", ""]
    assert [axis.log for axis in entropy.x] == [2, 0]
    shown = [row for row in entropy.rows if row["series"] == "layer 3"]
    assert [row["x"] for row in shown] == dynamics.steps
    assert [row["y"] for row in shown] == dynamics.attention[2].entropy.centre


@pytest.mark.slow
def test_the_page_has_findings_numbers_and_no_foreign_markup(dynamics: TrainingDynamics, tmp_path: Path) -> None:
    few = replace(dynamics, attention=dynamics.attention[:2], gates=[], matrices=[], distances=[], gradients=[])
    place = write_training(replace(few, run="<script>alert(1)</script>"), tmp_path / "page.html", Path("in/d.json"))
    page = place.read_text(encoding="utf-8")
    assert "<script>alert" not in page
    text = without_scripts(page)
    assert "The entropy of attention changed most in layer 1" in text
    assert "It fell in 2 of 2 layers." in text
    rows = layer_rows(dynamics)
    assert f">{rows[0].first:.3f}<" in text
    assert re.search(r'data-source="d\.json#/attention/0/entropy/centre/0"', page)
    assert "All numbers are in d.json." in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_half_of_a_change_is_done_where_it_stays_done() -> None:
    assert half_step([1, 2, 4, 8], [1.0, 0.4, 0.9, 0.0]) == 8  # not at step 2, which did not last
    assert half_step([1, 2, 4, 8], [1.0, 0.9, 0.4, 0.0]) == 4
    assert half_step([1, 2, 4, 8], [0.0, 0.1, 0.6, 1.0]) == 4
    assert half_step([1, 2], [0.5, 0.5]) is None


def test_a_model_without_layers_that_are_watched_has_its_losses(dynamics: TrainingDynamics) -> None:
    bare = replace(dynamics, attention=[], gates=[], matrices=[], distances=[], gradients=[])
    assert list(training_drawings(bare)) == ["loss"]
    assert training_findings(bare) == ["No layer of this model is watched: see its loss."]
    assert "Attention</h2>" not in render_training(bare)


@pytest.mark.slow
def test_the_page_needs_no_torch() -> None:
    code = "import sys; import sightline.lab.dynamics, sightline.report.training; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
