"""What may be imported: by the package, only what pyproject.toml declares; the order of layers is import-linter's."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions, packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normal(distribution: str) -> str:
    """A distribution's name without its version, as package indexes compare names."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", distribution)[0]).lower()


# The places that import what extras install, below src/sightline.
EXTRAS = {
    "serve": ("serve",),
    "export": ("ctranslate2", "onnx"),
    "tasks/hub.py": ("hf",),
    "models/weight_files.py": ("hf",),
}


def declared_for(path: Path) -> set[str]:
    """The distributions that a file of the package may import."""
    project, place = PROJECT["project"], path.relative_to(ROOT / "src" / "sightline").as_posix()
    extras = [name for start, names in EXTRAS.items() if place.startswith(start) for name in names]
    lines = [*project["dependencies"], *(line for name in extras for line in project["optional-dependencies"][name])]
    return {normal(line) for line in lines} | {"sightline"}


@pytest.mark.slow
def test_every_import_of_the_package_is_a_declared_dependency():
    known, undeclared = packages_distributions(), set()
    for path in (ROOT / "src").rglob("*.py"):
        declared = declared_for(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for top in {name.split(".")[0] for name in names} - sys.stdlib_module_names:
                if not declared & {normal(name) for name in known.get(top, [top])}:
                    undeclared.add(f"{path.relative_to(ROOT)}: {top}")
    assert undeclared == {"src/sightline/core/shapes.py: jaxtyping"}  # only where somebody has imported it before


@pytest.mark.slow
def test_the_package_runs_without_the_checker_of_shapes():
    script = "import sys, sightline.mixers; assert not {'jaxtyping', 'beartype'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_every_dependency_is_imported_and_pinned():
    pinned = {
        normal(line)
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    installed = packages_distributions()
    for line in PROJECT["project"]["dependencies"]:
        modules = [top for top, names in installed.items() if normal(line) in map(normal, names)]
        assert any(re.search(rf"^\s*(import|from) {top}\b", text, re.MULTILINE) for top in modules), f"{line}: unused"
        assert normal(line) in pinned | {"torch"}, f"{line}: no exact version in constraints.txt"


def requirements(table: dict) -> set[str]:
    """The distributions that pyproject.toml names, extras included."""
    extras = table["project"]["optional-dependencies"]
    return {normal(line) for lines in (table["project"]["dependencies"], *extras.values()) for line in lines}


def test_every_pin_is_a_dependency_or_names_the_one_that_requires_it():
    declared = requirements(PROJECT)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        pin = re.fullmatch(r"([\w.-]+)==[\w.]+(?:  # ([\w.-]+))?", line)
        assert pin, f"{line}: expected NAME==VERSION, or NAME==VERSION  # WHAT REQUIRES IT"
        name, owner = normal(pin[1]), pin[2]
        assert (name in declared) == (owner is None), line
        if owner is not None:
            assert normal(owner) in declared, line
            if normal(owner) in {normal(one.metadata["Name"]) for one in distributions()}:
                assert name in {normal(one) for one in requires(owner) or ()}, f"{owner} does not require {name}"


def test_layers():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
