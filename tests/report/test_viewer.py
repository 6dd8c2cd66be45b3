"""Influence maps in a real browser: values, keyboard, files, scripts, hostile texts, accessibility."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from sightline.inspect.influence_map import Inspection
from sightline.report.inspection import write_page
from tests.browser import opened, wait_for
from tests.report.synthetic_inspection import (
    SOURCE,
    TARGET,
    image,
    long,
    question,
    recurrent,
    series,
    sound,
    translation,
)
from tests.report.test_accessible import RULES

pytestmark = pytest.mark.slow
READING = "document.querySelector('.reading').textContent"
KINDS = {
    "text": lambda: [translation()],
    "two models": lambda: [recurrent(), translation()],
    "series": lambda: [series()],
    "audio": lambda: [sound()],
    "image": lambda: [image()],
    "question": lambda: [question()],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as context:
        yield context


def show(browser: Any, inspections: list[Inspection], directory: Path, width: int = 1240, scheme: str = "light") -> Any:
    """The page, and in `complaints` what it requests or says on the console."""
    path = write_page(inspections, directory / "page.html")
    page = browser.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: asked(page, request.url, path))
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(path.as_uri())
    wait_for(page, "document.querySelector('#viewer').dataset.ready !== undefined")
    settle(page)
    return page


def asked(page: Any, url: str, path: Path) -> None:
    if url != path.as_uri() and not url.startswith(("data:font/", "blob:")):
        page.complaints.append(url)


def settle(page: Any) -> None:
    """Wait until all that is planned is drawn."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30))))")


def choose_view(page: Any, index: int) -> None:
    page.click(f".views button >> nth={index}")
    page.mouse.move(0, 0)
    settle(page)


def picture(page: Any, of: str = ".stage canvas") -> np.ndarray:
    settle(page)
    page.evaluate("scrollTo(0, 0)")
    return np.asarray(Image.open(BytesIO(page.locator(of).first.screenshot())).convert("RGB"), dtype=int)


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    shown = show(browser, [translation()], tmp_path_factory.mktemp("page"))
    yield shown
    assert shown.complaints == []
    shown.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "scheme"), [(1240, "light"), (320, "dark")])
