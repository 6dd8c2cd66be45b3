"""Labelled series as aeon writes them."""

from tests.formats.cases import Case

CASES = [
    Case(
        "two.ts", ".ts of several dimensions", "classification",
        [((4, 2), ("up",)), ((4, 2), ("down",)), ((4, 2), ("up",))],
    ),
    Case("one.ts", ".ts of one dimension", "classification", [((4, 1), ("1",)), ((4, 1), ("2",)), ((4, 1), ("1",))]),
    Case("unequal.ts", ".ts of unequal lengths", "classification", [((3, 1), ("a",)), ((5, 1), ("b",))]),
]  # fmt: skip
