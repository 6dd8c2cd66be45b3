"""The bottleneck panel: reach, serial work, growth, saturation and recall of mechanisms and trained runs, by part.

Each part is written to panel.json when it is done, and a panel that was stopped continues with the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.files import faults
from sightline.core.modes import evaluating
from sightline.data.batches import START
from sightline.lab.capacity import RecallTraining, recall_curve
from sightline.lab.context_loss import context_gaps, context_loss
from sightline.lab.crossover import check_crossover, measured_ratio, predict, unchecked
from sightline.lab.growth import Timing, measure_costs
from sightline.lab.load import OthersLoad
from sightline.lab.mechanism import BuiltModule, Mechanism, find_mechanisms
from sightline.lab.panel_results import PanelPart, PanelResults, Saturation
from sightline.lab.reach import mechanism_reach
from sightline.lab.saturation import by_depth, by_layer, by_width
from sightline.lab.serial import mechanism_chains
from sightline.lab.trained_reach import MEASURED, Sampled, initial_reach, trained_reach
from sightline.models.decoder import Decoder
from sightline.models.layers import SELF_MIXERS
from sightline.tasks.load import load, part_of_run, run_config
from sightline.tasks.winner import chosen_run

FILE = "panel.json"
BUSY = 0.3  # cores that other programs keep busy, above which times are said to be wrong

Say = Callable[[str], object]


@final
@dataclass(frozen=True)
class Sizes:
    """What each part measures; the width is that of untrained mechanisms."""

    reach_length: int = 128
    sequences: int = 8
    labels: int = 256
    narrow: int = 16  # width for reach and serial work, whose numbers depend little on it
    serial_lengths: tuple[int, ...] = (32, 64, 128, 256, 512)
    d_model: int = 64
    lengths: tuple[int, ...] = (128, 256, 512, 1024, 2048)
    rounds: int = 7
    longest_s: float = 0.4
    checks: int = 3  # crossovers that are checked
    keys: int = 1024
    layers: int = 6
    recall_tasks: tuple[str, ...] = ("recall",)  # of `lab.recall_tasks.RECALL_TASKS`
    recall_pairs: tuple[int, ...] = (4, 8, 16)
    recall_widths: tuple[int, ...] = (16, 32)
    recall_steps: int = 400
    texts: int = 256  # sequences of a run's text
    seed: int = 0


QUICK = Sizes(
    reach_length=64, sequences=6, labels=128, serial_lengths=(16, 32, 64, 128), lengths=(64, 128, 256, 512), rounds=3,
    longest_s=0.1, checks=1, keys=256, layers=3, recall_pairs=(4, 8), recall_widths=(32,), recall_steps=250, texts=64,
)  # fmt: skip


@final
@dataclass(frozen=True)
class TrainedRun:
    """A trained run: its task, the test part of its data, the training part of a language model's, and its seed."""

    name: str
    task: Any
    part: Any
    train: Any = None
    seed: int = 0

    @property
    def model(self) -> Any:
        return getattr(self.task, "decoder", self.task.model)

    @property
    def layers(self) -> Any:
        """The layers of the model, between its embedding and its head; None of a user's model without such a part."""
        return getattr(self.model, "mixer", getattr(self.model, "encoder", None))

    def mechanisms(self) -> list[Mechanism]:
        """The layers as a mechanism, each build of which is a copy; none without layers."""
        return [] if self.layers is None else [Mechanism(self.name, BuiltModule(self.layers), self.layers.d_model)]


TrainedRuns = Sequence[TrainedRun]


def find_run(path: Path) -> TrainedRun:
    """A run of a language model or of a classifier, and its test part; of a comparison the winner.

    Raises:
        InputError: what `tasks.load.load` raises; "runs/x: a translation model: the panel measures language models and
            classifiers".
    """
    directory = chosen_run(path)
    task = load(directory)
    if task.form not in MEASURED:
        raise InputError(f"a {task.name} model: the panel measures language models and classifiers", where=path)
    train = part_of_run(directory, "train").items if hasattr(task, "decoder") else None
    return TrainedRun(str(path), task, part_of_run(directory, "test").items, train, run_config(directory).training.seed)


def run_panel(
    names: Sequence[str],
    runs: TrainedRuns,
    directory: Path,
    sizes: Sizes,
    only: Sequence[PanelPart],
    facts: dict[str, Any],
    say: Say = lambda line: None,
) -> PanelResults:
    """Measure the parts `only` of the named mechanisms and of the runs; write panel.json to `directory` after each.

    Parts that the file has already, with the same names and sizes, are not measured again. `facts` has the command and
    the environment.

    Raises:
        InputError: "out/panel.json: it has other mechanisms or sizes: choose another --out-dir, or --overwrite".
    """
    with faults(directory):
        directory.mkdir(parents=True, exist_ok=True)
    results = _started(names, runs, directory / FILE, sizes, facts)
    for part in only:
        if part in results.seconds:
            say(f"{part}: measured before")
            continue
        began, others = time.monotonic(), OthersLoad()
        results = PARTS[part](results, names, runs, sizes, say)
        if part == "growth" and (cores := others.cores()) is not None and cores > BUSY:
            warning = (
                f"Other programs kept {cores:.1f} cores busy while times were measured: they are too long, unevenly."
            )
            results = replace(results, notes=[*results.notes, warning])
            say(warning)
        results = replace(results, seconds={**results.seconds, part: round(time.monotonic() - began, 1)})
        results.save(directory / FILE)
        say(f"{part}: done in {results.seconds[part]:.0f} s")
    return results


