"""The pages of mechanisms and of named presets, from their tables."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch

from sightline.core.config import encode
from sightline.core.mixer import Memory, SequenceMixer
from sightline.core.state import nbytes
from sightline.mixers import MIXERS
from sightline.models import (
    ARCHITECTURES,
    ENCODERS,
    FORECASTERS,
    LANGUAGE_MODELS,
    NAMED_ENCODERS,
    count_parameters,
)
from sightline.parts.series_patches import SeriesWindows

D_MODEL, VOCABULARY = 64, 1000

MECHANISMS_HEAD = f"""\
# Mechanisms

One file is one mechanism. This page is generated from the table `sightline.MIXERS`; tests check every row against the
laws of the [contract](concepts.md) and an independent reference. Parameters and bytes of state per row are measured at
d_model = {D_MODEL}, float32 and default options, with a memory of 16 positions for mechanisms that read one.

| name | paper | kind | parameters | state after 16 tokens | after 256 |
|---|---|---|--:|--:|--:|"""

ARCHITECTURES_HEAD = """\
# Architectures

Named presets of whole models, generated from the tables `ARCHITECTURES`, `LANGUAGE_MODELS`, `ENCODERS` and
`FORECASTERS` of `sightline.models`. A preset named after a paper follows that paper; its description lists every
deviation. Sizes can be changed or matched to a number of parameters (`--match params=2M`, `match_parameters`).

Tasks change some of these. Language models of `sightline train` and `compare` are 128 wide with four layers (`hybrid`
three), recurrences 192 wide with two, all without dropout; classifiers pool by the mean where the table says `none`.
`sightline train … --dry-run` shows the parameters that a training would have.
"""

FAMILIES = {
    "Encoder-decoders": (ARCHITECTURES, 2),
    "Decoder-only": (LANGUAGE_MODELS, 1),
    "Encoder-only": (ENCODERS, 1),
    "Encoder-only, from papers": (NAMED_ENCODERS, 2),
    "Forecasters": (FORECASTERS, 0),
}


def mechanisms() -> str:
    """The page of the mechanisms, from `MIXERS`."""
    lines = [MECHANISMS_HEAD]
    for name, config in MIXERS.items():
        mixer = config().build(D_MODEL)
        causal = isinstance(mixer, SequenceMixer)
        sizes = [f"{state_bytes(mixer, length):,} B" for length in (16, 256)] if causal else ["–", "–"]
        parameters = f"{sum(p.numel() for p in mixer.parameters()):,}"
        row = [f"[`{name}`](#{name})", paper(config), kind(mixer), parameters, *sizes]
        lines.append(f"| {' | '.join(row)} |")
    for name, config in MIXERS.items():
        lines += ["", f"## {name}", "", f"{paper(config)}.", ""]
        for built in dict.fromkeys(type(example.build(12)) for example in config.examples()):
            lines += [autodoc(built), ""]
        lines += [autodoc(config), "", *options(config)]
    return "\n".join(lines) + "\n"


def autodoc(cls: type) -> str:
    """The docstring of a class, with its formulas; how it is called is shown by the table of options."""
    return f"```{{eval-rst}}\n.. autoclass:: {cls.__module__}.{cls.__qualname__}\n   :no-index:\n```"


def paper(config: type) -> str:
    """The first sentence of the mechanism's file, which names the mechanism and its authors."""
    return (sys.modules[config.__module__].__doc__ or "").strip().splitlines()[0].rstrip(".")


def kind(mixer: Any) -> str:
    """Which positions the mixer sees, in words."""
    if not isinstance(mixer, SequenceMixer):
        return "encoder"
    return "causal, reads a memory" if mixer.d_memory is not None else "causal"


def state_bytes(mixer: SequenceMixer[Any], length: int) -> int:
    """Bytes of one row's state after `length` positions."""
    memory = None
    if mixer.d_memory is not None or mixer.d_summary is not None:
        summary = None if mixer.d_summary is None else torch.zeros(1, mixer.d_summary)
        memory = Memory(torch.zeros(1, 16, mixer.d_memory or 1), None, summary)
    with torch.inference_mode():
        _, state = mixer(torch.zeros(1, length, mixer.d_model), mixer.initial_state(1, memory))
    return nbytes(state)


def options(config: type) -> list[str]:
    """The fields of a configuration as a table."""
    lines = ["| option | type | default |", "|---|---|---|"]
    hints, defaults = get_type_hints(config), config()
    for field in dataclasses.fields(config):
        lines.append(f"| `{field.name}` | {spelled(hints[field.name])} | `{getattr(defaults, field.name)!r}` |")
    return lines


def spelled(hint: Any) -> str:
    """A type in words."""
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(hint))
    if get_origin(hint) is tuple:
        return f"list of {spelled(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        return f"{spelled(get_args(hint)[1])} by name"
    if get_args(hint):
        return " or ".join(spelled(member) for member in get_args(hint))
    return {type(None): "none", Any: "value"}.get(hint) or hint.__name__


def architectures() -> str:
    """The page of the named presets, from their tables."""
    lines = [ARCHITECTURES_HEAD]
    for title, (table, vocabularies) in FAMILIES.items():
        sizes = [VOCABULARY] * vocabularies or [SeriesWindows(96, 24), 1]
        tokens = " + ".join([f"{VOCABULARY:,}"] * vocabularies)
        read = f"{tokens} tokens" if vocabularies else "96 + 24 steps"
        lines += [
            f"## {title}",
            "",
            f"| name | parameters at {read} | differs from its family's defaults in |",
        ]
        lines.append("|---|--:|---|")
        for name, config in table.items():
            plain = encode(type(config)())
            changed = [f"`{key}: {value}`" for key, value in encode(config).items() if value != plain[key]]
            lines.append(f"| `{name}` | {count_parameters(config, *sizes):,} | {', '.join(changed) or 'nothing'} |")
        for family in dict.fromkeys(type(config) for config in table.values()):
            names = [name for name, config in table.items() if type(config) is family]
            lines += ["", f"### {', '.join(names)}" if len(names) < len(table) else f"### {family.__name__}", ""]
            lines += [autodoc(family), "", *options(family)]
        lines.append("")
    return "\n".join(lines)
