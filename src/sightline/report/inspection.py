"""One self-contained HTML page of influence maps, of one model or of two side by side. Runs no model, imports no torch.

The page's script (`viewer/`, TypeScript, built by `make viewer`) draws the maps from the inspections, which the page
contains as packed JSON (gzip, base64). Nothing is fetched; the policy allows the script by its hash.
"""

from __future__ import annotations

import base64
import gzip
import html
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sightline.core.files import write_file
from sightline.core.json_text import to_json
from sightline.inspect.influence_map import Inspection
from sightline.report.fonts import font_faces
from sightline.report.frame import style_sheet, templates
from sightline.report.page import source_hash
from sightline.report.text import names_of, piece, shortened, visible

LONGEST_TEXT = 2000  # characters of the input above the maps
NOTEBOOK_HEIGHT = 900  # pixels
FRAMED = "header, main > nav { display: none; }"  # a notebook has headings of its own
_AROUND = re.compile(r"^\s+|\s+$")


def write_page(inspections: Sequence[Inspection], path: Path) -> Path:
    """Write the page of one inspection, or of two side by side, to the file `path`.

    Raises:
        ValueError: "a page shows one or two inspections, got 3"; "nothing to show: the inspection of 'lstm' has no
            maps".
    """
    write_file(path, render_inspections(inspections))
    return path


def notebook_page(inspections: Sequence[Inspection]) -> str:
    """The page inside a frame, for the `_repr_html_` of a notebook."""
    page = html.escape(render_inspections(inspections, more_style=FRAMED), quote=True)
    return (
        f'<iframe srcdoc="{page}" sandbox="allow-scripts allow-downloads" title="Influence maps" '
        f'style="width:100%;height:{NOTEBOOK_HEIGHT}px;border:0"></iframe>'
    )


def render_inspections(inspections: Sequence[Inspection], *, more_style: str = "", more_script: str = "") -> str:
    """The page as HTML.

    more_style: rules after its own; more_script: a script after its own
    """
    if not 1 <= len(inspections) <= 2:
        raise ValueError(f"a page shows one or two inspections, got {len(inspections)}")
    for one in inspections:
        if not one.maps:
            raise ValueError(f"nothing to show: the inspection of {one.model.name!r} has no maps")
    plain = [_labelled(one.to_dict()) for one in inspections]
    texts = list(dict.fromkeys(shortened(visible(one.input.text), LONGEST_TEXT) for one in inspections))
    letters = _letters([plain, texts])
    packed = gzip.compress(to_json({"inspections": plain, "letters": letters}).encode(), 9, mtime=0)
    viewer = files("sightline.report").joinpath("templates/viewer.css").read_text("utf-8")
    style = "\n".join([style_sheet(), viewer, font_faces(letters), more_style])
    return (
        templates()
        .get_template("inspection.html.j2")
        .render(
            inspections=inspections,
            names=names_of(dict.fromkeys(one.model.name or one.model.architecture for one in inspections)),
            texts=[text for text in texts if text],
            style=Markup(style),
            style_hash=Markup(source_hash(style)),
            script=Markup(viewer_script()),
            script_hash=Markup(source_hash(viewer_script())),
            more_script=Markup(more_script),
            more_script_hash=Markup(source_hash(more_script)),
            packed=base64.b64encode(packed).decode(),
            charts=False,
        )
    )


@cache
def viewer_script() -> str:
    """The script that shows the maps, bundled (`make viewer`)."""
    return files("sightline.report").joinpath("viewer/viewer.js").read_text("utf-8")


def label(text: str) -> str:
    """A piece as a label: ␣ and ↵ for spaces and ends of lines around it, ⏎ for the end of the sentence, codes for what
    cannot be seen, ◌ below a mark that has no letter.
    """
    if text == "</s>":
        return piece(text)
    if text and all(unicodedata.category(letter) == "Cf" for letter in text):
        return "".join(f"⟨U+{ord(letter):04X}⟩" for letter in text)
    if unicodedata.category(text[:1] or " ").startswith("M"):
        text = f"◌{text}"
    return visible(_AROUND.sub(lambda match: "".join("↵" if one == "\n" else "␣" for one in match[0]), text))


def _labelled(plain: dict[str, Any]) -> dict[str, Any]:
    """The inspection with the labels of its pieces, and with its other texts made safe to show."""
    shown: dict[str, Any] = _visible(plain)
    shown["input"]["labels"] = [label(text) for text in plain["input"]["pieces"]]
    shown["output"]["labels"] = [label(text) for text in plain["output"]["pieces"]]
    shown["output"]["read_labels"] = [label(text) for text in plain["output"]["read"]]
    return shown


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: _visible(part) for key, part in value.items()}
    return [_visible(part) for part in value] if isinstance(value, list) else value


def _letters(value: Any) -> str:
    """All characters that the page's data shows, each once."""
    if isinstance(value, dict):
        return _letters([part for key, part in value.items() if key != "data"])
    if isinstance(value, list):
        return "".join(sorted(set().union(*map(_letters, value)))) if value else ""
    return "".join(sorted(set(value))) if isinstance(value, str) else ""
