"""Every law of front ends over every front end of the table, with every example of its options."""

from __future__ import annotations

import pytest

from sightline.parts.front_ends import FRONT_ENDS
from sightline.testing import FRONT_END_LAWS, FrontEndSubject, describe, run_front_end_law

EXAMPLES = [
    pytest.param(config, id=f"{name}-{describe(config)}".replace(" ", ","))
    for name, kind in FRONT_ENDS.items()
    for config in kind.examples()
]

# What a law has no meaning for. Any other reason is a failure.
PICTURES = ("patches", "pixels")


@pytest.mark.parametrize("law", FRONT_END_LAWS)
@pytest.mark.parametrize("config", EXAMPLES)
def test_law(config, law) -> None:
    subject = FrontEndSubject(config)
    result = run_front_end_law(law, subject)
    name = next(name for name, kind in FRONT_ENDS.items() if type(config) is kind)
    if law == "padding" and name in PICTURES:
        assert (result.passed, result.detail) == (None, "its masks are not of lengths")
    elif law == "any chunks = whole" and name != "tokens":
        assert (result.passed, result.detail) == (None, "mixes positions")
    else:
        assert result.passed, str(result)
