"""A killed worker changes nothing but times: the short form of `make verify-kills`. The rest is in test_resume.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import verify_kills
from verify_kills import Compared, pairs, verified

FLAGS = ("--archs", "gru", "--match", "params=9000", "--batch-tokens", "100", "--validation-outputs", "5")
ONE_RUN = ("--log-every", "1", "--seeds", "1", "--search", "0", "--workers", "1", "--tested", "10", "--limit", "60")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_comparison_whose_worker_is_killed_ends_with_the_results_of_one_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_kills, "WAYS", ("worker",))
    compared = Compared("translation", pairs, (*FLAGS, "--budget", "60steps"), common=ONE_RUN)
    outcome = verified(compared, 1, 2, tmp_path)
    assert outcome["ways"] == {"worker": 1}
    assert outcome["differences"] == []
