"""Running claims: the table, resuming, what is stored."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest

from sightline.core.errors import InputError
from sightline.core.sourced import number_spans, sourced, with_sources
from sightline.lab.claims import CLAIMS, run
from sightline.lab.claims.claim import Claim, Effort
from sightline.lab.claims.numbers import in_words, of_number, placed
from sightline.lab.claims.results import (
    ClaimChart,
    ClaimCurve,
    ClaimNumber,
    ClaimOutcome,
    ClaimResult,
    ClaimsResults,
)
from sightline.lab.claims.run import FILE, find_claims, run_claims

FACTS = {"command": "sightline claims", "environment": {}}
CALLS: list[str] = []


def measure(effort: Effort) -> ClaimResult:
    """A claim for tests.

    Rule: holds always,
    on two lines.

    Not a rule.
    """
    CALLS.append(effort.directory.name)
    return ClaimResult("holds", "One.", [ClaimNumber("one", 1.0, 0.5, float("nan"), "s", 3)])


def told_claim(effort: Effort) -> ClaimResult:
    """A claim whose sentence has a number by its name, and one of a chart.

    Rule: holds if so, otherwise it does not hold.
    """

    def judge() -> tuple[ClaimOutcome, str]:
        last = sourced("4", ("charts", 0, "curves", 0, "y", -1))
        return "holds", f"{in_words(ratio)} times, {last} ms; {of_number('ratio', '7', 'n')} rows."

    ratio = ClaimNumber("ratio", 0.25, 0.2, 0.3, n=7)
    chart = ClaimChart("Time", "n", "ms", [ClaimCurve("lstm", [64.0, 128.0], [2.0, 4.0])])
    return ClaimResult(*placed(judge), numbers=[ClaimNumber("other", 1.0), ratio], charts=[chart])


def test_the_places_of_the_numbers_of_a_sentence_are_stored_beside_it(monkeypatch):
    monkeypatch.setattr(Claim, "_function", lambda self: told_claim)
    result = Claim("C1", "One is one.", "Counted.", "tests:measure").measure(Effort())
    assert result.measured == "0.25 (0.20 to 0.30) times, 4 ms; 7 rows."
    assert {result.measured[one.start : one.end]: one.at for one in result.places} == {
        "0.25": ["/numbers/1/value"], "0.20": ["/numbers/1/low"], "0.30": ["/numbers/1/high"],
        "4": ["/charts/0/curves/0/y/1"], "7": ["/numbers/1/n"],
    }  # fmt: skip
    with with_sources():
        text = result.text_with_places(("results", 2))
    plain, spans = number_spans(text)
    assert plain == result.measured
    assert ("results", "2", "charts", "0", "curves", "0", "y", "1") in [place for *_, of, _ in spans for place in of]


def test_a_sentence_with_a_number_that_the_claim_does_not_have_is_refused():
    with with_sources():
        text = of_number("ratio", "7")
    with pytest.raises(ValueError, match="nothing known at /numbers/ratio/value"):
        ClaimResult("holds", text, [ClaimNumber("other", 1.0)]).with_places()


@pytest.fixture
def claim(monkeypatch):
    CALLS.clear()
    monkeypatch.setattr(Claim, "_function", lambda self: measure)
    return Claim("C1", "One is one.", "Counted.", "tests:measure")


def test_the_claims_are_those_of_the_ledger_in_its_order():
    assert [claim.name for claim in CLAIMS] == [f"C{i}" for i in range(1, 21)]


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim.function], ids=lambda claim: claim.name)
def test_each_measurement_states_its_rule(claim):
    rule = claim.saying().rule
    assert "olds if" in rule
    assert "does not hold" in rule


def test_claims_are_chosen_by_name_in_the_order_of_the_table():
    assert [claim.name for claim in find_claims(["c5", "C1"])] == ["C1", "C5"]
    assert len(find_claims([])) == 20
    with pytest.raises(InputError, match="unknown claim 'C21', did you mean 'C2"):
        find_claims(["C21"])


def test_a_result_of_the_same_settings_is_not_measured_again(claim, tmp_path):
    first = run_claims([claim], tmp_path, Effort(quick=True), FACTS)
    again = run_claims([claim], tmp_path, Effort(quick=True), FACTS)
    assert CALLS == ["C1"]
    assert again.results == ClaimsResults.load(tmp_path / FILE).results
    assert first.results[0].numbers[0].high != first.results[0].numbers[0].high  # NaN here, null in the file
    assert again.results[0].numbers[0].high is None
    assert first.sayings[0].rule == "Holds always, on two lines."
    assert first.results[0].command == "sightline claims C1 --quick"


def test_other_settings_are_refused(claim, tmp_path):
    run_claims([claim], tmp_path, Effort(quick=True), FACTS)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(InputError) as refused:
        run_claims([claim], tmp_path, Effort(seed=1, seeds=3, devices=("cpu", "cuda"), threads=2), FACTS)
    assert str(refused.value) == (
        f"{tmp_path / FILE}: was measured in the quick form and with seed 0 and with 1 thread and on cpu, not in the "
        "full form and with seed 1 and with 2 threads and on cpu and cuda: replace it "
        "with --overwrite, or choose another --out-dir"
    )
    assert (tmp_path / FILE).read_bytes() == before


def test_overwrite_measures_the_named_claims_again_and_keeps_the_others(claim, tmp_path):
    other = replace(claim, name="C2")
    run_claims([claim, other], tmp_path, Effort(quick=True), FACTS)
    again = run_claims([other], tmp_path, Effort(quick=True), FACTS, overwrite=True)
    assert CALLS == ["C1", "C2", "C2"]
    assert [one.claim for one in again.results] == ["C1", "C2"]
    assert [one.claim for one in run_claims([other], tmp_path, Effort(), FACTS, overwrite=True).results] == ["C2"]
    (tmp_path / FILE).write_text("{")
    assert len(run_claims([claim], tmp_path, Effort(), FACTS, overwrite=True).results) == 1


def test_a_run_says_what_is_measured_already_and_how_long_the_rest_takes(claim, tmp_path):
    lines = []
    claims = [replace(claim, name=name, quick_s=50, full_s=400) for name in ("C1", "C2", "C3")]
    run_claims(claims, tmp_path, Effort(quick=True, say=lines.append), FACTS)
    assert lines[0] == "3 claims to measure, about 3 minutes on two idle cores in the quick form: C1, C2, C3"
    assert lines[1] == "C1 (1 of 3): Counted."
    assert re.fullmatch(r"C1: holds \(\d+ s\)", lines[2])
    assert lines[-2] == "C3 (3 of 3): Counted."
    lines.clear()
    run_claims([*claims, replace(claim, name="C4", quick_s=10)], tmp_path, Effort(quick=True, say=lines.append), FACTS)
    assert lines[:2] == [
        f"{tmp_path / FILE}: 3 claims measured before: C1, C2, C3",
        "1 claim to measure, about 1 minute on two idle cores in the quick form: C4",
    ]
    lines.clear()
    run_claims(claims, tmp_path, Effort(quick=True, say=lines.append), FACTS)
    assert lines[1:] == ["all these claims are measured; --overwrite measures them again"]


def test_all_claims_together_take_an_hour_or_ten_minutes_at_most():
    assert 20 * 60 < sum(claim.full_s for claim in CLAIMS) <= 3600
    assert 5 * 60 < sum(claim.quick_s for claim in CLAIMS) <= 600


def test_a_claim_that_was_not_measured_is_tried_again(claim, tmp_path, monkeypatch):
    missing = run_claims([Claim("C1", "One is one.", "Counted.")], tmp_path, Effort(), FACTS)
    assert missing.results[0].outcome == "not measured"
    assert missing.results[0].measured == run.NOT_YET
    assert run_claims([claim], tmp_path, Effort(), FACTS).results[0].outcome == "holds"


def test_another_schema_is_refused(tmp_path):
    (tmp_path / FILE).write_text('{"schema_version": 7}')
    with pytest.raises(InputError, match=re.escape("expected schema_version 1, found 7")):
        ClaimsResults.load(tmp_path / FILE)


@pytest.mark.slow
def test_the_table_and_the_page_need_no_torch():
    script = "import sys, sightline.report.claims, sightline.lab.claims.run; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
