"""Source columns of a task: reading options, front ends, and checks that new data fits the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig, InputKind
from sightline.data.media.columns import Column, MediaKind, MediaPart
from sightline.data.tokens.tokenizer import Tokenizer, TokenizerPair
from sightline.parts.several import Several
from sightline.tasks.media.config import MediaTextConfig
from sightline.tasks.text_inputs import TEXT_KINDS, text_front_end, text_reader


def front_end(
    sources: Sequence[tuple[str, MediaKind]], config: MediaTextConfig, tokenizers: TokenizerPair
) -> FrontEndConfig:
    """The front end for sources of these kinds."""
    kinds = dict.fromkeys(kind for _, kind in sources)
    if not any(map(config.front_end.suits, map(_inputs, kinds))):
        config.front_end.check(tuple(inputs for kind in kinds for inputs in _inputs(kind)))
    configs = [column_front_end(kind, config, tokenizers.source.size) for _, kind in sources]
    return configs[0] if len(configs) == 1 else Several(tuple(configs))


def column_front_end(kind: MediaKind, config: MediaTextConfig, vocabulary: int) -> FrontEndConfig:
    """The front end for one column: the chosen one if it reads such inputs, otherwise the usual one."""
    choice = config.front_end.where_suits(_inputs(kind))
    if kind == "text":
        return text_front_end(choice, vocabulary)
    return (config.sound if kind == "audio" else config.picture).fitted(choice)


def column_reader(config: MediaTextConfig, tokenizer: Tokenizer) -> Any:
    """What makes inputs of the texts of a column, as `text_reader`."""
    return text_reader(config.front_end.where_suits(TEXT_KINDS), tokenizer)


def _inputs(kind: MediaKind) -> tuple[InputKind, ...]:
    """The kinds of inputs that a column can be read as."""
    return TEXT_KINDS if kind == "text" else (kind,)


def check_reading(column: Column, part: MediaPart, config: MediaTextConfig) -> None:
    """Refuse sounds of another rate and pictures of another size than the model was trained on."""
    if column.rate_hz not in (None, config.sound.rate_hz):
        raise InputError(
            f"sounds were read at {column.rate_hz} samples a second, the model was trained at {config.sound.rate_hz}",
            where="sound.rate_hz",
        )
    if column.kind == "image":
        expected = (config.picture.reading.channels, config.picture.height, config.picture.width)
        for row in range(len(column)):
            if column.shape(row) != expected:
                actual, needed = (" x ".join(map(str, shape)) for shape in (column.shape(row), expected))
                raise InputError(f"has {actual} values, the model was trained on {needed}", where=part.places[row])


def described(columns: Sequence[tuple[str, MediaKind]], config: MediaTextConfig) -> str:
    """The model's inputs from each source, in words, for its README."""
    sound, picture = config.sound, config.picture
    seen = f"in patches of {picture.patch} x {picture.patch}" if picture.view == "patches" else "pixel by pixel"
    seen = seen if config.front_end.name is None else f"by {config.front_end.name}"
    descriptions = {
        "text": "text",
        "audio": f"sound at {sound.rate_hz:,} samples a second, {sound.mels} mel bands, a position every "
        f"{sound.hop_ms * sound.stride:g} ms",
        "image": f"{picture.colour} pictures of {picture.height} x {picture.width} pixels, {seen}",
    }
    return "; ".join(f"{name}: {descriptions[kind]}" for name, kind in columns)


def example(columns: Sequence[tuple[str, MediaKind]]) -> str:
    """An item of these sources as an argument of `predict`."""
    examples = {"audio": '"clip.wav"', "image": '"picture.png"', "text": '"a question"'}
    parts = ", ".join(examples[kind] for _, kind in columns)
    return f"({parts})" if len(columns) > 1 else parts
