"""Write `files/` with the real tools, in their own environment: `make formats`, `python write.py NAME…` for some tools.

Each module of `writers/` is for one tool. Its `FILES` names the files that the tool writes and the functions that write
them; `VERSION` names the tool's version, which `files/versions.json` records for the table in the documentation.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FILES = HERE / "files"
LARGEST_BYTES = 64 << 10


def write(name: str) -> str:
    """Write all files of one tool; returns its version."""
    module = importlib.import_module(f"writers.{name}")
    for file, writer in module.FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            writer(path)
            sizes = [one.stat().st_size for one in Path(folder).rglob("*") if one.is_file()]
            if not path.exists() or sum(sizes) > LARGEST_BYTES:
                raise SystemExit(f"{name}: {file}: not written, or larger than {LARGEST_BYTES:,} bytes")
            shutil.copytree(folder, FILES / name, dirs_exist_ok=True)
        print(f"{name}: {file}")
    return module.VERSION


def main(names: list[str]) -> None:
    """Write the files of the named tools, by default of all."""
    sys.path.insert(0, str(HERE))
    chosen = names or sorted(path.stem for path in (HERE / "writers").glob("*.py"))
    versions_file = FILES / "versions.json"
    versions = json.loads(versions_file.read_text()) if versions_file.exists() else {}
    for name in chosen:
        shutil.rmtree(FILES / name, ignore_errors=True)
        versions[name] = write(name)
    versions_file.write_text(json.dumps(dict(sorted(versions.items())), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
