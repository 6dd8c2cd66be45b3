"""`sightline generate`: sources of prompts, streamed text, and errors in one line."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sightline.cli.app import main
from sightline.data.text.corpus import load_text
from sightline.decoding.engine import DecodingConfig
from sightline.models import LANGUAGE_MODELS
from sightline.tasks.language.config import LanguageConfig, TextTokenizerConfig
from sightline.tasks.language.generation import GenerationConfig
from sightline.tasks.language.task import LanguageTask
from tests.tasks.translation.small import untrained


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    (directory / "a.txt").write_text("the cat sat on the mat.\n" * 50)
    config = LanguageConfig(arch="lstm", model=replace(LANGUAGE_MODELS["lstm"], d_model=16, layers=1, dropout=0.0))
    LanguageTask.create(load_text(directory / "a.txt"), config, seed=3).save(directory / "model")
    return directory / "model"


@pytest.fixture
def run(monkeypatch, capsys, model):
    """Runs `generate` on the model with this on standard input; status, output, error."""

    def call(*arguments: str, stdin: bytes = b"", terminal: bool = False):
        stream = SimpleNamespace(buffer=io.BytesIO(stdin), isatty=lambda: terminal)
        monkeypatch.setattr("sys.stdin", stream)
        status = main(["generate", str(model), *arguments])
        out, error = capsys.readouterr()
        return status, out, error

    return call


def expected(model, prompt: str, most: int = 9, **options) -> str:
    task = LanguageTask.load(model)
    own = {key: options.pop(key) for key in ("stop",) if key in options}
    return task.generate([prompt], GenerationConfig(DecodingConfig(max_length=most, **options), **own))[0].text


def test_a_prompt_from_an_argument_a_file_or_standard_input(run, model, tmp_path):
    (tmp_path / "prompt.txt").write_text("the cat")
    outcome = (0, expected(model, "the cat") + "\n", "")
    assert run("the cat", "--greedy", "--max-new-tokens", "9") == outcome
    assert run("--prompt-file", str(tmp_path / "prompt.txt"), "--greedy", "--max-new-tokens", "9") == outcome
    assert run("--greedy", "--max-new-tokens", "9", stdin=b"the cat\n") == outcome
    assert run("the cat", "--greedy", "--max-new-tokens", "9", "--echo")[1] == "the cat" + outcome[1]


def test_on_a_terminal_without_a_prompt_a_document_begins(run, model):
    assert run("--greedy", "--max-new-tokens", "9", terminal=True)[1] == expected(model, "") + "\n"


def test_sampling_is_the_default(run, model):
    options = ("--max-new-tokens", "9", "--seed", "7")
    drawn = run("the", *options)[1]
    assert drawn == expected(model, "the", sample=True, seed=7) + "\n"
    assert run("the", *options, "--sample")[1] == drawn
    assert run("the", "--max-new-tokens", "9", "--seed", "8")[1] != drawn


def test_every_sampling_flag_arrives(run, model):
    flags = ["--temperature", "0.7", "--top-k", "5", "--top-p", "0.9", "--min-p", "0.01", "--repetition-penalty", "1.3"]
    options = {"temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.3}
    assert run("the", "--max-new-tokens", "9", *flags)[1] == expected(model, "the", sample=True, **options) + "\n"


def test_drafts_and_refill_change_no_text(run, model):
    prompts = ("the cat", "the cat sat on", "mat. the")
    greedy, sampled = ("--greedy", "--max-new-tokens", "12"), ("--seed", "4", "--max-new-tokens", "12")
    plain, drawn = run(*prompts, *greedy)[1], run(*prompts, *sampled)[1]
    assert plain.count("\n") >= 3
    refill = ("--refill", "--batch-size", "2")
    for flags in (("--draft", "ngram"), ("--draft", str(model), "--draft-tokens", "3"), refill):
        assert run(*prompts, *greedy, *flags)[::2] == (0, "")
        assert run(*prompts, *greedy, *flags)[1] == plain
    assert run(*prompts, *sampled, "--draft", "ngram")[1] == drawn
    assert run(*prompts, *sampled, *refill)[1] == drawn
    status, others, _ = run(*prompts, *sampled, "--draft", str(model))
    assert status == 0
    assert others != drawn  # of the same distribution


def test_a_draft_must_be_a_language_model_with_the_same_tokens(run, tmp_path):
    untrained("lstm", seed=4).save(tmp_path / "translator")
    (tmp_path / "b.txt").write_text("other words, other letters: xyz\n" * 50)
    config = LanguageConfig(
        arch="lstm",
        tokenizer=TextTokenizerConfig("char"),
        model=replace(LANGUAGE_MODELS["lstm"], d_model=8, layers=1, dropout=0.0),
    )
    LanguageTask.create(load_text(tmp_path / "b.txt"), config, seed=3).save(tmp_path / "other")
    for name, problem in (("translator", "is a translation model; drafts need"), ("other", "its tokens are not those")):
        status, out, error = run("the", "--draft", str(tmp_path / name))
        assert (status, out) == (2, "")
        assert error.startswith("sightline: error: --draft: ")
        assert problem in error
        assert error.count("\n") == 1


def test_stop_strings_end_the_text(run, model):
    whole = expected(model, "the", 30, sample=True)
    stop = whole[3]
    actual = run("the", "--max-new-tokens", "30", "--stop", stop, "--stop", "never")[1]
    assert actual == whole[: whole.index(stop)] + "\n"


def test_json_holds_every_output(run):
    status, out, _ = run("the", "cat", "--num-samples", "2", "--max-new-tokens", "5", "--json")
    result = json.loads(out)
    assert status == 0
    assert (result["schema_version"], result["arch"]) == (1, "lstm")
    assert [one["prompt"] for one in result["generated"]] == ["the", "the", "cat", "cat"]
    assert all(set(one) == {"prompt", "text", "score", "tokens", "ended", "dropped"} for one in result["generated"])


def test_several_outputs_come_one_after_another(run):
    _, out, _ = run("the", "--num-samples", "3", "--max-new-tokens", "5")
    _, listed, _ = run("the", "--num-samples", "3", "--max-new-tokens", "5", "--json")
    assert out == "".join(one["text"] + "\n" for one in json.loads(listed)["generated"])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("x", "--greedy", "--sample"), "choose one of --greedy, --sample and --beam"),
        (("x", "--greedy", "--temperature", "1"), "--temperature: requires sampling: remove --greedy and --beam"),
        (("x", "--length-penalty", "1"), "--length-penalty: requires --beam 2 or more"),
        (("x", "--top-p", "2"), "--top-p: must be above 0 and at most 1, found 2.0"),
        (("x", "--max-new-tokens", "0"), "--max-new-tokens: must be at least 1, found 0"),
        (("x", "--stop", ""), "--stop: an empty stop string would end every text"),
        (("x", "--num-samples", "0"), "--num-samples: must be at least 1, found 0"),
        (("x", "--greedy", "--num-samples", "2"), "several outputs of a prompt need sampling"),
        (("x", "--beam", "2", "--draft", "ngram"), "--draft: needs greedy decoding or sampling: remove the beam"),
        (("x", "--refill", "--draft", "ngram"), "--draft: drafts and refill are mutually exclusive"),
        (("x", "--draft-tokens", "0"), "--draft-tokens: must be at least 1, found 0"),
        (("x", "--draft-tokens", "3"), "--draft-tokens: requires a draft, such as ngram"),
        (("x", "--draft", "nowhere"), "nowhere"),
        (("x", "--prompt-file", "a.txt"), "--prompt-file: pass either prompts or a file"),
        (("--prompt-file", "nothing.txt"), "nothing.txt: no such file"),
    ],
)
def test_invalid_options_are_one_line(run, arguments, problem):
    status, out, error = run(*arguments)
    assert status == 2
    assert out == ""
    assert error.startswith("sightline: error: ")
    assert problem in error
    assert error.count("\n") == 1


def test_bad_bytes_on_standard_input(run):
    status, _, error = run("--greedy", stdin=b"one\ntw\xff")
    assert status == 2
    assert "stdin:2: invalid UTF-8 at byte 3 (0xff)" in error


def test_a_prompt_that_names_a_file_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompt.txt").write_text("the cat")
    status, out, error = run("prompt.txt")
    assert (status, out) == (2, "")
    assert "prompt.txt: is a file, but a text is expected: --prompt-file reads a prompt from a file" in error


def test_a_model_of_another_task_is_refused(tmp_path, capsys):
    untrained("lstm", seed=4).save(tmp_path / "model")
    assert main(["generate", str(tmp_path / "model"), "x"]) == 2
    expected = "model: is a translation model; `generate` needs a language model (use `sightline predict`)"
    assert expected in capsys.readouterr().err


def test_a_language_model_is_measured_as_asked(model, tmp_path, capsys):
    """Overlapping windows see more context; the evaluation reports and draws the chosen stride."""
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat and the dog sat on the log\n" * 20)

    def measured(*arguments: str) -> dict[str, object]:
        assert main(["eval", str(model), "--data", str(text), "--json", *arguments]) == 0
        return json.loads(capsys.readouterr().out)

    plain, strided = measured(), measured("--stride", "4", "--figures", str(tmp_path / "figures"))
    assert strided["evaluated"].endswith(", 4 apart")
    assert strided["evaluated"] != plain["evaluated"]
    assert (strided["tokens"], strided["bytes"]) == (plain["tokens"], plain["bytes"])
    assert max(p["first"] for p in strided["by_position"]) == max(p["first"] for p in plain["by_position"])
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"curve.png", "curve.svg"}
    assert main(["eval", str(model), "--data", str(text), "--beam", "4", "--precision", "float32"]) == 2
    assert "error: --beam: a language model is measured on the text that is there" in capsys.readouterr().err
    assert main(["eval", str(model), "--data", str(text), "--stride", "0"]) == 2
    assert "--stride: must be at least 1, found 0" in capsys.readouterr().err
