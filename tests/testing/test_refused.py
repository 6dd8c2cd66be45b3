"""What a law says where a bad argument is not refused as it should be."""

from __future__ import annotations

import pytest

from sightline.testing.findings import refused


def fail(error):
    raise error


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: None, "expected a ValueError for an input of width 11, got no error"),
        (
            lambda: fail(RuntimeError("mat1\nmat2")),
            "expected a ValueError for an input of width 11, got RuntimeError: mat1",
        ),
        (lambda: fail(IndexError()), "expected a ValueError for an input of width 11, got IndexError: no message"),
    ],
)
def test_the_finding_names_what_was_expected_and_what_came(call, what):
    finding = refused(call, "an input of width 11")
    assert not finding.holds
    assert finding.what == what


@pytest.mark.parametrize("error", [ValueError("expected width 12"), TypeError("not a tensor")])
def test_a_refusal_holds(error):
    assert refused(lambda: fail(error), "an input of width 11").holds
