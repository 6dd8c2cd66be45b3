"""The page of influence maps: what it embeds, and that the committed script is that of the committed sources."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from sightline.data.pairs.dates import LOCALES, forms_of
from sightline.inspect.influence_map import Inspection
from sightline.report.fonts import covered, covers, font_faces
from sightline.report.inspection import label, notebook_page, render_inspections, viewer_script, write_page
from sightline.report.page import source_hash
from tests.report.synthetic_inspection import image, recurrent, series, sound, translation

VIEWER = Path(str(files("sightline.report").joinpath("viewer")))
MOST_SCRIPT_BYTES = 150_000
MOST_PAGE_BYTES = 1_000_000


def embedded(page: str) -> dict:
    (packed,) = re.findall(r'<script type="text/plain" id="inspections">([^<]*)</script>', page)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


@pytest.mark.parametrize("make", [translation, recurrent, series, sound, image])
def test_the_page_has_the_inspection_unchanged(make, tmp_path: Path) -> None:
    path = write_page([make()], tmp_path / "page.html")
    (plain,) = embedded(path.read_text("utf-8"))["inspections"]
    for part, more in [("input", ["labels"]), ("output", ["labels", "read_labels"])]:
        for name in more:
            del plain[part][name]
    again = Inspection.of(plain)
    assert again.to_dict() == make().to_dict()
    assert np.array_equal(again.maps[0].weights, np.float16(make().maps[0].weights))


def test_a_page_shows_one_or_two_inspections_with_maps() -> None:
    assert len(embedded(render_inspections([recurrent(), translation()]))["inspections"]) == 2
    with pytest.raises(ValueError, match="a page shows one or two inspections, got 3"):
        render_inspections([recurrent()] * 3)
    with pytest.raises(ValueError, match="a page shows one or two inspections, got 0"):
        render_inspections([])
    with pytest.raises(ValueError, match="nothing to show: the inspection of 'runs/lstm' has no maps"):
        render_inspections([replace(recurrent(), maps=[])])


def test_the_page_of_fifty_tokens_is_small(tmp_path: Path) -> None:
    words = [f"word{i}" for i in range(50)]
    page = write_page([translation(words, words, layers=4, heads=4)], tmp_path / "page.html")
    assert page.stat().st_size < MOST_PAGE_BYTES


def test_the_same_inspection_gives_the_same_page() -> None:
    assert render_inspections([translation()]) == render_inspections([translation()])


def test_the_policy_allows_this_script_and_style_and_no_request() -> None:
    page = render_inspections([translation()])
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.S)
    assert policy == (
        f"default-src 'none'; style-src '{source_hash(style)}'; script-src '{source_hash(viewer_script())}'; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//|@import|url\((?!data:|#)", page)


def test_the_script_is_small_and_may_stand_in_a_page() -> None:
    script = viewer_script()
    assert len(script.encode()) < MOST_SCRIPT_BYTES
    assert not re.search(
        r"</script|<!--|\bimport\(|\bfetch\(|XMLHttpRequest|\beval\(|https?://(?!www\.w3\.org/)", script
    )


def test_the_script_is_built_from_these_sources() -> None:
    names = ["package.json", "package-lock.json", "tsconfig.json", "vite.config.js", "build.mjs"]
    names += [f"source/{one.name}" for one in VIEWER.joinpath("source").iterdir()]
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0".encode() + VIEWER.joinpath(name).read_bytes() + b"\0")
    recorded = re.match(r"/\* sources ([0-9a-f]{64}) \*/", viewer_script())
    assert recorded is not None
    assert recorded[1] == digest.hexdigest(), "the sources of the viewer changed: run `make viewer`, commit viewer.js"


@pytest.mark.parametrize("place", [VIEWER, Path(__file__).parents[1] / "fonts"], ids=["viewer", "fonts"])
def test_packages_are_pinned_with_their_hashes(place: Path) -> None:
    package = json.loads(place.joinpath("package.json").read_text())
    locked = json.loads(place.joinpath("package-lock.json").read_text())["packages"]
    pins = package.get("dependencies", {}) | package.get("devDependencies", {})
    assert pins
    assert all(locked[f"node_modules/{name}"]["version"] == version for name, version in pins.items())
    assert all("integrity" in one for name, one in locked.items() if name)


@pytest.mark.parametrize("locale", LOCALES)
def test_fonts_have_every_letter_of_the_built_in_dates(locale: str) -> None:
    texts = [
        form.write(month, day, weekday, form.year(date(year, month, 1)))
        for form in forms_of(locale)
        for year, month, day, weekday in zip(
            range(1950, 2050), 9 * [*range(1, 13)], 4 * [*range(1, 29)], 15 * [*range(7)]
        )
    ]
    missing = set(map(ord, "".join(texts))) - covered()
    assert not missing, [hex(point) for point in missing]


def test_a_page_embeds_the_fonts_of_its_letters_only() -> None:
    def embeds(text: str) -> int:
        return font_faces(text).count("@font-face")

    assert embeds("") == 1
    assert embeds("día") == 1
    assert embeds("Пя́т") == 1
    assert embeds("יום") == 2
    assert embeds("יום 令和") == 3
    assert embeds("\u25cc") == 2  # the sign alone, not every script that joins marks to it
    assert embeds("".join(chr(point) for point in covered())) == len(covers())
    assert "SIL Open Font License" in files("sightline.report").joinpath("fonts/OFL.txt").read_text()


@pytest.mark.parametrize(
    ("piece", "shown"),
    [
        (" ", "␣"), (" cat", "␣cat"), ("row 1, column 2", "row 1, column 2"), ("\n", "↵"), ("</s>", "⏎"), ("", ""),
        ("\u0941", "◌\u0941"), ("\u200f", "⟨U+200F⟩"), ("x\u200cy", "x\u200cy"), ("a\x00", "a⟨U+0000⟩"),
        ("\u202eb", "⟨U+202E⟩b"),
    ],
)  # fmt: skip
def test_labels_show_what_cannot_be_seen(piece: str, shown: str) -> None:
    assert label(piece) == shown


def test_a_notebook_shows_the_page_in_a_frame_of_its_own() -> None:
    frame = notebook_page([recurrent()])
    assert frame.count("<") == 2
    assert 'sandbox="allow-scripts allow-downloads"' in frame
    assert "allow-same-origin" not in frame
