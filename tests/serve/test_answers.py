"""Every answer of the server is the one that `predict`, or `generate`, gives."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import time
from pathlib import Path
from typing import Any

import pytest

from sightline.decoding.engine import DecodingConfig
from tests.models.steps import stand_in
from tests.serve.models import Gated, numbers
from tests.tasks.subjects import SUBJECTS
from tests.tasks.translation import small as pairs

serving: Any = pytest.importorskip("tests.serve.serving", reason="pip install 'sightline[serve]'")
KINDS = (
    "translation",
    "classification",
    "classification of label sets",
    "classification of series",
    "classification of pictures",
    "classification of sounds",
    "forecasting of quantiles",
    "language",
    "answering",
)


@pytest.fixture(scope="module", params=KINDS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return SUBJECTS[request.param](tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return SUBJECTS["language"](tmp_path_factory.mktemp("data")).built()


def sent(task: Any, one: Any) -> Any:
    """An input as a request sends it."""

    def value(kind: str, given: Any) -> Any:
        if kind == "series":
            return json.loads(given)
        if kind in ("text",):
            return given
        return {"base64": base64.b64encode(Path(given).read_bytes()).decode()}

    sources = task.input_sources
    if len(sources) == 1:
        return value(next(iter(sources.values())), one)
    return {name: value(kind, given) for (name, kind), given in zip(sources.items(), one, strict=True)}


def without_input(record: dict[str, Any]) -> Any:
    kept = {key: value for key, value in record.items() if key not in ("source", "prompt")}
    return json.loads(json.dumps(kept))


def close(one: Any, other: Any) -> bool:
    """The same, but for the rounding of another batch size."""
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=1e-4, abs=1e-6)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == other


def test_each_answer_is_that_of_predict(subject: Any) -> None:
    task, inputs = subject.built(), list(subject.inputs)
    body = {"inputs": [sent(task, one) for one in inputs]}
    single = {"inputs": body["inputs"][:1]}
    several, alone = serving.asked({"it": task}, [("/v1/predict", body), ("/v1/predict", single)])
    expected = [without_input(answer.record) for answer in task.answer(inputs)]
    assert several.status_code == alone.status_code == 200, several.text
    assert close(several.json()["predictions"], expected)
    assert close(alone.json()["predictions"], expected[:1])


def test_a_forecast_of_a_table_and_of_numbers(tmp_path: Path) -> None:
    subject = SUBJECTS["forecasting"](tmp_path)
    task, path = subject.built(), Path(subject.inputs[0])
    values = [float(line.split(",")[1]) for line in path.read_text().splitlines()[1:]]
    table, plain, broken = serving.asked(
        {"load": task},
        [
            ("/v1/forecast", {"csv": path.read_text()}),
            ("/v1/forecast", {"values": values}),
            ("/v1/forecast", {"csv": "time,a\n0,1\n1,x\n"}),
        ],
    )
    expected = task.predict(str(path)).record()["forecast"]
    assert close(table.json()["forecast"], json.loads(json.dumps(expected)))
    steps = [row["value"] for row in plain.json()["forecast"]]
    assert steps == pytest.approx([row["value"] for row in expected], rel=1e-4)
    assert broken.status_code == 422
    assert broken.json()["error"]["message"].startswith("series.csv:3: ")  # no folder of the server


def test_decoding_is_that_of_predict() -> None:
    task = numbers()
    for settings in (
        {"beam": 4, "length_penalty": 0.5}, {"sample": True, "top_k": 5, "seed": 3, "max_length": 7},
        {"sample": True, "seed": 3, "draft": "ngram"},
    ):  # fmt: skip
        (response,) = serving.asked({"it": task}, [("/v1/predict", {"inputs": ["12", "907"], "decoding": settings})])
        outputs = [one["output"] for one in response.json()["predictions"]]
        assert outputs == task.predict(["12", "907"], DecodingConfig(**settings))


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_answers_at_a_precision_are_those_of_predict_and_generate(precision: str, stories: Any) -> None:
    from sightline.tasks.language.generation import GenerationConfig

    task = numbers()
    greedy = {"prompt": "1", "max_new_tokens": 5, "greedy": True, "stream": False}
    completion = {"model": "stories", "prompt": "1", "max_tokens": 5, "temperature": 0}
    models, answers, whole, beam, completed = serving.asked(
        {"it": task, "stories": stories},
        [
            ("/v1/models", None),
            ("/v1/predict", {"model": "it", "inputs": ["12", "907"]}),
            ("/v1/generate", {"model": "stories", **greedy}),
            ("/v1/predict", {"model": "it", "inputs": ["907"], "decoding": {"beam": 3}}),
            ("/v1/completions", completion),
        ],
        precision=precision,
    )
    assert {model["precision"] for model in models.json()["data"]} == {precision}
    records = {
        key: [without_input(one.record) for one in task.answer(["12", "907"], DecodingConfig(precision=key))]
        for key in ("float32", precision)
    }
    assert close(answers.json()["predictions"], records[precision])
    # An untrained model's scores tell the precisions apart.
    assert not close(answers.json()["predictions"], records["float32"])
    (expected,) = task.answer(["907"], DecodingConfig(beam=3, precision=precision))
    assert close(beam.json()["predictions"], [without_input(expected.record)])
    config = GenerationConfig(DecodingConfig(max_length=5, precision=precision))
    (continued,) = stories.generate(["1"], config)
    assert (whole.json()["text"], whole.json()["score"]) == (continued.text, pytest.approx(continued.score, rel=1e-5))
    assert completed.json()["choices"][0]["text"] == continued.text


@pytest.mark.parametrize("arch", ["gru", "transformer"])
def test_compiled_steps_answer_single_inputs_as_predict_does(
    arch: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from sightline.tasks.language.generation import GenerationConfig

    stories = SUBJECTS["language"](tmp_path).built()
    task = pairs.untrained(arch, seed=5)  # nothing is compiled for it yet
    calls = stand_in(monkeypatch)
    greedy = {"model": "stories", "prompt": "1", "max_new_tokens": 30, "greedy": True, "stream": False}
    requests: list[Any] = [("/v1/models", None)]
    requests += [("/v1/predict", {"model": "it", "inputs": ["12"], "decoding": {"beam": beam}}) for beam in (1, 3, 2)]
    requests += [("/v1/predict", {"model": "it", "inputs": ["12", "907"]}), ("/v1/generate", greedy)]

    async def ask() -> list[Any]:
        async with serving.started({"it": task, "stories": stories}, compiled=(1, 3)) as client:
            responses = []
            for path, body in requests:
                calls.clear()
                response = await (client.get(path) if body is None else client.post(path, json=body))
                responses.append((response.json(), {len(tokens) for tokens in calls}))
            return responses

    models, *answers, (continued, used) = asyncio.run(ask())
    assert [model["compiled_beams"] for model in models[0]["data"]] == [[1, 3], [1, 3]]
    assert 1 in used
    assert continued["text"] == stories.generate(["1"], GenerationConfig(DecodingConfig(max_length=30)))[0].text
    assert [used & {beam} for (_, used), beam in zip(answers, (1, 3, 2), strict=False)] == [{1}, {3}, set()]
    assert answers[-1][1] <= {1}  # several inputs: when one is left
    for (body, _), (_, asked) in zip(answers, requests[1:-1], strict=True):
        decoding = DecodingConfig(**asked.get("decoding", {}))
        assert [one["output"] for one in body["predictions"]] == task.predict(asked["inputs"], decoding)


def test_sampled_requests_at_once_draw_what_each_would_draw_alone() -> None:
    task = numbers()
    bodies = [
        {"inputs": [str(number)], "decoding": {"sample": True, "seed": seed}} for number in (7, 12) for seed in (0, 1)
    ]

    async def ask() -> list[Any]:
        async with serving.started({"it": task}) as client:
            return await asyncio.gather(*(client.post("/v1/predict", json=body) for body in bodies))

    for body, response in zip(bodies, asyncio.run(ask()), strict=True):
        decoding = DecodingConfig(**body["decoding"])
        assert response.json()["predictions"][0]["output"] == task.predict(body["inputs"], decoding)[0]


def test_a_hundred_clients_at_once_get_what_predict_gives() -> None:
    task = Gated(numbers())
    texts = [str(number) for number in range(100)]

    async def ask() -> tuple[list[Any], str]:
        async with serving.started({"it": task}) as client:
            sent = [asyncio.ensure_future(client.post("/v1/predict", json={"inputs": [text]})) for text in texts]
            while sum(map(len, task.batches[:1])) + serving.waiting_inputs((await client.get("/metrics")).text) < 100:
                await asyncio.sleep(0.01)
            task.gate.set()
            return await asyncio.gather(*sent), (await client.get("/metrics")).text

    responses, metrics = asyncio.run(ask())
    assert [one.json()["predictions"][0]["output"] for one in responses] == task.predict(texts)
    batches = next(line for line in metrics.splitlines() if line.startswith("sightline_batch_inputs_count"))
    meanwhile = 100 - len(task.batches[0])
    assert float(batches.split()[1]) == 1 + math.ceil(meanwhile / 64)  # what waits is computed together


def test_one_wrong_input_does_not_spoil_the_answers_of_others(tmp_path: Path) -> None:
    subject = SUBJECTS["classification of series"](tmp_path)
    task = subject.built()
    right, wrong = json.loads(subject.inputs[0]), [[1.0], [2.0]]

    async def ask() -> list[Any]:
        async with serving.started({"it": task}, serving.patient(wait_ms=200.0)) as client:
            bodies = [{"inputs": [right]}, {"inputs": [wrong]}, {"inputs": [right]}]
            return await asyncio.gather(*(client.post("/v1/predict", json=body) for body in bodies))

    responses = asyncio.run(ask())
    assert [one.status_code for one in responses] == [200, 422, 200]
    assert "has 1 channels, the model reads 2" in responses[1].json()["error"]["message"]


def test_continuations_are_those_of_generate(stories: Any) -> None:
    from sightline.tasks.language.generation import GenerationConfig

    body = {"prompt": "1 times", "max_new_tokens": 12, "temperature": 0.8, "seed": 5, "stop": ["7"]}
    whole, stream, greedy = serving.asked(
        {"stories": stories},
        [
            ("/v1/generate", {**body, "stream": False}),
            ("/v1/generate", body),
            ("/v1/generate", {"prompt": "1 times", "max_new_tokens": 12, "greedy": True, "stream": False}),
        ],
    )
    config = GenerationConfig(DecodingConfig(sample=True, temperature=0.8, seed=5, max_length=12), stop=("7",))
    (expected,) = stories.generate(["1 times"], config)
    assert whole.json()["text"] == expected.text
    assert stream.headers["content-type"].startswith("text/event-stream")
    *pieces, last = serving.events(stream.text)
    assert "".join(piece["text"] for piece in pieces) == last["text"] == expected.text
    assert (last["done"], last["tokens"], last["ended"]) == (True, expected.tokens, expected.ended)
    likeliest = stories.generate(["1 times"], GenerationConfig(DecodingConfig(max_length=12)))[0].text
    assert greedy.json()["text"] == likeliest


def test_completions_have_the_shape_of_openai(stories: Any) -> None:
    from sightline.tasks.language.generation import GenerationConfig

    body = {"model": "stories", "prompt": ["1 times", "7"], "n": 2, "max_tokens": 5, "seed": 3, "temperature": 0.5}
    whole, stream, greedy = serving.asked(
        {"stories": stories},
        [
            ("/v1/completions", body),
            ("/v1/completions", {**body, "stream": True, "stream_options": {"include_usage": True}}),
            ("/v1/completions", {"model": "stories", "prompt": "1", "temperature": 0, "echo": True}),
        ],
    )
    config = GenerationConfig(DecodingConfig(sample=True, temperature=0.5, seed=3, max_length=5), samples=2)
    expected = stories.generate(["1 times", "7"], config)
    answer = whole.json()
    assert [choice["text"] for choice in answer["choices"]] == [one.text for one in expected]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert {choice["finish_reason"] for choice in answer["choices"]} <= {"stop", "length"}
    assert answer["usage"]["completion_tokens"] == sum(one.tokens for one in expected)
    *chunks, usage, done = serving.events(stream.text)
    assert done == "[DONE]"
    assert usage["usage"] == answer["usage"]
    texts = ["", "", "", ""]
    for chunk in chunks:
        texts[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    assert texts == [one.text for one in expected]
    likeliest = stories.generate(["1"], GenerationConfig(DecodingConfig(max_length=16)))[0].text
    assert greedy.json()["choices"][0]["text"] == "1" + likeliest


def test_several_models_in_one_process(stories: Any) -> None:
    tasks = {"numbers": numbers(), "stories": stories}
    listed, wrong, none, one = serving.asked(
        tasks,
        [
            ("/v1/models", None),
            ("/v1/predict", {"model": "numberz", "inputs": ["1"]}),
            ("/v1/predict", {"inputs": ["1"]}),
            ("/v1/predict", {"model": "numbers", "inputs": ["1"]}),
        ],
    )
    assert [model["id"] for model in listed.json()["data"]] == ["numbers", "stories"]
    assert wrong.status_code == 404
    assert wrong.json()["error"]["message"] == "unknown model 'numberz', did you mean 'numbers'?"
    assert none.json()["error"]["message"] == "model: name one of numbers, stories"
    assert one.json()["predictions"][0]["output"] == numbers().predict("1")


def test_a_page_of_maps_for_one_model_or_two(stories: Any) -> None:
    async def ask() -> list[Any]:
        async with serving.started({"a": numbers(), "b": numbers()}) as client:
            made = await client.post("/v1/maps", json={"models": ["a", "b"], "input": "12"})
            page = await client.get(made.json()["page"])
            return [made, page, await client.get("/maps/x")]

    made, page, gone = asyncio.run(ask())
    assert made.status_code == page.status_code == 200
    assert "What a and b look at" in page.text
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert gone.status_code == 404


def test_old_pages_of_maps_make_room() -> None:
    from sightline.serve.routes import Serving

    async def ask() -> list[int]:
        async with serving.started({"a": numbers()}, serving.patient(pages=2)) as client:
            body = {"models": ["a"], "input": "12"}
            pages = [(await client.post("/v1/maps", json=body)).json()["page"] for _ in range(3)]
            return [(await client.get(page)).status_code for page in pages]

    async def refused() -> int:
        async with serving.started({"a": numbers()}, serving.patient(pages_bytes=1000)) as client:
            return (await client.post("/v1/maps", json={"models": ["a"], "input": "12"})).status_code

    def kept(page: str, bound: int) -> list[str]:
        state: Any = Serving(Any, serving.patient(pages_bytes=bound), Any)
        return [name for name in [state.keep_page(page) for _ in range(2)] if name in state.pages]

    assert asyncio.run(ask()) == [404, 200, 200]
    assert [len(kept(page, 8)) for page in ("aaaa", "éé", "éééé")] == [2, 2, 1]  # bytes, not characters
    assert asyncio.run(refused()) == 413


def test_maps_of_two_models_take_no_longer_than_a_request_may(monkeypatch: pytest.MonkeyPatch) -> None:
    from sightline.serve.works import Inspecting

    run = Inspecting.run

    def slow(work: Inspecting, task: Any, jobs: Any) -> list[Any]:
        time.sleep(0.6)
        return run(work, task, jobs)

    monkeypatch.setattr(Inspecting, "run", slow)
    body = {"models": ["a", "b"], "input": "12"}
    asked = [("/v1/maps", {**body, "timeout_s": 1.0}), ("/v1/maps", body)]
    late, answered = serving.asked({"a": numbers(), "b": numbers()}, asked)
    assert (late.status_code, late.json()["error"]["message"]) == (504, "no answer within 1 s")
    assert answered.status_code == 200


def test_the_page_of_the_api_has_every_endpoint_with_an_example() -> None:
    page, document = serving.asked({"it": numbers()}, [("/docs", None), ("/openapi.json", None)])
    for path in document.json()["paths"]:
        assert f"http://127.0.0.1:8000{path}" in page.text
    assert {"/v1/predict", "/v1/generate", "/v1/forecast", "/v1/models", "/v1/completions"} <= set(
        document.json()["paths"]
    )
