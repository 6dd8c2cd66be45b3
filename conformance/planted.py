"""A fault planted in a subject, which a law must see: a check of the adapter and of the harness, not of the library."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from torch import Tensor

from sightline.testing.foreign import Adapter, ForeignReport, check_foreign


class Planted(NamedTuple):
    """A planted fault and what saw it.

    fault: what the module does wrong; seen: "no law left" where not even the control holds without the fault
    laws: those that hold for the subject and are violated with the fault
    """

    fault: str
    seen: Literal["yes", "no", "no law left"]
    laws: list[str]


class _Wrapped(Adapter):
    """A subject with a fault around it."""

    fault: str
    could_see: tuple[str, ...]

    def __init__(self, adapter: Adapter) -> None:
        self.adapter, self.name, self.package, self.offers = adapter, adapter.name, adapter.package, adapter.offers

    def build(self, seed: int) -> Any:
        return self.adapter.build(seed)

    def initial_state(self, model: Any, batch: int) -> Any:
        return self.adapter.initial_state(model, batch)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return self.adapter.select(model, state, rows)

    def clone(self, state: Any) -> Any:
        return self.adapter.clone(state)


class DropsLast(_Wrapped):
    """Its state never takes in the last positions of a call, as few as a call may have."""

    fault = "the state lacks the last token of every call"
    could_see = ("steps", "prompt, then steps", "chunks 5 + 8", "chunks 5 + 1 + 7", "fork", "two in turn")

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        given = {"mask": mask, "starts": starts}
        kept = self.adapter.clone(state)
        y, _ = self.adapter.forward(model, x, state, **given)
        rest = x.shape[1] - self.offers.chunk
        if rest < self.offers.chunk:
            return y, kept
        shorter = {name: None if value is None else value[:, :rest] for name, value in given.items()}
        return y, self.adapter.forward(model, x[:, :rest], kept, **shorter)[1]

    def step(self, model: Any, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        kept = self.adapter.clone(state)
        return self.adapter.step(model, x, state)[0], kept


class MixesRows(_Wrapped):
    """Its outputs have something of those of other rows."""

    fault = "outputs have a tenth of those of the row before"
    could_see = ("rows",)

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        y, after = self.adapter.forward(model, x, state, mask, starts)
        return y + 0.1 * y.roll(1, 0), after


class Drifts(_Wrapped):
    """Each call gives a little more than the one before."""

    fault = "outputs grow by a hundredth from call to call"
    could_see = ("control",)
    calls = 0

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        y, after = self.adapter.forward(model, x, state, mask, starts)
        self.calls += 1
        return y * (1 + 0.01 * self.calls), after


def planted(adapter: Adapter, report: ForeignReport) -> Planted:
    """A fault under the laws that hold for the subject without it: of the state, if one of them could see that."""
    state = [] if adapter.offers.state == "none" else [DropsLast(adapter)]
    faults: list[_Wrapped] = [*state, MixesRows(adapter), Drifts(adapter)]
    for wrapped in faults:
        laws = [law for law in wrapped.could_see if report.cell(law).outcome == "holds"]
        if laws:
            seen = [cell.law for cell in check_foreign(wrapped, laws).violated]
            return Planted(wrapped.fault, "yes" if seen else "no", seen)
    return Planted(faults[0].fault, "no law left", [])
