"""The section on decoding whole models shows every number of a result."""

from __future__ import annotations

from decoding_page import decoding_section


def spread(value):
    return {"median": value, "lower": 0.9 * value, "upper": 1.1 * value, "least": 0.5 * value, "most": 2 * value}


ROW = {"version": "9.8", "seconds": spread(0.5), "same": 31, "tokens_per_s": 2048.0, "of_limit": 0.41}
RESULT = {
    "job": "many-beam", "question": "32 sentences, beam 4", "tokens": 1024, "outputs": 32, "flops": 1e9,
    "limits": {"float32": 2.1e11, "bf16": 4.2e11}, "pairs": 11,
    "systems": [{"system": "sightline int8", **ROW}, {"system": "transformers", **ROW}],
    "targets": [
        {"peer": "transformers", "precision": "int8", "ratio": spread(3.21), "at_least": 4.0, "met": False, "all": {}}
    ],
}  # fmt: skip
CONTEXT = {"mechanism": "linear", "step_s": {"64": spread(0.002), "4096": spread(0.003)}, "ratio": spread(1.5)}
ENVIRONMENT = {"cpu": "A processor", "cores": 2, "packages": {"torch": "2.13.0"}, "git_commit": "0123456789"}


def test_a_machine_has_all_its_numbers():
    report = {"threads": 1, "results": [RESULT], "contexts": [CONTEXT], "environment": ENVIRONMENT}
    text = decoding_section([report])
    for part in (
        "### A processor, 2 cores, 1 thread", "torch 2.13.0, commit 0123456",
        "**32 sentences, beam 4** (11 rounds; limits: float32 210 GFLOP/s, bf16 420 GFLOP/s)",
        "| sightline, int8 | 2,048 | 41 % | 31 of 32 |", "| transformers 9.8 | 2,048 | 41 % | 31 of 32 |",
        "- 3.21 (2.89–3.53) times transformers, with int8; target ≥ 4, missed", "| `linear` | 2.00 | 3.00 | 1.50 |",
    ):  # fmt: skip
        assert part in text


def test_times_to_the_first_token_and_of_each_other_stand_where_they_were_measured():
    systems = [{**row, "first_s": spread(0.0123), "step_s": spread(0.00456)} for row in RESULT["systems"]]
    report = {
        "threads": 1, "results": [{**RESULT, "systems": systems}, RESULT], "contexts": [], "environment": ENVIRONMENT
    }  # fmt: skip
    text = decoding_section([report])
    assert "| system | tokens/s | first, ms | each, ms | of the limit | same |" in text
    assert "| sightline, int8 | 2,048 | 12.30 | 4.56 | 41 % | 31 of 32 |" in text
    assert "| sightline, int8 | 2,048 | 41 % | 31 of 32 |" in text


def test_without_results_there_is_no_section():
    assert decoding_section([]) == ""
