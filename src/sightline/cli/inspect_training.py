"""`sightline inspect RUN --training`: the record of a run that trained with --watch."""

from __future__ import annotations

from pathlib import Path


def inspect_training(run: Path, out: Path | None, json: Path | None) -> None:
    """Print, and write to `out` and `json`, what attention, gradients and gates did over the steps of a training."""
    import shlex

    from sightline.lab.dynamics import training_dynamics

    dynamics = training_dynamics(run, shlex.join(["sightline", "inspect", str(run), "--training"]))
    if json is not None:
        dynamics.save(json)
    from sightline.report.training import cost_text, layer_cells, training_findings, write_training

    rows = layer_cells(dynamics)
    if rows:
        print(f"{'layer':<28}{'entropy, first':>14}{'last':>8}{'half by step':>14}{'largest weight':>16}")
    for layer, first, last, half, largest in rows:
        print(f"{layer:<28}{first:>14}{last:>8}{half:>14}{largest:>16}")
    for sentence in training_findings(dynamics):
        print(sentence)
    print(f"{len(dynamics.steps)} looks took {cost_text(dynamics)}")
    if out is not None:
        print(f"page: {write_training(dynamics, out, json)}")
