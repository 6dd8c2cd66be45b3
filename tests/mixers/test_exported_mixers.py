"""Every mechanism of the table is exported by torch.export with any batch and length, or refuses in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from sightline.core.state import Growing, Shared
from sightline.mixers import MIXERS

TWO_SIDED = "two-sided bigbird draws random blocks out of all blocks of a row, whose number is left open"


def refusal(config: Any) -> str | None:
    """Why a configuration has no export."""
    layout = getattr(config, "pattern", None), getattr(config, "random", 0), getattr(config, "causal", True)
    return TWO_SIDED if layout[0] == "bigbird" and layout[1] and not layout[2] else None


def configs_of(name: str) -> tuple[Any, ...]:
    return tuple(dict.fromkeys((MIXERS[name](), *MIXERS[name].examples())))


# The default of each mechanism; `make verify-mixer-exports` tries every configuration: ten minutes.
EVERY = "SIGHTLINE_EVERY_EXPORT" in os.environ
NUMBERS = {name: range(len(configs_of(name)) if EVERY else 1) for name in MIXERS}
CASES = [(name, number) for name, numbers in NUMBERS.items() for number in numbers]
PROCESSES = 2  # loading the exporter costs as much as a mechanism


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PROCESSES))
def test_a_mechanism_is_exported_for_any_batch_and_length(part: int) -> None:
    cases = CASES[part::PROCESSES]
    command = [sys.executable, "-m", "tests.mixers.exported_mixers", *(f"{name}:{number}" for name, number in cases)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["name"], row["number"]) for row in rows] == cases
    for row in rows:
        reason = refusal(configs_of(row["name"])[row["number"]])
        for form in ("masked", "plain"):
            assert row[form].startswith("holds" if reason is None else f"refused: {reason}"), row


def test_most_configurations_have_an_export() -> None:
    refused = [(name, config) for name in MIXERS for config in configs_of(name) if refusal(config)]
    assert {name for name, _ in refused} == {"block_sparse"}
    assert len(refused) < 5


@pytest.mark.parametrize("cache", [Growing(torch.arange(6.0).view(1, 3, 2), 1), Shared(torch.arange(4.0).view(2, 2))])
def test_torch_sees_the_content_of_caches(cache: Growing | Shared) -> None:
    from torch.utils import _pytree

    leaves, tree = _pytree.tree_flatten((cache, None))
    assert torch.equal(leaves[0], cache.tensor)
    (doubled, nothing) = _pytree.tree_map(lambda leaf: None if leaf is None else 2 * leaf, (cache, None))
    assert type(doubled) is type(cache)
    assert nothing is None
    assert torch.equal(doubled.tensor, 2 * cache.tensor)
    assert str(tree) == str(_pytree.tree_structure(_pytree.tree_unflatten(["x", "y"], tree)))  # leaves of any kind
