"""`sightline inspect`: influence maps of a trained model for one input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sightline.cli.plugins import Plugins

if TYPE_CHECKING:
    from sightline.inspect.influence_map import Inspection

WAY = "write the text itself"


def inspect(
    run: Path,
    input: str | None = None,
    /,
    *,
    methods: str | None = None,
    replacements: int = 8,
    beside: Path | None = None,
    training: Annotated[bool, Parameter(negative=())] = False,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    png: Path | None = None,
    json: Path | None = None,
    faithfulness: Annotated[bool, Parameter(negative=())] = False,
    retrain: str | None = None,
    seed: int = 0,
    heads: bool = False,
    prune: str | None = None,
    data: str | None = None,
    items: int | None = None,
    metric: str | None = None,
    orders: int = 5,
    importance: Literal["ablation", "gradient"] = "ablation",
    dependencies: Path | None = None,
    out_dir: Path | None = None,
    device: str = "auto",
    plugin: Plugins = None,
) -> None:
    """Show what a trained model's answer to one input depends on, and what every layer of it looks at.

    Maps of attention: its weights (softmax), weights times the length of what they carry (value_weighted), all layers
    together (rollout). Maps of recurrences: the matrix that a linear one applies to its values (implicit), slopes of
    the others (jacobian). Maps of the whole model: the change when a position is replaced (effect), slopes (gradient),
    relevance by layers (relevance), and slopes along the way from a neutral input (integrated_gradients, which needs
    `pip install 'sightline[inspect]'`). Looking never changes the answer.

    With --heads, not one input but data: what every attention head does, and what the model loses without it. With
    --prune, a smaller model without the heads that matter least. With --faithfulness, whether the maps of the layers
    may be shown as explanations of the model's answers to some data: many tests, each first calibrated on problems
    whose causal positions are planted.

    Args:
        run: Directory of a run, of a model, or of a comparison, whose winner is used.
        input: A text, numbers, or a file, as for `sightline predict`. Not with --training, --heads, --prune
            or --faithfulness.
        methods: Comma-separated methods. Default: all that the model has.
        replacements: How often each position is replaced for the effect.
        beside: Directory of a second model, whose maps for the same input the page shows beside those of the first.
        training: Show instead what attention, gradients and gates did in a run that was trained with --watch.
        out: Write a page that shows all maps to this file, such as page.html.
        png: Draw the maps as one picture in this file, map.png or map.svg. Several heads are shown by their mean.
        json: Write all maps, or all results of --heads or --faithfulness, to this file, as JSON with `schema_version`.
        faithfulness: Test whether the maps are faithful, over items of data in place of one input.
        retrain: With --faithfulness: also train models again, each for this budget, such as 60s or 500steps: another
            seed and even attention, and for a classifier of texts with one pooled attention three more and an adversary
            (Wiegreffe & Pinter 2019).
        seed: Seed of what --faithfulness draws.
        heads: Show the roles of all attention heads, their importance, and what pruning costs.
        prune: Remove so many heads, such as 3 or 25%, the least important first, and write the model to --out-dir.
        data: Data that heads are judged on, as `sightline eval` reads it, or items for --faithfulness. Default: the
            run's validation part for heads, its test part for --faithfulness.
        items: Items of the data, evenly spaced. Default: 200 for heads, 100 for --faithfulness.
        metric: Metric of pruning curves. Default: the first that the task measures.
        orders: Random orders that pruning curves are shown beside; 0: none.
        importance: By which heads are pruned: the rise of the loss without a head, or the gradient (Michel 2019).
        dependencies: Treebank (CoNLL-U) with whose dependency arcs heads are compared.
        out_dir: Directory for the smaller model.
        device: auto, cpu, cuda or mps.
        plugin: Files, modules or names of plugins that the model needs.
    """
    from sightline.core.errors import InputError
    from sightline.models.plugins import load_plugins

    if training:
        from sightline.cli.inspect_training import inspect_training

        inspect_training(run, input, out, json)
        return
    load_plugins(plugin)
    if heads or prune is not None:
        from sightline.cli.inspect_heads import HeadFlags, inspect_heads_or_prune

        if input is not None:
            raise InputError(f"{'--heads' if heads else '--prune'} takes no input, found {input!r}: name --data")
        chosen = (data, items, metric, orders, importance, dependencies, out, out_dir, json, device)
        inspect_heads_or_prune(HeadFlags(run, heads, prune, *chosen))
        return
    if faithfulness:
        from sightline.cli.inspect_faithfulness import FaithfulnessFlags, inspect_faithfulness

        for flag, value in (("--beside", beside), ("--methods", methods), ("--png", png)):
            if value is not None:
                raise InputError("is for one input, not for --faithfulness", where=flag)
        if input is not None:
            raise InputError("tests items of --data, not one input: leave out one of the two", where="--faithfulness")
        inspect_faithfulness(FaithfulnessFlags(run, data, items, seed, replacements, retrain, out, json, device))
        return
    if retrain is not None:
        raise InputError("is for --faithfulness", where="--retrain")
    if input is None:
        raise InputError(
            "no input given: write a text, numbers or a file after the run, or name --heads or --faithfulness"
        )
    if data is not None:
        raise InputError("is for --heads, --prune and --faithfulness, not for one input", where="--data")
    if replacements < 1:
        raise InputError(f"must be at least 1, found {replacements}", where="--replacements")
    if beside is not None and out is None and png is None:
        raise InputError("needs --out, the page that shows both models, or --png", where="--beside")
    if png is not None:
        from sightline.report.map_picture import check_picture

        check_picture(png, where="--png")
    if beside is not None and json is not None:
        raise InputError("--json has the maps of one model: leave out one of the two", where="--beside")
    inspections = [_inspected(one, input, methods, replacements, device) for one in (run, beside) if one is not None]
    if json is not None:
        inspections[0].save(json)
    for one in inspections:
        print_maps(one)
    if out is not None:
        from sightline.report.inspection import write_page

        print(f"page: {write_page(inspections, out)}")
    if png is not None:
        from sightline.report.map_picture import save_maps

        print(f"picture: {save_maps(inspections, png)}")


def _inspected(run: Path, input: str, methods: str | None, replacements: int, device: str) -> Inspection:
    """The maps of one model."""
    import shlex
    from dataclasses import replace

    from sightline.cli.messages import opened
    from sightline.inspect import influence
    from sightline.tasks.not_files import check_not_files

    task = opened(run, device)
    if task.reads_texts:
        check_not_files([input], WAY)
    chosen = None if methods is None else [name.strip() for name in methods.split(",")]
    inspection = influence(task, input, chosen, replacements=replacements)
    command = ["sightline", "inspect", str(run), input, *([] if methods is None else ["--methods", methods])]
    return replace(inspection, model=replace(inspection.model, name=str(run)), command=shlex.join(command))


def print_maps(inspection: Inspection) -> None:
    """The answer, and a line for each map."""
    from sightline.cli.messages import tell
    from sightline.report.text import visible

    model = inspection.model
    print(f"{visible(model.name)}: {model.architecture}, {model.task}, {model.parameters:,} parameters")
    print(f"input   {visible(' '.join(inspection.input.pieces))}")
    print(f"output  {visible(' '.join(inspection.output.pieces))}\n")
    print(f"{'method':<21}{'rows':<8}{'columns':<9}{'size':<14}layer")
    for one in inspection.maps:
        heads, rows, columns = one.weights.shape
        size = f"{heads} × {rows} × {columns}" if heads > 1 else f"{rows} × {columns}"
        print(f"{one.method:<21}{one.rows:<8}{one.columns:<9}{size:<14}{visible(one.name)}")
    for note in inspection.notes:
        tell(f"no map: {visible(note)}")
