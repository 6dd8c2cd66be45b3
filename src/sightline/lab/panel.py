"""The bottleneck panel: reach, serial work, growth, saturation and recall of mechanisms and trained runs, by part.

Each part is written to panel.json when it is done, and a panel that was stopped continues with the next one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from sightline.core.digits import and_joined
from sightline.core.errors import InputError
from sightline.core.files import faults
from sightline.core.modes import evaluating
from sightline.core.weights import own_tensors
from sightline.lab.capacity import RecallTraining, recall_curve
from sightline.lab.context_loss import context_gaps
from sightline.lab.crossover import check_crossover, measured_ratio, predict, unchecked
from sightline.lab.forms import RunForm, Sampled, TrainedRun, run_form
from sightline.lab.growth import Timing, measure_costs
from sightline.lab.load import OthersLoad
from sightline.lab.mechanism import Mechanism, OnStop, find_mechanisms
from sightline.lab.panel_results import Chain, PanelPart, PanelResults, Phase, Reach, Saturation, Unmeasured
from sightline.lab.reach import mechanism_reach
from sightline.lab.run_saturation import run_saturation
from sightline.lab.saturation import by_depth, by_width
from sightline.lab.serial import mechanism_chains
from sightline.lab.trained_reach import initial_reach, reach_of
from sightline.models.layers import SELF_MIXERS
from sightline.models.plugins import LOADED
from sightline.tasks.load import load, part_of_run, run_config
from sightline.tasks.winner import chosen_run

FILE = "panel.json"
BUSY = 0.3  # cores that other programs keep busy, above which times are said to be wrong

Say = Callable[[str], object]
TrainedRuns = Sequence[TrainedRun]


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


def find_run(path: Path) -> TrainedRun:
    """A run with the test part of its data; of a comparison the winner.

    Raises:
        InputError: what `tasks.load.load` raises.
    """
    directory = chosen_run(path)
    task = load(directory)
    train = part_of_run(directory, "train").items if task.continues_prompts else None
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

    Parts that the file has already, of the same weights, mechanisms and sizes, are not measured again. `facts` has the
    command and the environment.

    Raises:
        InputError: "out/panel.json: has other mechanisms or sizes: replace it with --overwrite, or choose another
            --out-dir"; "… was measured before runs/lm changed: …".
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
    settings |= {"sources": sources} if (sources := _sources(names, runs)) else {}
    new = PanelResults(facts["command"], facts["environment"], [*names, *(run.name for run in runs)], settings)
    if not path.exists():
        return new
    old = PanelResults.load(path)
    if (old.names, old.settings) == (new.names, new.settings):
        return old
    problem, known = "has other mechanisms or sizes", old.settings.get("sources", {})
    if old.names == new.names and known != sources:
        changed = [name for name in {**known, **sources} if known.get(name) != sources.get(name)]
        problem = f"was measured before {and_joined(changed)} changed"
    raise InputError(f"{problem}: replace it with --overwrite, or choose another --out-dir", where=path)


def _sources(names: Sequence[str], runs: TrainedRuns) -> dict[str, str]:
    """The hash of what a name does not tell: of the weights of each run, and of the source of each plugin in use."""
    used = {name: one.source.sha256 for name, one in LOADED.items() if not {*one.mechanisms}.isdisjoint(names)}
    return used | {run.name: _weights_sha256(run.model) for run in runs}


def _weights_sha256(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in own_tensors(model).items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@final
class _Gaps:
    """What a part does not have of each run."""

    def __init__(self, part: PanelPart) -> None:
        self.part = part
        self.rows: list[Unmeasured] = []

    def form(self, run: TrainedRun) -> RunForm:
        """The run under measurement."""
        return run_form(run, partial(self.add, run.name))

    def add(self, name: str, what: str, reason: str) -> None:
        """One line."""
        row = Unmeasured(self.part, name, what, reason.removeprefix(f"{name}: "))
        if row not in self.rows:
            self.rows.append(row)

    @contextmanager
    def of(self, name: str, what: str) -> Iterator[None]:
        """A refusal inside the block is a line instead of an error."""
        try:
            yield
        except InputError as error:
            self.add(name, what, str(error))

    def stopped(self, name: str) -> OnStop:
        """A function of the phase, the length that cannot be read, and the reason."""
        return lambda phase, length, reason: self.add(name, f"{phase} from {length:,} positions on", reason)

    def added_to(self, results: PanelResults) -> list[Unmeasured]:
        """All lines."""
        return [*results.unmeasured, *self.rows]


def _reach(results: PanelResults, names: Sequence[str], runs: TrainedRuns, sizes: Sizes, say: Say) -> PanelResults:
    rows: list[Reach] = []
    gaps = _Gaps("reach")
    for mechanism in _mechanisms(names, sizes.narrow):
        if not mechanism.materialised:  # which has the same gradients
            say(f"reach: {mechanism.name}")
            rows.append(mechanism_reach(mechanism, sizes.reach_length, sizes.sequences, sizes.seed))
    for run in runs:
        say(f"reach: {run.name}")
        sampled = Sampled(sizes.labels, sizes.sequences, sizes.seed)
        with gaps.of(run.name, "gradient reach and used reach"):
            reached = reach_of(gaps.form(run), sampled)
            rows += [*initial_reach(run_form(run), sampled), *reached]
    return replace(results, reach=rows, unmeasured=gaps.added_to(results))


def _serial(results: PanelResults, names: Sequence[str], runs: TrainedRuns, sizes: Sizes, say: Say) -> PanelResults:
    rows: list[Chain] = []
    gaps = _Gaps("serial")
    for mechanism in [*_mechanisms(names, sizes.narrow), *_layers(runs, gaps, "serial work")]:
        say(f"serial: {mechanism.name}")
        stop = gaps.stopped(mechanism.name)
        phases: tuple[Phase, ...] = ("forward", "training", "decode") if mechanism.along == "all" else ("forward",)
        rows += mechanism_chains(mechanism, sizes.serial_lengths, phases, stop)
    return replace(results, serial=rows, unmeasured=gaps.added_to(results))


def _growth(results: PanelResults, names: Sequence[str], runs: TrainedRuns, sizes: Sizes, say: Say) -> PanelResults:
    timing, gaps = Timing(sizes.rounds, longest_s=sizes.longest_s), _Gaps("growth")
    own = [one for one in _layers(runs, gaps, "time and memory") if one.along == "all"]
    mechanisms = {one.name: one for one in [*_mechanisms(names, sizes.d_model), *own]}
    rows = partial(_row, say)
    costs = measure_costs(list(mechanisms.values()), sizes.lengths, timing, on_row=rows, on_stop=gaps.stopped)
    for one in own:
        if not any(cost.name == one.name and cost.phase == "decode" for cost in costs):
            gaps.add(one.name, "prefill and decoding", "one call gives the whole answer")
    checked = []
    predictions = predict(costs)
    for prediction in predictions[: sizes.checks]:
        say(f"growth: {prediction.cheaper} against {prediction.other}, {prediction.phase}, at {prediction.length:.0f}")
        try:
            checked.append(check_crossover(prediction, mechanisms, measured_ratio(timing)))
        except ValueError:  # a length around the prediction cannot be read
            checked.append(unchecked(prediction))
    crossovers = [*checked, *map(unchecked, predictions[sizes.checks :])]
    return replace(results, growth=costs, crossovers=crossovers, unmeasured=gaps.added_to(results))


def _row(say: Say, row: str) -> None:
    say(f"growth: {row}")


def _layers(runs: TrainedRuns, gaps: _Gaps, what: str) -> list[Mechanism]:
    """The layers of all runs as mechanisms."""
    layers: list[Mechanism] = []
    for run in runs:
        with gaps.of(run.name, what):
            layers += gaps.form(run).mechanisms()
    return layers


def _saturation(results: PanelResults, names: Sequence[str], runs: TrainedRuns, sizes: Sizes, say: Say) -> PanelResults:
    rows: list[Saturation] = []
    gaps = _Gaps("saturation")
    if names:
        say("saturation: by d_k and by layer")
        rows += by_width(sizes.keys, seed=sizes.seed) + by_depth(sizes.keys, sizes.d_model, sizes.layers, sizes.seed)
    for run in runs:
        say(f"saturation: {run.name}")
        with gaps.of(run.name, "saturation"):
            rows += run_saturation(run, partial(gaps.add, run.name))
    return replace(results, saturation=rows, unmeasured=gaps.added_to(results))


def _recall(results: PanelResults, names: Sequence[str], runs: TrainedRuns, sizes: Sizes, say: Say) -> PanelResults:
    training, rows = RecallTraining(steps=sizes.recall_steps), []
    curve = partial(recall_curve, sizes=sizes.recall_pairs, widths=sizes.recall_widths, seeds=(sizes.seed,))
    for task in sizes.recall_tasks:
        for name in names:
            if name in SELF_MIXERS:  # not those that read a memory or both sides, nor weights that are formed
                say(f"recall: {name}" if task == "recall" else f"recall: {name}, {task}")
                rows += curve(name, task=task, training=training)
    gaps, pasts = _Gaps("recall"), []
    for run in runs:
        say(f"recall: {run.name}")
        with gaps.of(run.name, "memory of the past"), evaluating(run.model):
            pasts.append(gaps.form(run).past(sizes.texts))
    contexts = [one for past in pasts for one in past.contexts]
    return replace(
        results,
        recall=rows,
        contexts=[one.result for one in contexts],
        gaps=context_gaps(contexts),
        losses=[one for past in pasts for one in past.losses],
        states=[one for past in pasts for one in past.states],
        unmeasured=gaps.added_to(results),
    )


def _mechanisms(names: Sequence[str], d_model: int) -> list[Mechanism]:
    return find_mechanisms(names, d_model) if names else []


PARTS: dict[PanelPart, Callable[..., PanelResults]] = {
    "reach": _reach,
    "serial": _serial,
    "growth": _growth,
    "saturation": _saturation,
    "recall": _recall,
}
