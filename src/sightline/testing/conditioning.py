"""Conditioning: how far one rounding of inputs and parameters moves the exact result.

Where a mechanism divides by a norm over a few values that happen to be nearly equal or nearly zero, every form of it,
the reference too, loses digits. No form can then be held to a tolerance below that loss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from sightline.testing.findings import RMS_FLOAT32, Finding, relative_rms
from sightline.testing.subject import Subject

ROUNDINGS = 8  # inside a mechanism for one of what goes in: at most 7.0 in 240 ill-conditioned sets of weights
DRAWS = 4

ComparisonKey = tuple[str, int]  # a comparison's name, and how many of that name came before


def conditioned(
    law: Callable[[Subject], Iterable[Finding]], subject: Subject, findings: list[Finding]
) -> list[Finding]:
    """The findings of `law` on `subject`, those in float32 with the tolerance that their conditioning asks for.

    Where one is beyond `RMS_FLOAT32`, its tolerance becomes `ROUNDINGS` times the largest relative RMS by which the
    same comparison's expected values move in float64 when inputs and parameters move by one rounding to float32.
    """
    broken = [finding for finding in findings if _breaks_rms(finding)]
    if not broken:
        return findings
    exact = _expected(findings)
    moved = [_expected(law(subject.moved(draw))) for draw in range(DRAWS)]
    adapted = []
    for finding, key in _keyed(findings, torch.float32):
        if _breaks_rms(finding) and key in exact:
            loss = max(relative_rms(other[key] - exact[key], exact[key]) for other in moved)
            finding = finding._replace(tolerance=max(RMS_FLOAT32, ROUNDINGS * loss))
        adapted.append(finding)
    return adapted


def _breaks_rms(finding: Finding) -> bool:
    return finding.tolerance == RMS_FLOAT32 and not finding.holds


def _expected(findings: Iterable[Finding]) -> dict[ComparisonKey, Tensor]:
    """The expected values of every comparison in float64."""
    return {
        key: finding.compared.expected for finding, key in _keyed(findings, torch.float64) if finding.compared and key
    }


def _keyed(findings: Iterable[Finding], dtype: torch.dtype) -> Iterator[tuple[Finding, ComparisonKey | None]]:
    """The findings, those of comparisons in `dtype` with their keys."""
    seen = Counter[str]()
    for finding in findings:
        key = None
        if finding.compared is not None and finding.compared.dtype == dtype:
            key = finding.compared.name, seen[finding.compared.name]
            seen[finding.compared.name] += 1
        yield finding, key
