"""Sequence models from recurrence to attention.

`import sightline` costs nothing: names are loaded when they are first asked for (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that has it.
_NAMES = {
    "ARCHITECTURES": "sightline.models",
    "MIXERS": "sightline.mixers",
    "Memory": "sightline.core.mixer",
    "Probe": "sightline.core.probe",
    "SequenceEncoder": "sightline.core.mixer",
    "SequenceMixer": "sightline.core.mixer",
    "SightlineError": "sightline.core.errors",
    "compare": "sightline.api.compare",
    "describe": "sightline.tasks.describe",
    "fit": "sightline.api.fit",
    "from_pretrained": "sightline.tasks.hub",
    "ladder": "sightline.api.ladder",
    "load": "sightline.tasks.load",
    "load_plugin": "sightline.models.plugins",
    "scale": "sightline.api.scale",
    "swap": "sightline.api.swap",
}

__all__ = [
    "ARCHITECTURES",
    "MIXERS",
    "Memory",
    "Probe",
    "SequenceEncoder",
    "SequenceMixer",
    "SightlineError",
    "__version__",
    "compare",
    "describe",
    "fit",
    "from_pretrained",
    "ladder",
    "load",
    "load_plugin",
    "scale",
    "swap",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'sightline' has no attribute {name!r}")
    value = getattr(import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from sightline.api.compare import compare as compare
    from sightline.api.fit import fit as fit
    from sightline.api.ladder import ladder as ladder
    from sightline.api.scale import scale as scale
    from sightline.api.swap import swap as swap
    from sightline.core.errors import SightlineError as SightlineError
    from sightline.core.mixer import Memory as Memory
    from sightline.core.mixer import SequenceEncoder as SequenceEncoder
    from sightline.core.mixer import SequenceMixer as SequenceMixer
    from sightline.core.probe import Probe as Probe
    from sightline.mixers import MIXERS as MIXERS
    from sightline.models import ARCHITECTURES as ARCHITECTURES
    from sightline.models.plugins import load_plugin as load_plugin
    from sightline.tasks.describe import describe as describe
    from sightline.tasks.hub import from_pretrained as from_pretrained
    from sightline.tasks.load import load as load
