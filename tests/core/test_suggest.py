"""Suggestions for misspelt names."""

from __future__ import annotations

import pytest

from sightline.core.errors import InputError
from sightline.core.suggest import look_up, nearest, suggest, unknown


def test_the_nearest_word_is_near():
    assert nearest("bahdanu", ["rnn", "bahdanau"]) == "bahdanau"
    assert nearest("zebra", ["rnn", "bahdanau"]) is None


def test_without_a_near_word_the_known_ones_are_listed_up_to_a_limit():
    assert suggest("zzz", ["rnn", "gru"], label="choose from") == "; choose from: rnn, gru"
    assert suggest("zzz", ["rnn", "gru"], label=None) == ""
    assert suggest("zzz", map(str, range(99))).endswith(", 19, …")


def test_a_table_gives_the_entry_or_names_the_nearest():
    assert look_up({"rnn": 1}, "rnn", "architecture") == 1
    with pytest.raises(InputError, match=r"^a\.json: unknown architecture 'rn', did you mean 'rnn'\?$"):
        look_up({"rnn": 1}, "rn", "architecture", where="a.json")
    assert len(unknown("name", "x" * 1000, ["y"])) < 200
