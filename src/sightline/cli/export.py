"""`sightline export`: a trained model in the format of another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sightline.cli import flags
from sightline.cli.export_formats import TO_HELP
from sightline.cli.plugins import Plugins


def export(
    run: Path,
    /,
    *,
    to: Annotated[str, Parameter(help=TO_HELP)],
    out_dir: Annotated[Path | None, Parameter(name=["--out-dir", "-o"])] = None,
    overwrite: bool = False,
    quiet: flags.Quiet = False,
    plugin: Plugins = None,
) -> None:
    """Export a trained model to the format of another program.

    Args:
        run: Directory of a trained run, of a model, or of a comparison, whose winner is used.
        out_dir: Output directory. Default: named after the run and the format, such as runs/dates-onnx.
        overwrite: Replace the output directory.
    """
    from sightline.cli.messages import messages
    from sightline.core.suggest import look_up
    from sightline.export import FORMATS
    from sightline.export import export as export_task
    from sightline.models.plugins import load_plugins
    from sightline.tasks.load import load

    form = look_up(FORMATS, to, "format", where="--to")
    load_plugins(plugin)
    directory = out_dir or run.resolve().with_name(f"{run.resolve().name}-{to}")
    with messages(quiet=quiet):
        export_task(load(run), form, directory, overwrite=overwrite)
    print(f"exported to {directory}")
