"""The laws over modules of other libraries: torch's obey them, planted faults do not; a cell is one of four words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from conformance.subjects.torch_modules import SUBJECTS, Attention, CausalEncoder, PackedLSTM, TorchGRU, TorchLSTM
from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.testing.foreign import FOREIGN_LAWS, Adapter, NotOffered, Offers, check_foreign

NAN = "NaN under the mask"


@pytest.mark.parametrize("kind", SUBJECTS, ids=lambda kind: kind.name)
def test_what_torch_offers_obeys_the_laws(kind: type[Adapter]) -> None:
    report = check_foreign(kind())
    assert [cell.law for cell in report.cells] == list(FOREIGN_LAWS)
    assert report.cell("control").outcome == "holds"
    # Weights of 0 times NaN: only the packed recurrence leaves out what stands there.
    expected = {NAN} if kind.offers.mask and kind is not PackedLSTM else set()
    assert {cell.law for cell in report.violated} == expected
    assert str(report) == str(check_foreign(kind()))


def test_what_torch_refuses_and_does_not_offer_is_told_apart() -> None:
    report = check_foreign(TorchLSTM())
    empty = report.cell("empty chunk")
    assert (empty.outcome, empty.detail.split(":")[0]) == ("refused", "RuntimeError")
    assert "Expected sequence length to be larger than 0" in empty.detail
    assert report.cell("left padding").detail == "a mask of padding on the left"
    assert check_foreign(CausalEncoder(), ["steps"]).cell("steps").detail == "a state"


class Summed(NamedTuple):
    total: Tensor
    mask: Tensor


class Sums(Adapter):
    """Running sums of tokens' vectors, right by construction; what derives from it plants one fault each."""

    name = "running sums"
    offers: ClassVar[Offers] = Offers("tokens", 11, 2, mask=("left", "right"), documents=True)

    def build(self, seed: int) -> Any:
        torch.manual_seed(seed)
        return nn.Embedding(11, 4).double()

    def initial_state(self, model: Any, batch: int) -> Any:
        return torch.zeros(batch, 4, dtype=torch.float64)

    def vectors(self, model: Any, x: Tensor, mask: Tensor | None) -> Tensor:
        x = model(x)
        return x if mask is None else x * mask.unsqueeze(2)

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        y = state.unsqueeze(1) + self.vectors(model, x, mask).cumsum(1)
        if starts is not None:
            begun = starts.int().cumsum(1)  # (B, T) the number of the document
            same = (begun.unsqueeze(2) == begun.unsqueeze(1)) & torch.ones(x.shape[1], x.shape[1]).tril().bool()
            y = same.double() @ self.vectors(model, x, mask)
        return y, y[:, -1] if x.shape[1] else state

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return state[rows]


