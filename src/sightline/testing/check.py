"""Run the laws over one configuration."""

from __future__ import annotations

import math
import sysconfig
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sightline.core.errors import InputError
from sightline.core.suggest import unknown
from sightline.testing.conditioning import conditioned
from sightline.testing.findings import Finding, worst
from sightline.testing.laws import LAWS
from sightline.testing.reference import find_initial, find_reference
from sightline.testing.report import LawResult, Report
from sightline.testing.subject import NotApplicable, Reference, Subject


def check_mixer(
    config: Any,
    *,
    d_model: int | None = None,
    laws: Iterable[str] | None = None,
    reference: Reference | None = None,
    full: bool = False,
) -> Report:
    """The laws over `config.build(d_model)`, a `SequenceMixer` or `SequenceEncoder`, from this package or your own.

    config is a (frozen) dataclass with `build(d_model)`; d_model None = 12, or the next larger width that the config
    accepts. A mixer that reads a memory says so by its attributes
    `d_memory` and `d_summary`. `laws` are names out of `sightline.testing.LAWS`, None = all.
    `reference(config, parameters, x, mask, starts, memory)` is an independent implementation on float64 numpy arrays
    that returns outputs (B, T, d_out); mechanisms of `sightline.mixers.MIXERS` have theirs in a source checkout.
    `full` takes slow mechanisms along all 65,536 positions, where they otherwise stop after some seconds.
    Uninitialised memory is filled with NaN while the laws run.

    Raises `InputError`, such as `unknown law 'purety', did you mean 'purity of states'?`.
    """
    if not callable(getattr(config, "build", None)):
        raise InputError(f"a config is a dataclass instance with build(d_model), got {config!r}")
    names = list(LAWS) if laws is None else [known_law(name) for name in laws]
    initial = find_initial(config) if reference is None else None
    subject = Subject(config, d_model, reference or find_reference(config), initial, full)
    return Report(config, subject.d_model, tuple(run_law(name, subject) for name in names))


def known_law(name: str) -> str:
    """The name; `InputError` with the nearest one if no law has it."""
    if name in LAWS:
        return name
    raise InputError(unknown("law", name, LAWS, cutoff=0.4))


def run_law(name: str, subject: Subject) -> LawResult:
    """One law; an exception in the mechanism is a failure, and its text the detail."""
    return judge(name, lambda: conditioned(LAWS[name], subject, list(LAWS[name](subject))))


def judge(name: str, find: Callable[[], Iterable[Finding]]) -> LawResult:
    """The result of the law `name`, whose findings `find` returns."""
    began = time.monotonic()

    def result(passed: bool | None, error: float, tolerance: float, detail: str) -> LawResult:
        return LawResult(name, passed, error, tolerance, detail, time.monotonic() - began)

    try:
        with poisoned_memory():
            finding = worst(find())
    except NotApplicable as reason:
        return result(None, 0.0, 0.0, str(reason))
    except Exception as error:
        text = (str(error).strip() or "no message").splitlines()[0]
        return result(False, math.inf, 0.0, f"expected a result, got {type(error).__name__}: {text}{_origin(error)}")
    if finding is None:
        return result(None, 0.0, 0.0, "nothing to compare")
    return result(finding.holds, finding.error, finding.tolerance, finding.what)


def _origin(error: Exception) -> str:
    """The line that an error comes from: the last one of the user's own code, else of this package without the laws."""
    testing, paths = Path(__file__).parent, sysconfig.get_paths()
    others = (Path(paths["purelib"]), Path(paths["stdlib"]))
    frames = traceback.extract_tb(error.__traceback__)
    for apart in ((testing.parent, *others), (testing, *others)):
        own = [frame for frame in frames if not any(Path(frame.filename).is_relative_to(one) for one in apart)]
        if own:
            return f" ({Path(own[-1].filename).name}:{own[-1].lineno})"
    return ""


@contextmanager
def poisoned_memory() -> Iterator[None]:
    """Fill what `torch.empty` and its kin hand out with NaN, so that reading before writing shows."""
    options: Any = torch.utils.deterministic
    deterministic, filled = torch.are_deterministic_algorithms_enabled(), options.fill_uninitialized_memory
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    options.fill_uninitialized_memory = True
    try:
        yield
    finally:
        options.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
