"""Requests that are wrong: each is refused in a sentence, none is an error of the server, none is waited for."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.serve.models import Gated, Loud, Reverser, numbers
from tests.tasks.subjects import SUBJECTS
from tests.waiting import PATIENCE_S

serving: Any = pytest.importorskip("tests.serve.serving", reason="pip install 'sightline[serve]'")

PREDICT, FORECAST, GENERATE = "/v1/predict", "/v1/forecast", "/v1/generate"
COMPLETE, MAPS = "/v1/completions", "/v1/maps"


def file(content: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(content).decode()}


def bomb() -> bytes:
    """A small png that claims 30,000 x 30,000 pixels."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(stream, "png", optimize=True)
    return stream.getvalue()


def sound(seconds: float, rate_hz: int, form: str = "WAV") -> bytes:
    """Silence."""
    import numpy as np
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(round(seconds * rate_hz), np.int16), rate_hz, format=form)
    return stream.getvalue()


def predict(inputs: Any, **more: Any) -> dict[str, Any]:
    return {"model": "numbers", "inputs": inputs, **more}


# Each: path, body (bytes are sent as they are), status, and a part of the message.
WRONG: dict[str, tuple[str, Any, int, str]] = {
    "no body": (PREDICT, b"", 422, "the body"),
    "not JSON": (PREDICT, b"{", 422, "the body: is not JSON: Expecting property name"),
    "not JSON but a mark of its encoding": (PREDICT, b"\xff\xfe", 422, "the body: is not JSON"),
    "not UTF-8": (PREDICT, b'{"inputs": ["\xff"]}', 400, "parsing"),
    "deep": (PREDICT, b"[" * 100_000, 400, "parsing"),
    "deep in a field": (PREDICT, b'{"inputs": [' + b"[" * 100_000, 400, "parsing"),
    "deep and closed": (PREDICT, predict([[[[[[[["1"]]]]]]]]), 422, "expected a text, found a list"),
    "a huge number": (PREDICT, b'{"inputs": [' + b"9" * 10_000 + b"]}", 400, "parsing"),
    "NaN": (PREDICT, b'{"model": "numbers", "inputs": [NaN]}', 422, "expected a text"),
    "a list": (PREDICT, [], 422, "the body"),
    "null": (PREDICT, b"null", 422, "the body"),
    "no inputs": (PREDICT, predict([]), 422, "inputs"),
    "inputs are a text": (PREDICT, predict("12"), 422, "inputs"),
    "an input is null": (PREDICT, predict([None]), 422, "inputs.0: expected a text, found null"),
    "an input is a number": (PREDICT, predict(["1", 2]), 422, "inputs.1: expected a text, found a number"),
    "an input is a file": (PREDICT, predict([file(b"x")]), 422, "inputs.0: expected a text, found an object"),
    "too many inputs": (PREDICT, predict(["1"] * 65), 413, "inputs: has 65, at most 64"),
    "a long text": (PREDICT, predict(["1" * 20_001]), 413, "has 20001 characters, at most 20000"),
    "half a character": (PREDICT, b'{"model": "numbers", "inputs": ["\\ud800"]}', 422, "surrogate"),
    "an unknown field": (PREDICT, predict(["1"], beam=3), 422, "beam"),
    "an unknown model": (PREDICT, {"model": "../numbers", "inputs": ["1"]}, 404, "unknown model"),
    "a path as a model": (PREDICT, {"model": "/etc/passwd", "inputs": ["1"]}, 404, "unknown model"),
    "a model that is a number": (PREDICT, {"model": 1, "inputs": ["1"]}, 422, "model"),
    "a wide beam": (PREDICT, predict(["1"], decoding={"beam": 17}), 413, "decoding.beam: at most 16"),
    "no beam": (PREDICT, predict(["1"], decoding={"beam": 0}), 422, "beam"),
    "long outputs": (PREDICT, predict(["1"], decoding={"max_length": 1 << 40}), 413, "decoding.max_length"),
    "an infinite temperature": (
        PREDICT, b'{"inputs": ["1"], "decoding": {"sample": true, "temperature": 1e999}}', 422, "temperature",
    ),
    "a temperature of a search": (PREDICT, predict(["1"], decoding={"temperature": 2}), 422, "needs sample"),
    "a beam that samples": (PREDICT, predict(["1"], decoding={"beam": 2, "sample": True}), 422, "mutually exclusive"),
    "drafts for a beam": (PREDICT, predict(["1"], decoding={"beam": 2, "draft": "ngram"}), 422, "remove the beam"),
    "an unknown draft": (PREDICT, predict(["1"], decoding={"draft": "model"}), 422, "draft"),
    "a penalty without a beam": (PREDICT, predict(["1"], decoding={"length_penalty": 1}), 422, "needs a beam"),
    "a penalty near 0": (
        PREDICT, predict(["1"], decoding={"sample": True, "repetition_penalty": 1e-40}), 422, "repetition_penalty",
    ),
    "a large penalty": (PREDICT, predict(["1"], decoding={"beam": 2, "length_penalty": 1000}), 422, "length_penalty"),
    "no time": (PREDICT, predict(["1"], timeout_s=0), 422, "timeout_s"),
    "numbers in rows of unequal length": (PREDICT, {"model": "series", "inputs": [[[1, 2], [3]]]}, 422, "equally many"),
    "numbers and words": (PREDICT, {"model": "series", "inputs": [[[1, "a"]]]}, 422, "numbers"),
    "truths": (PREDICT, {"model": "series", "inputs": [[[True, False]]]}, 422, "numbers"),
    "too large numbers": (PREDICT, {"model": "series", "inputs": [[[1e308, 1.0]]]}, 422, "numbers"),
    "empty series": (PREDICT, {"model": "series", "inputs": [[]]}, 422, "found an empty list"),
    "too few channels": (PREDICT, {"model": "series", "inputs": [[[1.0], [2.0]]]}, 422, "channels"),
    "too many numbers": (PREDICT, {"model": "series", "inputs": [[[0, 0]] * 100_001]}, 413, "200000 numbers"),
    "too many numbers in a text": (PREDICT, {"model": "series", "inputs": ["0," * 200_000]}, 413, "200000 numbers"),
    "a list in a text": (PREDICT, {"model": "series", "inputs": ["[[1, 2], [3]]"]}, 422, "equally many"),
    "a deep list in a text": (PREDICT, {"model": "series", "inputs": ["[" * 100_000]}, 422, "not a list in JSON"),
    "words of series": (PREDICT, {"model": "series", "inputs": ["/etc/passwd"]}, 422, "comma-separated numbers"),
    "a path of a picture": (PREDICT, {"model": "pictures", "inputs": ["/etc/passwd"]}, 422, "the bytes of a file"),
    "a base64 that is none": (PREDICT, {"model": "pictures", "inputs": [{"base64": "é"}]}, 422, "not valid base64"),
    "an empty picture": (PREDICT, {"model": "pictures", "inputs": [{"base64": ""}]}, 422, "the file is empty"),
    "a picture that is none": (PREDICT, {"model": "pictures", "inputs": [file(b"GIF89a??")]}, 422, "the picture"),
    "a picture that is a text": (PREDICT, {"model": "pictures", "inputs": [file(b"hello")]}, 422, "cannot be read"),
    "a path of a sound": (PREDICT, {"model": "sounds", "inputs": ["/etc/passwd"]}, 422, "the bytes of a file"),
    "a sound that is none": (PREDICT, {"model": "sounds", "inputs": [file(b"RIFF")]}, 422, "cannot be read as sound"),
    "half a sound": (PREDICT, {"model": "sounds", "inputs": [file(sound(1, 8000)[:999])]}, 422, "is cut short"),
    "too many samples a second": (
        PREDICT, {"model": "sounds", "inputs": [file(sound(0.01, 200_000))]}, 413, "at most 192000 are read",
    ),
    "a path beside base64": (
        PREDICT, {"model": "pictures", "inputs": [{"base64": "aGk=", "path": "/x"}]}, 422, "the bytes of a file",
    ),
    "a forecast of a translator": (FORECAST, {"model": "numbers", "csv": "a"}, 422, "is a translation model"),
    "a forecast of nothing": (FORECAST, {"model": "load"}, 422, "expected csv or values"),
    "a forecast of both": (FORECAST, {"model": "load", "csv": "a", "values": [1]}, 422, "expected csv or values"),
    "an empty table": (FORECAST, {"model": "load", "csv": ""}, 422, "series.csv: is empty"),
    "a table without times": (FORECAST, {"model": "load", "csv": "b\n1\n"}, 422, "series.csv"),
    "a table that is a path": (FORECAST, {"model": "load", "csv": "/etc/passwd"}, 422, "series.csv"),
    "a table that is gzip": (PREDICT, {"model": "load", "inputs": [file(b"\x1f\x8b\x08" * 9)]}, 422, "series.csv"),
    "too short a series": (FORECAST, {"model": "load", "values": [1, 2]}, 422, "has 2 steps"),
    "decoding of a forecast": (PREDICT, {"model": "load", "inputs": ["a"], "decoding": {}}, 422, "does not decode"),
    "a prompt for a translator": (GENERATE, {"model": "numbers", "prompt": "a"}, 422, "continues no prompts"),
    "a prompt that is a list": (GENERATE, {"model": "stories", "prompt": ["a"]}, 422, "prompt"),
    "an empty stop text": (GENERATE, {"model": "stories", "prompt": "a", "stop": [""]}, 422, "stop"),
    "a greedy beam": (GENERATE, {"model": "stories", "prompt": "a", "greedy": True, "beam": 2}, 422, "greedy"),
    "a penalty of one beam": (GENERATE, {"model": "stories", "prompt": "a", "length_penalty": 1}, 422, "needs a beam"),
    "a seed without draws": (GENERATE, {"model": "stories", "prompt": "a", "greedy": True, "seed": 1}, 422, "seed"),
    "too many new tokens": (
        GENERATE, {"model": "stories", "prompt": "a", "max_new_tokens": 5000}, 413, "max_new_tokens: at most 1024",
    ),
    "tokens as a prompt": (COMPLETE, {"model": "stories", "prompt": [1, 2]}, 422, "prompt: Input should"),
    "a stop that is a number": (COMPLETE, {"model": "stories", "stop": 7}, 422, "stop: Input should"),
    "stops that are numbers": (COMPLETE, {"model": "stories", "stop": ["a", 7]}, 422, "stop: Input should"),
    "no prompts": (COMPLETE, {"model": "stories", "prompt": []}, 422, "prompt: the list is empty"),
    "log-probabilities": (COMPLETE, {"model": "stories", "prompt": "a", "logprobs": 5}, 422, "logprobs: is not built"),
    "a penalty of presence": (COMPLETE, {"model": "stories", "prompt": "a", "presence_penalty": 1}, 422, "not built"),
    "the best of many": (COMPLETE, {"model": "stories", "prompt": "a", "best_of": 3}, 422, "best_of"),
    "too many samples": (COMPLETE, {"model": "stories", "prompt": "a", "n": 17}, 413, "n: has 17"),
    "an empty stop": (COMPLETE, {"model": "stories", "prompt": "a", "stop": [""]}, 422, "stop: an empty stop string"),
    "a long stop": (COMPLETE, {"model": "stories", "stop": "a" * 201}, 413, "stop: has 201 characters, at most 200"),
    "half a character as a stop": (COMPLETE, b'{"model": "stories", "stop": ["\\ud800"]}', 422, "stop: contains half"),
    "a long completion": (COMPLETE, {"model": "stories", "max_tokens": 5000}, 413, "max_tokens: at most 1024"),
    "too many stops": (COMPLETE, {"model": "stories", "prompt": "a", "stop": ["a"] * 9}, 422, "stop"),
    "maps of three": (MAPS, {"models": ["numbers"] * 3, "input": "1"}, 422, "models"),
    "maps of a long text": (MAPS, {"models": ["numbers"], "input": "1" * 401}, 413, "has 401 characters"),
    "maps of a long series": (MAPS, {"models": ["series"], "input": [[0, 0]] * 401}, 413, "input: has 401 steps"),
    "maps of a long series in a text": (MAPS, {"models": ["series"], "input": "0," * 400}, 413, "has 401 steps"),
    "maps of a long question": (
        MAPS, {"models": ["questions"], "input": {"image": file(b"a"), "question": "a" * 401}}, 413,
        "input.question: has 401 characters, maps are made of at most 400",
    ),
    "maps of nothing": (MAPS, {"models": ["numbers"], "input": " "}, 422, "the text is empty"),
    "maps of a path": (MAPS, {"models": ["pictures"], "input": "/etc/passwd"}, 422, "the bytes of a file"),
    "no such place": ("/v1/nothing", {}, 404, "Not Found"),
    "another method": ("/v1/models", {}, 405, "Method Not Allowed"),
    "a page above": ("/maps/../../etc/passwd", {}, 404, "Not Found"),
}  # fmt: skip


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    kinds = {
        "series": "classification of series",
        "pictures": "classification of pictures",
        "load": "forecasting",
        "stories": "language",
        "questions": "answering",
        "sounds": "classification of sounds",
    }
    built = {name: SUBJECTS[kind](tmp_path_factory.mktemp(name)).built() for name, kind in kinds.items()}
    return {"numbers": numbers(), **built}


