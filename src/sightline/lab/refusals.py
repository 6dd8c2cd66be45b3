"""Wrong input of a comparison that is found before processes start: their imports take seconds. Imports no torch.

What torch or the data is needed for is found by the preparing job.
"""

from __future__ import annotations

import os
from glob import has_magic
from pathlib import Path

from sightline.core.errors import InputError
from sightline.core.metrics import METRICS
from sightline.core.plugins import check_plugin_file
from sightline.core.suggest import unknown
from sightline.data.builtin import parse_name
from sightline.data.rows.files import check_file
from sightline.lab.plan import CompareConfig, divide
from sightline.tasks.defaults import BUILTIN_TASKS
from sightline.tasks.match_flag import parse_match
from sightline.tasks.names import ARCHITECTURES_OF
from sightline.training.budget import Budget

PARTS = ("valid", "test")  # keys of the settings that name files


def check_named(config: CompareConfig) -> None:
    """Refuse a wrong budget or size, unknown names, and files that do not exist.

    Raises:
        InputError: "--task: unknown task 'translations', did you mean 'translation'?"; "--archs: unknown architecture
            'lstmm', did you mean 'lstm'?"; "--metric: unknown metric 'accuray', did you mean 'accuracy'?"; "pairs.tsv:
            no such file"; "builtin: unknown built-in data 'date', did you mean 'dates'?"; "plugin 'forget.py': no such
            file"; what `Budget.parse`, `divide` and `parse_match` raise.
    """
    budget = Budget.parse(config.budget)
    divide(config, budget.amount, budget.unit)
    parse_match(config.match)
    if config.task not in ARCHITECTURES_OF:
        from sightline.tasks.table import task_class  # it imports torch; one's own are there alone

        task_class(config.task)
    if config.metric != "auto" and config.metric not in METRICS:
        raise InputError(unknown("metric", config.metric, METRICS), where="--metric")
    for named in config.plugin:
        check_plugin_file(named)
    if not config.plugin:  # which may have other architectures
        _check_architectures(config)
    for place in (config.data, *(config.settings.get(part) for part in PARTS)):
        if isinstance(place, str):
            _check_place(place)


def _check_architectures(config: CompareConfig) -> None:
    known = {name for names in ARCHITECTURES_OF.values() for name in names}
    unlisted = [arch for arch in (config.variant(arch)["arch"] for arch in config.archs) if arch not in known]
    if unlisted:
        from sightline.tasks.table import task_class  # it imports torch; one's own are there alone

        known = task_class(config.task).architectures()
        for arch in unlisted:
            if arch not in known:
                raise InputError(unknown("architecture", arch, known), where="--archs")


def _check_place(place: str) -> None:
    """Refuse unknown built-in data and files that do not exist; patterns are left to who reads them."""
    if place.startswith("builtin:"):
        parse_name(place, BUILTIN_TASKS)
        return
    names = [place] if os.path.lexists(place) else place.split(",")
    if not all(names):
        return
    for name in names:
        if not os.path.lexists(name) and not has_magic(name):
            check_file(Path(name))
