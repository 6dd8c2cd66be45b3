"""`sightline inspect`: influence maps of a trained model for one input, and tests of whether they are faithful."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sightline.cli.plugins import Plugins

if TYPE_CHECKING:
    from sightline.inspect.faithfulness_results import Faithfulness
    from sightline.inspect.influence_map import Inspection

WAY = "write the text itself"


def inspect(
    run: Path,
    given: str | None = None,
    /,
    *,
    faithfulness: Annotated[bool, Parameter(negative=())] = False,
    data: str | None = None,
    items: int = 100,
    seed: int = 0,
    methods: str | None = None,
    replacements: int = 8,
    beside: Path | None = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
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

    With --faithfulness it says instead whether the maps of the layers may be shown as explanations of the model's
    answers to some data: many tests, each first calibrated on problems whose causal positions are planted.

    Args:
        run: Directory of a run, of a model, or of a comparison, whose winner is used.
        given: The input: a text, numbers, or a file, as for `sightline predict`; none with --faithfulness.
        faithfulness: Test whether the maps are faithful, over items of data in place of one input.
        data: Items for --faithfulness, read as in training. Default: the test part of the training's own data.
        items: How many of them to look at.
        seed: Of what --faithfulness draws.
        methods: Comma-separated methods. Default: all that the model has.
        replacements: How often each position is replaced for the effect.
        beside: Directory of a second model, whose maps for the same input the page shows beside those of the first.
        out: Write a page that shows all maps to this file, such as page.html.
        json: Write all maps to this file, as JSON with `schema_version`.
        device: auto, cpu, cuda or mps.
        plugin: Files, modules or names of plugins that the model needs.
    """
    from sightline.core.errors import InputError
    from sightline.models.plugins import load_plugins

    if replacements < 1:
        raise InputError(f"must be at least 1, found {replacements}", where="--replacements")
    check_what(given, faithfulness=faithfulness, data=data, beside=beside, methods=methods, items=items)
    if beside is not None and out is None:
        raise InputError("needs --out, the page that shows both models", where="--beside")
    if beside is not None and json is not None:
        raise InputError("--json has the maps of one model: leave out one of the two", where="--beside")
    load_plugins(plugin)
    if given is None:
        tested = _tested(run, data, items, seed, replacements, device)
        if json is not None:
            tested.save(json)
        print_tests(tested)
        if out is not None:
            from sightline.report.faithfulness import write_faithfulness

            print(f"page: {write_faithfulness(tested, out)}")
        return
    found = [_inspected(one, given, methods, replacements, device) for one in (run, beside) if one is not None]
    if json is not None:
        found[0].save(json)
    for one in found:
        print_maps(one)
    if out is not None:
        from sightline.report.inspection import write_page

        print(f"page: {write_page(found, out)}")


def check_what(
    given: str | None, *, faithfulness: bool, data: str | None, beside: Path | None, methods: str | None, items: int
) -> None:
    """Refuse an input with --faithfulness, none without it, and flags of the other of the two."""
    from sightline.core.errors import InputError

    if faithfulness and given is not None:
        raise InputError("tests items of --data, not one input: leave out one of the two", where="--faithfulness")
    if not faithfulness and given is None:
        raise InputError("expected an input to inspect, or --faithfulness", where="inspect")
    if not faithfulness and data is not None:
        raise InputError("names items for --faithfulness, which is not given", where="--data")
    if items < 1:
        raise InputError(f"must be at least 1, found {items}", where="--items")
    for flag, value in (("--beside", beside), ("--methods", methods)):
        if faithfulness and value is not None:
            raise InputError("is for one input, not for --faithfulness", where=flag)


def _tested(run: Path, data: str | None, items: int, seed: int, replacements: int, device: str) -> Faithfulness:
    """The tests of one model."""
    import shlex
    import sys
    from dataclasses import replace

    from sightline.cli.messages import messages
    from sightline.inspect.battery import faithfulness
    from sightline.tasks.load import load
    from sightline.training.environment import resolve_device

    def say(text: str) -> None:
        print(f"sightline: {text}", file=sys.stderr, flush=True)

    with messages():
        task = load(run).to(resolve_device(device))
        found = faithfulness(task, data, items=items, seed=seed, replacements=replacements, say=say)
    flags = {"--data": data, "--items": items, "--seed": seed, "--replacements": replacements}
    named = [part for flag, value in flags.items() if value is not None for part in (flag, str(value))]
    command = shlex.join(["sightline", "inspect", str(run), "--faithfulness", *named])
    return replace(found, model=replace(found.model, name=str(run)), command=command)


def print_tests(found: Faithfulness) -> None:
    """A line for each test of each map, and the verdict."""
    from sightline.report.faithfulness import map_words, rate_text, rows_of, score_text, share_text
    from sightline.report.text import visible

    model, named = found.model, map_words(found.maps)
    print(f"{visible(model.name)}: {model.architecture}, {model.task}, {model.parameters:,} parameters")
    print(f"{found.items} {found.unit} of {visible(found.data)}")
    for one in found.maps:
        print(f"\n{visible(named[one.name])}: {one.outcome}")
        print(f"{'test':<31}{'score':<21}{'hit rate':<17}{'false alarms':<16}{'faithful items'}")
        for _, _, test, score in rows_of(one, found.tests):
            rates = f"{rate_text(test.hit):<17}{rate_text(test.false_alarm):<16}"
            print(f"{test.name:<31}{score_text(score):<21}{rates}{share_text(score)}")
    print(f"\n{visible(found.verdict)}")


def _inspected(run: Path, given: str, methods: str | None, replacements: int, device: str) -> Inspection:
    """The maps of one model."""
    import shlex
    from dataclasses import replace

    from sightline.cli.messages import messages
    from sightline.inspect import influence
    from sightline.tasks.load import load
    from sightline.tasks.not_files import check_not_files
    from sightline.training.environment import resolve_device

    with messages():
        task = load(run).to(resolve_device(device))
    if task.reads_texts:
        check_not_files([given], WAY)
    chosen = None if methods is None else [name.strip() for name in methods.split(",")]
    found = influence(task, given, chosen, replacements=replacements)
    command = ["sightline", "inspect", str(run), given, *([] if methods is None else ["--methods", methods])]
    return replace(found, model=replace(found.model, name=str(run)), command=shlex.join(command))


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
