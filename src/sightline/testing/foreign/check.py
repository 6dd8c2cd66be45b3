"""Hold somebody else's module to the laws: `check_foreign`."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal, final, get_args

import torch

from sightline.core.errors import InputError
from sightline.core.json_text import finite
from sightline.core.suggest import unknown
from sightline.testing.foreign.adapter import Adapter, NotOffered, Offers
from sightline.testing.foreign.laws import FOREIGN_LAWS
from sightline.testing.foreign.subject import AdapterFault, Difference, ForeignSubject

SCHEMA_VERSION = 1

CellOutcome = Literal["holds", "violated", "refused", "not offered"]


@final
@dataclass(frozen=True)
class LawCell:
    """One law over one subject.

    holds: every difference is within the tolerance; violated: `error` is the largest, `position` the first one beyond,
        and `detail` says what is infinite about an infinite one
    refused: the subject raised; `detail` has the error's class and first line, and the line of code
    not offered: by its documentation; `detail` says what
    """

    law: str
    outcome: CellOutcome
    error: float | None = None
    position: int | None = None
    detail: str = ""

    def __str__(self) -> str:
        if self.outcome == "violated":
            place = "" if self.position is None else f", from position {self.position} on"
            return f"{self.law}: violated, {self.error:.1e}{place}{self.detail and f': {self.detail}'}"
        if self.outcome == "holds":
            return f"{self.law}: holds, {self.error:.1e}"
        return f"{self.law}: {self.outcome}: {self.detail}"


@final
@dataclass(frozen=True)
class ForeignReport:
    """The laws over one subject."""

    subject: str
    package: str
    version: str
    tolerance: float
    cells: tuple[LawCell, ...]

    @property
    def failures(self) -> tuple[LawCell, ...]:
        """The cells that are violated, and a control that does not hold. Other refusals do not count."""
        return tuple(cell for cell in self.cells if cell.outcome == "violated" or _is_lost(cell))

    @property
    def violated(self) -> tuple[LawCell, ...]:
        return tuple(cell for cell in self.cells if cell.outcome == "violated")

    def cell(self, law: str) -> LawCell:
        """The cell of a law. Raises `InputError` for one that was not checked."""
        named = next((cell for cell in self.cells if cell.law == law), None)
        if named is None:
            raise InputError(unknown("law", law, [cell.law for cell in self.cells], cutoff=0.4))
        return named

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; an infinite error is null, with `outcome` "violated"."""
        return finite({"schema_version": SCHEMA_VERSION, **vars(self), "cells": [vars(cell) for cell in self.cells]})

    def __str__(self) -> str:
        head = f"{self.subject} ({self.package} {self.version}), tolerance {self.tolerance:.0e}"
        counts = Counter(cell.outcome for cell in self.cells)
        total = ", ".join(f"{counts[outcome]} {outcome}" for outcome in get_args(CellOutcome))
        lines = [head, *(f"  {cell}" for cell in self.cells), f"  {total}"]
        if any(map(_is_lost, self.cells)):
            lines.append("  the control does not hold: no other cell means anything")
        return "\n".join(lines)


def _is_lost(cell: LawCell) -> bool:
    return cell.law == "control" and cell.outcome != "holds"


def check_foreign(adapter: Adapter, laws: Iterable[str] | None = None, *, seeds: Iterable[int] = (0,)) -> ForeignReport:
    """The laws over a subject: see `Adapter`, and `FOREIGN_LAWS` for their names; None = all.

    A law is violated if it is with the weights and inputs of any of the seeds. The laws run without gradients, but for
    those about gradients, and as the subject is built: in evaluation mode.

    Raises:
        InputError: "unknown law 'step', did you mean 'steps'?"; "nn.LSTM: build failed: …"; "Mine has no name: …".
    """
    names = list(FOREIGN_LAWS) if laws is None else list(laws)
    for name in names:
        if name not in FOREIGN_LAWS:
            raise InputError(unknown("law", name, FOREIGN_LAWS, cutoff=0.4))
    _check_declared(adapter)
    try:
        subjects = [ForeignSubject(adapter, seed) for seed in seeds]
    except Exception as error:
        raise InputError(f"build failed: {_shown(error)}", where=adapter.name) from error
    try:
        version = metadata.version(adapter.package)
    except metadata.PackageNotFoundError:
        version = "not installed"
    with torch.no_grad():
        cells = tuple(_judged(name, subjects) for name in names)
    return ForeignReport(adapter.name, adapter.package, version, adapter.offers.tolerance, cells)


def _check_declared(adapter: Adapter) -> None:
    kind = type(adapter).__name__
    if not isinstance(getattr(adapter, "name", None), str):
        raise InputError(f'{kind} has no name: add a line such as name = "nn.LSTM"')
    if not isinstance(adapter.offers, Offers):
        raise InputError(f"{kind}: offers must be an Offers(…), found {type(adapter.offers).__name__}")


def _judged(name: str, subjects: list[ForeignSubject]) -> LawCell:
    """A law over the subject with the weights of every seed."""
    differences: list[Difference] = []
    try:
        for subject in subjects:
            differences += FOREIGN_LAWS[name].check(subject)
    except NotOffered as reason:
        return LawCell(name, "not offered", detail=str(reason))
    except AdapterFault as fault:
        raise InputError(str(fault), where=subjects[0].adapter.name) from fault
    except Exception as error:  # an `InputError` of a module of this package is one of them
        if _own(error, subjects[0].adapter):
            raise InputError(
                f"{name}: the adapter itself failed: {_shown(error)}", where=subjects[0].adapter.name
            ) from error
        return LawCell(name, "refused", detail=_shown(error))
    worst = max(differences, key=lambda difference: difference.error)
    if worst.error <= subjects[0].offers.tolerance:
        return LawCell(name, "holds", worst.error)
    places = [difference.position for difference in differences if difference.position is not None]
    return LawCell(name, "violated", worst.error, min(places, default=None), worst.detail)


def _own(error: Exception, adapter: Adapter) -> bool:
    """Whether the adapter's own line raised, not what it called."""
    fault: BaseException = error.__cause__ if isinstance(error.__cause__, StopIteration) else error
    frame = [frame for frame, _ in traceback.walk_tb(fault.__traceback__)][-1]
    name, module = frame.f_code.co_qualname, frame.f_globals.get("__name__")  # a comprehension has no `self`
    return any(name.startswith(f"{kind.__qualname__}.") and module == kind.__module__ for kind in type(adapter).__mro__)


def _shown(error: Exception) -> str:
    """The class and the first line of an error, and the line of code that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    first = (str(error).strip().splitlines() or ["no message"])[0][:200]
    return f"{type(error).__name__}: {first} ({frame.filename.rpartition('/')[2]}:{frame.lineno})"
