"""README.md of a saved model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final


@final
@dataclass(frozen=True)
class Card:
    """The part of a model's README that only the task knows.

    job: in words, such as "text to label"; pipeline: the model hubs' name for it, "" = they have none
    facts: rows of the table, of which empty ones are left out
    example: a call of `model`; files: the files beside the weights, in a half sentence
    """

    job: str
    pipeline: str
    example: str
    facts: Mapping[str, str] = field(default_factory=dict)
    files: str = ""

    def text(
        self,
        arch: str,
        parameters: int,
        sizes: Mapping[str, Any],
        data: str,
        plugins: Sequence[str] = (),
        repo_id: str | None = None,
    ) -> str:
        """The whole README, with the front matter that model hubs read; `plugins` are loaded before the model.

        repo_id: the repository of a hub that it is for; None: a directory
        """
        place = 'sightline.load("path/to/this/directory")'
        if repo_id is not None:
            place = f"sightline.from_pretrained({json.dumps(repo_id)}, local_files_only=False)"
        rows = {"Architecture": f"`{arch}`", "Parameters": f"{parameters:,}", "Sizes": f"`{json.dumps(dict(sizes))}`"}
        table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
        facts = {**self.facts, "Trained on": data}
        table += "".join(f"\n| {name} | {_cell(value)} |" for name, value in facts.items() if value)
        loads = "".join(f"sightline.load_plugin({name!r})\n" for name in plugins)
        tag = f"pipeline_tag: {self.pipeline}\n" if self.pipeline else ""
        return f"""---
library_name: sightline
{tag}tags: [sightline, {arch}]
---

# {arch}: {self.job}

| | |
|---|---|
{table}

```python
import sightline

{loads}model = {place}
print({self.example})
```

`config.json` contains the sizes, `model.safetensors` the weights{self.files}. Loading runs no code from these files.
"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())
