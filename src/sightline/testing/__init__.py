"""The laws of the contract over any mixer (`check_mixer`, `sightline certify`) or batch stream (`check_batches`)."""

from __future__ import annotations

from sightline.testing.batches import BATCH_LAWS, StreamSubject, check_batches
from sightline.testing.check import check_mixer, run_law
from sightline.testing.laws import LAWS
from sightline.testing.report import LawResult, Report, describe
from sightline.testing.subject import Subject

__all__ = [
    "BATCH_LAWS",
    "LAWS",
    "LawResult",
    "Report",
    "StreamSubject",
    "Subject",
    "check_batches",
    "check_mixer",
    "describe",
    "run_law",
]
