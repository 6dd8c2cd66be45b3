"""Generated pages are up to date, and the examples of all pages run."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from sightline.cli.app import build, main
from sightline.testing import LAWS
from tests.browser import opened
from tests.docs.snippets import snippets
from tests.plugins import forgotten
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
# The pages show budgets that give good models; the tests only check that the commands work.
SHORTER = [
    (r"(compare .*)--budget \S+", r"\1--budget 3steps --search 0 --quiet"),
    (r"(train .*)--budget \S+", r"\1--budget 3steps --quiet"),
    (r"(swap .*)-o ", r"\1--layers 1 --layer-steps 2 --tune-steps 2 --tested 5 --quiet -o "),
    (r"--seeds \d+", "--seeds 1"),
    (r"(compare .*)--out-dir", r"\1--tested 10 --seeds 1 --out-dir"),
    (r"(compare .*--seeds \d+ .*)--seeds 1", r"\1"),
    (r"(compare .*--tested \d+ .*)--tested \d+", r"\1"),
    (r"certify --plugin", "certify --law padding --plugin"),
    (r"panel --plugin", "panel --quick --lengths 8,16,32 --only serial,growth,reach --plugin"),
    (r"--limit \d+", "--limit 3"),
    (r"builtin:dates\b", "builtin:dates?size=2000"),
    (r"(builtin:stdlib .*)--archs lstm,", r"\1--archs "),
    (r"--archs (\w+)(,\w+)*", r"--archs \1"),
    (r"(--prune \S+) --data", r"\1 --items 4 --data"),
    (r"--heads --data", "--heads --items 4 --orders 0 --data"),
    (r"((?:train|compare) .*--budget 3steps)", r"\1 --validations 1"),  # else after each step
    (r"(train .*builtin:dates.*--budget 3steps)", r"\1 --validation-pairs 20 --validation-outputs 4"),
    (r"(builtin:stdlib .*--budget 3steps)", r"\1 --validation-bytes 2000"),
]


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generated():
    return generator().PAGES


@pytest.mark.slow
def test_generated_pages_are_current(generated):
    stale = [page for page, content in generated.items() if content() != (ROOT / "docs" / page).read_text("utf-8")]
    assert not stale, "out of date: run `python docs/generate.py` and commit"


def write_pairs(folder: Path) -> None:
    """An example file of 60 sentences about counting."""
    words = (
        ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"],
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    )
    rows = [[" ".join(side[int(digit)] for digit in f"{number:02d}") for side in words] for number in range(60)]
    table = "".join(f"{source},{target}\n" for source, target in [("source", "target"), *rows])
    (folder / "pairs.csv").write_text(table, encoding="utf-8")


def shortened(command: str) -> str:
    """The command with a budget for a test."""
    for pattern, shorter in SHORTER:
        command = re.sub(pattern, shorter, command)
    return command


def in_console(command: str, folder: Path) -> None:
    """Run a line of a console; one that needs no shell in this process, which has the imports already."""
    command = shortened(command)
    if command.startswith("sightline ") and not set(command) & set("|<>;&$*`~"):
        assert main(shlex.split(command)[1:]) == 0, command
        return
    script = command.replace("sightline ", f"{shlex.quote(sys.executable)} -m sightline ")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"


def together() -> list[list[Path]]:
    """Groups of pages with snippets; those of a group share commands, which run once.

    The page on notebooks runs in a notebook, that on a mechanism in a copy of the checkout: see their own tests.
    """
    apart = ("notebook", "mechanism")
    shared = [
        [ROOT / "README.md", ROOT / "docs" / "quickstart.md"],
        [ROOT / "docs" / "inspect.md", ROOT / "docs" / "swap.md"],
    ]
    rest = [page for page in PAGES if not any(page in group for group in shared) and page.stem not in apart]
    return [*shared, *([page] for page in rest if snippets(page))]


@pytest.mark.slow
@pytest.mark.parametrize("pages", together(), ids=lambda pages: "+".join(page.stem for page in pages))
def test_what_a_page_shows_can_be_run(pages, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path)
    names, done = {"__name__": "snippets"}, set()
    with forgotten(tmp_path):
        for snippet in (snippet for page in pages for snippet in snippets(page)):
            if snippet.file is not None:
                (tmp_path / snippet.file).write_text(snippet.text, encoding="utf-8")
            elif snippet.language == "python":
                exec(compile(snippet.text, f"{snippet.page}:{snippet.line}", "exec"), names)
            for command in snippet.commands:
                if re.search(r"(^|\| )sightline ", command) and command not in done:
                    done.add(command)
                    in_console(command, tmp_path)


def test_commands_that_are_shown_without_being_run_have_the_arguments_of_their_command():
    blocks = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    texts = [block.replace("\\\n", " ") for page in PAGES for block in blocks.findall(page.read_text(encoding="utf-8"))]
    commands = [line for text in texts for line in text.splitlines() if line.startswith("sightline ")]
    assert len(commands) > 20
    for command in commands:
        arguments = shlex.split(command)[1:]
        try:
            build(arguments).parse_args(arguments)
        except CycloptsError as error:
            pytest.fail(f"{command}: {error}")


def test_the_page_of_the_contract_names_every_law():
    text = " ".join((ROOT / "docs" / "concepts.md").read_text(encoding="utf-8").split())
    assert [law for law in LAWS if f"*{law}*" not in text] == []


def test_consoles_are_at_most_80_columns_wide():
    blocks = re.compile(r"^```(?:console|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    texts = {page.name: blocks.findall(page.read_text(encoding="utf-8")) for page in PAGES}
    lines = [(name, line) for name, found in texts.items() for block in found for line in block.splitlines()]
    assert lines
    assert [place for place in lines if len(place[1]) > 80] == []


def test_every_link_between_pages_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def anchor(title: str) -> str:
    """What a heading of Markdown is linked by."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_index_of_the_log_has_every_entry_and_nothing_else():
    log = (ROOT / "LOG.md").read_text(encoding="utf-8")
    listed = re.findall(r"\]\(((?:log/[\w.]+)?#[^)]+)\)", log)
    entries = [f"#{anchor(title)}" for title in re.findall(r"^## (\d.*)", log, re.MULTILINE)]
    for page in sorted((ROOT / "log").glob("*.md")):
        titles = re.findall(r"^## (\d.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
        entries += [f"log/{page.name}#{anchor(title)}" for title in titles]
    assert sorted(listed) == sorted(entries)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The documentation as `make docs` builds it: a warning is an error."""
    if shutil.which("sphinx-build", path=str(Path(sys.executable).parent)) is None:
        pytest.fail("Sphinx is not installed: make install")
    folder = tmp_path_factory.mktemp("docs")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(ROOT / "docs"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(built):
    assert (built / "index.html").exists()


# What is beyond the right edge of the page, except in a table or a block of code, which scroll by themselves.
CUT_OFF = """width => {
  const scrolls = e => e.tagName !== "ARTICLE"
    && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  return [...document.querySelectorAll("article *")].filter(e => {
    const box = e.getBoundingClientRect();
    return box.height && box.right > width + 1 && !scrolls(e);
  }).map(e => `${e.tagName}: ${e.textContent.trim().slice(0, 60)}`);
}"""


@pytest.mark.slow
def test_no_page_is_cut_off_on_a_phone_or_a_laptop(built):
    pages = [page for page in sorted(built.glob("**/*.html")) if "_static" not in page.parts]
    assert len(pages) > 20
    wrong = []
    with opened() as browser:
        view = browser.new_page()
        for page in pages:
            view.goto(page.as_uri())
            for width in (400, 1280):
                view.set_viewport_size({"width": width, "height": 900})
                scrolled = view.evaluate("document.documentElement.scrollWidth") > width
                wrong += [(page.name, width, "scrolls")] if scrolled else []
                wrong += [(page.name, width, text) for text in view.evaluate(CUT_OFF, width)]
    assert wrong == []


@pytest.mark.slow
def test_the_notebook_shows_maps_that_do_not_disturb_each_other(built):
    """A page that was executed: two frames of maps, each with a state of its own, and no request."""
    page, asked = built / "tutorials" / "looking.html", []
    with opened() as browser:
        view = browser.new_page()
        view.on("request", lambda request: asked.append(request.url))
        view.goto(page.as_uri())
        ready = "document.querySelector('#viewer')?.dataset.ready !== undefined"
        wait_until(lambda: len(view.frames) == 3 and all(frame.evaluate(ready) for frame in view.frames[1:]))
        pair, single = view.frames[1:]
        titles = "[...document.querySelectorAll('.pane h3')].map(e => e.textContent.split(',')[0])"
        assert pair.evaluate(titles) == ["Causal effect: the output over the input"] * 2
        state = "['.views [aria-checked=true]', '.pane h3', '.reading'].map(e => document.querySelector(e).textContent)"
        before = single.evaluate(state)
        pair.click(".views button >> nth=2")
        pair.click(".strip >> nth=1 >> span >> nth=2")
        readings = pair.evaluate("[...document.querySelectorAll('.reading')].map(e => e.textContent.split(' on ')[0])")
        assert len(set(readings)) == 1
        assert "(input 3)" in readings[0]
        assert single.evaluate(state) == before
        assert pair.evaluate(state)[0] != before[0]
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []
    shown = page.read_text(encoding="utf-8")
    assert "of 100 new sentences right" in shown
    assert "Traceback" not in shown
