"""README.md of a saved model: what it is, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def model_card(
    arch: str,
    job: str,
    pipeline: str,
    *,
    parameters: int,
    sizes: Mapping[str, Any],
    facts: Mapping[str, str],
    example: str,
    files: str,
) -> str:
    """The text, with the front matter that model hubs read.

    job in words ("text to label"); pipeline, the hubs' name for it, "" = they have none; facts, rows of the table, of
    which empty ones are left out; example, what to print of `model`; files, what stands beside the weights.
    """
    rows = {"Architecture": f"`{arch}`", "Parameters": f"{parameters:,}", "Sizes": f"`{json.dumps(dict(sizes))}`"}
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    table += "".join(f"\n| {name} | {_cell(value)} |" for name, value in facts.items() if value)
    tag = f"pipeline_tag: {pipeline}\n" if pipeline else ""
    return f"""---
library_name: sightline
{tag}tags: [sightline, {arch}]
---

# {arch}: {job}

| | |
|---|---|
{table}

```python
import sightline

model = sightline.load("path/to/this/directory")
print({example})
```

`config.json` holds the sizes, `model.safetensors` the weights{files}. Loading runs no code from these files.
"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())
