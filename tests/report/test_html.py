"""What the page must hold, and what it must not let through."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sightline.core.digits import amount
from sightline.core.metrics import Baseline
from sightline.lab.results import Architecture, Estimate, Results
from sightline.report.attention import save_attention
from sightline.report.frame import asides, shade
from sightline.report.html import all_drawings, render, write_report
from sightline.report.page import chart_script
from sightline.report.text import capitalised, quantity, size
from tests.report.cells import without_spans
from tests.report.synthetic import LEVELS, SOURCES, make_results

HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table></section></body><h1>x",
    '" onmouseover="alert(1)" x=\'',
    "<!-- --!> <![CDATA[ ]]>",
    "</style><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;img src=x onerror=alert(1)&gt;&#60;",
    "\x00\x07\x1b[31m\u202e\u2066\ufeff\ud800\u2028",
    "$\\frac{1}{0}$ \\usepackage",
    "javascript:alert(1)//`${1}`",
]


MOVED = ("aria-label", "d", "transform", "viewbox", "x", "y", "width", "height", "clip-path", "id")


class Tree(HTMLParser):
    """The elements with their attributes, in order, text left out, and where names of labels move a figure's parts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[object] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, [(name, None if name in MOVED else value) for name, value in attrs]))

    def handle_endtag(self, tag: str) -> None:
        self.elements.append(tag)

    def handle_comment(self, data: str) -> None:
        self.elements.append("comment")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return render(make_results())


@pytest.fixture(scope="module")
def benign() -> Tree:
    return tree(lambda text: "benign text")


def tree(foreign: Callable[[str], str]) -> Tree:
    """The elements of a page; what is in parentheses in a verdict is smaller, by one element for each."""
    page = render(make_results(foreign))
    head, verdict, rest = re.split(r'(<p class="verdict".*?</p>)', page, maxsplit=1, flags=re.DOTALL)
    return Tree("".join((head, re.sub("</?small>", "", verdict), rest)))


@pytest.mark.slow
@pytest.mark.parametrize("text", ["".join(HOSTILE), " ".join(reversed(HOSTILE))], ids=["joined", "reversed"])
def test_hostile_text_leaves_the_element_tree_identical(text: str, benign: Tree) -> None:
    assert tree(lambda _: text).elements == benign.elements


def test_beside_the_deciding_metric_are_the_first_two_others_in_the_task_s_order() -> None:
    values = {"cer": 0.1, "wer": 0.2, "exact_match": 0.3, "chrf": 90.0, "perplexity": 1.5}
    metrics = {name: Estimate(value) for name, value in values.items()}
    transcripts = Architecture("gru", metrics, finished=1, started=1)
    results = replace(make_results(), architectures=[transcripts], runs=[], pairs=[], primary_metric="cer")
    table = render(results).partition("</thead>")[0].rpartition("<thead>")[2]
    headings = re.findall(r'<th scope="col">([^<]*)', table)
    assert headings[1:5] == ["character error rate", headings[2], "word error rate", "exact match"]


@pytest.mark.slow
def test_control_characters_and_overrides_are_shown_not_obeyed() -> None:
    page = render(make_results(lambda _: "a\x1b[31m\u202eb\ud800\x00"))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)
    assert "a⟨U+001B⟩[31m⟨U+202E⟩b⟨U+D800⟩⟨U+0000⟩" in page


def test_the_policy_allows_the_style_sheet_and_the_scripts_by_their_hashes_alone(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert policy is not None
    assert style is not None
    packed = re.search(r'<script type="text/plain" id="chart-tools">(.*?)</script>', page)
    assert packed is not None
    scripts = [
        *re.findall(r"<script>(.*?)</script>", page, re.DOTALL),
        gzip.decompress(base64.b64decode(packed[1])).decode(),
    ]
    assert len(scripts) == 2
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style[1], *scripts)]
    assert policy[1] == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}' 'sha256-{hashes[2]}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert page.count("<style") == 1
    assert not re.search(r"\sstyle\s*=", without_scripts(page))  # the policy would bar it
    assert not re.search(r"<(script|link|img|iframe|object|embed|base|form)\b", without_scripts(page))


def without_scripts(page: str) -> str:
    """The page without its scripts, whose hashes are known, and without data, which no `<` is in."""
    data = re.compile(r'<script type="application/json" class="rows">[^<]*</script>')
    plain = re.compile(r'<script type="text/plain" id="chart-tools">[\w+/=]*</script>')
    return plain.sub("", data.sub("", page.replace(f"<script>{chart_script()}</script>", "")))


def test_the_page_fetches_nothing(page: str) -> None:
    for name, value in re.findall(r"\b(src|href|xlink:href|srcset|action)\s*=\s*\"([^\"]*)\"", without_scripts(page)):
        assert value.startswith("#"), (name, value)
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", page)
    assert "@import" not in page


