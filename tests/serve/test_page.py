"""The page of a server in a real browser: a text, a picture, a sound, a table; keys, widths, accessibility."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser import opened, wait_for
from tests.report.test_accessible import RULES
from tests.report.test_viewer import settle
from tests.serve.models import numbers
from tests.tasks.subjects import SUBJECTS
from tests.waiting import wait_until

serving: Any = pytest.importorskip("tests.serve.serving", reason="pip install 'sightline[serve]'")
pytestmark = pytest.mark.slow
READY = "document.getElementById('work').dataset.ready !== undefined"
DONE = "document.getElementById('status').textContent === 'Answered.'"
TEXTS = "[...document.querySelectorAll('.answer .text')].map(e => e.textContent)"


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    kinds = {
        "pictures": "classification of pictures",
        "sounds": "classification of sounds",
        "load": "forecasting of quantiles",
        "stories": "language",
        "questions": "answering",
    }
    return {name: SUBJECTS[kind](tmp_path_factory.mktemp(name)) for name, kind in kinds.items()}


@pytest.fixture(scope="module")
def address(subjects: dict[str, Any]) -> Iterator[str]:
    tasks = {name: subject.built() for name, subject in subjects.items()}
    tasks["pictures again"] = subjects["pictures"].built()
    with serving.running({"numbers": numbers(), "again": numbers(1), **tasks}) as place:
        yield place


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as context:
        yield context


def show(browser: Any, address: str, width: int = 1280, scheme: str = "light") -> Any:
    """The page, and in `complaints` what it says on the console or asks of others."""
    page = browser.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: asked(page, request.url, address))
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    wait_for(page, READY)
    return page


def asked(page: Any, url: str, address: str) -> None:
    if not url.startswith((f"{address}/", "data:font/", f"blob:{address}/")):
        page.complaints.append(url)


def framed(page: Any) -> Any:
    """The frame of the maps, once they are drawn."""
    frame = page.frame_locator("#maps iframe")
    frame.locator("#viewer[data-ready]").wait_for()
    return frame


def drop(page: Any, path: Path) -> None:
    """Drop a file on the place for it."""
    data = page.evaluate_handle(
        """([name, content]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], name));
            return data;
        }""",
        [path.name, base64.b64encode(path.read_bytes()).decode()],
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": data})


def colours_of(part: Any) -> int:
    """The number of colours in a picture of a part of the page."""
    return len(Image.open(BytesIO(part.screenshot())).convert("RGB").getcolors(1 << 24) or ())


def axe_finds(page: Any) -> dict[str, list[str]]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    found = axe.Axe().run(page, options=RULES).response
    assert len(found["passes"]) > 10
    return {one["id"]: [node["html"][:120] for node in one["nodes"]] for one in found["violations"]}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_a_text_is_answered_with_its_map(browser: Any, address: str, width: int, scheme: str) -> None:
    page = show(browser, address, width, scheme)
    assert axe_finds(page) == {}
    page.fill("textarea", "907")
    page.keyboard.press("Control+Enter")
    wait_for(page, DONE)
    assert page.evaluate(TEXTS) == [numbers().predict("907")]
    assert framed(page).locator(".pane").count() == 1
    assert axe_finds(page) == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    frame = page.locator("#maps iframe")
    frame.scroll_into_view_if_needed()
    settle(page)
    wait_until(lambda: colours_of(frame) > 50)  # a frame is drawn later than the page around it
    inside = framed(page).locator("body").evaluate("e => [e.getBoundingClientRect().height, innerHeight]")
    assert inside[0] <= inside[1] <= inside[0] + 5
    assert page.complaints == []
    page.close()


def test_two_models_stand_side_by_side(browser: Any, address: str) -> None:
    page = show(browser, address)
    page.select_option("#beside", "again")
    page.fill("textarea", "12")
    page.click("#go")
    wait_for(page, DONE)
    assert page.evaluate(TEXTS) == [numbers().predict("12"), numbers(1).predict("12")]
    tops = page.evaluate("[...document.querySelectorAll('.answer')].map(e => e.getBoundingClientRect().top)")
    assert tops[0] == tops[1]
    assert framed(page).locator(".pane").count() == 2
    assert page.complaints == []
    page.close()


@pytest.mark.parametrize(("name", "beside"), [("pictures", ["pictures again"]), ("sounds", [])])
def test_a_file_is_dropped_and_labelled(
    browser: Any, address: str, subjects: dict[str, Any], name: str, beside: list[str]
) -> None:
    page, path = show(browser, address), Path(subjects[name].inputs[0])
    page.select_option("#model", name)
    for other in beside:
        page.select_option("#beside", other)
    drop(page, path)
    wait_for(page, "document.querySelector('.shown img, .shown audio') !== null")
    page.click("#go")
    wait_for(page, DONE)
    task = subjects[name].built()
    label, chances = task.predict(str(path)), task.predict(str(path), proba=True)
    models = 1 + len(beside)
    assert page.evaluate(TEXTS) == [label] * models
    shown = page.evaluate("[...document.querySelectorAll('.chances dt')].map(e => e.textContent)")
    assert shown == sorted(chances, key=lambda one: -chances[one]) * models
    assert framed(page).locator(".pane").count() == models
    assert axe_finds(page) == {}
    assert page.complaints == []
    page.close()


def test_a_table_is_dropped_and_its_forecast_drawn(browser: Any, address: str, subjects: dict[str, Any]) -> None:
    page, path = show(browser, address), Path(subjects["load"].inputs[0])
    page.select_option("#model", "load")
    drop(page, path)
    wait_for(page, "document.querySelector('textarea').value !== ''")
    page.click("#go")
    wait_for(page, DONE)
    assert page.locator(".answer svg .next").count() == 1
    assert page.locator(".answer svg .band").count() == 1
    page.click(".answer summary")
    forecast = subjects["load"].built().predict(str(path)).record()["forecast"]
    assert page.locator(".answer tbody tr").count() == len(forecast)
    assert framed(page).locator(".pane").count() == 1
    assert axe_finds(page) == {}
    assert page.complaints == []
    page.close()


def test_a_picture_and_a_question(browser: Any, address: str, subjects: dict[str, Any]) -> None:
    page, (path, question) = show(browser, address), subjects["questions"].inputs[0]
    page.select_option("#model", "questions")
    page.set_input_files(".drop input", path)
    page.fill("textarea", question)
    wait_for(page, "document.querySelector('.shown img') !== null")
    page.click("#go")
    wait_for(page, DONE)
    assert page.evaluate(TEXTS) == [subjects["questions"].built().predict((path, question)) or "(nothing)"]
    assert framed(page).locator(".pane").count() == 1
    assert page.complaints == []
    page.close()


def test_a_prompt_is_continued_and_stopped(browser: Any, address: str, subjects: dict[str, Any]) -> None:
    page = show(browser, address)
    page.select_option("#model", "stories")
    page.fill("textarea", "1 times")
    page.evaluate("document.getElementById('settings').open = true")
    page.fill("[data-setting=max_new_tokens]", "9")
    page.check("[data-setting=greedy]")
    page.uncheck("#with-maps")
    page.keyboard.press("Control+Enter")
    wait_for(page, DONE)
    from sightline.decoding.engine import DecodingConfig
    from sightline.tasks.language.generation import GenerationConfig

    expected = subjects["stories"].built().generate(["1 times"], GenerationConfig(DecodingConfig(max_length=9)))[0].text
    assert page.evaluate(TEXTS) == ["1 times" + expected]
    page.fill("[data-setting=max_new_tokens]", "1024")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Escape")
    wait_for(page, "['Stopped.', 'Answered.'].includes(document.getElementById('status').textContent)")
    assert page.complaints == []
    page.close()


def test_the_page_asks_for_no_more_tokens_than_the_server_writes(browser: Any, subjects: dict[str, Any]) -> None:
    tasks = {"stories": subjects["stories"].built()}
    with serving.running(tasks, serving.patient(new_tokens=5)) as few:
        page = show(browser, few)
        page.fill("textarea", "1 times")
        page.uncheck("#with-maps")
        page.keyboard.press("Control+Enter")
        wait_for(page, DONE)
        assert page.get_attribute("[data-setting=max_new_tokens]", "max") == "5"
        assert page.complaints == []
        page.close()


def test_what_is_wrong_is_said_in_a_sentence(browser: Any, address: str) -> None:
    page = show(browser, address)
    page.click("#go")
    assert page.inner_text("#problem") == "Write a text."
    page.fill("textarea", "1" * 20_001)
    page.click("#go")
    wait_for(page, "document.getElementById('problem').textContent.includes('20001 characters')")
    page.select_option("#model", "pictures")
    page.click("#go")
    assert page.inner_text("#problem") == "Choose a file for picture."
    assert [one for one in page.complaints if "413" not in one] == []  # the browser names the status itself
    page.close()


def test_a_token_is_asked_for_and_kept(browser: Any) -> None:
    with serving.running({"numbers": numbers()}, token=serving.TOKEN) as place:
        page = browser.new_page()
        page.goto(place)
        wait_for(page, "!document.getElementById('locked').hidden")
        assert page.evaluate("document.activeElement.id") == "token"
        page.keyboard.type(serving.TOKEN)
        page.keyboard.press("Enter")
        wait_for(page, READY)
        page.fill("textarea", "12")
        page.keyboard.press("Control+Enter")
        wait_for(page, DONE)
        assert page.evaluate(TEXTS) == [numbers().predict("12")]
        assert framed(page).locator(".pane").count() == 1
        page.close()


def test_the_page_of_the_api_breaks_no_rule(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.set_viewport_size({"width": 400, "height": 900})
    page.goto(f"{address}/docs")
    assert axe_finds(page) == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.close()
