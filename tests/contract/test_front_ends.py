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


def pictures_alone(subject: FrontEndSubject) -> bool:
    """Whether the inputs are (B, C, H, W), whose masks are not of lengths."""
    return [source.values.dim() for source in subject.sources()] == [4]


@pytest.mark.parametrize("law", FRONT_END_LAWS)
@pytest.mark.parametrize("config", EXAMPLES)
def test_law(config, law) -> None:
    subject = FrontEndSubject(config)
    result = run_front_end_law(law, subject)
    # What a law has no meaning for; any other reason is a failure.
    if law == "padding" and pictures_alone(subject):
        assert (result.passed, result.detail) == (None, "its masks are not of lengths")
    elif law == "any chunks = whole" and not subject.front_end.pointwise:
        assert (result.passed, result.detail) == (None, "mixes positions")
    else:
        assert result.passed, str(result)
