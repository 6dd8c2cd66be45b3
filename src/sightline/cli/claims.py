"""`sightline claims`: common statements about recurrence and attention, measured on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from sightline.lab.claims.results import ClaimsResults


def claims(
    *names: str,
    quick: bool = False,
    seed: int = 0,
    out_dir: Annotated[Path | None, Parameter(name=["--out-dir", "-o"])] = None,
    overwrite: bool = False,
    json: bool = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> None:
    """Measure common statements about recurrence and attention: each holds, does not hold, or depends, with a number.

    Each claim has a rule, shown on the page, that turns its numbers into the outcome. The rules are part of this
    version and do not change with your numbers; some were changed after a first look at ours (see the claims page of
    the documentation). All claims take up to an hour on two idle cores, ten minutes with --quick. Results are saved
    after each claim: the same command measures only the remaining ones, even after a kill. Times are measured on the
    processor, and on a GPU if there is one.

    Args:
        names: Claims such as C1 C5. Default: all.
        quick: Fewer seeds, shorter lengths and fewer rounds; intervals are wider.
        seed: First seed of weights, inputs and data.
        out_dir: Directory for claims.json, claims.html and figures. Default: claims.
        overwrite: Measure these claims again, and remove all results with other settings from that directory.
        json: Print the results as one JSON object with `schema_version` instead of a table.
        quiet: Show no progress.
    """
    from sightline.cli.messages import command_line, progress_lines
    from sightline.cli.tables import show_results
    from sightline.lab.claims.claim import Effort
    from sightline.lab.claims.run import find_claims, run_claims
    from sightline.report.claims import write_claims

    chosen = find_claims(names)
    directory = Path("claims") if out_dir is None else out_dir

    import torch

    from sightline.training.environment import environment

    effort = Effort(
        quick=quick,
        seed=seed,
        seeds=3 if quick else 5,
        threads=torch.get_num_threads(),
        devices=("cpu", "cuda") if torch.cuda.is_available() else ("cpu",),
        directory=directory,
        say=progress_lines(quiet=quiet),
    )
    facts = {"command": command_line(), "environment": environment()}
    results = run_claims(chosen, directory, effort, facts, overwrite=overwrite)
    page = write_claims(results, directory)
    show_results(results, print_claims, f"page: {page}", json=json)


def print_claims(results: ClaimsResults) -> None:
    """The table of claims with their outcomes."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from sightline.report.claims import notes

    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 120)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("claim", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("what was measured here", overflow="fold")
    for result in results.results:
        table.add_row(result.claim, result.outcome, result.measured)
    console.print(table)
    for note in notes(results):
        console.print(note)
