"""The recipe "a law": it runs over the whole table, has a meaning or a reason for every entry, and sees its bug."""

from __future__ import annotations

import pytest

from sightline.core.state import Growing
from sightline.mixers import MIXERS
from sightline.testing import LAWS, run_law
from tests.contract.test_laws import CONFIGS, REASONS, subject
from tests.recipes.copied_states import copies_continue

NAME = "a copied state continues"


@pytest.fixture(autouse=True)
def a_line_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAWS, NAME, copies_continue)


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", MIXERS)
def test_every_mechanism_obeys_it(mechanism: str) -> None:
    for number in range(len(CONFIGS[mechanism])):
        result = run_law(NAME, subject(mechanism, number))
        assert result.passed or (not subject(mechanism, number).is_mixer and result.detail in REASONS), str(result)


def test_it_sees_a_planted_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets_the_newest(cache: Growing, _: object) -> Growing:
        return Growing(cache.tensor.narrow(cache.axis, 0, cache.length - 1).clone(), cache.axis)

    assert run_law(NAME, subject("softmax", 0)).passed
    monkeypatch.setattr(Growing, "__deepcopy__", forgets_the_newest, raising=False)
    assert run_law(NAME, subject("softmax", 0)).passed is False
