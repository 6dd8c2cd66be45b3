"""The table of front ends, and how a model's file names one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sightline.core.config import decode, encode
from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd, FrontEndConfig, InputKind
from sightline.core.suggest import look_up
from sightline.parts.audio_frames import AudioFrames
from sightline.parts.character_cnn import CharacterCNN
from sightline.parts.hashed_ngrams import HashedNGrams
from sightline.parts.image_patches import ImagePatches, Pixels
from sightline.parts.series_patches import SeriesPatches, SeriesWindows
from sightline.parts.several import Several
from sightline.parts.token_embedding import Tokens

FRONT_ENDS: dict[str, type[Any]] = {
    "tokens": Tokens,
    "character_cnn": CharacterCNN,
    "hashed_ngrams": HashedNGrams,
    "audio": AudioFrames,
    "patches": ImagePatches,
    "pixels": Pixels,
    "several": Several,
    "series_patches": SeriesPatches,
    "series_windows": SeriesWindows,
}

Source = FrontEndConfig | int  # a number is a vocabulary of tokens


def front_ends_for(kinds: Collection[InputKind]) -> list[str]:
    """The names of the front ends for inputs of these kinds."""
    return [name for name, config in FRONT_ENDS.items() if config.accepts in kinds]


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
    if isinstance(config, Several):
        return {"kind": kind, "parts": [encode_front_end(part) for part in config.parts]}
    return {"kind": kind, **encode(config)}


def decode_front_end(values: Mapping[str, Any], *, where: str) -> FrontEndConfig:
    """The front end that `encode_front_end` wrote.

    Raises:
        InputError: "config.json: source: unknown kind 'token', did you mean 'tokens'?", an unknown key, a wrong value.
    """
    kind = values.get("kind")
    config = look_up(FRONT_ENDS, str(kind), "kind", where=where)
    if config is Several:
        return _decode_several(values, where)
    return decode(config, {key: value for key, value in values.items() if key != "kind"}, where=where)


def _decode_several(values: Mapping[str, Any], where: str) -> Several:
    """The parts, each with a kind of its own."""
    parts = values.get("parts")
    if set(values) != {"kind", "parts"} or not isinstance(parts, list) or not all(isinstance(p, dict) for p in parts):
        raise InputError("expected the keys kind and parts, a list of front ends", where=where)
    if any(part.get("kind") == "several" for part in parts):
        raise InputError("several sources cannot be a part of several sources", where=where)
    configs = [decode_front_end(part, where=f"{where}.parts[{number}]") for number, part in enumerate(parts)]
    try:
        return Several(tuple(configs))
    except InputError as error:
        raise InputError(str(error), where=where) from None
