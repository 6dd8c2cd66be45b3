"""Every law over every mechanism of the table, with every example of its options."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

from sightline.mixers import MIXERS
from sightline.testing import LAWS, Subject, describe, run_law
from sightline.testing.reference import find_initial, find_reference, reference_module

EXAMPLES = [
    pytest.param(name, number, id=f"{name}-{describe(config)}".replace(" ", ","))
    for name, kind in MIXERS.items()
    for number, config in enumerate(kind.examples())
]

# Checked types cost a call each: 65,536 positions and the compiler are left to processes without them.
WITHOUT_TYPE_CHECKS = ("long and large", "compiled = eager")

# What a law has no meaning for. Any other reason, a missing reference above all, is a failure.
ENCODERS_HAVE_NONE = {
    "step = parallel": "an encoder has no step",
    "any chunks = whole": "an encoder has no state between chunks",
    "causality": "an encoder sees the whole sequence",
    "purity of states": "an encoder has no state",
    "select commutes": "an encoder has no state",
}


@cache
def subject(name: str, number: int) -> Subject:
    config = MIXERS[name].examples()[number]
    return Subject(config, reference=find_reference(config), initial=find_initial(config))


@pytest.mark.parametrize("law", [law for law in LAWS if law not in WITHOUT_TYPE_CHECKS])
@pytest.mark.parametrize(("name", "number"), EXAMPLES)
def test_law(name: str, number: int, law: str) -> None:
    of = subject(name, number)
    result = run_law(law, of)
    if result.passed is None:
        expected = "has no probe" if law == "probe on = off" else None if of.is_mixer else ENCODERS_HAVE_NONE.get(law)
        assert result.detail == expected
    else:
        assert result.passed, str(result)


@pytest.mark.parametrize("law", WITHOUT_TYPE_CHECKS)
def test_law_by_certify(law: str) -> None:
    """The same through the command, over the whole table."""
    command = [sys.executable, "-m", "sightline", "certify", "--law", law, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["passed"]
    assert len(found["results"]) == len(EXAMPLES)
    assert all(result["passed"] and result["law"] == law for result in found["results"])


@pytest.mark.parametrize("name", MIXERS)
def test_every_mechanism_has_an_independent_reference(name: str) -> None:
    module = reference_module(name)
    assert module is not None
    with open(module.__file__) as file:
        assert "sightline" not in file.read()
