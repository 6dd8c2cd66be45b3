"""`sightline certify`: verify mechanisms, including the user's own, against the laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sightline.cli.plugins import Plugins

if TYPE_CHECKING:
    from rich.table import Table

    from sightline.testing.report import LawResult
    from sightline.testing.table import CertifiedConfig


def certify(
    *mechanisms: str,
    only: str | None = None,
    law: tuple[str, ...] = (),
    full: bool = False,
    plugin: Plugins = None,
    adapter: tuple[str, ...] = (),
    json: bool = False,
) -> None:
    """Verify mechanisms against the laws that all mechanisms must satisfy, and show the largest error of each.

    The laws: any chunks give the result of the whole sequence, no position sees the future, padding and packing change
    nothing, states are values, results equal an independent reference, and more. Exits with status 5 if a law fails.

    Args:
        mechanisms: Names such as `lstm`, or `module:Config` for your own mixer. Default: those of the plugins given by
            --plugin, otherwise all built-in mechanisms.
        only: Comma-separated names, in addition to the arguments.
        law: Check only this law; can be repeated.
        full: Run slow mechanisms over all 65,536 positions of the law on long sequences, which takes minutes. Without
            it they stop after some seconds and report the position reached.
        adapter: Check a module of another library instead: module:Adapter or file.py:Adapter, a class derived from
            `sightline.testing.foreign.Adapter`; can be repeated. The laws check only what the module offers.
        json: Print one JSON object with `schema_version` instead of a table.
    """
    if adapter:
        if mechanisms or only or plugin or full:
            from sightline.core.errors import InputError

            raise InputError(
                "has laws of its own: leave out mechanisms, --only, --plugin and --full", where="--adapter"
            )
        _certify_foreign(adapter, law, json=json)
        return
    import sys
    import time

    from sightline.core.digits import number_of
    from sightline.core.errors import CheckFailed, InputError
    from sightline.lab.machine import granted_cores
    from sightline.mixers import MIXERS
    from sightline.testing import LAWS
    from sightline.testing.check import known_law
    from sightline.testing.table import find_targets, run_table

    named = [*mechanisms, *(name.strip() for name in (only or "").split(",") if name.strip())]
    again: list[str] = []
    if plugin:
        from sightline.models.plugins import load_plugins

        loaded = load_plugins(plugin)
        again = [one.source.again for one in loaded]
        if not named and not (named := [name for one in loaded for name in one.mechanisms]):
            raise InputError(
                f"has no mechanism in MIXERS: choose what to certify ({', '.join(MIXERS)})", where=plugin[0]
            )
    targets = find_targets(list(dict.fromkeys(named)) or list(MIXERS))
    laws, began, rows = [known_law(name) for name in law] or list(LAWS), time.monotonic(), []
    # The slowest first, so that no worker is still busy with one at the end.
    slow_first = sorted(targets, key=lambda target: "additive" not in target.mechanism)
    for row in run_table(slow_first, laws, granted_cores(), full, again):
        rows.append(row)
        print(f"[{len(rows):>{len(str(len(targets)))}}/{len(targets)}] {_progress(row)}", file=sys.stderr, flush=True)
    rows.sort(key=lambda row: targets.index(row.target))
    failed = [(row, result) for row in rows for result in row.results if result.passed is False]
    checked = sum(result.passed is not None for row in rows for result in row.results)
    if json:
        _print_json(rows, laws)
    else:
        _print_tables(rows, laws)
        print(
            f"\n{number_of(checked, 'check')} over {number_of(len(rows), 'configuration')} in "
            f"{time.monotonic() - began:.0f} s, {len(failed)} failed"
        )
    if failed:
        row, result = failed[0]
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise CheckFailed(f"{row.target.mechanism} ({row.target.options}): {result}{more}")


def _certify_foreign(adapters: tuple[str, ...], laws: tuple[str, ...], *, json: bool) -> None:
    """The laws over modules of other libraries."""
    from sightline.cli.messages import print_json
    from sightline.core.errors import CheckFailed
    from sightline.testing.foreign.check import check_foreign
    from sightline.testing.foreign.find import find_adapter

    reports = [check_foreign(one, laws or None) for one in [find_adapter(named) for named in adapters]]
    failures = [f"{report.subject}: {cell}" for report in reports for cell in report.failures]
    if json:
        rows = [report.to_dict() for report in reports]
        print_json({"schema_version": 1, "command": "certify", "passed": not failures, "subjects": rows})
    else:
        print("\n\n".join(map(str, reports)))
    if failures:
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        raise CheckFailed(f"{failures[0]}{more}")


def _progress(row: CertifiedConfig) -> str:
    failed = [result.law for result in row.results if result.passed is False]
    seconds = sum(result.seconds for result in row.results)
    return (
        f"{row.target.mechanism} ({row.target.options}): {', '.join(failed) or 'all'} "
        f"{'FAILED' if failed else 'passed'}, {seconds:.1f} s"
    )


def _print_json(rows: list[CertifiedConfig], laws: list[str]) -> None:
    from sightline.cli.messages import print_json

    results = [
        {
            "mechanism": row.target.mechanism,
            "options": row.target.options,
            "law": result.law,
            "passed": result.passed,
            "error": result.error,
            "tolerance": result.tolerance,
            "detail": result.detail,
            "seconds": round(result.seconds, 3),
        }
        for row in rows
        for result in row.results
    ]
    passed = all(result["passed"] is not False for result in results)
    head = {"schema_version": 1, "command": "certify", "passed": passed, "laws": laws}
    print_json({**head, "results": results})


def _print_tables(rows: list[CertifiedConfig], laws: list[str]) -> None:
    """Tables with a row per law and a column per mechanism, as many as fit the terminal; then the remarks."""
    from rich.console import Console

    console = Console(highlight=False)
    by_mechanism: dict[str, list[CertifiedConfig]] = {}
    for row in rows:
        by_mechanism.setdefault(row.target.mechanism, []).append(row)
    names = list(by_mechanism)
    cell = max(15, *(len(name) + 2 for name in names))
    abreast = max(1, (console.width - max(map(len, laws)) - 4) // cell)
    console.print("Largest error / tolerance; [bold]exact[/] = bitwise or yes-no check; – = not applicable\n")
    for at in range(0, len(names), abreast):
        console.print(_table({name: by_mechanism[name] for name in names[at : at + abreast]}, laws))
    for text in _remarks(rows):
        console.print(text, markup=False, soft_wrap=True)


def _table(by_mechanism: dict[str, list[CertifiedConfig]], laws: list[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("law", no_wrap=True)
    for name in by_mechanism:
        table.add_column(name, no_wrap=True)
    for place, law in enumerate(laws):
        cells = [_cell([row.results[place] for row in rows]) for rows in by_mechanism.values()]
        table.add_row(law, *cells)
    return table


def _cell(results: list[LawResult]) -> str:
    """The largest error over the configurations of a mechanism."""
    failed = [result for result in results if result.passed is False]
    applying = failed or [result for result in results if result.passed is not None]
    if not applying:
        return "–"
    worst = max(applying, key=lambda result: result.error / result.tolerance if result.tolerance else result.error)
    text = "exact" if not worst.error and not worst.tolerance else f"{worst.error:.0e}/{worst.tolerance:.0e}"
    return f"[bold red]✗ {text}[/]" if failed else f"[green]✓[/] {text}"


def _remarks(rows: list[CertifiedConfig]) -> list[str]:
    """Failures, the reasons why a law does not apply, and the lengths that the long runs reached."""
    failures, reasons, long = [], {}, []
    for row in rows:
        who = f"{row.target.mechanism} ({row.target.options})"
        for result in row.results:
            if result.passed is False:
                failures.append(f"FAILED  {who}: {result}")
            elif result.passed is None:
                reasons.setdefault((result.law, result.detail), []).append(row.target.mechanism)
            elif result.law == "long and large":
                long.append(f"{who}: {result.detail}")
    return [
        *failures,
        *(f"–  {law}: {why} ({', '.join(dict.fromkeys(names))})" for (law, why), names in reasons.items()),
        *(f"long  {text}" for text in long),
    ]
