"""The flag --plugin of the commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

PLUGIN_HELP = (
    "Load mechanisms and models of your own from a Python file, a module, or an installed entry point of the group "
    "sightline.mixers; can be repeated. Saved models and configuration files never load a plugin."
)
Plugins = Annotated[list[str] | None, Parameter(name="--plugin", help=PLUGIN_HELP)]


def plugin_words(plugin: Sequence[str] | None) -> list[str]:
    """The flags of these plugins, as words of a command that needs them."""
    return [word for one in plugin or () for word in ("--plugin", one)]


def line_of_plugin(error: BaseException) -> str | None:
    """`models.plugins.line_of`, without an import of torch where no plugin is loaded."""
    plugins = sys.modules.get("sightline.models.plugins")
    return None if plugins is None else plugins.line_of(error)
