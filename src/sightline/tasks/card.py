"""README.md of a saved model: what it is, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def model_card(arch: str, parameters: int, sizes: Mapping[str, Any], tokenizers: str, data: str) -> str:
    """The text, with the front matter that model hubs read."""
    rows = [("Architecture", f"`{arch}`"), ("Parameters", f"{parameters:,}"), ("Sizes", f"`{json.dumps(dict(sizes))}`")]
    rows += [("Tokens", tokenizers), ("Trained on", data)]
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows if value)
    return f"""---
library_name: sightline
pipeline_tag: translation
tags: [sightline, {arch}]
---

# {arch}: text to text

| | |
|---|---|
{table}

```python
import sightline

model = sightline.load("path/to/this/directory")
print(model.predict(["a text"]))
```

`config.json` holds the sizes, `model.safetensors` the weights, `tokenizer.json` the vocabularies. Loading runs no code
from these files.
"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
