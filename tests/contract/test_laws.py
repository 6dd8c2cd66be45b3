"""Every law over every mechanism of the table, with its default options and with every example of them."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import fields
from functools import cache
from typing import Any

import pytest

from sightline.core.errors import InputError
from sightline.mixers import MIXERS
from sightline.testing import LAWS, Subject, describe, run_law
from sightline.testing.laws.transforms import TransformCase, _per_sample, small_flags
from sightline.testing.reference import find_initial, find_reference, reference_module
from tests.unchecked import unchecked

CONFIGS = {name: tuple(dict.fromkeys((kind(), *kind.examples()))) for name, kind in MIXERS.items()}
QUICK = 1  # configurations of each mechanism that `make quick` checks: the default
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

# Checked types cost a call each, and the compiler cannot trace them: its law runs in a process without them.
WITHOUT_TYPE_CHECKS = ("compiled = eager",)
# `.ci/run` certifies it along 65,536 positions; its planted bugs are in tests/mutants.
IN_CI = ("long and large",)

CHECKED = [
    pytest.param(law, marks=pytest.mark.slow if law == "gradcheck" else ())
    for law in LAWS
    if law not in (*WITHOUT_TYPE_CHECKS, *IN_CI)
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


# Calls with checked annotations take twice as long, four times in gradcheck: these laws call all there is.
WITH_CHECKED_SHAPES = ("shape and dtype", "step = parallel", "sizes and strides")


def checks_shapes(law: str, number: int) -> bool:
    """Whether annotations are enforced: in some laws for every configuration, in most for the default alone."""
    return law in WITH_CHECKED_SHAPES or (number < QUICK and law != "gradcheck")


@pytest.mark.parametrize("law", CHECKED)
@pytest.mark.parametrize(("name", "number"), EXAMPLES)
def test_law(name: str, number: int, law: str) -> None:
    of = subject(name, number)
    with nullcontext() if checks_shapes(law, number) else unchecked():
        result = run_law(law, of)
    if result.passed is None:
        allowed = {"has no probe"} if law == "probe on = off" else set() if of.is_mixer else REASONS
        assert result.detail in allowed
    else:
        assert result.passed, str(result)


def options(config: Any) -> set[tuple[str, Any]]:
    """What the compiler's trace depends on: the value of each option, and of numbers whether they are above 0."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {(name, value > 0 if type(value) in (int, float) else value) for name, value in values.items()}


def covering(configs: tuple[Any, ...]) -> list[int]:
    """Numbers of few configurations that have every value of every option, the one with the most values first."""
    missing, chosen = set.union(*map(options, configs)), []
    while missing:
        chosen.append(max(range(len(configs)), key=lambda number: len(missing & options(configs[number]))))
        missing -= options(configs[chosen[-1]])
    return chosen


COMPILED = {name: covering(configs) for name, configs in CONFIGS.items()}

SCRIPT = """
import gc, json, sys, torch, warnings
from sightline.mixers import MIXERS
from sightline.testing import Subject
from sightline.testing.check import judge
from sightline.testing.laws.compiled import compiles

torch.set_num_threads(1)
warnings.simplefilter("error")
gc.freeze()
for name, number, backend in json.loads(sys.argv[2]):
    kind = MIXERS[name]
    subject = Subject(tuple(dict.fromkeys((kind(), *kind.examples())))[number])
    result = judge(sys.argv[1], lambda: compiles(subject, backend))
    assert result.passed, (subject.config, backend, str(result))
    print(result)
"""


@pytest.mark.slow
@pytest.mark.parametrize("law", WITHOUT_TYPE_CHECKS)
def test_law_without_type_checks(law: str) -> None:
    # The compiler differentiates one of each mechanism, and captures the others; `certify` has all.
    work = [
        (name, number, "eager" if place else "aot_eager")
        for name, numbers in COMPILED.items()
        for place, number in enumerate(numbers)
    ]
    command = [sys.executable, "-c", SCRIPT, law, json.dumps(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"{law}: holds") == len(work) > 2 * len(MIXERS)


@pytest.mark.parametrize("name", MIXERS)
def test_every_mechanism_has_an_independent_reference(name: str) -> None:
    module = reference_module(name)
    assert module is not None
    with open(module.__file__) as file:
        assert "sightline" not in file.read()


def test_only_windows_and_blocks_refuse_vmap_over_rows_with_different_masks() -> None:
    """The law allows a refusal; which mechanisms make use of it docs/torch.md says."""
    refused = set()
    for name in MIXERS:
        case = TransformCase.of(subject(name, 0), *small_flags())
        try:
            assert all(finding.holds for finding in _per_sample(case, ""))
        except InputError:
            refused.add(name)
    assert refused <= {"window", "block_sparse"}
