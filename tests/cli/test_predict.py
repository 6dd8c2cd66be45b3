from __future__ import annotations

import io
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sightline.cli.app import main
from sightline.tasks.load import load
from tests.tasks.translation.small import untrained

TEXTS = ["7", "123", "40", "999"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models") / "model"
    untrained("bahdanau", seed=4).save(directory)
    return directory


@pytest.fixture
def run(monkeypatch, capsys, model):
    """Runs `predict` on the model with this on standard input; status, output lines, error."""

    def call(*arguments: str, stdin: bytes = b""):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
        status = main(["predict", str(model), *arguments])
        out, error = capsys.readouterr()
        return status, out, error

    return call


def test_arguments_and_standard_input_say_the_same_in_order(run, model):
    expected = "".join(text + "\n" for text in load(model).predict(TEXTS))
    assert run(*TEXTS)[:2] == (0, expected)
    assert run(stdin="\n".join(TEXTS).encode())[:2] == (0, expected)


def test_drafts_and_refill_change_no_output(run):
    expected = run(*TEXTS)
    assert run(*TEXTS, "--draft", "ngram") == expected
    assert run(*TEXTS, "--refill", "--batch-size", "1") == expected


def test_an_empty_line_gives_an_empty_line(run):
    status, out, _ = run(stdin=b"7\n\n123\n\n")
    assert status == 0
    lines = out.split("\n")
    assert (len(lines), lines[1], lines[3], lines[4]) == (5, "", "", "")


def test_a_file_is_no_text_but_a_line_of_standard_input_is_one(run, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    way = (
        "write texts as arguments, give a table of them with --data, or write any text, one per line, on standard input"
    )
    (tmp_path / "words.tsv").write_text("7\tseven\n")
    for text, problem in (
        ("words.tsv", "is a file, but a text is expected"),
        ("wrods.tsv", "no such file, and not read as a text"),
    ):
        assert run("7", text) == (2, "", f"sightline: error: {text}: {problem}: {way}\n")
        assert run(stdin=f"{text}\n".encode())[:2] == (0, load(model).predict([text])[0] + "\n")


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_no_input_is_an_error(run, flags):
    """Of any task, and not an empty success: the program before it in a pipe has failed, or `<` has the wrong file."""
    error = "sightline: error: stdin: no input: give inputs after the run, or one per line on standard input\n"
    assert run(*flags, stdin=b"") == (2, "", error)
    assert run(*flags, stdin=b"\n")[0] == 0


def test_json_contains_every_output_with_its_score(run, model):
    status, out, _ = run("--json", "--beam", "2", *TEXTS)
    result = json.loads(out)
    assert status == 0
    assert (result["schema_version"], result["arch"]) == (1, "bahdanau")
    assert [record["source"] for record in result["predictions"]] == TEXTS
    assert all(record["score"] < 0 for record in result["predictions"])
    greedy = json.loads(run("--json", *TEXTS)[1])["predictions"]
    assert [record["output"] for record in greedy] == load(model).predict(TEXTS)


@pytest.mark.slow
def test_options_reach_the_decoder(run):
    drawn = {run("--sample", "--temperature", "5", "--seed", seed, *TEXTS)[1] for seed in ("1", "2")}
    assert len(drawn) == 2
    assert run("--sample", "--temperature", "0", *TEXTS)[1] == run(*TEXTS)[1]
    assert run("--sample", "--top-k", "1", "--seed", "8", *TEXTS)[1] == run(*TEXTS)[1]
    assert run("--sample", "--top-p", "1e-9", *TEXTS)[1] == run("--sample", "--min-p", "1", *TEXTS)[1]
    one = [run("--batch-size", size, *TEXTS)[1] for size in ("1", "100")]
    assert one[0] == one[1]


def test_truncated_outputs_are_reported_on_standard_error(run):
    records = json.loads(run("--json", "--max-length", "1", *TEXTS)[1])["predictions"]
    cut = sum(not record["finished"] for record in records)
    assert cut > 0
    status, out, error = run("--max-length", "1", *TEXTS)
    assert status == 0
    assert out == "".join(record["output"] + "\n" for record in records)
    assert error == f"sightline: {cut} of 4 outputs were truncated; increase --max-length\n"


def test_sampling_a_stream_is_sampling_its_lines_at_once(run):
    arguments = ("--sample", "--temperature", "4", "--seed", "3")
    assert run(*arguments, *TEXTS)[1] == run(*arguments, stdin="\n".join(TEXTS).encode())[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--beam", "0"], "--beam: must be at least 1, found 0"),
        (["--beam", "2", "--refill"], "--refill: needs greedy decoding or sampling: remove the beam"),
        (["--draft", "model"], "--draft"),
        (["--draft-tokens", "3"], "--draft-tokens: requires a draft, such as ngram"),
        (["--beam", "two"], "--beam: expected an integer"),
        (["--temperature", "0.5"], "--temperature: requires --sample"),
        (["--top-k", "5"], "--top-k: requires --sample"),
        (["--seed", "5"], "--seed: requires --sample"),
        (["--length-penalty", "1"], "--length-penalty: requires --beam 2 or more"),
        (["--sample", "--beam", "4"], "a beam of 4 and sampling are mutually exclusive"),
        (["--sample", "--temperature", "-1"], "--temperature: must be at least 0, found -1.0"),
        (["--sample", "--top-p", "1.5"], "--top-p: must be above 0 and at most 1, found 1.5"),
        (["--sample", "--min-p", "nan"], "--min-p: expected a number, found 'nan'"),
        (["--sample", "--top-k", "0"], "--top-k: must be at least 1, found 0"),
        (["--sample", "--repetition-penalty", "0"], "--repetition-penalty: must be between 0.01 and 1000000"),
        (["--max-length", "0"], "--max-length: must be at least 1, found 0"),
        (["--batch-size", "0"], "--batch-size: must be at least 1, found 0"),
        (["--device", "abacus"], "must be auto, cpu, cuda or mps, found 'abacus'"),
        (["--beem", "4"], "unknown option: --beem"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_wrong_options_are_one_line_and_status_2(arguments, message, run):
    status, out, error = run(*arguments, "7")
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert message in error


def test_a_bad_line_is_named_and_what_came_before_is_answered(run):
    status, out, error = run(stdin=b"7\n123\n\xff\n40\n")
    assert status == 2
    assert out.count("\n") == 2
    assert error.startswith("sightline: error: stdin:3: invalid UTF-8 at byte 1")


@pytest.mark.slow
def test_a_process_that_waits_is_answered_line_by_line(model):
    command = [sys.executable, "-m", "sightline", "predict", str(model)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = []
        for text in TEXTS:
            process.stdin.write(text.encode() + b"\n")
            process.stdin.flush()
            answers.append(process.stdout.readline().decode().rstrip("\n"))  # would hang if it waited for more
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0
    assert answers == load(model).predict(TEXTS)
