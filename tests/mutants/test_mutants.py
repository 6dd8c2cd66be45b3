"""Every planted bug is seen by the laws named beside it, and every law sees some bug."""

from __future__ import annotations

import re

import pytest

from sightline.mixers import MIXERS
from sightline.testing import LAWS, LawResult, Subject, run_law
from sightline.testing.reference import find_initial, find_reference
from tests.unchecked import unchecked

from . import attention, blocks, field, linear_family, recurrences, sparse, transforms  # noqa: F401 (importing them registers their bugs)
from .planting import MUTANTS, Mutant


def subject(config) -> Subject:
    return Subject(config, reference=find_reference(config), initial=find_initial(config))


def run(law: str, config) -> LawResult:
    """The law, not a check of shapes, is to see the bug."""
    with unchecked():
        return run_law(law, subject(config))


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.bug.replace(" ", "-"))
def test_killed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        mutant.plant(patch)
        found = {law: run(law, mutant.config) for law in mutant.laws}
    survived = [str(result) for result in found.values() if result.passed is not False]
    assert not survived
    # A bug is seen by what it gives; an exception would only show that it was planted badly.
    assert not [str(result) for result in found.values() if re.match(r"\w+(Error|Warning): ", result.detail)]


# These two take seconds, and run without any bug in `.ci/run` and tests/contract.
CHEAP = [law for law in LAWS if law not in ("long and large", "compiled = eager")]


IN_THE_TABLE = {config for kind in MIXERS.values() for config in (kind(), *kind.examples())}  # tests/contract has them


@pytest.mark.slow
@pytest.mark.parametrize("law", CHEAP)
def test_holds_without_a_bug(law: str) -> None:
    configs = dict.fromkeys(mutant.config for mutant in MUTANTS if law in mutant.laws)
    for config in [config for config in configs if config not in IN_THE_TABLE]:
        result = run(law, config)
        assert result.passed, str(result)


# The laws of long sequences and of training mode exist for bugs that no other law can see.
APART = ("across blocks", "training mode")


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [one for one in MUTANTS if set(one.laws) <= set(APART)], ids=lambda one: one.bug)
def test_no_other_law_sees_it(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        mutant.plant(patch)
        results = [run(law, mutant.config) for law in CHEAP if law not in APART]
    assert not [str(result) for result in results if result.passed is False]


def test_every_law_kills() -> None:
    assert {law for mutant in MUTANTS for law in mutant.laws} == set(LAWS)


def test_every_mechanism_has_a_planted_bug() -> None:
    assert {type(mutant.config) for mutant in MUTANTS} == set(MIXERS.values())


def test_no_bug_is_planted_twice() -> None:
    bugs = [mutant.bug for mutant in MUTANTS]
    assert sorted(set(bugs)) == sorted(bugs)
