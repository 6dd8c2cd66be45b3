"""`sightline swap`: layers of trained softmax attention by other mechanisms, and what that costs; writes a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sightline.cli import flags
from sightline.cli.plugins import Plugins

if TYPE_CHECKING:
    from sightline.lab.swap.results import SwapResults


def swap(
    run: Path,
    /,
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    to: str,
    layer: Annotated[str, Parameter(name=["--layer", "--layers"])] = "all",
    side: Literal["decoder", "encoder"] | None = None,
    layer_steps: int = 200,
    tune_steps: int = 200,
    layer_lr: float = 3e-3,
    tune_lr: float = 1e-3,
    kl: float = 1.0,
    metric: str = "auto",
    tested: flags.Tested = 1000,
    length: int = 1024,
    seed: int = 0,
    plugin: Plugins = None,
    out_dir: flags.OutDir = None,
    device: flags.Device = "auto",
    overwrite: bool = False,
    json: flags.Json = False,
    quiet: flags.Quiet = False,
) -> None:
    """Replace trained softmax attention by windows or recurrences, layer by layer: the quality lost, the state saved.

    Each layer, or each named head, is replaced alone, then all of them together. New layers start from the projections
    of the old ones where the shapes allow, and learn to reproduce their outputs on the run's own training data. Then
    the whole model learns the task together with the outputs of the original. The page has for every layer the metric
    without and with distillation, on the same test items, and the bytes of state before and after. Writes a run with
    the last model, swap.html and swap.json. Settings of the mechanism are flags: --to window --to.window 64.

    Args:
        run: Directory of a trained run, or of a comparison, whose winner is used.
        to: Mechanism of the new layers, such as window, linear, gated_linear, gated_delta or retention.
        layer: Layers to replace, counted from 1: 2, or 1,3, or all. Heads of layer 2: 2.1,2.3; two as one: 2.1+3.
        side: Half of an encoder-decoder whose layers are replaced. Default: the one that carries a state.
        layer_steps: Steps in which each new layer alone learns from the old one.
        tune_steps: Steps in which the whole model learns.
        layer_lr: Peak learning rate of the first stage.
        tune_lr: Peak learning rate of the second stage.
        kl: Weight of the divergence from the original's outputs, beside the task's loss.
        metric: Metric that decides. auto: the task's default.
        length: Positions after which the state is measured.
        seed: Seed of new weights, order of batches and dropout.
        overwrite: Replace the swapped run in --out-dir.
    """
    from sightline.cli.messages import command_line, messages
    from sightline.cli.overrides import parse_overrides
    from sightline.cli.tables import show_results
    from sightline.core.errors import InputError
    from sightline.lab.directory import free_directory
    from sightline.lab.swap.prepare import SwapConfig
    from sightline.lab.swap.results import SwapPlan
    from sightline.lab.swap.run import run_swap
    from sightline.models.plugins import load_plugins
    from sightline.report.swap import write_swap

    load_plugins(plugin)
    settings = {}
    for key, value in parse_overrides(overrides).items():
        if not key.startswith("to."):
            raise InputError("unknown flag; settings of the mechanism are --to.NAME", where=f"--{key}")
        settings[key.removeprefix("to.")] = value
    plan = SwapPlan(layer_steps, tune_steps, layer_lr, tune_lr, kl, length, seed)
    config = SwapConfig(to, layer, side, settings, plan, metric, tested, device)
    directory = out_dir or free_directory(Path("runs"), f"{run.name}-{to}")
    command = command_line()
    with messages(quiet=quiet):
        results = run_swap(run, directory, config, command=command, overwrite=overwrite, page=write_swap)
    show_results(results, print_swap, f"page: {directory / 'swap.html'}", json=json)


def print_swap(results: SwapResults) -> None:
    """The verdict and the table of layers."""
    from sightline.cli.tables import console_for, table_of
    from sightline.report.swap_text import lost_per_mb_text, lost_text, row_name, saved_text, verdict
    from sightline.report.text import visible

    metric = results.metric
    headings = ("replaced", "verdict", f"lost,\n{metric.unit_of_difference} [95 %]", metric.label,
                "layers\nalone", "not\ndistilled", "state\nsaved", "lost for\neach MB")  # fmt: skip
    unchanged = {"nothing": results.original, "nothing, trained as long": results.control}
    rows = [(name, "", "", metric.number(score.mean)) for name, score in unchanged.items()]
    rows += [
        (
            row_name(row, results), row.verdict, lost_text(results, row.lost), metric.number(row.tuned.mean),
            metric.number(row.matched.mean), metric.number(row.replaced.mean), saved_text(row.saved_bytes),
            lost_per_mb_text(results, row),
        )
        for row in results.rows
    ]  # fmt: skip
    table = table_of(headings, rows, left=2)
    print(visible(verdict(results)), end="\n\n", flush=True)
    console_for(table, 132).print(table)
    for note in results.notes:
        print(visible(note))
    print(flush=True)
