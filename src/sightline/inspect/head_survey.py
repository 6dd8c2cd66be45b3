"""Everything about the heads of a trained model on some data, in one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.inspect.agreement import syntax_agreement
from sightline.inspect.head_calls import is_causal, is_memory, tally_heads
from sightline.inspect.head_report import HeadsReport, InspectedHead, LayerOfHeads, PruningOrder
from sightline.inspect.heads import Head, heads_of
from sightline.inspect.influence_map import InspectedModel
from sightline.inspect.pruning import IMPORTANCE, MeasuredTask, pruning_curves
from sightline.inspect.roles import EDGES, HeadScores, HeadTally, clear_role
from sightline.tasks.load import Part

SENTENCES = 400  # of a treebank, unless `treebank_limit` says otherwise


def inspect_heads(
    task: Any,
    part: Part,
    *,
    metric: str | None = None,
    draws: int = 5,
    points: int = 9,
    treebank: Path | None = None,
    sentences: int = SENTENCES,
) -> HeadsReport:
    """Scores, profiles and importance of every attention head of a task's model, pruning curves, and agreement with
    syntax.

    task: as `sightline.load` gives it; part: items of it, as `tasks.load.part_of_data` gives them
    metric: of the curves; None = the first that the task measures
    draws, points: random orders, and numbers of removed heads, of the pruning curves
    treebank: a CoNLL-U file, of whose first `sentences` sentences arcs are compared with heads

    Raises:
        InputError: "this model has no attention heads: …"; what `MeasuredTask` and `syntax_agreement` raise.
    """
    check_heads(task)
    measured = MeasuredTask(task, part.items, metric)
    with evaluating(task.model), torch.no_grad():
        tallies = tally_heads(task.model, (partial(task.loss, task.model, batch) for batch in measured.batches))
    ablation, gradient = measured.ablation(), measured.gradient()
    layers, heads, columns = _described(task.model, tallies, ablation, gradient)
    importance: dict[PruningOrder, dict[Head, float]] = {"ablation": ablation, "gradient": gradient}
    orders = {name: IMPORTANCE[name](of_heads) for name, of_heads in importance.items()}
    bins = max((_used(head) for head in heads), default=1)
    return HeadsReport(
        InspectedModel(task.arch, task.arch, task.name, task.parameters),
        part.name,
        len(part.items),
        part.unit,
        measured.whole.loss,
        task.loss_unit,
        measured.metric,
        measured.whole.metric,
        [[EDGES[place - 1] + 1 if place else 0, EDGES[place]] for place in range(bins)],
        layers,
        [_trimmed(head, bins) for head in heads],
        pruning_curves(task.model, measured.quality, orders, draws=draws, points=points),
        None if treebank is None else syntax_agreement(task, treebank, columns, sentences),
        [
            f"no scores of {path}: it read keys of earlier calls"
            for path, of in columns.items()
            if of and path not in tallies
        ],
    )


def check_heads(task: Any) -> None:
    """Raise `InputError` for a model without attention heads."""
    if not any(layer.heads for layer in heads_of(task.model).values()):
        raise InputError(f"a model of the architecture {task.arch!r} has no attention heads to look at")


def layer_names(model: torch.nn.Module) -> dict[str, str]:
    """A short name for every layer with heads, by the path of its probe: "full self 1", "causal self 2", "cross 1"."""
    numbers: Counter[str] = Counter()
    names = {}
    for path in heads_of(model):
        kind = "cross" if is_memory(model, path) else f"{'causal' if is_causal(model, path) else 'full'} self"
        numbers[kind] += 1
        names[path] = f"{kind} {numbers[kind]}"
    return names


def _described(
    model: torch.nn.Module,
    tallies: Mapping[str, HeadTally],
    ablation: Mapping[Head, float],
    gradient: Mapping[Head, float],
) -> tuple[list[LayerOfHeads], list[InspectedHead], dict[str, list[int]]]:
    """The layers, their heads, and the indices of each layer's heads, by its path."""
    layers, heads, columns = [], [], {}
    for index, (path, name) in enumerate(layer_names(model).items()):
        of_layer, tally = heads_of(model)[path], tallies.get(path)
        even = {} if tally is None else _by_name(tally.even())
        memory = is_memory(model, path)
        kept, kind = list(of_layer.kept or ()), "cross" if memory else "self"
        layers.append(LayerOfHeads(path, name, kind, is_causal(model, path), of_layer.heads, kept, even))
        columns[path] = list(range(len(heads), len(heads) + of_layer.heads))
        for number in range(of_layer.heads):
            head = Head(path, number)
            scores = {} if tally is None else _by_name(tally.scores(), number)
            known = {role: score for role, score in scores.items() if score is not None}
            role = clear_role(known, {role: even[role] or 0.0 for role in known})
            profiles = ([], [], []) if tally is None else (each[number].tolist() for each in tally.profiles())
            before, after, entropy = profiles
            sides = ([], []) if memory else (before, after)
            heads.append(
                InspectedHead(index, number, scores, role, *sides, entropy, ablation.get(head), gradient.get(head))
            )
    return layers, heads, columns


def _by_name(scores: HeadScores, number: int | None = None) -> dict[str, float | None]:
    values = {name: float(of if number is None else of[number]) for name, of in scores._asdict().items()}
    return {name: None if value != value else value for name, value in values.items()}


def _used(head: InspectedHead) -> int:
    """Bins up to the last one that any query fell in."""
    filled = [place for place, value in enumerate(head.entropy, 1) if value == value]
    looked = [place for side in (head.before, head.after) for place, value in enumerate(side, 1) if value]
    return max([*filled, *looked], default=1)


def _trimmed(head: InspectedHead, bins: int) -> InspectedHead:
    """The head with so many bins, None where no query is."""

    def known(values: list[Any]) -> list[float | None]:
        return [None if value != value else value for value in values[:bins]]

    return replace(head, before=known(head.before), after=known(head.after), entropy=known(head.entropy))
