"""What narrower products cost a translation model (benchmarks/verify_precisions.py)."""

from __future__ import annotations

from sightline.tasks.precisions import PrecisionComparison
from sightline.training.measured import Measured
from verify_precisions import passes, result_of


def comparison(**bleu):
    details = {"signatures": {"bleu": "nrefs:1"}}
    measured = {name: Measured({"bleu": value, "loss": 1.5}, {}, (), (), details) for name, value in bleu.items()}
    return PrecisionComparison("title", measured, dict.fromkeys(bleu, 1.0), dict.fromkeys(bleu, 9))


def test_a_loss_of_a_fifth_of_a_point_is_the_most(capsys):
    good = result_of("greedy", comparison(float32=30.0, bf16=29.8, int8=30.4))
    assert good["lost"] == {"bf16": 0.2, "int8": -0.4}
    assert good["met"]
    bad = result_of("beam 5", comparison(float32=30.0, bf16=30.0, int8=29.79))
    assert not bad["met"]
    assert passes([good])
    assert not passes([good, bad])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "beam 5: BLEU 30.00; bf16 +0.00, int8 -0.21; at most 0.2 lost: failed"
