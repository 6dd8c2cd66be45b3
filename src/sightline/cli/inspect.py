"""`sightline inspect`: influence maps of a trained model for one input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli.plugins import Plugins

if TYPE_CHECKING:
    from sightline.inspect.influence import Inspection

WAY = "write the text itself"


def inspect(
    run: Path,
    given: str,
    /,
    *,
    methods: str | None = None,
    replacements: int = 8,
    json: Path | None = None,
    device: str = "auto",
    plugin: Plugins = None,
) -> None:
    """Show what a trained model's answer to one input depends on, and what every layer of it looks at.

    Maps of attention: its weights (softmax), weights times the length of what they carry (value_weighted), all layers
    together (rollout). Maps of recurrences: the matrix that a linear one applies to its values (implicit), slopes of
    the others (jacobian). Maps of the whole model: the change when a position is replaced (effect), slopes (gradient),
    relevance by layers (relevance), and slopes along the way from a neutral input (integrated_gradients, which needs
    `pip install 'sightline[inspect]'`). Looking never changes the answer.

    Args:
        run: Directory of a run, of a model, or of a comparison, whose winner is used.
        given: The input: a text, numbers, or a file, as for `sightline predict`.
        methods: Comma-separated methods. Default: all that the model has.
        replacements: How often each position is replaced for the effect.
        json: Write all maps to this file, as JSON with `schema_version`.
        device: auto, cpu, cuda or mps.
        plugin: Files, modules or names of plugins that the model needs.
    """
    import shlex
    from dataclasses import replace

    from sightline.cli.messages import messages
    from sightline.core.errors import InputError
    from sightline.inspect import influence
    from sightline.models.plugins import load_plugins
    from sightline.tasks.load import load
    from sightline.tasks.not_files import check_not_files
    from sightline.training.environment import resolve_device

    if replacements < 1:
        raise InputError(f"must be at least 1, found {replacements}", where="--replacements")
    load_plugins(plugin)
    with messages():
        task = load(run).to(resolve_device(device))
    if task.reads_texts:
        check_not_files([given], WAY)
    chosen = None if methods is None else [name.strip() for name in methods.split(",")]
    found = influence(task, given, chosen, replacements=replacements)
    command = ["sightline", "inspect", str(run), given, *([] if methods is None else ["--methods", methods])]
    found = replace(found, model=replace(found.model, name=str(run)), command=shlex.join(command))
    if json is not None:
        found.save(json)
    print_maps(found)


def print_maps(found: Inspection) -> None:
    """The answer, and a line for each map."""
    import sys

    from sightline.report.text import visible

    model = found.model
    print(f"{visible(model.name)}: {model.architecture}, {model.task}, {model.parameters:,} parameters")
    print(f"input   {visible(' '.join(found.input.pieces))}")
    print(f"output  {visible(' '.join(found.output.pieces))}\n")
    print(f"{'method':<21}{'rows':<8}{'columns':<9}{'size':<14}layer")
    for one in found.maps:
        heads, rows, columns = one.weights.shape
        size = f"{heads} × {rows} × {columns}" if heads > 1 else f"{rows} × {columns}"
        print(f"{one.method:<21}{one.rows:<8}{one.columns:<9}{size:<14}{visible(one.name)}")
    for note in found.notes:
        print(f"sightline: no map: {visible(note)}", file=sys.stderr)
