"""Hold public implementations to the laws of `sightline.testing.foreign`.

    python conformance/run.py                        # continues where it stopped
    python conformance/run.py --only mingru --again

Each file of conformance/subjects has REQUIREMENTS, pinned, and SUBJECTS. Files with the same requirements share an
environment in .venv-conformance/. Each file is judged twice, in processes of their own, and both must agree. Writes
conformance/results/NAME.json; a file that has its results is left out, unless `--again`. Exit status 5 if two runs of a
file differ, or if a control does not hold.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".venv-conformance"
TORCH, ALWAYS = "torch==2.13.0", ("numpy==2.4.6", "safetensors==0.8.0")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted(path.stem for path in (HERE / "subjects").glob("[!_]*.py"))
    parser.add_argument("--only", action="append", choices=names)
    parser.add_argument("--again", action="store_true", help="judge files that have results, too")
    options = parser.parse_args()
    faults = []
    for name in options.only or names:
        out = HERE / "results" / f"{name}.json"
        if out.exists() and not options.again:
            continue
        pinned = requirements(HERE / "subjects" / f"{name}.py")
        print(f"{name}: {', '.join(pinned) or TORCH}", file=sys.stderr, flush=True)
        python = environment(pinned)
        first, second = judged(python, name), judged(python, name)
        faults += [f"{name}: two runs differ"] * (first != second)
        faults += [f"{name}: the control of {subject} does not hold" for subject in without_control(first)]
        out.parent.mkdir(exist_ok=True)
        part = out.with_suffix(".part")
        part.write_text(json.dumps({"schema_version": 1, "requirements": pinned, **first}, indent=1) + "\n")
        part.replace(out)
    print("\n".join(faults), file=sys.stderr)
    return 5 if faults else 0


def requirements(path: Path) -> list[str]:
    """REQUIREMENTS of a file, without importing it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "REQUIREMENTS" for target in targets):
            return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    raise SystemExit(f"{path}: has no REQUIREMENTS")


def environment(pinned: list[str]) -> Path:
    """The interpreter of an environment with these distributions, made where there is none."""
    folder = ENVIRONMENTS / hashlib.sha256(" ".join(pinned).encode()).hexdigest()[:12]
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for wanted in ([TORCH], [*ALWAYS, *pinned]):  # torch first: a range would bring CUDA
            subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
        (folder / "installed").touch()
    return python


def judged(python: Path, name: str) -> dict[str, Any]:
    """What `judge` prints of a file."""
    root = HERE.parent
    paths = os.pathsep.join(map(str, (root / "src", root)))
    environ = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    command = [python, "-m", "conformance.judge", name]
    done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def without_control(reports: dict[str, Any]) -> list[str]:
    """The subjects whose control does not hold: their adapter is wrong, or they are random."""
    return [
        report["subject"]
        for report in reports["subjects"]
        if any(cell["law"] == "control" and cell["outcome"] != "holds" for cell in report["cells"])
    ]


if __name__ == "__main__":
    sys.exit(main())
