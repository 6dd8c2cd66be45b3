"""README.md of a saved model: what it is, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sightline.tasks.task import Task


def model_card(
    task: Task[Any, Any, Any],
    sizes: Mapping[str, Any],
    job: str,
    pipeline: str,
    *,
    facts: Mapping[str, str],
    example: str,
    files: str,
) -> str:
    """The text, with the front matter that model hubs read.

    sizes of the model; job in words ("text to label"); pipeline, the hubs' name for it, "" = they have none; facts,
    more rows of the table, of which empty ones are left out; example, what to print of `model`; files, what stands
    beside the weights.
    """
    arch = task.arch
    rows = {"Architecture": f"`{arch}`", "Parameters": f"{task.parameters:,}", "Sizes": f"`{json.dumps(dict(sizes))}`"}
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    said = {**facts, "Trained on": task.data}
    table += "".join(f"\n| {name} | {_cell(value)} |" for name, value in said.items() if value)
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