def _started(names: Sequence[str], runs: TrainedRuns, path: Path, sizes: Sizes, facts: dict[str, Any]) -> PanelResults:
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(sizes).items()}
    new = PanelResults(facts["command"], facts["environment"], [*names, *(run.name for run in runs)], settings)
    if not path.exists():
        return new
    old = PanelResults.load(path)
    if (old.names, old.settings) != (new.names, new.settings):
        raise InputError("it has other mechanisms or sizes: choose another --out-dir, or --overwrite", where=path)
    return old


def _reach(results: PanelResults, names: Sequence[str], runs: TrainedRuns, sizes: Sizes, say: Say) -> PanelResults:
    rows = []
    for mechanism in _mechanisms(names, sizes.narrow):
        if not mechanism.materialised:  # which has the same gradients
            say(f"reach: {mechanism.name}")
            rows.append(mechanism_reach(mechanism, sizes.reach_length, sizes.sequences, sizes.seed))
    for run in runs:
        say(f"reach: {run.name}")
        sampled = Sampled(sizes.labels, sizes.sequences, sizes.seed)
        rows.append(initial_reach(run.name, run.task, run.part, sampled, run.seed))
        rows.append(trained_reach(run.name, run.task, run.part, sampled))
    return replace(results, reach=rows)


def _serial(results: PanelResults, names: Sequence[str], runs: TrainedRuns, sizes: Sizes, say: Say) -> PanelResults:
    rows = []
    for mechanism in [*_mechanisms(names, sizes.narrow), *(one for run in runs for one in run.mechanisms())]:
        say(f"serial: {mechanism.name}")
        rows += mechanism_chains(mechanism, sizes.serial_lengths)
    return replace(results, serial=rows)


def _growth(results: PanelResults, names: Sequence[str], runs: TrainedRuns, sizes: Sizes, say: Say) -> PanelResults:
    timing = Timing(sizes.rounds, longest_s=sizes.longest_s)
    own = [one for run in runs for one in run.mechanisms()]
    mechanisms = {one.name: one for one in [*_mechanisms(names, sizes.d_model), *own]}
    costs = measure_costs(list(mechanisms.values()), sizes.lengths, timing, on_row=lambda row: say(f"growth: {row}"))
    checked = []
    predictions = predict(costs)
    for prediction in predictions[: sizes.checks]:
        say(f"growth: {prediction.cheaper} against {prediction.other}, {prediction.phase}, at {prediction.length:.0f}")
        checked.append(check_crossover(prediction, mechanisms, measured_ratio(timing)))
    return replace(results, growth=costs, crossovers=[*checked, *map(unchecked, predictions[sizes.checks :])])


def _saturation(results: PanelResults, names: Sequence[str], runs: TrainedRuns, sizes: Sizes, say: Say) -> PanelResults:
    rows: list[Saturation] = []
    if names:
        say("saturation: by d_k and by layer")
        rows += by_width(sizes.keys, seed=sizes.seed) + by_depth(sizes.keys, sizes.d_model, sizes.layers, sizes.seed)
    for run in (run for run in runs if run.layers is not None):
        say(f"saturation: {run.name}")
        with evaluating(run.model):
            x = _embedded(run)
            row = by_layer(run.name, run.layers, partial(run.layers, x), x.shape[1])
        rows += [] if row is None else [row]
    return replace(results, saturation=rows)


def _recall(results: PanelResults, names: Sequence[str], runs: TrainedRuns, sizes: Sizes, say: Say) -> PanelResults:
    training, rows = RecallTraining(steps=sizes.recall_steps), []
    curve = partial(recall_curve, sizes=sizes.recall_pairs, widths=sizes.recall_widths, seeds=(sizes.seed,))
    for task in sizes.recall_tasks:
        for name in names:
            if name in SELF_MIXERS:  # not those that read a memory or both sides, nor weights that are formed
                say(f"recall: {name}" if task == "recall" else f"recall: {name}, {task}")
                rows += curve(name, task=task, training=training)
    losses = []
    for run in runs:
        if isinstance(run.model, Decoder):
            say(f"recall: {run.name}")
            losses.append(context_loss(run.name, run.task, run.part, run.train, sizes.texts))
    contexts = [one.result for one in losses]
    return replace(results, recall=rows, contexts=contexts, gaps=context_gaps(losses))


@torch.no_grad()
def _embedded(run: TrainedRun) -> Tensor:
    """A batch of embedded inputs, cut to the shortest one; a row of several documents is read as one."""
    batch, _ = next(run.task.batches(run.part, seed=0).stream(START))
    batch = batch.to(run.task.device)
    if isinstance(run.model, Decoder):
        return run.model.embedding(batch.tokens)
    x, mask = run.model.front_end(batch.source, batch.source_mask)
    return x if mask is None else x[:, : int(mask.sum(1).min())]


def _mechanisms(names: Sequence[str], d_model: int) -> list[Mechanism]:
    return find_mechanisms(names, d_model) if names else []


PARTS: dict[PanelPart, Callable[..., PanelResults]] = {
    "reach": _reach,
    "serial": _serial,
    "growth": _growth,
    "saturation": _saturation,
    "recall": _recall,
}
