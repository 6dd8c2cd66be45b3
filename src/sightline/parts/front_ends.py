"""The table of front ends, one for each kind of input, and how a model's file names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sightline.core.config import decode, encode, nearest
from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd, FrontEndConfig
from sightline.parts.series_patches import SeriesPatches, SeriesWindows
from sightline.parts.token_embedding import Tokens

FRONT_ENDS: dict[str, type] = {
    "tokens": Tokens,
    "series_patches": SeriesPatches,
    "series_windows": SeriesWindows,
}

Source = FrontEndConfig | int  # a number is a vocabulary of tokens


def build_front_end(source: Source, d_model: int, *, scale: bool = False, padding: int | None = 0) -> FrontEnd:
    """The front end for `source`; `scale` and `padding` are those of `TokenEmbedding`, where it embeds tokens."""
    config = as_config(source)
    return config.build(d_model, scale=scale, padding=padding) if isinstance(config, Tokens) else config.build(d_model)


def as_config(source: Source) -> FrontEndConfig:
    """`source`, a vocabulary's size taken for tokens."""
    return Tokens(source) if isinstance(source, int) else source


def encode_front_end(source: Source) -> dict[str, Any]:
    """The front end as plain values, its kind among them."""
    config = as_config(source)
    kind = next(name for name, cls in FRONT_ENDS.items() if cls is type(config))
    return {"kind": kind, **encode(config)}


def decode_front_end(values: Mapping[str, Any], *, where: str) -> FrontEndConfig:
    """What `encode_front_end` wrote.

    Raises:
        InputError: "config.json: source: unknown kind 'token', did you mean 'tokens'?", an unknown key, a wrong value.
    """
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in FRONT_ENDS:
        near = nearest(str(kind), FRONT_ENDS)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(FRONT_ENDS)}"
        raise InputError(f"unknown kind {str(kind)[:80]!r}, {hint}", where=where)
    return decode(FRONT_ENDS[kind], {key: value for key, value in values.items() if key != "kind"}, where=where)
