"""The flag --plugin of the commands."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

PLUGIN_HELP = (
    "Load mechanisms and models of your own: a Python file, a module, or an installed entry point of the group "
    "sightline.mixers; can be repeated. Nothing else loads a plugin, a saved model neither."
)
Plugins = Annotated[list[str] | None, Parameter(name="--plugin", help=PLUGIN_HELP)]