class Drops(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        y, _ = super().forward(model, x, state, **how)
        return y, y[:, -2] if x.shape[1] > 1 else state


class Restarts(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        return super().forward(model, x, state if x.shape[1] == 1 else torch.zeros_like(state), **how)


class SeesNext(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        y, after = super().forward(model, x, state, **how)
        return torch.cat([y[:, 1:], y[:, -1:]], 1), after


class MixesRows(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        y, after = super().forward(model, x, state, **how)
        return y + y.mean(0), after


class WritesState(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        y, after = super().forward(model, x, state, **how)
        return y, state.copy_(after)


class InModule(Sums):
    """Keeps its state in the module."""

    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        kept = getattr(model, "kept", state) if state.any() else state
        y, model.kept = super().forward(model, x, kept, **how)
        return y, model.kept + 1.0


class SelectsNothing(Sums):
    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return state


class SeesPadding(Sums):
    def vectors(self, model: Any, x: Tensor, mask: Tensor | None) -> Tensor:
        return model(x)


class SeesDocuments(Sums):
    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return super().forward(model, x, state, mask)


class CutsGradients(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        y, after = super().forward(model, x, state, **how)
        return y, after.detach()


class OtherWhenRecording(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        y, after = super().forward(model, x, state, **how)
        return y + torch.is_grad_enabled(), after


class Counts(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        model.register_buffer("calls", getattr(model, "calls", torch.zeros(())) + 1)
        return super().forward(model, x, state, **how)


class GivesNan(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        y, after = super().forward(model, x, state, **how)
        return (y.masked_fill(y == y, float("nan")) if x.shape[1] == 5 else y), after


class Random(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        y, after = super().forward(model, x, state, **how)
        return y + torch.randn(()), after


def test_a_subject_without_a_fault_violates_nothing() -> None:
    report = check_foreign(Sums(), seeds=(0, 1))
    assert [str(cell) for cell in report.cells if cell.outcome not in ("holds", "not offered")] == []
    assert {cell.law for cell in report.cells if cell.outcome == "not offered"} == {NAN}


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (Drops, "chunks 5 + 8"), (Restarts, "chunks 5 + 1 + 7"), (SeesNext, "causality"), (MixesRows, "rows"),
        (WritesState, "state is a value"), (InModule, "two in turn"), (SelectsNothing, "selected rows"),
        (SeesPadding, "left padding"), (SeesPadding, "content under the mask"),
        (SeesPadding, "padded prompt, then steps"), (SeesDocuments, "documents"),
        (CutsGradients, "gradients through the state"), (OtherWhenRecording, "gradients recorded"),
        (Counts, "weights kept"), (GivesNan, "chunks 5 + 8"), (Random, "control"),
    ],
    ids=lambda one: one.__name__ if isinstance(one, type) else one,
)  # fmt: skip
def test_a_planted_fault_violates_its_law(kind: type[Adapter], law: str) -> None:
    assert check_foreign(kind(), [law]).cell(law).outcome == "violated"


def test_a_module_that_takes_one_position_at_a_time_is_asked_for_no_more() -> None:
    class OneByOne(Sums):
        offers: ClassVar[Offers] = Offers("tokens", 11, 2, several=False)

    report = check_foreign(OneByOne())
    assert report.cell("chunks 5 + 8").detail == "calls of several positions with a state"
    for law in ("steps", "prompt, then steps", "fork", "two in turn", "selected rows", "state is a value"):
        assert report.cell(law).outcome == "holds"


def test_nan_counts_as_an_infinite_error_and_the_first_position_is_named() -> None:
    cell = check_foreign(GivesNan(), ["chunks 5 + 8"]).cell("chunks 5 + 8")
    assert (cell.error, cell.position) == (float("inf"), 0)
    cell = check_foreign(Drops(), ["chunks 5 + 8"]).cell("chunks 5 + 8")
    assert cell.position == 5  # the first of the second call


class Windowed(Sums):
    """Of this package, with an error of its own kind."""

    name = "a window of this package"
    offers: ClassVar[Offers] = Offers("tokens", 11, 2)

    def build(self, seed: int) -> Any:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Embedding(11, 4), NoFewerThanTwo()).double()


class NoFewerThanTwo(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] < 2:
            raise InputError("expected 2 positions or more", where="x")
        return x


def test_an_input_error_of_the_module_is_a_refusal_of_one_law() -> None:
    report = check_foreign(Windowed(), ["control", "empty chunk"])
    assert report.cell("control").outcome == "holds"
    empty = report.cell("empty chunk")
    assert empty.outcome == "refused"
    assert empty.detail.startswith("InputError: x: expected 2 positions or more (test_check_foreign.py:")


def test_a_cache_that_is_updated_in_place_is_no_violation() -> None:
    class InPlace(WritesState):
        offers: ClassVar[Offers] = Offers("tokens", 11, 2, state="in place")

    report = check_foreign(InPlace(), ["state is a value", "fork"])
    assert report.cell("state is a value").outcome == "not offered"
    assert report.cell("fork").outcome == "holds"


def test_wrong_uses_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="unknown law 'step', did you mean 'steps'"):
        check_foreign(TorchGRU(), ["step"])
    with pytest.raises(InputError, match=r"tolerance = 2\.0 is not between 0 and 1"):
        Offers(tolerance=2.0)

    class Mistaken(TorchGRU):
        def forward(self, model: Any, x: Tensor, state: Any = None, *rest: Any) -> tuple[Tensor, Any]:
            return model(x)[0], {"h": state}["c"]

    with pytest.raises(InputError, match=r"nn\.GRU: steps: the adapter itself failed: KeyError: 'c'"):
        check_foreign(Mistaken(), ["steps"])

    class Unbuilt(TorchGRU):
        def build(self, seed: int) -> nn.Module:
            raise OSError("no weights")

    with pytest.raises(InputError, match=r"nn\.GRU: build failed: OSError: no weights"):
        check_foreign(Unbuilt())


def test_the_command_takes_an_adapter_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = ["from conformance.subjects.torch_modules import TorchGRU, Attention", "number = 3"]
    Path("other_modules.py").write_text("\n".join(lines), encoding="utf-8")
    assert main(["certify", "--adapter", "other_modules.py:TorchGRU"]) == 0
    assert "two in turn: holds" in capsys.readouterr().out
    assert main(["certify", "--adapter", "other_modules.py:Attention", "--json"]) == 5
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (report["passed"], report["subjects"][0]["subject"]) == (False, Attention.name)
    assert f"{Attention.name}: {NAN}: violated" in err
    for named, message in (
        ("other_modules.py", "expected module:Adapter or file.py:Adapter, found 'other_modules.py'"),
        ("other_modules.py:TorchGru", "other_modules.py has no 'TorchGru', did you mean 'TorchGRU'?"),
        ("other_modules.py:number", "is not an Adapter"),
        ("other_module.py:Mine", "no such file"),
    ):
        assert main(["certify", "--adapter", named]) == 2
        assert message in capsys.readouterr().err


def test_what_is_not_offered_is_said_by_the_adapter() -> None:
    class Refuses(Sums):
        def select(self, model: Any, state: Any, rows: Tensor) -> Any:
            raise NotOffered("a way to reorder its sums")

    assert check_foreign(Refuses(), ["selected rows"]).cell("selected rows").detail == "a way to reorder its sums"


class Pushes(Sums):
    """Padding on the right moves what is remembered on."""

    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        y, after = super().forward(model, x, state, **how)
        mask = how.get("mask")
        return y, after if mask is None else after * mask[:, -1:]


class Continues(Sums):
    """A document that a later call begins continues the one before."""

    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> tuple[Tensor, Any]:
        y, after = super().forward(model, x, state, **how)
        starts = how.get("starts")
        return (y, after) if starts is None else (y + state.unsqueeze(1), after)


@pytest.mark.parametrize(
    ("kind", "law"), [(Pushes, "padded prompt, then steps"), (Continues, "documents")], ids=["right", "later call"]
)
def test_padding_on_each_side_and_documents_of_later_calls_are_judged(kind: type[Adapter], law: str) -> None:
    assert [cell.law for cell in check_foreign(kind()).violated] == [law]


class Unseeded(Sums):
    def build(self, seed: int) -> Any:
        torch.seed()
        return nn.Embedding(11, 4).double()


class OneResult(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> Any:
        return super().forward(model, x, state, **how)[0]


class Fails(Sums):
    def forward(self, model: Any, x: Tensor, state: Any = None, **how: Any) -> Any:
        return nn.Linear(3, 3)(super().forward(model, x, state, **how)[0]), state


def test_a_control_that_does_not_hold_says_why_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with torch.random.fork_rng():
        report = check_foreign(Unseeded())
    assert report.cell("control").detail == "two modules of one seed differ: their weights must follow from the seed"
    assert str(report).splitlines()[-1] == "  the control does not hold: no other cell means anything"
    refused = check_foreign(Fails())
    assert not refused.violated
    assert [cell.law for cell in refused.failures] == ["control"]
    assert main(["certify", "--adapter", f"{__file__}:Fails", "--law", "control"]) == 5
    assert "0 holds, 0 violated, 1 refused, 0 not offered" in capsys.readouterr().out


def test_what_an_adapter_says_wrongly_is_named() -> None:
    with pytest.raises(InputError, match=r"running sums: expected \(outputs, state\) from forward, found Tensor"):
        check_foreign(OneResult())
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"inputs": "vector"}, "inputs: unknown value 'vector', did you mean 'vectors'"),
        ({"state": "inplace"}, "state: unknown value 'inplace', did you mean 'in place'"),
        ({"mask": ("middle",)}, "mask: unknown value 'middle'"),
        ({"mask": "left"}, r"mask: expected a tuple of sides, as in \('left',\), found 'left'"),
    ]
    for keys, message in wrong:
        offers = object.__new__(Offers)  # tests enforce annotations, which would refuse the words before Offers does
        vars(offers).update(vars(Offers()) | keys)
        with pytest.raises(InputError, match=message):
            offers.__post_init__()
    with pytest.raises(InputError, match="Nameless has no name"):
        check_foreign(type("Nameless", (Sums,), {"name": None})())
    with pytest.raises(InputError, match=r"NoOffers: offers must be an Offers\(…\), found NoneType"):
        check_foreign(type("NoOffers", (Sums,), {"offers": None})())
    with pytest.raises(InputError, match="unknown law 'step', did you mean 'steps'"):
        check_foreign(Sums(), ["steps"]).cell("step")


def test_the_page_has_every_law_with_its_meaning() -> None:
    page = (Path(__file__).parents[2] / "docs" / "foreign.md").read_text(encoding="utf-8")
    rows = [f"| {name} | {law.meaning} |" for name, law in FOREIGN_LAWS.items()]
    assert page.endswith("\n".join(["| law | it holds if |", "|---|---|", *rows, ""]))
