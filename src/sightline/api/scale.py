"""A ladder of sizes from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.api.compare import command_of, configured, names_of, new_directory
from sightline.api.resume import check_resume
from sightline.core.config import override
from sightline.core.spelling import as_arguments
from sightline.lab.directory import LADDER_OF_SIZES, occupied
from sightline.lab.progress import Display
from sightline.lab.scaling import ScaleConfig
from sightline.lab.scaling import scale as run_ladder
from sightline.lab.scaling_results import ScaleResults
from sightline.report.scaling import write_scaling_pages

_LADDER = ("smallest", "ratio", "sizes", "held_out", "margin")


def scale(
    data: Any,
    task: str | None = None,
    archs: Sequence[str] | str | None = None,
    budget: str = "2Mtok",
    *,
    valid: Any = None,
    test: Any = None,
    out_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    cluster: str | None = None,
    quiet: bool = False,
    **keys: Any,
) -> ScaleResults:
    """Train architectures at several sizes under the same budget, and fit how fast their loss falls with size.

    Data is given as to `sightline.fit`, `archs` as to `sightline.compare`. `budget` is that of each run at every size,
    in tokens or training FLOPs. `keys` are the flags of `sightline scale` (`smallest`, `ratio`, `sizes`, `held_out`,
    `seeds`, `seed`, `plugin`, `search`, `rates`, `metric`, `tested`, `workers`, `device`, `dtype`, `log`), `margin`
    (exponents that differ by no more are practically the same), and keys of the task's configuration; those with dots
    are in `settings`. `out_dir`, by default a new directory in `runs`, gets scale.html, scale.json and a comparison for
    each size. `cluster` is as in `sightline.compare`.

        laws = sightline.scale("texts/*.txt", archs=["lstm", "transformer"], budget="2Mtok")
        laws.verdict
        laws.law("transformer").law.exponent
        laws.pair("lstm", "transformer").difference

    Raises:
        InputError: wrong data, architectures, sizes or budget; `out_dir` contains a ladder; `resume` without `out_dir`
            or with `overwrite`.
        EnvironmentFault, Interrupted: as `sightline.lab.compare.compare`; NoRunFinished: every run failed.
    """
    check_resume(out_dir, resume=resume, overwrite=overwrite, what="ladder of sizes")
    directory = new_directory(out_dir, data, "scale")
    ladder = {key: keys.pop(key) for key in _LADDER if key in keys}
    with configured(directory, task, settings, keys, data=data, valid=valid, test=test) as base:
        config = ScaleConfig(override(base, {"archs": names_of(archs, base.task), "budget": budget}), **ladder)
        own = {key: getattr(config, key) for key in _LADDER if key != "margin"}  # the command has no flag for it
        command = command_of("scale", config.comparison, seeds=config.comparison.seeds, **own)
        how: dict[str, Any] = {"command": command, "overwrite": overwrite, "resume": resume, "cluster": cluster}
        with occupied(directory, overwrite=overwrite or resume, what=LADDER_OF_SIZES):
            results = run_ladder(config, directory, display=Display(quiet=quiet), **how)
            write_scaling_pages(results, directory)
        return _as_python(results)


def _as_python(results: ScaleResults) -> ScaleResults:
    """The results with arguments of Python in what they say; scale.json and its page have flags."""
    laws = [replace(law, note=as_arguments(law.note)) for law in results.laws]
    warnings = [as_arguments(warning) for warning in results.warnings]
    return replace(results, laws=laws, verdict=as_arguments(results.verdict), warnings=warnings)