def test_ids_are_unique_and_every_link_has_a_target(page: str) -> None:
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)


def test_everything_a_reader_needs_is_there(page: str) -> None:
    results = make_results()
    text = " ".join("".join(Tree(page).text).split())
    assert results.verdict.replace("%", "%") in text.replace("\xa0", " ")
    for expected in (
        *LEVELS, *(source for source, _ in SOURCES), "diverged: step 213: the loss is nan (rows 3, 17)",
        "nearest training source", results.data.sha256, results.command, amount(results.budget.explained),
        "Example Processor 3000", "702 MB", "1.98 M", "1 of 10 runs did not finish",
        "rnn, lstm, gru have no attention", "exact match on 1,000 test items".capitalize(),
    ):  # fmt: skip
        assert expected in text, expected


@pytest.mark.slow
def test_warnings_that_end_the_verdict_are_shown_below_it_and_once() -> None:
    results, warning = make_results(), "Runs had the processor for less than 80 % of their time (gru 62 %)."
    starved = replace(results, verdict=f"{results.verdict} {warning}", warnings=[warning, "MASE is undefined."])
    page = render(starved)
    text = " ".join("".join(Tree(page).text).split()).replace("\xa0", " ")
    head = re.search(r'<p class="verdict"[^>]*>(.*?)</p>', page, re.DOTALL)
    assert head is not None
    assert "processor" not in head[1]
    assert text.count(warning) == text.count("MASE is undefined.") == 1
    assert text.index(warning) < text.index("Quality and cost Mark") < text.index("MASE is undefined.")


def test_attention_shows_each_piece_as_text_and_each_weight_as_a_cell(page: str) -> None:
    example = make_results().attention[2]
    body = page[page.index("Example 3") :]
    table = body[body.index("<table") : body.index("</table>")]
    heads = re.findall(r'<th scope="col"><bdi>(.*?)</bdi>', table)
    assert heads == [piece.replace(" ", "␣") for piece in example.pieces]
    weights = [weight for row in example.architectures[0].maps[0].weights for weight in row]
    assert table.count("<td></td>") == 1 + sum(shade(weight) == 0 for weight in weights)  # and the corner
    assert re.findall(r'<td class="w(\d+)"', table) == [str(shade(weight)) for weight in weights if shade(weight)]


def test_a_comparison_in_which_nothing_finished_still_gives_a_page() -> None:
    results = make_results()
    failed = [replace(run, status="failed", metrics={}, history=[], error="out of memory") for run in results.runs]
    architectures = [
        replace(a, metrics={}, by_length=[], details=None, finished=0, train_s=None, rates=[], parameters=None)
        for a in results.architectures
    ]
    page = render(
        replace(results, runs=failed, architectures=architectures, pairs=[], attention=[], examples=[], baselines=[])
    )
    assert "10 of 10 runs did not finish" in without_spans(page)
    assert "no run finished" in page


@pytest.mark.slow
def test_writing_needs_no_torch_and_leaves_page_and_figures(tmp_path: Path) -> None:
    make_results().save(tmp_path / "results.json")
    program = (
        "import sys; from pathlib import Path\n"
        "from sightline.lab.results import Results; from sightline.report.html import write_report\n"
        "write_report(Results.load(Path(sys.argv[1]) / 'results.json'), Path(sys.argv[1]))\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {
        f"{name}.{kind}"
        for name in (
            "scores",
            "differences",
            "learning-curves",
            "by-length",
            "curve",
            *(f"front-{cost}" for cost in ("train-s", "ms", "state-bytes", "peak-memory-bytes", "parameters")),
            *(f"attention-{n}" for n in (1, 2, 3)),
            *(f"{what}-{arch}" for what in ("confusion", "reliability") for arch in LEVELS),
        )
        for kind in ("png", "svg")
    }
    assert (tmp_path / "report.html").stat().st_size > 50_000


@pytest.mark.slow
def test_a_name_in_a_file_of_results_cannot_leave_the_directory(tmp_path: Path) -> None:
    results = make_results()
    gone = replace(results.architectures[-1], arch="../../gone")
    write_report(replace(results, architectures=[gone], runs=[], pairs=[], attention=[]), tmp_path / "a" / "b")
    assert {path.name for path in tmp_path.iterdir()} == {"a"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"b"}
    assert (tmp_path / "a" / "b" / "figures" / "confusion-______gone.png").exists()


def test_labels_are_shown_for_every_architecture_best_first(page: str) -> None:
    section = page[page.index('<section id="labels">') :]
    section = section[: section.index("</section>")]
    assert section.count("<svg") == 2 * len(LEVELS)
    places = [section.index(f"</span>{arch}<") for arch in sorted(LEVELS, key=lambda arch: -LEVELS[arch])]
    assert places == sorted(places)
    assert "Loss by position in the context" in page