@pytest.fixture(scope="module")
def responses(tasks: dict[str, Any]) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        async with serving.started(tasks) as client:
            found = {}
            for name, (path, body, _, _) in WRONG.items():
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                headers = {"Content-Type": "application/json"}
                found[name] = await asyncio.wait_for(client.post(path, content=content, headers=headers), PATIENCE_S)
            right = await client.post(PREDICT, json=predict(["12"]))
            assert right.json()["predictions"][0]["output"] == tasks["numbers"].predict("12")  # it still answers
            return found

    return asyncio.run(ask())


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_is_refused_in_a_sentence(responses: dict[str, Any], name: str) -> None:
    _, _, status, part = WRONG[name]
    response = responses[name]
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, status), response.text
    assert part in error["message"]
    assert "\n" not in error["message"]
    assert "--" not in error["message"]  # a flag, which no client knows
    assert len(error["message"]) < 700
    assert str(Path.cwd()) not in response.text
    assert "sightline-serve-" not in response.text


def test_a_picture_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tasks: dict[str, Any]) -> None:
    content = bomb()
    assert len(content) < 1 << 20
    (response,) = serving.asked({"it": tasks["pictures"]}, [(PREDICT, {"inputs": [file(content)]})])
    assert response.status_code == 413
    assert response.json()["error"]["message"] == "inputs.0: has too many pixels, at most 16000000 are read"


