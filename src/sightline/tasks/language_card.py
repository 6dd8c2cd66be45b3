"""README.md of a saved language model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def language_card(arch: str, parameters: int, sizes: Mapping[str, Any], tokens: str, context: int, data: str) -> str:
    """The text, with the front matter that model hubs read."""
    rows = [("Architecture", f"`{arch}`"), ("Parameters", f"{parameters:,}"), ("Sizes", f"`{json.dumps(dict(sizes))}`")]
    rows += [("Tokens", _cell(tokens)), ("Trained in rows of", f"{context:,} tokens"), ("Trained on", _cell(data))]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows if value)
    return f"""---
library_name: sightline
pipeline_tag: text-generation
tags: [sightline, {arch}]
---

# {arch}: what comes next in a text

| | |
|---|---|
{table}

```python
import sightline

model = sightline.load("path/to/this/directory")
print(model.generate(["Once upon a time"])[0].text)
```

`config.json` holds the sizes, `model.safetensors` the weights, `tokenizer.json` the vocabulary. Loading runs no code
from these files.
"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())
