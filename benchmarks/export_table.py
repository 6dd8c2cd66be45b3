"""Which architectures of which tasks have an export, and which are refused and why.

    python benchmarks/export_table.py --to onnx [--tasks translation,language] [--again]

Exports an untrained small model of every architecture of every task. Every format compares what it writes with the
model, in the program that the export is for, or refuses; `benchmarks/results/export-FORMAT.json` has the outcomes, from
which the page of exports has its table. A cell that has an outcome is left out unless `--again` is given.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from sightline.export import FORMATS
from sightline.tasks.table import TASKS

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
EQUAL = "equal"


def outcome_of(task: str, arch: str, form: str) -> str:
    """ "equal", or why the model has no such export."""
    sys.path.insert(0, str(ROOT))
    from tests.export.small import BUILD, outcome

    with tempfile.TemporaryDirectory() as name:
        return outcome(BUILD[task](arch, Path(name)), form, Path(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, choices=FORMATS)
    parser.add_argument("--tasks", type=lambda text: text.split(","), default=list(TASKS))
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    path = RESULTS / f"export-{arguments.to}.json"
    for task in arguments.tasks:
        for arch in TASKS[task].architectures():
            known: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
            if arch in known.get(task, {}) and not arguments.again:
                continue
            result = outcome_of(task, arch, arguments.to)
            print(f"{task:15} {arch:22} {result}", flush=True)
            known = json.loads(path.read_text()) if path.exists() else {}  # another process may write too
            known.setdefault(task, {})[arch] = result
            path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
