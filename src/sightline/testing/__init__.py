"""Proof: the laws of the contract over any mixer, the house's or your own (`check_mixer`, `sightline certify`)."""

from __future__ import annotations

from sightline.testing.check import check_mixer, run_law
from sightline.testing.laws import LAWS
from sightline.testing.report import LawResult, Report, describe
from sightline.testing.subject import Subject

__all__ = ["LAWS", "LawResult", "Report", "Subject", "check_mixer", "describe", "run_law"]
