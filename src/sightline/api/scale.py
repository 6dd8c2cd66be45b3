"""A ladder of sizes from Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from sightline.core.config import override
from sightline.core.settings import keys_of, spelled
from sightline.data.rows.given import PAIR
from sightline.lab.directory import LADDER_OF_SIZES, free_directory, occupied
from sightline.lab.plan import CompareConfig
from sightline.lab.progress import Display
from sightline.lab.scaling import ScaleConfig
from sightline.lab.scaling import scale as run_ladder
from sightline.lab.scaling_results import ScaleResults
from sightline.models.plugins import LOADED, load_plugins
from sightline.report.scaling import write_scaling_pages
from sightline.tasks.defaults import compared
from sightline.tasks.given import given_data
from sightline.tasks.infer import task_for
from sightline.tasks.table import task_class

_LADDER = ("smallest", "ratio", "sizes", "held_out", "margin")
_COMPARISON = frozenset(keys_of(CompareConfig)) - {"task", "data", "archs", "budget", "settings", "match"}


def scale(
    data: Any,
    task: str | None = None,
    archs: Sequence[str] | str | None = None,
    budget: str = "2Mtok",
    *,
    out_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    quiet: bool = False,
    **keys: Any,
) -> ScaleResults:
    """Train architectures at several sizes under the same budget, and fit how fast their loss falls with size.

    Data is given as to `sightline.fit`, `archs` as to `sightline.compare`. `budget` is that of each run at every size,
    in tokens or training FLOPs. `keys` are the flags of `sightline scale` (`smallest`, `ratio`, `sizes`, `held_out`,
    `seeds`, `seed`, `plugin`, `search`, `rates`, `metric`, `tested`, `workers`, `device`, `dtype`), `margin` (exponents
    that differ by no more are practically the same), and keys of the task's configuration; those with dots are in
    `settings`. `out_dir`, by default a new directory in `runs`, gets scale.html, scale.json and a comparison for each
    size.

        laws = sightline.scale("texts/*.txt", archs=["lstm", "transformer"], budget="2Mtok")
        laws.verdict
        laws.law("transformer").law.exponent
        laws.pair("lstm", "transformer").difference

    Raises:
        InputError: wrong data, architectures, sizes or budget; `out_dir` contains a ladder.
        EnvironmentFault, Interrupted: as `sightline.lab.compare.compare`; NoRunFinished: every run failed.
    """
    pair = PAIR if task is None else task_class(task, where="task").pair
    stem = Path(str(data).split(",")[0]).stem if isinstance(data, str | Path) else "table"
    directory = Path(out_dir) if out_dir else free_directory(Path("runs"), f"scale-{stem}")
    with given_data(directory, pair, data=data) as given:
        task = task or task_for(given.paths["data"])
        own = {key: value for key, value in keys.items() if key in _COMPARISON}
        ladder = {key: value for key, value in keys.items() if key in _LADDER}
        shared = {key: value for key, value in keys.items() if key not in _COMPARISON and key not in _LADDER}
        load_plugins(own.get("plugin"))
        own["plugin"] = [plugin.source.again for plugin in LOADED.values()]
        names = [name.strip() for name in archs.split(",")] if isinstance(archs, str) else archs or compared(task)
        base = CompareConfig(task=task, data=given.paths["data"], settings={**(settings or {}), **shared})
        config = ScaleConfig(override(base, {"archs": list(names), "budget": budget, **own}), **ladder)
        how: dict[str, Any] = {"command": _command(config), "overwrite": overwrite, "resume": resume}
        with occupied(directory, overwrite=overwrite or resume, what=LADDER_OF_SIZES):
            results = run_ladder(config, directory, display=Display(quiet=quiet), **how)
            write_scaling_pages(results, directory)
        return results


def _command(config: ScaleConfig) -> str:
    """The command line that makes the same ladder."""
    one, usual = config.comparison, CompareConfig()
    values: dict[str, Any] = {"task": one.task, "data": one.data, "archs": ",".join(one.archs), "budget": one.budget}
    values |= {key: getattr(config, key) for key in _LADDER if key != "margin"}
    values |= {key: getattr(one, key) for key in sorted(_COMPARISON) if getattr(one, key) != getattr(usual, key)}
    values["seeds"] = one.seeds
    plugins = [("--plugin", named) for named in values.pop("plugin", ())]
    flags = [(f"--{key.replace('_', '-')}", spelled(value)) for key, value in {**values, **one.settings}.items()]
    return shlex.join(["sightline", "scale", *chain.from_iterable([*plugins, *flags])])
