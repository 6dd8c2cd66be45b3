"""Adapters by the name that a user types: `module:Adapter` or `file.py:Adapter`."""

from __future__ import annotations

import inspect
from typing import Any

from sightline.core.errors import InputError, one_line
from sightline.core.plugins import import_plugin
from sightline.core.suggest import suggest
from sightline.testing.foreign.adapter import Adapter


def find_adapter(named: str) -> Adapter:
    """The adapter of that name, an instance or a class without arguments.

    Raises:
        InputError: "--adapter: expected module:Adapter or file.py:Adapter, found 'lstm'"; "lstm.py has no 'Mine', did
            you mean 'Mina'?"; "lstm.py:Mine is not an Adapter"; whatever is wrong with the module.
    """
    place, colon, attribute = named.rpartition(":")
    if not colon or not place or not attribute:
        raise InputError(f"expected module:Adapter or file.py:Adapter, found {named!r}", where="--adapter")
    module = import_plugin(place).module
    if not hasattr(module, attribute):
        raise InputError(
            f"{place} has no {attribute!r}{suggest(attribute, vars(module), label=None)}", where="--adapter"
        )
    adapter: Any = getattr(module, attribute)
    if inspect.isclass(adapter) and issubclass(adapter, Adapter):
        try:
            adapter = adapter()
        except TypeError as error:
            raise InputError(f"{named}: {one_line(error)}", where="--adapter") from error
    if not isinstance(adapter, Adapter):
        raise InputError(
            f"{named} is not an Adapter: derive it from sightline.testing.foreign.Adapter", where="--adapter"
        )
    return adapter
