"""`sightline inspect`: influence maps of a trained model for one input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli.inspect_flags import InspectFlags, mode_of
from sightline.cli.plugins import Plugins, plugin_words

if TYPE_CHECKING:
    from sightline.inspect.influence_map import Inspection

WAY = "write the text itself"


def inspect(
    run: Path,
    input: str | None = None,
    /,
    *,
    flags: InspectFlags = InspectFlags(),
    plugin: Plugins = None,
) -> None:
    """Show what a trained model's answer to one input depends on, and what every layer of it looks at.

    Maps of attention: its weights (softmax), weights times the length of what they carry (value_weighted), all layers
    together (rollout). Maps of recurrences: the matrix that a linear one applies to its values (implicit), slopes of
    the others (jacobian). Maps of the whole model: the change when a position is replaced (effect), slopes (gradient),
    relevance by layers (relevance), and slopes along the way from a neutral input (integrated_gradients, which needs
    `pip install 'sightline[inspect]'`). Inspection never changes the answer.

    With --heads, not one input but data: what every attention head does, and what the model loses without it. With
    --prune, a smaller model without the heads that matter least. With --faithfulness, whether the maps of the layers
    may be shown as explanations of the model's answers to some data: many tests, each first calibrated on problems
    whose causal positions are planted.

    Args:
        run: Directory of a run, of a model, or of a comparison, whose winner is used.
        input: A text, numbers, or a file, as for `sightline predict`. Not with --training, --heads, --prune
            or --faithfulness.
        plugin: Files, modules or names of plugins that the model needs.
    """
    mode = mode_of(flags, input)
    if mode == "training":
        from sightline.cli.inspect_training import inspect_training

        inspect_training(run, flags.out, flags.json)
        return
    from sightline.models.plugins import load_plugins

    load_plugins(plugin)
    more = plugin_words(plugin)
    if mode == "faithfulness":
        from sightline.cli.inspect_faithfulness import inspect_faithfulness

        inspect_faithfulness(run, flags, more)
    elif mode == "heads":
        from sightline.cli.inspect_heads import show_heads

        show_heads(run, flags, more)
    elif mode == "prune":
        from sightline.cli.inspect_heads import prune_heads

        prune_heads(run, flags)
    elif input is not None:
        _inspect_input(run, input, flags, more)


def _inspect_input(run: Path, input: str, flags: InspectFlags, more: Sequence[str]) -> None:
    """The maps of one input, on the terminal and in files."""
    from sightline.core.errors import InputError
    from sightline.core.settings import check_in_range

    check_in_range("--replacements", flags.replacements, at_least=1)
    if flags.beside is not None and flags.out is None and flags.png is None:
        raise InputError("needs --out, the page that shows both models, or --png", where="--beside")
    if flags.png is not None:
        from sightline.report.map_picture import check_picture

        check_picture(flags.png, where="--png")
    if flags.beside is not None and flags.json is not None:
        raise InputError("--json has the maps of one model: leave out one of the two", where="--beside")
    inspections = [_inspected(one, input, flags, more) for one in (run, flags.beside) if one is not None]
    if flags.json is not None:
        inspections[0].save(flags.json)
    for one in inspections:
        print_maps(one)
    if flags.out is not None:
        from sightline.report.inspection import write_page

        print(f"page: {write_page(inspections, flags.out)}")
    if flags.png is not None:
        from sightline.report.map_picture import save_maps

        print(f"picture: {save_maps(inspections, flags.png)}")


def _inspected(run: Path, input: str, flags: InspectFlags, more: Sequence[str]) -> Inspection:
    """The maps of one model; `more` are words of the command that repeats it."""
    import shlex
    from dataclasses import replace

    from sightline.cli.messages import opened
    from sightline.inspect import influence
    from sightline.tasks.not_files import check_not_files

    task, methods = opened(run, flags.device), flags.methods
    if task.reads_texts:
        check_not_files([input], WAY)
    chosen = None if methods is None else [name.strip() for name in methods.split(",")]
    inspection = influence(task, input, chosen, replacements=flags.replacements)
    command = ["sightline", "inspect", str(run), input, *([] if methods is None else ["--methods", methods])]
    if flags.replacements != InspectFlags.replacements:
        command += ["--replacements", str(flags.replacements)]
    command += more
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
