"""Every law over every mechanism of the table, with its default options and with every example of them."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from sightline.mixers import MIXERS
from sightline.testing import LAWS, Subject, describe, run_law
from sightline.testing.reference import find_initial, find_reference, reference_module

CONFIGS = {name: tuple(dict.fromkeys((kind(), *kind.examples()))) for name, kind in MIXERS.items()}
QUICK = 2  # configurations of each mechanism that `make quick` checks: the default and the first example
EXAMPLES = [
    pytest.param(
        name,
        number,
        id=f"{name}-{describe(config)}".replace(" ", ","),
        marks=() if number < QUICK else pytest.mark.slow,
    )
    for name, configs in CONFIGS.items()
    for number, config in enumerate(configs)
]

# Checked types cost a call each: long sequences and the compiler are left to processes without them.
WITHOUT_TYPE_CHECKS = ("long and large", "compiled = eager")

CHECKED = [
    pytest.param(law, marks=pytest.mark.slow if law == "gradcheck" else ())
    for law in LAWS
    if law not in WITHOUT_TYPE_CHECKS
]

# Why a law has no meaning for an encoder. Any other reason, a missing reference above all, is a failure.
REASONS = {
    "an encoder has no step",
    "an encoder has no state between chunks",
    "an encoder sees the whole sequence",
    "an encoder has no state",
}


@cache
def subject(name: str, number: int) -> Subject:
    config = CONFIGS[name][number]
    return Subject(config, reference=find_reference(config), initial=find_initial(config))


@pytest.mark.parametrize("law", CHECKED)
@pytest.mark.parametrize(("name", "number"), EXAMPLES)
def test_law(name: str, number: int, law: str) -> None:
    of = subject(name, number)
    result = run_law(law, of)
    if result.passed is None:
        allowed = {"has no probe"} if law == "probe on = off" else set() if of.is_mixer else REASONS
        assert result.detail in allowed
    else:
        assert result.passed, str(result)


# Shorter than what `sightline certify` runs, which reads 65,536 positions.
SCRIPT = """
import gc, sys, torch, warnings
from sightline.mixers import MIXERS
from sightline.testing import check_mixer
from sightline.testing.laws import numerics

torch.set_num_threads(1)
warnings.simplefilter("error")
gc.freeze()
numerics.LONG, numerics.SECONDS = 8192, float('inf')
for kind in MIXERS.values():
    for config in dict.fromkeys((kind(), *kind.examples())):
        report = check_mixer(config, laws=[sys.argv[1]])
        print(*report.results)
        report.raise_for_failures()
"""


@pytest.mark.slow
@pytest.mark.parametrize("law", WITHOUT_TYPE_CHECKS)
def test_law_without_type_checks(law: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, law], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"{law}: holds") == len(EXAMPLES)


@pytest.mark.parametrize("name", MIXERS)
def test_every_mechanism_has_an_independent_reference(name: str) -> None:
    module = reference_module(name)
    assert module is not None
    with open(module.__file__) as file:
        assert "sightline" not in file.read()
