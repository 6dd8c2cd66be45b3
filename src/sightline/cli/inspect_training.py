"""`sightline inspect RUN --training`: what a run recorded while it trained with --watch."""

from __future__ import annotations

from pathlib import Path


def inspect_training(run: Path, given: str | None, out: Path | None, json: Path | None) -> None:
    """Print, and write to `out` and `json`, what attention, gradients and gates did over the steps of a training."""
    import shlex

    from sightline.core.errors import InputError
    from sightline.lab.dynamics import training_dynamics
    from sightline.report.text import visible

    if given is not None:
        raise InputError("shows the training, not an input: leave out one of the two", where="--training")
    dynamics = training_dynamics(run, shlex.join(["sightline", "inspect", str(run), "--training"]))
    if json is not None:
        dynamics.save(json)
    from sightline.report.training import cost_text, layer_rows, training_findings, write_training

    rows = layer_rows(dynamics)
    if rows:
        print(f"{'layer':<28}{'entropy, first':>14}{'last':>8}{'half by step':>14}{'largest weight':>16}")
    for row in rows:
        numbers = [f"{value:.3f}" if value is not None else "—" for value in (row.first, row.last, row.largest)]
        half = "—" if row.half is None else f"{row.half:,}"
        print(f"{visible(row.name):<28}{numbers[0]:>14}{numbers[1]:>8}{half:>14}{numbers[2]:>16}")
    for sentence in training_findings(dynamics):
        print(sentence)
    print(f"{len(dynamics.steps)} looks took {cost_text(dynamics)}")
    if out is not None:
        print(f"page: {write_training(dynamics, out, json)}")
