"""README.md of a saved model of labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = 20
TAGS = {"text": "text-classification", "audio": "audio-classification", "image": "image-classification"}
EXAMPLES = {"text": '["a text"]', "series": "[[0.1, 0.2, 0.3]]", "audio": '["a.wav"]', "image": '["a.png"]'}


def label_card(
    arch: str, parameters: int, sizes: Mapping[str, Any], kind: str, classes: Sequence[str], data: str
) -> str:
    """The text, with the front matter that model hubs read."""
    shown = ", ".join(f"`{_cell(name)}`" for name in classes[:SHOWN])
    more = f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else ""
    rows = [("Architecture", f"`{arch}`"), ("Parameters", f"{parameters:,}"), ("Sizes", f"`{json.dumps(dict(sizes))}`")]
    rows += [("Labels", shown + more), ("Trained on", _cell(data))]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    tag = f"pipeline_tag: {TAGS[kind]}\n" if kind in TAGS else ""
    return f"""---
library_name: sightline
{tag}tags: [sightline, {arch}]
---

# {arch}: {kind} to label

| | |
|---|---|
{table}

```python
import sightline

model = sightline.load("path/to/this/directory")
print(model.predict({EXAMPLES[kind]}))
```

`config.json` holds sizes and labels, `model.safetensors` the weights. Loading runs no code from these files.
"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())
