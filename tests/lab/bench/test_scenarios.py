"""Both sides of every scenario in the table give equal results."""

from __future__ import annotations

import warnings

import pytest
import torch

from sightline.core.errors import InputError
from sightline.lab.bench.equality import check_case
from sightline.lab.bench.scenario import Unavailable
from sightline.lab.bench.table import SCENARIOS, find_scenarios
from sightline.mixers import MIXERS
from sightline.training.environment import installed_version


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_results_agree_at_a_tiny_size(name, monkeypatch):
    scenario = SCENARIOS[name]
    compiled = torch.compile  # a minute of our compiling would change no result; torch's own traces without a compiler
    monkeypatch.setattr(torch, "compile", lambda f, **options: compiled(f, **options) if options else f)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a peer's, about itself
        if installed_version(scenario.package) is None:
            with pytest.raises(Unavailable, match=f"{scenario.package} is not installed"):
                scenario.build(scenario.tiny, torch.device("cpu"))
        else:
            assert check_case(scenario.build(scenario.tiny, torch.device("cpu"))) <= scenario.tolerance


def test_every_mechanism_has_its_scenario():
    assert {f"mechanism_{name}" for name in MIXERS} <= set(SCENARIOS)


def test_every_aim_is_for_a_size_that_is_measured():
    for scenario in SCENARIOS.values():
        assert set(scenario.aims) <= set(scenario.sizes)


def test_scenarios_are_found_by_name_and_by_family():
    assert [s.name for s in find_scenarios(["window_flex", "decoding"])] == ["window_flex", "cache_decoding"]
    assert find_scenarios([]) == list(SCENARIOS.values())
    with pytest.raises(InputError, match="unknown scenario or family 'windw', did you mean 'window'"):
        find_scenarios(["windw"])


def test_useful_pairs_of_a_window_are_those_that_it_shows():
    from sightline.lab.bench.scenarios.attention import WINDOW, window_pairs, window_seen

    for size in (1, 100, WINDOW, 700):
        assert window_pairs(size, WINDOW) == int(window_seen(size, torch.device("cpu")).sum())
        at = torch.arange(size)
        both = (at.unsqueeze(1) - at).abs() < WINDOW
        assert window_pairs(size, WINDOW, both=True) == int(both.sum())
