"""The size of a ladder's rungs before they are trained, and the cost of their layers at a length of its own."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from sightline.core.cpu_clock import CpuClock
from sightline.lab.growth import PreparedPhase, prepare
from sightline.lab.job_runs import built_for, run_config
from sightline.lab.ladder import Lineage
from sightline.lab.ladder_results import LayerCosts
from sightline.lab.mechanism import BuiltModule, Mechanism
from sightline.lab.plan import CompareConfig
from sightline.lab.serial import count_chain
from sightline.models.layers import LayersConfig
from sightline.tasks.table import task_class

ROUNDS, SHORTEST_S = 7, 0.05  # of all rungs in turns; CPU seconds of a rung in a round, at least
AT_LENGTH = ("shorter chain", "faster at length", "smaller state")


@final
@dataclass(frozen=True)
class RungSize:
    """A rung before it is trained: its parameters, and its model with the width that was chosen."""

    name: str
    parameters: int
    model: Any


def rung_sizes(config: CompareConfig, names: Sequence[str]) -> list[RungSize]:
    """The sizes of rungs of a comparison, at the size that its `match` asks for; reads the data.

    Raises:
        InputError: wrong data or settings; a size that no width has.
    """
    kind = task_class(config.task)
    runs = {name: run_config(config, name) for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        data = kind.load_prepared(runs[names[0]], directory)
        data.check()
        sizes = []
        for name, run in runs.items():
            task: Any = built_for(kind, data, run, directory)
            sizes.append(RungSize(name, task.parameters, task.sizes))
    return sizes


def layer_costs(
    ladder: Lineage, sizes: Sequence[RungSize], length: int, chain_length: int, say: Callable[[str], object] = print
) -> dict[str, LayerCosts]:
    """The costs of the layers of the rungs that claims about a length compare, untrained, causal and one row long.

    Rungs whose models are not stacks of layers have none.
    """
    models = {size.name: size.model for size in sizes}
    compared = {
        name
        for rung in ladder.rungs
        for claim in rung.claims
        if claim.kind in AT_LENGTH
        for name in (claim.of or rung.name, claim.over or rung.over)
    }
    chosen = [name for name in ladder.names if name in compared and isinstance(models.get(name), LayersConfig)]
    layers = {name: BuiltModule(models[name].causal_layers()) for name in chosen}
    mechanisms = {name: Mechanism(name, built, models[name].d_model) for name, built in layers.items()}
    timed: dict[str, PreparedPhase] = {}
    states, chains = {}, {}
    for name, mechanism in mechanisms.items():
        say(f"{name}: the layers alone, at {length:,} positions")
        chain, decode = count_chain(mechanism, "training", chain_length), prepare(mechanism, "decode", length)
        step = prepare(mechanism, "training", length)
        assert chain is not None
        assert decode is not None
        assert step is not None
        chains[name], states[name], timed[name] = chain[0], decode.state_bytes, step
    rounds = in_rounds({name: step.run for name, step in timed.items()})
    return {name: LayerCosts(chains[name], rounds[name], states[name]) for name in chosen}


def in_rounds(
    runs: Mapping[str, Callable[[], object]], rounds: int = ROUNDS, shortest_s: float = SHORTEST_S
) -> dict[str, list[float]]:
    """CPU seconds of one call of each in every round, after one call each that does not count.

    Calls take turns, in alternating order, so that what changes with time meets all of them; short ones are repeated.
    """
    repeats = {}
    for name, run in runs.items():
        run()
        clock = CpuClock()
        run()
        repeats[name] = max(1, math.ceil(shortest_s / max(clock.lap(), 1e-6)))
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        order = list(runs)
        for name in order[::-1] if number % 2 else order:
            clock = CpuClock()
            for _ in range(repeats[name]):
                runs[name]()
            taken[name].append(float(f"{max(clock.lap(), 1e-9) / repeats[name]:.5g}"))
    return taken
