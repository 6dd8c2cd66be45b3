"""The table of scenarios. A line in a file of `scenarios` adds one."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.core.errors import InputError
from sightline.core.suggest import suggest
from sightline.lab.bench.scenario import Scenario
from sightline.lab.bench.scenarios import attention, decoding, layers, linear, mechanisms, recurrent

SCENARIOS = {
    scenario.name: scenario
    for module in (attention, linear, recurrent, decoding, layers, mechanisms)
    for scenario in module.SCENARIOS
}


def find_scenarios(names: Sequence[str]) -> list[Scenario]:
    """The scenarios with these names or of families with these names, in the order of the table; all without names.

    Raises:
        InputError: "unknown scenario or family 'windw', did you mean 'window'?".
    """
    families = {scenario.family for scenario in SCENARIOS.values()}
    for name in names:
        if name not in SCENARIOS and name not in families:
            hint = (
                suggest(name, [*sorted(families), *SCENARIOS], label=None)
                or f"; families: {', '.join(sorted(families))}"
            )
            raise InputError(f"unknown scenario or family {name!r}{hint}", where="--only")
    return [s for s in SCENARIOS.values() if not names or s.name in names or s.family in names]
