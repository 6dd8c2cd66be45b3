"""Numbers that carry their places, and how these are taken out again."""

from __future__ import annotations

from sightline.core.sourced import pointer, replace_sources, sourced, with_sources, without_sources


def test_a_pointer_escapes_what_it_must() -> None:
    assert pointer("architectures", 2, "a/b~c") == "/architectures/2/a~1b~0c"


def test_a_number_has_its_places_only_where_they_are_asked_for() -> None:
    assert sourced("3.2 %", ("a",)) == "3.2 %"
    with with_sources():
        text = f"about {sourced('3.2 %', ('a', 0), ('x/y', 'b c~d'), how='mean of ratios')} of {sourced('7', ('n',))}."
    assert sourced("7", ("n",)) == "7"
    assert without_sources(text) == "about 3.2 % of 7."
    seen = []
    replace_sources(text, lambda number, places, how: seen.append((number, places, how)) or "")
    assert seen == [("3.2 %", [("a", "0"), ("x/y", "b c~d")], "mean of ratios"), ("7", [("n",)], "")]
