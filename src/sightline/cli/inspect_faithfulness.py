"""`sightline inspect RUN --faithfulness`: whether the maps of a model may be shown as explanations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sightline.cli.inspect_flags import InspectFlags
    from sightline.inspect.faithfulness_results import Faithfulness, Retrained

ITEMS = 100


def inspect_faithfulness(run: Path, flags: InspectFlags, more: Sequence[str]) -> None:
    """Print, and write to `out` and `json`, the tests of every map.

    more: words of the command that repeats it
    """
    from sightline.core.settings import check_in_range

    items = ITEMS if flags.items is None else flags.items
    check_in_range("--items", items, at_least=1)
    check_in_range("--replacements", flags.replacements, at_least=1)
    tested = _tested(run, flags, items, more)
    if flags.json is not None:
        tested.save(flags.json)
    print_tests(tested)
    if flags.out is not None:
        from sightline.report.faithfulness import write_faithfulness

        print(f"page: {write_faithfulness(tested, flags.out)}")


def _tested(run: Path, flags: InspectFlags, items: int, more: Sequence[str]) -> Faithfulness:
    """The tests of one model."""
    import shlex
    from dataclasses import replace

    from sightline.cli.messages import messages, opened, tell
    from sightline.inspect.battery import faithfulness

    seed, replacements, retrain = flags.seed, flags.replacements, flags.retrain
    task = opened(run, flags.device)
    with messages():
        results = faithfulness(
            task, flags.data, items=items, seed=seed, replacements=replacements, retrain=retrain, say=tell
        )
    values = {"--data": flags.data, "--items": items, "--seed": seed, "--replacements": replacements}
    values["--retrain"] = retrain
    named = [part for flag, value in values.items() if value is not None for part in (flag, str(value))]
    command = shlex.join(["sightline", "inspect", str(run), "--faithfulness", *named, *more])
    return replace(results, model=replace(results.model, name=str(run)), command=command)


def print_tests(results: Faithfulness) -> None:
    """A line for each test of each map, and the verdict."""
    from sightline.report.faithfulness import (
        items_text,
        map_words,
        rate_text,
        rows_of,
        score_text,
        share_text,
        title_of,
    )
    from sightline.report.text import visible

    model, named = results.model, map_words(results.maps)
    print(f"{visible(model.name)}: {model.architecture}, {model.task}, {model.parameters:,} parameters")
    print(items_text(results))
    width = max(len(title_of(test.name)) for test in results.tests) + 2
    for one in results.maps:
        print(f"\n{visible(named[one.name])}: {one.outcome}")
        print(f"{'test':<{width}}{'score':<21}{'hit rate':<17}{'false alarms':<16}{'faithful items'}")
        for _, _, test, score in rows_of(one, results.tests):
            rates = f"{rate_text(test.hit):<17}{rate_text(test.false_alarm):<16}"
            print(f"{title_of(test.name):<{width}}{score_text(score):<21}{rates}{share_text(score)}")
    if results.retrained is not None:
        print_retrained(results.retrained)
    print(f"\n{visible(results.verdict)}")


def print_retrained(retrained: Retrained) -> None:
    """A line for each model that was trained again, and for each test of them."""
    from sightline.core.digits import amount
    from sightline.report.faithfulness import model_text, retrained_text

    print(f"\ntrained again, each for {amount(retrained.budget)}; {retrained.items} test items")
    names = [*(one.meaning for one in retrained.models), *(one.name for one in retrained.tests)]
    width = 2 + max(map(len, names))
    for model in retrained.models:
        print(f"{model.meaning:<{width}}{model.metric} {model_text(model)}")
    for test in retrained.tests:
        print(f"{test.name:<{width}}{retrained_text(test)}")
        print(f"    {test.sentence}")
