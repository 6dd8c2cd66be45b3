"""A swap from beginning to end, and the run that it leaves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from sightline.core.errors import Interrupted
from sightline.core.files import faults, replacing_directory, write_file
from sightline.lab.directory import SWAP, check_free
from sightline.lab.swap.distil import Announce
from sightline.lab.swap.operate import operate
from sightline.lab.swap.prepare import SwapConfig, prepare
from sightline.lab.swap.results import RESULTS, SwapResults
from sightline.tasks.recipe import run_files
from sightline.training.signals import Stopped, StopRequest

logger = logging.getLogger("sightline")


def run_swap(
    path: Path,
    out_dir: Path,
    config: SwapConfig,
    *,
    command: str = "",
    overwrite: bool = False,
    say: Announce = logger.info,
    page: Callable[[SwapResults, Path], object] = lambda results, directory: None,
) -> SwapResults:
    """Replace layers of the run at `path`, distil and measure, and write a run to `out_dir`, whole or not at all.

    `page` writes the page of the results into a directory that has everything else.

    Raises:
        InputError: as `prepare`; `out_dir` exists and is not a swapped run, or `overwrite` is not given.
        Diverged, EnvironmentFault; Interrupted: SIGINT or SIGTERM; nothing is written then.
    """
    check_free(out_dir, overwrite=overwrite, what=SWAP, resumable=False)
    with _stoppable(), torch.random.fork_rng():
        prepared = prepare(path, config)
        results, swapped = operate(prepared, path, config, command, say)
        run = prepared.run.changed(settings=swapped.config)
        with faults(out_dir):
            out_dir.parent.mkdir(parents=True, exist_ok=True)
        with replacing_directory(out_dir) as beside:
            (beside / "best").mkdir()
            swapped.write(beside / "best")
            for name, text in run_files(run, prepared.data, swapped.sizes, run.training).items():
                write_file(beside / name, text)
            results.save(beside / RESULTS)
            page(results, beside)
    return results


@contextmanager
def _stoppable() -> Iterator[None]:
    with StopRequest().listening() as stop:
        try:
            with stop.interruptible():
                yield
        except Stopped:
            assert stop.signal_number is not None
            what = f"stopped by {stop.name}; nothing was written"
            raise Interrupted(what, signal_number=stop.signal_number) from None