@pytest.mark.parametrize("form", ["FLAC", "MP3"])
def test_a_sound_that_unpacks_to_too_much_is_refused(tasks: dict[str, Any], form: str) -> None:
    """Ten minutes of silence: 19 MB of samples."""
    content = sound(600, 16_000, form)
    assert len(content) < 1 << 20
    (response,) = serving.asked({"it": tasks["sounds"]}, [(PREDICT, {"inputs": [file(content)]})])
    assert response.status_code == 422
    assert "more than max_s 60" in response.json()["error"]["message"]


def test_the_names_of_files_are_texts_to_a_model_of_texts(tasks: dict[str, Any], tmp_path: Path) -> None:
    """Whether a file exists changes no answer: neither its content nor its being there can be asked for."""
    (tmp_path / "a.csv").write_text("secret\n")
    inputs = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "builtin:dates"]
    (response,) = serving.asked(tasks, [(PREDICT, predict(inputs))])
    outputs = [one["output"] for one in response.json()["predictions"]]
    assert outputs == tasks["numbers"].predict(inputs)


def test_a_full_queue_and_a_late_answer_are_refused() -> None:
    async def ask() -> list[Any]:
        gated, limits = Gated(), serving.patient(queue=2, inputs=2, wait_ms=0.0)
        async with serving.started({"it": gated}, limits) as client:
            computed = asyncio.ensure_future(client.post(PREDICT, json={"inputs": ["a"]}))
            while not gated.batches:
                await asyncio.sleep(0.01)
            late = await client.post(PREDICT, json={"inputs": ["b"], "timeout_s": 0.05})
            waits = asyncio.ensure_future(client.post(PREDICT, json={"inputs": ["c", "d"]}))
            while serving.waiting_inputs((await client.get("/metrics")).text) < 2:
                await asyncio.sleep(0.01)
            refused = await client.post(PREDICT, json={"inputs": ["e"]})
            gated.gate.set()
            return [await computed, late, await waits, refused]

    computed, late, waits, refused = asyncio.run(ask())
    assert [one.status_code for one in (computed, late, waits, refused)] == [200, 504, 200, 429]
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["type"] == "rate_limit_error"


def test_a_stream_with_an_error_of_ours_ends_with_an_event() -> None:
    class Broken(Loud):
        def continuations(self, prompts: Any, config: Any, on_text: Any) -> list[Any]:
            on_text(0, "a")
            raise RuntimeError("a secret")

    (response,) = serving.asked({"it": Broken()}, [(GENERATE, {"prompt": "a"})])
    assert response.status_code == 200
    piece, error = serving.events(response.text)
    assert piece == {"text": "a"}
    assert error["error"]["code"] == 500
    assert error["error"]["message"] == "an internal error: the server's log has it"


def test_an_error_of_ours_is_one_without_details() -> None:
    broken = Reverser()
    broken.input_sources = None  # no task is so
    (response,) = serving.asked({"it": broken}, [(PREDICT, {"inputs": ["a"]})])
    assert response.status_code == 500
    assert response.json()["error"]["message"] == "an internal error: the server's log has it"