def test_every_view_fits_and_asks_for_nothing(browser: Any, tmp_path: Path, kind: str, width: int, scheme: str) -> None:
    page = show(browser, KINDS[kind](), tmp_path, width, scheme)
    for view in range(3):
        choose_view(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('.stage').offsetHeight") > 50
        if page.evaluate("document.querySelector('.stage canvas').offsetHeight"):
            assert len(np.unique(picture(page).reshape(-1, 3), axis=0)) > 20
    assert page.complaints == []
    page.close()


@pytest.mark.parametrize(("kind", "scheme"), [*((kind, "light") for kind in KINDS), ("text", "dark")])
def test_no_rule_of_wcag_is_broken(browser: Any, tmp_path: Path, kind: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    page = show(browser, KINDS[kind](), tmp_path, scheme=scheme)
    page.fill("input[type=search]", "a")
    for view in range(3):
        choose_view(page, view)
        page.focus(".stage")
        page.keyboard.press("ArrowDown")
        found = axe.Axe().run(page, options=RULES).response
        assert len(found["passes"]) > 10
        assert {one["id"]: [node["html"][:120] for node in one["nodes"]] for one in found["violations"]} == {}
    page.close()


def test_arrow_keys_read_the_weights(page: Any) -> None:
    weights = np.float16(translation().maps[0].weights).astype(float).mean(0)
    page.focus(".stage")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    place = {"row": 0, "column": 0}
    for key, axis, step in [("ArrowRight", "column", 1), ("ArrowDown", "row", 1), ("ArrowRight", "column", 1)]:
        page.keyboard.press(key)
        place[axis] += step
        row, column = place["row"], place["column"]
        source, target = f"‘\u2068{SOURCE[column]}\u2069’", f"‘\u2068{TARGET[row]}\u2069’"
        heading, _, rest = page.evaluate(READING).rpartition(": ")
        assert heading.startswith(f"{source} (input {column + 1}) on {target} (output {row + 1}, probability ")
        value, rank = rest.split(", rank ")
        assert float(value) == pytest.approx(weights[row, column], rel=1e-2)
        assert rank == f"{1 + int((weights[row] > weights[row, column]).sum())} of {len(SOURCE)} in its row"
    page.keyboard.press("m")
    heaviest = SOURCE[weights[place["row"]].argmax()]
    assert page.evaluate(READING).startswith(f"‘\u2068{heaviest}\u2069’")
    assert ", rank 1 of" in page.evaluate(READING)
    page.keyboard.press("Control+End")
    assert page.evaluate(READING).startswith("‘\u2068⏎\u2069’ (input 9) on ‘\u2068⏎\u2069’ (output 9")
    page.keyboard.press("Home")
    assert "(input 1)" in page.evaluate(READING)
    assert page.evaluate("document.querySelector('.reading').getAttribute('role')") == "status"


def test_the_pointer_reads_the_same_cell(page: Any) -> None:
    page.focus(".stage")
    page.keyboard.press("Escape")
    for key in ["ArrowRight", "ArrowRight", "ArrowDown"]:
        page.keyboard.press(key)
    told = page.evaluate(READING)
    pixels = picture(page)
    red = pixels[:, :, 0] - pixels[:, :, 1] > 80
    across, down = np.argsort(red.sum(1))[-2:], np.argsort(red.sum(0))[-2:]  # the edges of the row and of the column
    middle = (across.mean(), down.mean())
    page.keyboard.press("Escape")
    box = page.locator(".stage canvas").bounding_box()
    page.mouse.move(box["x"] + middle[1], box["y"] + middle[0])
    assert page.evaluate(READING) == told
    assert page.evaluate("document.querySelector('.tip').textContent") == told
    assert page.evaluate("document.querySelector('.tip').hidden") is False
    page.mouse.move(0, 0)
    assert page.evaluate("document.querySelector('.tip').hidden") is True


def test_heads_are_chosen_in_the_overview_by_keyboard(page: Any) -> None:
    title = "document.querySelector('.pane h3').textContent"
    page.focus(".thumb[aria-checked=true]")
    assert page.evaluate("document.querySelectorAll('.thumb').length") == 2 * 5
    assert "layer 1, mean of heads" in page.evaluate(title)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert "layer 2, head 2" in page.evaluate(title)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "layer 2, head 2"
    page.focus(".stage")
    page.keyboard.press("Control+Home")
    value = float(page.evaluate(READING).rpartition(": ")[2].split(",")[0])
    assert value == pytest.approx(float(translation().maps[3].weights[1, 0, 0]), rel=1e-2)
    page.click(".thumb >> nth=0")
    assert "layer 1, mean of heads" in page.evaluate(title)


def test_each_map_says_what_it_shows_and_what_it_does_not(page: Any) -> None:
    about = "document.querySelector('.about').textContent"
    for index, one in [(0, translation().maps[0]), (3, translation().maps[-2])]:
        page.select_option(".pane .choices select", index=index)
        assert one.meaning in page.evaluate(about)
        assert one.limits in page.evaluate(about)
        assert one.name in page.evaluate(about)
    numbers = page.evaluate("[...document.querySelectorAll('.numbers span')].map(e => e.textContent)")
    largest = np.abs(translation().maps[-2].weights).max()
    assert numbers[1] == "0"
    assert numbers[0] == f"−{numbers[2]}"
    assert float(numbers[2]) == pytest.approx(largest, rel=1e-2)
    page.select_option(".pane .choices select", index=0)


def test_what_has_no_map_is_said(page: Any) -> None:
    page.click("text=Not shown, and why")
    assert page.is_visible("text=jacobian: the model has no recurrent layer")
    page.click("text=Not shown, and why")


def test_what_is_skipped_is_hatched_and_said(page: Any) -> None:
    page.select_option(".pane .choices select", index=2)
    assert "skipped" in page.evaluate("document.querySelector('.key').textContent")
    page.focus(".stage")
    page.keyboard.press("Control+Home")
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    assert page.evaluate(READING).endswith(": skipped")
    ground = [230, 230, 227]
    shown = picture(page)
    assert (shown == ground).all(2).sum() > 200
    assert ((shown < 215).all(2) & (np.ptp(shown, axis=2) < 12)).sum() > 200  # the lines over it
    page.keyboard.press("Escape")
    page.select_option(".pane .choices select", index=0)
    assert "skipped" not in page.evaluate("document.querySelector('.key').textContent")
    assert (picture(page) == ground).all(2).sum() == 0


def test_search_finds_tokens_and_goes_to_them(page: Any) -> None:
    page.focus(".stage")
    page.keyboard.press("Escape")
    page.fill("input[type=search]", "THE")
    counted = "document.querySelector('.bar [role=status]').textContent"
    assert page.evaluate(counted) == "0 in rows, 2 in columns"
    places = []
    for _ in range(3):
        page.press("input[type=search]", "Enter")
        places.append(page.evaluate(READING).split(" on ")[0])
    assert places == [f"‘\u2068the\u2069’ (input {i})" for i in (1, 6, 1)]
    page.press("input[type=search]", "Shift+Enter")
    assert "(input 6)" in page.evaluate(READING)
    page.fill("input[type=search]", "")
    assert page.evaluate(counted) == ""


def test_zooming_and_back_gives_the_same_picture(page: Any) -> None:
    page.focus(".stage")
    page.keyboard.press("Escape")
    whole = picture(page)
    for _ in range(4):
        page.keyboard.press("+")
    zoomed = picture(page)
    assert zoomed.shape == whole.shape
    assert (zoomed != whole).any(2).mean() > 0.05
    box = page.locator(".stage canvas").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 150, steps=4)
    page.mouse.up()
    page.mouse.move(0, 0)
    page.focus(".stage")
    page.keyboard.press("Escape")
    assert (picture(page) != zoomed).any(2).mean() > 0.05
    page.keyboard.press("0")
    assert (picture(page) == whole).all()


def test_a_token_chosen_in_the_text_view_is_the_row_that_is_shaded(page: Any) -> None:
    choose_view(page, 2)
    page.click(".strip >> nth=0 >> span >> nth=2")
    settle(page)
    weights = np.float16(translation().maps[0].weights).astype(float).mean(0)[2]
    titles = page.evaluate("[...document.querySelectorAll('.strip')[1].querySelectorAll('span')].map(e => e.title)")
    assert [float(text.replace("−", "-")) for text in titles] == pytest.approx(weights, rel=6e-2)
    opacity = (
        "[...document.querySelectorAll('.strip')[1].querySelectorAll('span')]"
        ".map(e => Number(getComputedStyle(e).backgroundColor.match(/[\\d.]+/g)?.[3] ?? 0))"
    )
    shades = page.evaluate(opacity)
    assert np.argmax(shades) == weights.argmax()
    assert max(shades) < 0.5
    choose_view(page, 0)


@pytest.mark.parametrize("view", range(3), ids=["matrix", "lines", "text"])
def test_files_are_saved_as_svg_and_png(page: Any, view: int) -> None:
    choose_view(page, view)
    with page.expect_download() as waiting:
        page.click("text=Save SVG")
    assert waiting.value.suggested_filename == "transformer-softmax-layer1-mean.svg"
    root = ElementTree.fromstring(Path(waiting.value.path()).read_bytes())
    texts = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {*SOURCE[:-1], *TARGET[:-1], "0"} <= set(texts)
    assert any("layer 1, mean of heads" in text for text in texts)
    with page.expect_download() as waiting:
        page.click("text=Save PNG")
    saved = Image.open(waiting.value.path())
    assert saved.format == "PNG"
    assert saved.width >= 600
    assert len(np.unique(np.asarray(saved.convert("RGB")).reshape(-1, 3), axis=0)) > 20
    choose_view(page, 0)


@pytest.mark.parametrize(
    ("inspection", "view", "shape"),
    [(translation, 1, "path"), (translation, 2, "rect"), (image, 2, "rect")],
    ids=["lines", "text", "picture"],
)
def test_the_key_of_a_file_ends_in_the_shade_of_the_largest_value(
    browser: Any, tmp_path: Path, inspection: Any, view: int, shape: str
) -> None:
    """Colour and opacity of the last step of the key, and of the darkest line, token or patch above it."""
    page = show(browser, [inspection()], tmp_path)
    choose_view(page, view)
    if shape == "rect":  # the row of the largest value
        page.focus(".stage")
        weights = inspection().maps[0].weights.mean(0)
        page.keyboard.press("ArrowRight")
        for _ in range(int(weights.max(1).argmax())):
            page.keyboard.press("ArrowDown")
    with page.expect_download() as waiting:
        page.click("text=Save SVG")
    root = ElementTree.fromstring(Path(waiting.value.path()).read_bytes())
    page.close()
    opacity = {"path": "stroke-opacity", "rect": "fill-opacity"}[shape]
    rects = list(root.iter("{http://www.w3.org/2000/svg}rect"))
    foot = max(float(one.get("y", 0)) for one in rects if one.get("fill") == "#ffffff")
    key = [one for one in rects if float(one.get("y", 0)) == foot]
    steps = [one for one in key if one.get("fill") != "#ffffff"]
    above = [one for one in root.iter(f"{{http://www.w3.org/2000/svg}}{shape}") if one not in key and one.get(opacity)]
    darkest = max(above, key=lambda one: float(one.get(opacity, 0)))
    last = max(steps, key=lambda one: float(one.get("x", 0)))
    assert last.get("fill") == darkest.get("fill" if shape == "rect" else "stroke") == "#0054a0"
    assert float(last.get("fill-opacity", 1)) == float(darkest.get(opacity, 0))
    assert float(steps[0].get("fill-opacity", 1)) == 0.0


def test_the_map_is_copied_as_svg_and_png(browser: Any, tmp_path: Path) -> None:
    browser.grant_permissions(["clipboard-read", "clipboard-write"])
    page = show(browser, [translation()], tmp_path)
    page.click("text=Copy SVG")
    said = "document.querySelector('.tools [role=status]').textContent"
    wait_for(page, f"{said} == 'copied as SVG'")
    assert page.evaluate("navigator.clipboard.readText()").startswith("<svg ")
    page.click("text=Copy PNG")
    wait_for(page, f"{said} == 'copied as PNG'")
    kinds = page.evaluate("navigator.clipboard.read().then(items => items.flatMap(item => item.types))")
    assert kinds == ["image/png"]
    page.close()


def test_print_is_light_also_from_a_dark_page(browser: Any, tmp_path: Path) -> None:
    page = show(browser, [translation()], tmp_path, scheme="dark")
    assert picture(page)[2, -2].sum() < 150
    page.emulate_media(media="print")
    settle(page)
    assert picture(page)[2, -2].tolist() == [255, 255, 255]
    assert page.evaluate("document.querySelector('.bar').offsetHeight") == 0
    assert page.evaluate("document.querySelector('.tools').offsetHeight") == 0
    page.emulate_media(media="screen")
    settle(page)
    assert picture(page)[2, -2].sum() < 150
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()


def test_two_thousand_tokens_are_zoomed_and_moved(browser: Any, tmp_path: Path) -> None:
    page = show(browser, [long(2000)], tmp_path)
    whole = picture(page)
    page.focus(".stage")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Control+End")
    assert "(input 2000) on" in page.evaluate(READING)
    page.keyboard.press("Home")
    assert page.evaluate(READING).endswith(": skipped")
    for _ in range(9):
        page.keyboard.press("+")
    assert (picture(page) != whole).any(2).mean() > 0.1
    choose_view(page, 1)
    assert len(np.unique(picture(page).reshape(-1, 3), axis=0)) > 20
    assert page.complaints == []
    page.close()
