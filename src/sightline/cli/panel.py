"""`sightline panel`: the bottlenecks of mechanisms and of trained models, on the same axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from sightline.cli.plugins import Plugins

if TYPE_CHECKING:
    from sightline.lab.panel_results import PanelResults

T = TypeVar("T", bound=str)


def panel(
    *runs: Path,
    plugin: Plugins = None,
    mixers: str | None = None,
    only: str | None = None,
    lengths: str | None = None,
    checks: int | None = None,
    keys: int | None = None,
    recall: str | None = None,
    quick: bool = False,
    out_dir: Annotated[Path | None, Parameter(name=["--out-dir", "-o"])] = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Measure bottlenecks of mechanisms and trained models: gradient reach, serial work, growth, saturation, recall.

    reach: norms of the gradient from state to state and from output to input by distance; of a trained model also the
    loss where only the last k positions are read. serial: the longest chain of dependent operations by length. growth:
    time and memory by length with exponents, and the length at which one mechanism becomes faster than another,
    predicted and then checked. saturation: entropy, largest weight and gradient of the softmax. recall: small models
    are trained to recall planted values, which shows how many bits a byte of state stores; of a trained language model
    the loss on what repeats in its context, and by position; of a model that writes for a source, such as a translator,
    the loss by position and by length of the source, and its state; of a forecaster the error by step.

    The page says what could not be measured of a run, and why.

    Training the small models takes most of the time, a few minutes for all mechanisms and each planted task; the other
    parts take about a minute on two cores, half of it with --quick. Keep the machine idle otherwise. A stopped panel
    continues with the part in which it stopped.

    Args:
        runs: Directories of trained runs of any task, or of comparisons, whose winner is used.
        mixers: Comma-separated mechanisms such as lstm,softmax, untrained and with default options; softmax+weights is
            softmax attention that forms its weights. Default: those of the plugins given by --plugin; otherwise all
            without a run, none with one.
        only: Comma-separated parts of reach, serial, growth, saturation, recall. Default: all.
        lengths: Comma-separated numbers of positions for growth. Default: 128,256,512,1024,2048.
        checks: Number of predicted crossovers that are checked, the clearest of each phase first. Default: 3, with
            --quick 1.
        keys: Number of keys for the saturation of untrained queries and layers. Default: 1024, with --quick 256.
        recall: Comma-separated planted tasks of the part recall: recall (multi-query associative recall), copy,
            selective copy, needle, or all. Default: recall.
        quick: Fewer sequences, shorter lengths, fewer rounds and steps.
        out_dir: Directory for panel.json, panel.html and figures. Default: panel.
        overwrite: Replace an earlier panel in that directory.
        json: Print the results as one JSON object with `schema_version` instead of a table.
    """
    import sys
    from dataclasses import replace

    from sightline.cli.messages import command_line, messages
    from sightline.cli.tables import show_results
    from sightline.core.errors import InputError
    from sightline.core.settings import check_in_range
    from sightline.lab.mechanism import find_mechanisms
    from sightline.lab.panel import FILE, PARTS, QUICK, Sizes, find_run, run_panel
    from sightline.lab.recall_tasks import RECALL_TASKS
    from sightline.mixers import MIXERS
    from sightline.models.plugins import load_plugins
    from sightline.report.panel import write_panel
    from sightline.training.environment import environment

    parts = _chosen(only, PARTS, "part", "--only")
    sizes = QUICK if quick else Sizes()
    if lengths is not None:
        sizes = replace(sizes, lengths=_lengths(lengths))
    check_in_range("--checks", checks, at_least=0)
    check_in_range("--keys", keys, at_least=2)
    used = {"--lengths": (lengths, "growth"), "--checks": (checks, "growth"), "--keys": (keys, "saturation"),
            "--recall": (recall, "recall")}  # fmt: skip
    _check_used({flag: part for flag, (value, part) in used.items() if value is not None}, parts)
    sizes = replace(sizes, checks=sizes.checks if checks is None else checks, keys=keys or sizes.keys)
    if recall is not None:
        planted = None if recall == "all" else recall
        sizes = replace(sizes, recall_tasks=tuple(_chosen(planted, RECALL_TASKS, "planted task", "--recall")))
    names = [name.strip() for name in (mixers or "").split(",") if name.strip()]
    own = [name for one in load_plugins(plugin) for name in one.mechanisms]
    names = list(dict.fromkeys(names or own or ([] if runs else MIXERS)))
    if names:
        find_mechanisms(names, sizes.narrow)  # refuses unknown names before anything is measured
    elif recall is not None or keys is not None:
        raise InputError(
            "is for mechanisms, and only runs are measured: add --mixers",
            where="--keys" if recall is None else "--recall",
        )
    directory = Path("panel") if out_dir is None else out_dir
    with messages():
        trained = [find_run(run) for run in runs]
    if overwrite:  # once nothing is wrong with what is to be measured
        (directory / FILE).unlink(missing_ok=True)
    facts = {"command": command_line(), "environment": environment()}
    results = run_panel(names, trained, directory, sizes, parts, facts, lambda line: print(line, file=sys.stderr))
    page = write_panel(results, directory)
    show_results(results, print_panel, f"\n{page}", json=json)


