"""Source columns of a task: reading options, front ends, and checks that new data fits the model."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.data.media.columns import Column, MediaKind, MediaPart
from sightline.data.tokens.tokenizer import TokenizerPair
from sightline.parts.several import Several
from sightline.parts.token_embedding import Tokens
from sightline.tasks.media.config import MediaTextConfig


def front_end(
    sources: Sequence[tuple[str, MediaKind]], config: MediaTextConfig, tokenizers: TokenizerPair
) -> FrontEndConfig:
    """The front end for sources of these kinds."""
    configs: list[FrontEndConfig] = []
    for _, kind in sources:
        if kind == "text":
            configs.append(Tokens(tokenizers.source.size))
        else:
            configs.append(config.sound.front_end if kind == "audio" else config.picture.front_end)
    return configs[0] if len(configs) == 1 else Several(tuple(configs))


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
