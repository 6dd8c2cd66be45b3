"""The flags of `sightline inspect`, each with its help."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal, final

from cyclopts import Parameter

from sightline.cli.flag_groups import flag_group
from sightline.cli.flags import Device


@final
@flag_group
@dataclass(frozen=True)
class InspectFlags:
    """Those for one input, and those of --training, --faithfulness, --heads and --prune.

    Args:
        methods: Comma-separated methods. Default: all that the model has.
        replacements: Number of replacements of each position for the effect.
        beside: Directory of a second model, whose maps for the same input the page shows beside those of the first.
        training: Show instead what attention, gradients and gates did in a run that was trained with --watch.
        out: Write a page that shows all maps to this file, such as page.html.
        png: Draw the maps as one picture in this file, map.png or map.svg. Several heads are shown as their mean.
        json: Write all maps, or all results of --heads or --faithfulness, to this file, as JSON with `schema_version`.
        faithfulness: Test whether the maps are faithful, over items of data instead of one input.
        retrain: With --faithfulness: also train models again, each for this budget, such as 60s or 500steps: another
            seed and even attention, and for a classifier of texts with one pooled attention three more and an adversary
            (Wiegreffe & Pinter 2019).
        seed: Seed of the random draws of --faithfulness.
        heads: Show the roles of all attention heads, their importance, and what pruning costs.
        prune: Remove this many heads, such as 3 or 25%, the least important first, and write the model to --out-dir.
        data: Data to judge heads on, as `sightline eval` reads it, or items for --faithfulness. Default: the
            run's validation part for heads, its test part for --faithfulness.
        items: Items of the data, evenly spaced. Default: 200 for heads, 100 for --faithfulness.
        metric: Metric of pruning curves. Default: the first that the task measures.
        orders: Number of random orders of pruning to compare with; 0: none.
        importance: Importance by which heads are pruned: the rise of the loss without a head, or the gradient (Michel
            2019).
        dependencies: Treebank (CoNLL-U) whose dependency arcs are compared with the heads.
        out_dir: Directory for the smaller model.
    """

    methods: str | None = None
    replacements: int = 8
    beside: Path | None = None
    training: bool = False
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None
    png: Path | None = None
    json: Path | None = None
    faithfulness: bool = False
    retrain: str | None = None
    seed: int = 0
    heads: bool = False
    prune: str | None = None
    data: str | None = None
    items: int | None = None
    metric: str | None = None
    orders: int = 5
    importance: Literal["ablation", "gradient"] = "ablation"
    dependencies: Path | None = None
    out_dir: Path | None = None
    device: Device = "auto"


InspectMode = Literal["input", "training", "heads", "prune", "faithfulness"]
MODES: dict[InspectMode, str] = {  # in words
    "input": "one input",
    "training": "--training",
    "heads": "--heads",
    "prune": "--prune",
    "faithfulness": "--faithfulness",
}
USED_BY: dict[str, tuple[InspectMode, ...]] = {
    "methods": ("input",),
    "replacements": ("input", "faithfulness"),
    "beside": ("input",),
    "out": ("input", "training", "heads", "faithfulness"),
    "png": ("input",),
    "json": ("input", "training", "heads", "faithfulness"),
    "retrain": ("faithfulness",),
    "seed": ("faithfulness",),
    "data": ("heads", "prune", "faithfulness"),
    "items": ("heads", "prune", "faithfulness"),
    "metric": ("heads", "prune"),
    "orders": ("heads",),
    "importance": ("prune",),
    "dependencies": ("heads",),
    "out_dir": ("prune",),
    "device": ("input", "heads", "prune", "faithfulness"),
}


def mode_of(flags: InspectFlags, input: str | None) -> InspectMode:
    """What the flags ask for.

    Raises:
        InputError: "--prune: leave out one of --heads and --prune"; "--data: is for --heads, --prune and
            --faithfulness, not for one input"; "no input given: …"; "--heads: takes no input, found 'a': leave out one
            of the two".
    """
    from sightline.core.digits import and_joined
    from sightline.core.errors import InputError

    chosen = [mode for mode in MODES if mode != "input" and getattr(flags, mode) not in (False, None)]
    if len(chosen) > 1:
        first, second = (MODES[mode] for mode in chosen[:2])
        raise InputError(f"leave out one of {first} and {second}", where=second)
    mode: InspectMode = chosen[0] if chosen else "input"
    if mode == "input" and input is None:
        raise InputError(
            "no input given: write a text, numbers or a file after the run, or set --heads or --faithfulness"
        )
    if mode != "input" and input is not None:
        raise InputError(f"takes no input, found {input!r}: leave out one of the two", where=MODES[mode])
    usual = InspectFlags()
    for name in (field.name for field in fields(flags)):
        modes = USED_BY.get(name, (mode,))
        if mode not in modes and getattr(flags, name) != getattr(usual, name):
            users = and_joined([MODES[one] for one in modes])
            raise InputError(f"is for {users}, not for {MODES[mode]}", where=f"--{name.replace('_', '-')}")
    return mode
