"""README.md of a saved model that answers sounds and pictures with text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sightline.data.media import Kind
from sightline.tasks.media_config import MediaTextConfig

PIPELINES = {
    "transcription": "automatic-speech-recognition",
    "captioning": "image-to-text",
    "answering": "visual-question-answering",
}
EXAMPLES = {"audio": "clip.wav", "image": "picture.png", "text": "a question"}


def media_card(
    task: str,
    config: MediaTextConfig,
    columns: Sequence[tuple[str, Kind]],
    tokens: str,
    parameters: int,
    data: str,
    sizes: dict[str, Any],
) -> str:
    """The text, with the front matter that model hubs read."""
    rows = {
        "Architecture": f"`{config.arch}`",
        "Parameters": f"{parameters:,}",
        "Sizes": f"`{json.dumps(sizes)}`",
        "Reads": "; ".join(f"{name}: {_reads(kind, config)}" for name, kind in columns),
        "Tokens": tokens,
        "Trained on": data,
    }
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows.items())
    given = ", ".join(json.dumps(EXAMPLES[kind]) for _, kind in columns)
    return f"""---
library_name: sightline
pipeline_tag: {PIPELINES[task]}
tags: [sightline, {config.arch}]
---

# {config.arch}: {" and ".join(kind for _, kind in columns)} to text

| | |
|---|---|
{table}

```python
import sightline

model = sightline.load("path/to/this/directory")
print(model.predict([{f"({given})" if len(columns) > 1 else given}]))
```

`config.json` holds the sizes, `model.safetensors` the weights, `tokenizer.json` the vocabularies. Loading runs no code
from these files.
"""


def _reads(kind: Kind, config: MediaTextConfig) -> str:
    if kind == "text":
        return "text"
    if kind == "audio":
        sound = config.sound
        every = sound.hop_ms * sound.stride
        return f"sound at {sound.rate_hz:,} samples a second, {sound.mels} mel bands, a position every {every:g} ms"
    picture = config.picture
    size = f"{picture.colour} pictures of {picture.height} x {picture.width} pixels"
    return (
        f"{size}, in patches of {picture.patch} x {picture.patch}"
        if picture.view == "patches"
        else f"{size}, pixel by pixel"
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
