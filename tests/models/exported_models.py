"""Whole models through `sightline export --to torch`: every architecture of every form, and every front end.

`python -m tests.models.exported_models decoder/gru audio` prints a line of JSON for each. With `--table` it tries all,
in about ten minutes on an idle core, and writes the tables of `docs/export-torch-table.md`. The process has no
checked types: sizes that are left open are no Python integers.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from sightline.core.errors import InputError
from sightline.export.torch_archive import TorchArchive
from sightline.models import FORMS
from sightline.parts.front_ends import FRONT_ENDS
from sightline.parts.series_patches import SeriesWindows
from sightline.parts.token_embedding import Tokens

TABLE = Path(__file__).parents[2] / "docs" / "export-torch-table.md"
D_MODEL, OUTPUTS = 16, 23
UNTRIED = "not tried"
TASKS = {
    "encoder-decoder": "translation, transcription, captioning, answering",
    "decoder": "language",
    "encoder": "classification",
    "forecaster": "forecasting",
}
SOURCES: dict[str, Any] = {form: Tokens(23) for form in TASKS} | {"forecaster": SeriesWindows(48, 24, channels=2)}
READ = [name for name in FRONT_ENDS if name != "series_windows"]  # forecasters cut windows by themselves
ARCHITECTURES = list(dict.fromkeys(arch for presets in FORMS.values() for arch in presets))
EVERY = READ + [f"{form}/{arch}" for arch in ARCHITECTURES for form in FORMS if arch in FORMS[form]]


def model_of(form: str, arch: str, source: Any) -> Any:
    """A small model of that architecture, as a stand-in for the task around it."""
    preset: Any = FORMS[form][arch]
    if preset.d_model > 1:  # linear forecasters have no width
        preset = preset.resized(D_MODEL)
    if hasattr(preset, "layers"):  # one of each mechanism: more take longer and show nothing new
        preset = replace(preset, layers=len(getattr(preset, "mixers", "1")))
    if getattr(preset, "pooling", "") == "none":
        preset = replace(preset, pooling="mean")
    torch.manual_seed(0)
    outputs = () if form == "decoder" else (1 if form == "forecaster" else OUTPUTS,)
    model = preset.build(source, *outputs)
    files = SimpleNamespace(levels=())
    return SimpleNamespace(
        name=form, form=form, arch=arch, data="", model=model, stored_model=model, source=source, sizes=preset,
        outputs=OUTPUTS, config=files, trained=None, save_files=lambda directory: None,
    )  # fmt: skip


def outcome(name: str) -> str:
    """ "yes", or why there is no export."""
    form, _, arch = name.rpartition("/")
    source = SOURCES[form] if form else FRONT_ENDS[name].examples()[0]
    task = model_of(form or "encoder", arch if form else "gru", source)
    reason = TorchArchive().refusal(task)
    if reason is None:
        try:
            with tempfile.TemporaryDirectory() as directory:
                TorchArchive().write(task, Path(directory))
        except InputError as error:
            return str(error)
    return reason or "yes"


def table(outcomes: dict[str, str]) -> str:
    """The tables of the page."""
    reasons = list(dict.fromkeys(one for one in outcomes.values() if one not in ("yes", UNTRIED)))

    def cell(form: str, arch: str) -> str:
        result = outcomes.get(f"{form}/{arch}", "")
        return f"no ({reasons.index(result) + 1})" if result in reasons else result

    lines = ["<!-- Written by python -m tests.models.exported_models -->", ""]
    lines += ["| Architecture | " + " | ".join(TASKS.values()) + " |", "|---|" + "---|" * len(TASKS)]
    lines += [f"| `{arch}` | " + " | ".join(cell(form, arch) for form in TASKS) + " |" for arch in ARCHITECTURES]
    lines += ["", "| Front end of a classifier | |", "|---|---|"]
    lines += [f"| `{name}` | {outcomes[name]} |" for name in READ]
    if reasons:
        lines += ["", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))]
    return "\n".join(lines) + "\n"


def documented() -> dict[str, str]:
    """What the tables say, by the names of `EVERY`."""
    text = TABLE.read_text(encoding="utf-8") if TABLE.exists() else ""
    reasons = dict(line.split(". ", 1) for line in text.splitlines() if line[:1].isdigit())
    outcomes = {}
    for line in text.splitlines():
        if not line.startswith("| `"):
            continue
        name, *cells = (part.strip() for part in line.strip("|").split(" |"))
        cells = [part.removeprefix("no (").removesuffix(")") for part in cells]
        for form, part in zip(TASKS if len(cells) > 1 else [""], cells, strict=True):
            if part:
                outcomes[f"{form}/{name[1:-1]}".strip("/")] = reasons.get(part, part)
    return outcomes


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:] != ["--table"]:
        for name in sys.argv[1:]:
            print(json.dumps({"name": name, "outcome": outcome(name)}), flush=True)
    else:
        outcomes = dict.fromkeys(EVERY, UNTRIED) | documented()
        for name in (name for name in EVERY if outcomes[name] == UNTRIED):  # delete the file to try all again
            outcomes[name] = outcome(name)
            print(f"{name}: {outcomes[name]}", flush=True)
            TABLE.write_text(table(outcomes), encoding="utf-8")
