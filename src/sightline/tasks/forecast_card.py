"""README.md of a saved forecaster."""

from __future__ import annotations

import json
from typing import Any

from sightline.tasks.forecast_fitted import Fitted
from sightline.tasks.forecasting_config import ForecastingConfig


def forecast_card(config: ForecastingConfig, fitted: Fitted, parameters: int, sizes: dict[str, Any], data: str) -> str:
    """The text, with the front matter that model hubs read."""
    said = f"quantiles {', '.join(f'{level:g}' for level in config.levels)}" if config.levels else "one number a step"
    rows = {
        "Architecture": f"`{config.arch}`",
        "Parameters": f"{parameters:,}",
        "Sizes": f"`{json.dumps(sizes)}`",
        "Reads": f"{config.lookback} steps of {fitted.every}",
        "Forecasts": f"{config.horizon} steps, {said}",
        "Columns": ", ".join(fitted.columns.targets[:20]),
        "Trained on": data,
    }
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows.items())
    return f"""---
library_name: sightline
pipeline_tag: time-series-forecasting
tags: [sightline, {config.arch}]
---

# {config.arch}: a series to its future

| | |
|---|---|
{table}

```python
import sightline

model = sightline.load("path/to/this/directory")
print(model.predict(["series.csv"])[0].csv())
```

`config.json` holds the sizes, `model.safetensors` the weights, `series.json` the scales of the series. Loading runs no
code from these files.
"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
