"""Laws over any mixer (`check_mixer`, `sightline certify`), front end, batch stream or task."""

from __future__ import annotations

from sightline.testing.batches import BATCH_LAWS, StreamSubject, check_batches
from sightline.testing.check import check_mixer, run_law
from sightline.testing.front_ends import FRONT_END_LAWS, FrontEndSubject, check_front_end, run_front_end_law
from sightline.testing.laws import LAWS
from sightline.testing.report import LawResult, Report, describe
from sightline.testing.subject import Subject
from sightline.testing.task_subject import DataOption, TaskSubject
from sightline.testing.tasks import TASK_LAWS, check_task

__all__ = [
    "BATCH_LAWS",
    "FRONT_END_LAWS",
    "LAWS",
    "TASK_LAWS",
    "DataOption",
    "FrontEndSubject",
    "LawResult",
    "Report",
    "StreamSubject",
    "Subject",
    "TaskSubject",
    "check_batches",
    "check_front_end",
    "check_mixer",
    "check_task",
    "describe",
    "run_front_end_law",
    "run_law",
]
