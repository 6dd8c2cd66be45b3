"""The table of scenarios. A line in a file of `scenarios` adds one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from sightline.core.errors import InputError
from sightline.core.suggest import suggest
from sightline.lab.bench.scenario import Scenario
from sightline.lab.bench.scenarios import attention, decoding, layers, linear, mechanisms, recurrent
from sightline.models.plugins import Plugin

SCENARIOS = {
    scenario.name: scenario
    for module in (attention, linear, recurrent, decoding, layers, mechanisms)
    for scenario in module.SCENARIOS
}


def plugin_scenarios(plugins: Iterable[Plugin]) -> dict[str, Scenario]:
    """The scenarios of the mechanisms of plugins, by name."""
    named = [(name, plugin.source.again) for plugin in plugins for name in plugin.mechanisms]
    return {scenario.name: scenario for scenario in (mechanisms.scenario(*one) for one in named)}


def find_scenarios(names: Sequence[str], more: Mapping[str, Scenario] = MappingProxyType({})) -> list[Scenario]:
    """The scenarios with these names or of families with these names, in the order of the table; all without names.

    more: scenarios that are not in the table, which come after it

    Raises:
        InputError: "unknown scenario or family 'windw', did you mean 'window'?".
    """
    table = {**SCENARIOS, **more}
    families = {scenario.family for scenario in table.values()}
    for name in names:
        if name not in table and name not in families:
            hint = (
                suggest(name, [*sorted(families), *table], label=None) or f"; families: {', '.join(sorted(families))}"
            )
            raise InputError(f"unknown scenario or family {name!r}{hint}", where="--only")
    return [s for s in table.values() if not names or s.name in names or s.family in names]
