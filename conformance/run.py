"""Hold public implementations to the laws of `sightline.testing.foreign`.

    python conformance/run.py                        # continues where it stopped
    python conformance/run.py --only mingru --again

Each file of conformance/subjects has REQUIREMENTS, pinned, and SUBJECTS. Each list of requirements has an environment
in .venv-conformance/, which shares torch with the others. Each file is judged twice, in processes of their own, and
both must agree. Writes conformance/results/NAME.json; a file that has not changed since its results is left out, unless
`--again`. Prints a line per file with its time, without that of the environment. Exit status 5 if two runs of a file
differ, a control does not hold, or a planted fault is not seen; 1 if a file could not be judged.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import subprocess
import sys
import time
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
    faults, broken = [], []
    for name in options.only or names:
        subjects, out = HERE / "subjects" / f"{name}.py", HERE / "results" / f"{name}.json"
        digest = hashlib.sha256(subjects.read_bytes()).hexdigest()
        if not options.again and out.exists() and json.loads(out.read_text("utf-8")).get("subjects_sha256") == digest:
            continue
        pinned = requirements(subjects)
        try:
            python = environment(pinned)
            began = time.monotonic()
            first, second = judged(python, name), judged(python, name)
        except subprocess.CalledProcessError as error:
            broken.append(f"{name}: {' '.join(map(str, error.cmd[1:4]))} ended with status {error.returncode}")
            print(broken[-1], file=sys.stderr, flush=True)
            continue
        print(
            f"{name}: {len(first['subjects'])} subjects, {time.monotonic() - began:.0f} s for two runs "
            f"({', '.join([TORCH, *pinned])})",
            flush=True,
        )
        faults += [f"{name}: two runs differ"] * (first != second)
        faults += [f"{name}: the control of {subject} does not hold" for subject in without_control(first)]
        faults += [f"{name}: the fault planted in {one['subject']} is not seen" for one in unseen(first)]
        out.parent.mkdir(exist_ok=True)
        part = out.with_suffix(".part")
        about = {"schema_version": 1, "requirements": pinned, "subjects_sha256": digest, "runs_agree": first == second}
        part.write_text(json.dumps({**about, **first}, indent=1) + "\n")
        part.replace(out)
    print("\n".join([*broken, *faults]), file=sys.stderr)
    return 1 if broken else 5 if faults else 0


def requirements(path: Path) -> list[str]:
    """REQUIREMENTS of a file, without importing it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "REQUIREMENTS" for target in targets):
            return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    raise SystemExit(f"{path}: has no REQUIREMENTS")


def environment(pinned: list[str]) -> Path:
    """The interpreter of an environment with these distributions, made if there is none.

    All see the packages of the one without requirements, which has torch: it would take 1 GB in each.
    """
    base = made(ENVIRONMENTS / "torch", [[TORCH], list(ALWAYS)])  # torch first: a range would bring CUDA
    if not pinned:
        return base / "bin" / "python"
    shared = next((base / "lib").glob("python*/site-packages"))
    name = hashlib.sha256(" ".join(pinned).encode()).hexdigest()[:12]
    return made(ENVIRONMENTS / name, [[TORCH, *pinned]], shared) / "bin" / "python"


def made(folder: Path, installed: list[list[str]], shared: Path | None = None) -> Path:
    """An environment in a folder; `shared` are packages of another one that it sees behind its own."""
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        if shared is not None:
            own = next((folder / "lib").glob("python*/site-packages"))
            (own / "shared.pth").write_text(f"{shared}\n")
        for distributions in installed:
            install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", *distributions]
            subprocess.run(install, check=True)
        (folder / "installed").touch()
    return folder


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


def unseen(reports: dict[str, Any]) -> list[dict[str, Any]]:
    """The subjects in which a planted fault violated no law that holds without it."""
    return [report for report in reports["subjects"] if report["planted"]["seen"] == "no"]


if __name__ == "__main__":
    sys.exit(main())
