"""Public functions of the rooms that compute on tensors say the shapes of these (`core.shapes`)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sightline

ROOT = Path(sightline.__file__).parent
ROOMS = ("core", "mixers", "ops")
SHAPED = {"Bool", "Float", "Int", "Num", "Shaped"}  # jaxtyping's types of tensors
CALLED = {"__init__", "__call__"}  # public in a public class


def is_plain(annotation: ast.expr | None, plain: set[str]) -> bool:
    """Whether a name in `plain` occurs in an annotation outside a shape such as `Float[Tensor, "B T"]`."""
    match annotation:
        case None:
            return False
        case ast.Constant(value=str(text)):
            return is_plain(ast.parse(text, mode="eval").body, plain)
        case ast.Subscript(value=ast.Name(id=name)) if name in SHAPED:
            return False
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in plain
    return any(is_plain(part, plain) for part in ast.iter_child_nodes(annotation) if isinstance(part, ast.expr))


def aliases(modules: list[ast.Module]) -> set[str]:
    """`Tensor` and the names of types that contain it, such as `Tensors = tuple[Tensor, ...]`."""
    plain, before = {"Tensor"}, 0
    while len(plain) > before:
        before = len(plain)
        for node in (node for module in modules for node in module.body):
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=value)
                ) if isinstance(value, ast.Subscript | ast.BinOp | ast.Name) and is_plain(value, plain):
                    plain.add(name)
    return plain


def public_functions(body: list[ast.stmt], of: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """The public functions and the methods of public classes, by their names."""
    for node in body:
        match node:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield from public_functions(node.body, f"{name}.")
            case ast.FunctionDef(name=name) if name in CALLED or not name.startswith("_"):
                yield of + name, node


def without_shapes(source: str, plain: set[str]) -> list[str]:
    """The public functions of a module that take or return a tensor without a shape."""
    names = []
    for name, function in public_functions(ast.parse(source).body):
        own = function.args
        taken = [*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg]
        annotations = [function.returns, *(argument.annotation for argument in taken if argument is not None)]
        if any(is_plain(annotation, plain) for annotation in annotations):
            names.append(name)
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_public_functions_say_the_shapes_of_their_tensors(room: str) -> None:
    sources = {file: file.read_text(encoding="utf-8") for part in ROOMS for file in (ROOT / part).rglob("*.py")}
    plain = aliases([ast.parse(source) for source in sources.values()])
    found = {
        f"{file.relative_to(ROOT)}: {name}"
        for file, source in sources.items()
        if (ROOT / room) in file.parents
        for name in without_shapes(source, plain)
    }
    assert not found, "use a name of core.shapes, AnyTensor where the shape is free"


def test_a_tensor_without_a_shape_is_noticed() -> None:
    source = """
Tensors = tuple[Tensor, ...]
Rows = Float[Tensor, "N D"]
def argument(x: Tensor): ...
def result(x: Rows) -> Tensor | None: ...
def alias(x: Rows, *, others: list[Tensors]): ...
def called(run: Callable[["Tensor"], Rows]): ...
def several(*x: torch.Tensor): ...
def shaped(x: Rows, number: int) -> tuple[Rows, Float[Tensor, "N"]]: ...
def _private(x: Tensor): ...
class Public:
    def __init__(self, x: Tensor): ...
    def _private(self, x: Tensor): ...
class _Private:
    def method(self, x: Tensor): ...
"""
    plain = aliases([ast.parse(source)])
    assert plain == {"Tensor", "Tensors"}
    expected = ["argument", "result", "alias", "called", "several", "Public.__init__"]
    assert without_shapes(source, plain) == expected
