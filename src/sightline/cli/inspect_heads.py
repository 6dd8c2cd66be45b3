"""`sightline inspect --heads` and `--prune`: what attention heads do, and models without some of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightline.cli.inspect_flags import InspectFlags
    from sightline.inspect.head_report import HeadsReport

ITEMS = 200  # unless --items says otherwise
ORDERS = 5


def _opened(run: Path, flags: InspectFlags) -> tuple[Any, Any]:
    """The task and the items."""
    from sightline.cli.messages import messages, opened
    from sightline.core.settings import check_in_range
    from sightline.inspect.head_survey import check_heads
    from sightline.tasks.load import part_of_data, part_of_run
    from sightline.tasks.winner import chosen_run

    check_in_range("--items", flags.items, at_least=1)
    with messages():
        run = chosen_run(run)
    task = opened(run, flags.device)
    with messages():
        check_heads(task)
        if flags.data is None:
            part = part_of_run(run, "valid")
        else:
            part = part_of_data(task, run, {"data": flags.data}, "valid")
    items = task.spaced(part.items, flags.items or ITEMS)
    return task, part._replace(items=items, size=len(items))


def show_heads(run: Path, flags: InspectFlags, more: Sequence[str]) -> None:
    """Print, and write to `out` and `json`, what the heads of a model do.

    more: words of the command that repeats it
    """
    import shlex
    from dataclasses import replace

    from sightline.core.settings import check_in_range
    from sightline.inspect.head_survey import inspect_heads

    check_in_range("--orders", flags.orders, at_least=0)
    task, part = _opened(run, flags)
    report = inspect_heads(task, part, metric=flags.metric, draws=flags.orders, treebank=flags.dependencies)
    words = {"--data": flags.data, "--items": flags.items, "--metric": flags.metric}
    words |= {"--orders": None if flags.orders == ORDERS else flags.orders, "--dependencies": flags.dependencies}
    named = [word for flag, value in words.items() if value is not None for word in (flag, str(value))]
    command = shlex.join(["sightline", "inspect", str(run), "--heads", *named, *more])
    report = replace(report, model=replace(report.model, name=str(run)), command=command)
    if flags.json is not None:
        report.save(flags.json)
    print_heads(report)
    if flags.out is not None:
        from sightline.report.heads import write_heads

        print(f"page: {write_heads(report, flags.out)}")


def print_heads(report: HeadsReport) -> None:
    """A line for every head, then the agreement with syntax."""
    from sightline.cli.messages import tell
    from sightline.core.metrics import written
    from sightline.report.text import visible

    model = report.model
    print(f"{visible(model.name)}: {model.architecture}, {model.task}, {model.parameters:,} parameters")
    value = f"{report.metric} {written(report.metric, report.value)}"
    loss = f"loss {_number(report.loss, 4)} {report.loss_unit}".rstrip()
    print(f"{visible(report.data)}, {report.items} {report.unit}: {loss}, {value}\n")
    columns = ("previous", "first", "duplicate", "induction", "entropy")
    print(f"{'head':<17}{'role':<11}" + "".join(f"{name[:9]:>10}" for name in columns) + f"{'ablation':>11}")
    for index, head in enumerate(report.heads):
        scores = (head.scores.get(name) for name in columns)
        cells = "".join(f"{'—' if value is None else f'{value:.2f}':>10}" for value in scores)
        print(f"{report.head_name(index):<17}{head.role or '—':<11}{cells}{_number(head.ablation, 2):>11}")
    if report.arcs is not None:
        print(f"\n{'relation':<17}{'arcs':>6}  {'best head':<17}{'finds':>7}{'offset':>9}{'finds':>7}  difference")
        for one in report.arcs.relations:
            best = one.of_best
            ends = f"[{100 * (best.low or 0):+.1f}, {100 * (best.high or 0):+.1f}]"
            print(
                f"{visible(one.relation) or 'all':<17}{one.arcs:>6}  {report.head_name(one.best):<17}"
                f"{100 * (best.share or 0):>6.1f}%{one.offset:>+9}{100 * (one.offset_share or 0):>6.1f}%  {ends} points"
            )
    for note in report.notes:
        tell(visible(note))


def _number(value: float | None, digits: int) -> str:
    from sightline.core.digits import significant

    return "—" if value is None else significant(value, digits)


def prune_heads(run: Path, flags: InspectFlags) -> None:
    """Write a smaller model without the least important heads, and print what it costs."""
    from sightline.core.errors import InputError
    from sightline.core.metrics import written
    from sightline.inspect.head_survey import layer_names
    from sightline.inspect.heads import heads_of
    from sightline.inspect.pruning import IMPORTANCE, MeasuredTask, number_to_prune, prune
    from sightline.report.text import visible

    if flags.out_dir is None:
        raise InputError("needs --out-dir, the directory for the smaller model", where="--prune")
    if flags.out_dir.exists():
        raise InputError("already exists", where=flags.out_dir)
    order = IMPORTANCE[flags.importance]
    task, part = _opened(run, flags)
    count = number_to_prune(flags.prune or "", sum(layer.heads for layer in heads_of(task.model).values()))
    before = MeasuredTask(task, part.items, flags.metric)
    parameters = task.parameters
    importance = {"ablation": before.ablation, "gradient": before.gradient}[flags.importance]()
    removed = order(importance)[:count]
    names = layer_names(task.model)
    prune(task.model, removed)
    after = MeasuredTask(task, part.items, before.metric)
    task.save(flags.out_dir)
    print(f"removed  {', '.join(f'{names[head.layer]}.{head.number}' for head in sorted(removed))}")
    print(f"{visible(part.name)}, {part.size} {part.unit}\n")
    print(f"{'':<12}{'before':>14}{'after':>14}")
    print(f"{'heads':<12}{len(importance):>14}{len(importance) - count:>14}")
    print(f"{'parameters':<12}{parameters:>14,}{task.parameters:>14,}")
    losses = (_number(one.whole.loss, 4) for one in (before, after))
    print(f"{'loss':<12}" + "".join(f"{loss:>14}" for loss in losses) + f"  {task.loss_unit}")
    values = (written(before.metric, one.whole.metric) for one in (before, after))
    print(f"{before.metric:<12}" + "".join(f"{value:>14}" for value in values))
    print(f"\nmodel: {flags.out_dir}")
