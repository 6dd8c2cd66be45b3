"""What a request leaves open: the server's limits apply to it, and refusals name the fields of its route."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sightline.data.text.corpus import load_text
from sightline.decoding.engine import DecodingConfig
from sightline.models import LANGUAGE_MODELS
from sightline.tasks.language.config import LanguageConfig, TextTokenizerConfig
from sightline.tasks.language.task import LanguageTask
from tests.serve.models import numbers
from tests.tasks.subjects import SUBJECTS

serving: Any = pytest.importorskip("tests.serve.serving", reason="pip install 'sightline[serve]'")
PREDICT, GENERATE, COMPLETE = "/v1/predict", "/v1/generate", "/v1/completions"


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return SUBJECTS["language"](tmp_path_factory.mktemp("data")).built()


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> LanguageTask:
    """A language model that reads at most 1024 positions."""
    path = tmp_path_factory.mktemp("data") / "a.txt"
    path.write_text("1 times 1 is 1.\n" * 50)
    model = replace(LANGUAGE_MODELS["transformer"], d_model=16, layers=1, heads=2, positions="learned")
    config = LanguageConfig(arch="transformer", model=model, tokenizer=TextTokenizerConfig("byte", 300))
    return LanguageTask.create(load_text(path), config, seed=2)


@pytest.mark.parametrize("decoding", [{}, {"decoding": {}}, {"decoding": {"beam": 2}}])
def test_an_output_that_the_request_does_not_limit_has_at_most_the_tokens_of_the_server(decoding: Any) -> None:
    task = numbers()
    settings = DecodingConfig(**decoding.get("decoding", {}), max_length=3)
    assert task.predict("907", settings) != task.predict("907", replace(settings, max_length=None))
    request = (PREDICT, {"inputs": ["907"], **decoding})
    (short,) = serving.asked({"it": task}, [request], limits=serving.patient(new_tokens=3))
    (whole,) = serving.asked({"it": task}, [request], limits=serving.patient(new_tokens=1024))
    assert short.json()["predictions"][0]["output"] == task.predict("907", settings)
    assert short.json()["predictions"][0]["finished"] is False
    assert whole.json()["predictions"][0]["output"] == task.predict("907", replace(settings, max_length=None))


def test_a_continuation_that_the_request_does_not_limit_has_at_most_the_tokens_of_the_server(stories: Any) -> None:
    prompt = {"model": "stories", "prompt": "1"}
    requests = [
        (PREDICT, {"inputs": ["1"]}),
        (GENERATE, {**prompt, "greedy": True, "stream": False}),
        (COMPLETE, {**prompt, "temperature": 0}),
    ]
    for limit, expected in ((3, [3, 3, 3]), (1024, [200, 200, 16])):
        responses = serving.asked({"stories": stories}, requests, limits=serving.patient(new_tokens=limit))
        assert [one.status_code for one in responses] == [200, 200, 200], [one.text for one in responses]
        predicted, generated, completed = (one.json() for one in responses)
        outputs = [predicted["predictions"][0]["output"], generated["text"], completed["choices"][0]["text"]]
        lengths = [DecodingConfig(max_length=length) for length in expected]
        assert outputs == [stories.predict("1", length) for length in lengths]
        assert (generated["tokens"], completed["usage"]["completion_tokens"]) == tuple(expected[1:])


def test_a_request_for_more_than_the_server_writes_names_its_own_field(stories: Any) -> None:
    requests = [
        (PREDICT, {"inputs": ["1"], "decoding": {"max_length": 4}}),
        (GENERATE, {"prompt": "1", "max_new_tokens": 4}),
        (COMPLETE, {"model": "stories", "prompt": "1", "max_tokens": 4}),
    ]
    responses = serving.asked({"stories": stories}, requests, limits=serving.patient(new_tokens=3))
    for response, field in zip(responses, ("decoding.max_length", "max_new_tokens", "max_tokens"), strict=True):
        error = response.json()["error"]
        assert (response.status_code, error["param"]) == (413, field)
        assert error["message"] == f"{field}: at most 3, found 4"


def test_the_limit_of_tokens_is_that_of_v1_models() -> None:
    (models,) = serving.asked({"it": numbers()}, [("/v1/models", None)], limits=serving.patient(new_tokens=3))
    assert models.json()["data"][0]["max_new_tokens"] == 3


def test_an_error_about_a_long_prompt_names_the_fields_of_the_route(bounded: LanguageTask) -> None:
    prompt = "1 times " * 150
    requests = [
        (PREDICT, {"inputs": [prompt]}),
        (GENERATE, {"prompt": prompt}),
        (GENERATE, {"prompt": prompt, "stream": False}),
        (COMPLETE, {"model": "it", "prompt": prompt}),
        (COMPLETE, {"model": "it", "prompt": prompt, "stream": True}),
        (GENERATE, {"prompt": prompt, "truncate": "left", "max_new_tokens": 2, "stream": False}),
    ]
    *refused, answered = serving.asked({"it": bounded}, requests)
    advice = [
        "with decoding.max_length, or shorten the prompt",
        *['with max_new_tokens, or drop the prompt\'s beginning with truncate "left"'] * 2,
        *["with max_tokens, or shorten the prompt"] * 2,
    ]
    for response, expected in zip(refused, advice, strict=True):
        assert response.status_code == 422
        assert response.json()["error"]["message"].endswith(f"positions: ask for fewer {expected}")
    assert answered.status_code == 200


def test_settings_that_do_not_fit_together_name_their_section() -> None:
    body = {"inputs": ["1"], "decoding": {"beam": 2, "sample": True}}
    (response,) = serving.asked({"it": numbers()}, [(PREDICT, body)])
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (422, "decoding")
    assert error["message"] == "decoding: a beam of 2 and sampling are mutually exclusive"


def test_a_stop_text_that_is_empty_names_its_field(stories: Any) -> None:
    (response,) = serving.asked({"stories": stories}, [(COMPLETE, {"model": "stories", "stop": [""]})])
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (422, "stop")
    assert error["message"] == "stop: an empty stop string would end every text"