@pytest.mark.slow
def test_a_loaded_file_gives_the_same_page(tmp_path: Path, page: str) -> None:
    make_results().save(tmp_path / "results.json")
    assert render(Results.load(tmp_path / "results.json")) == page


@pytest.mark.slow
def test_figures_beside_the_page_are_real_images(tmp_path: Path) -> None:
    scores = next(one for one in all_drawings(make_results(lambda _: HOSTILE[0])) if one.name == "scores")
    png, svg = scores.save(tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert b"<script" not in svg.read_bytes()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "—"),
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1 kB"),
        (1024, "1.02 kB"),
        (999_400, "999 kB"),
        (999_600, "1 MB"),
        (65_536_000, "65.5 MB"),
        (999_600_000, "1 GB"),
        (3e12, "3000 GB"),
    ],
)
def test_sizes_are_in_powers_of_1000(value: float | None, shown: str) -> None:
    assert size(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "—"), (950, "950"), (12_400, "12,400"), (1_980_000, "1.98 M"), (3.1e15, "3.1e+15")]
)
def test_counts_are_short(value: float | None, shown: str) -> None:
    assert quantity(value) == shown


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        ("40steps", "40 steps"),
        ("60s", "60 s"),
        ("2.5Mtok", "2.5M tokens"),
        ("50000tok", "50,000 tokens"),
        ("3e15flop each", "3e15 FLOPs each"),
    ],
)
def test_a_budget_is_written_with_a_space(budget: str, text: str) -> None:
    assert amount(budget) == text


def unlearnt(output: list[str]) -> Results:
    """Results in which the first architecture of the first example wrote something else, with a row for each piece."""
    results = make_results()
    first, *others = results.attention
    maps = next(one for one in first.architectures if one.maps)
    width = len(first.pieces)
    wrong = replace(
        maps,
        output=output,
        prediction="".join(output),
        maps=[replace(one, weights=[[0.5] * width] * len(output)) for one in maps.maps if one.over == "source"],
    )
    return replace(results, attention=[replace(first, architectures=[wrong]), *others])


@pytest.mark.slow
def test_maps_of_what_was_not_learnt_are_folded_capped_and_not_drawn(tmp_path: Path) -> None:
    results = unlearnt(["¤"] * 300)
    text = render(results)
    folded = text[text.index("has not learnt this example") :]
    assert "The first 48 of 300 rows." in folded
    assert text.count("<bdi>¤</bdi>") == 48 * len(results.attention[0].architectures[0].maps)
    assert text.index("<details><summary>", text.index('id="attention"')) < text.index("has not learnt this example")
    save_attention(results, tmp_path)
    drawn = {path.name for path in tmp_path.glob("attention-*.svg")}
    assert drawn == {"attention-2.svg", "attention-3.svg"}


def test_an_example_without_a_map_over_the_source_has_no_figure(tmp_path: Path) -> None:
    results = make_results()
    example = results.attention[0]
    own = [
        replace(one, prediction=example.reference, maps=[each for each in one.maps if each.over != "source"])
        for one in example.architectures
    ]
    assert any(one.maps for one in own)
    assert save_attention(replace(results, attention=[replace(example, architectures=own)]), tmp_path) == []


@pytest.mark.slow
def test_the_page_ends_with_the_command_that_uses_the_winner(page: str) -> None:
    results = make_results()
    source = results.examples[0].source
    command = f"sightline predict runs/which {shlex.quote(source)}"
    assert 'id="use"' not in page
    page = render(results, Path("runs/which"))
    assert html.escape(command, quote=False).replace("'", "&#39;") in page[page.index('id="use"') :]
    failed = replace(results, architectures=[replace(one, finished=0) for one in results.architectures])
    assert 'id="use"' not in render(failed, Path("runs/which"))


@pytest.mark.slow
def test_the_time_of_a_baseline_is_shown_where_it_is_known() -> None:
    """Results of version 0.1.0 have none."""
    known = [Baseline("new", "", {"exact_match": 0.5}, seconds=2.34), Baseline("old", "", {"exact_match": 0.4})]
    shown = render(replace(make_results(), baselines=known))
    assert re.findall(r'data-label="CPU, s"[^>]*>([^<]*)<', shown) == ["2.3", "—"]


def test_what_is_in_parentheses_is_small_with_the_parentheses_in_it() -> None:
    assert asides("2 hold (GRU, sparse (window)); 1 not [a, b].") == (
        "2 hold <small>(GRU, sparse (window))</small>; 1 not <small>[a, b]</small>."
    )


@pytest.mark.parametrize(("text", "title"), [("loss (nats)", "Loss (nats)"), ("kB", "kB"), ("d_k", "d_k"), ("", "")])
def test_titles_begin_with_a_capital_unless_with_a_symbol(text: str, title: str) -> None:
    assert capitalised(text) == title
