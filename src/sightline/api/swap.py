"""A swap from Python: a trained run in, a run with other layers and what that costs out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from sightline.api.shown import ShownResult, frame_of
from sightline.core.errors import InputError
from sightline.core.settings import keys_of
from sightline.core.spelling import as_arguments, respelled
from sightline.core.suggest import unknown
from sightline.lab.directory import free_directory
from sightline.lab.swap.prepare import TESTED, SwapConfig
from sightline.lab.swap.results import SwapPlan, SwapResults
from sightline.lab.swap.run import run_swap
from sightline.report.swap import write_swap
from sightline.report.swap_text import lost_per_mb_text, lost_text, row_name, saved_text, verdict


@final
@dataclass(frozen=True, repr=False)
class SwapResult(ShownResult):
    """The result of a swap; results: the content of swap.json; directory: the run with the swapped model."""

    results: SwapResults

    @property
    def verdict(self) -> str:
        """Which layers can be replaced, and what that costs."""
        return verdict(self.results)

    @property
    def table(self) -> Any:
        """A frame with a row for each layer alone, and for all together: verdict, quality lost, bytes of state saved,
        and quality lost for each million of these, None where none is saved.

        Scores are without distillation (replaced), after its first stage (matched) and after both (tuned).
        """
        rows = [
            {
                "replaced_layers": row_name(row, self.results), "verdict": row.verdict, "lost": row.lost.mean,
                "low": row.lost.low, "high": row.lost.high, "tuned": row.tuned.mean, "matched": row.matched.mean,
                "replaced": row.replaced.mean, "saved_bytes": row.saved_bytes, "lost_per_mb": row.lost_per_mb,
            }
            for row in self.results.rows
        ]  # fmt: skip
        return frame_of(rows)

    def _parts(self) -> tuple[str, list[tuple[str, ...]], list[str]]:
        results = self.results
        head = ("replaced", "verdict", f"lost, {results.metric.unit_of_difference}", "state saved", "lost for each MB")
        rows = [
            (row_name(row, results), row.verdict, lost_text(results, row.lost), saved_text(row.saved_bytes),
             lost_per_mb_text(results, row))
            for row in results.rows
        ]  # fmt: skip
        return self.verdict, [head, *rows], results.notes


def swap(
    run: str | Path,
    to: str,
    *,
    layers: str | int = "all",
    side: Literal["decoder", "encoder"] | None = None,
    settings: Mapping[str, Any] | None = None,
    out_dir: str | Path | None = None,
    metric: str = "auto",
    tested: int = TESTED,
    device: str = "auto",
    overwrite: bool = False,
    **plan: Any,
) -> SwapResult:
    """Replace trained softmax attention by another mechanism, layer by layer: the quality lost, the state saved.

    run: the directory of a trained run, or of a comparison, whose winner is used; it is left as it is
    to: the mechanism of the new layers; settings: its keys, such as {"window": 64}
    layers: "all", a number from 1, "1,3", or heads of layer 2, "2.1,2.3"
    side: the half of an encoder-decoder, None = the one with a state
    metric: that decides; tested: test items at most
    plan: of the distillation, as the flags of `sightline swap`: layer_steps, tune_steps, layer_lr, tune_lr, kl, length
        and seed

    Progress goes to the logger `sightline`.

        swapped = sightline.swap("runs/dates", "window", settings={"window": 8})
        swapped.verdict
        sightline.load(swapped.directory).predict(["21 March 2025"])

    Raises:
        InputError: no such run, layer, mechanism, setting or option; a model without layers of softmax attention;
            `out_dir` exists, and is not a swapped run or `overwrite` is not given.
        Diverged, EnvironmentFault; Interrupted: SIGINT or SIGTERM; nothing is written then.
    """
    run = Path(run)
    directory = free_directory(Path("runs"), f"{run.name}-{to}") if out_dir is None else Path(out_dir)
    options = {key: str(value) for key, value in (settings or {}).items()}
    for key in plan:
        if key not in keys_of(SwapPlan):
            raise InputError(unknown("option", key, keys_of(SwapPlan)))
    with respelled(_as_arguments):
        config = SwapConfig(to, str(layers), side, options, SwapPlan(**plan), metric, tested, device)
        command = _command(run, config, plan)
        results = run_swap(run, directory, config, command=command, overwrite=overwrite, page=write_swap)
    return SwapResult(results, directory, directory / "swap.html")


def _as_arguments(message: str) -> str:
    """The message with arguments of `swap`: layers for --layer, settings["window"] for --to.window."""
    return re.sub(r"^to\.(\w+):", r'settings["\1"]:', re.sub(r"^layer:", "layers:", as_arguments(message)))


def _command(run: Path, config: SwapConfig, plan: Mapping[str, Any]) -> str:
    """The command that makes the same results."""
    flags = {"--to": config.target, "--layer": config.layers, "--side": config.side, "--metric": config.metric}
    flags |= {f"--to.{key.replace('_', '-')}": value for key, value in config.settings.items()}
    flags |= {f"--{key.replace('_', '-')}": str(value) for key, value in plan.items()}
    flags |= {"--tested": str(config.tested)}
    named = [part for flag, value in flags.items() if value is not None for part in (flag, value)]
    return shlex.join(["sightline", "swap", str(run), *named])