def _chosen(words: str | None, known: Iterable[T], kind: str, flag: str) -> list[T]:
    """The known names among words with commas between them, in the order of `known`; all without words."""
    from sightline.core.errors import InputError
    from sightline.core.suggest import unknown

    known = list(known)
    chosen = [name.strip() for name in (words or "").split(",") if name.strip()]
    for name in chosen:
        if name not in known:
            raise InputError(unknown(kind, name, known), where=flag)
    return [name for name in known if not chosen or name in chosen]


def _check_used(flags: Mapping[str, str], parts: Iterable[str]) -> None:
    """Refuse a flag, given with the part of the panel that it is for, where that part is not measured.

    Raises:
        InputError: "--keys: is for the part saturation, which --only leaves out".
    """
    from sightline.core.errors import InputError

    for flag, part in flags.items():
        if part not in parts:
            raise InputError(f"is for the part {part}, which --only leaves out", where=flag)


def _lengths(text: str) -> tuple[int, ...]:
    from sightline.core.errors import InputError

    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isdecimal() and int(word) > 0 for word in words) or len(set(words)) < 3:
        raise InputError(
            f"expected at least three numbers of positions such as 128,256,512, found {text!r}", where="--lengths"
        )
    return tuple(sorted({int(word) for word in words}))


def print_panel(results: PanelResults) -> None:
    """The table of mechanisms and runs, the findings, and the crossovers."""
    import re

    from sightline.cli.tables import console_for, table_of
    from sightline.report.panel_text import cost_rows, crossover_text, findings

    headings = (
        "mechanism", "chain", "growth", "training time", "training memory", "decoding time", "state", "reach", "used",
        "bits/byte",
    )  # fmt: skip
    rows = []
    for row in cost_rows(results):
        time, memory = row.time, row.memory
        cells = [time.get("training", ""), memory.get("training", ""), time.get("decode", ""), memory.get("decode", "")]
        cells = [re.sub(r" \[.*\]", "", cell) for cell in (row.chain_growth, *cells)]  # the page has the intervals
        rows.append((row.name, row.chain, *cells, row.reach, row.used, row.bits_per_byte))
    table = table_of(headings, rows, lined=True)
    console = console_for(table, 132)
    console.print(table)
    if results.growth or results.serial:
        console.print(
            "Exponents of n, with intervals on the page; in brackets: too little growth to tell it from fixed costs.\n"
        )
    crossed = [crossover_text(one, at) for at, one in enumerate(results.crossovers) if one.checked]
    for sentence in [*findings(results), *crossed]:
        console.print(sentence, markup=False, soft_wrap=True)
