"""Laws over any mixer (`check_mixer`, `sightline certify`), front end or batch stream."""

from __future__ import annotations

from sightline.testing.batches import BATCH_LAWS, StreamSubject, check_batches
from sightline.testing.check import check_mixer, run_law
from sightline.testing.front_ends import FRONT_END_LAWS, FrontEndSubject, check_front_end, run_front_end_law
from sightline.testing.laws import LAWS
from sightline.testing.report import LawResult, Report, describe
from sightline.testing.subject import Subject

__all__ = [
    "BATCH_LAWS",
    "FRONT_END_LAWS",
    "LAWS",
    "FrontEndSubject",
    "LawResult",
    "Report",
    "StreamSubject",
    "Subject",
    "check_batches",
    "check_front_end",
    "check_mixer",
    "describe",
    "run_front_end_law",
    "run_law",
]
