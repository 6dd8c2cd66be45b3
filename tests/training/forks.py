"""Runs trainings in forked processes that share one import of torch, so that killing fifty of them is cheap.

A request is one JSON line on stdin, the answer one on stdout. The child trains the toy model and kills
itself at the `kill_at_change`-th change of the file system, which a write does half before it dies, or at the
`kill_at_call`-th call of a function.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

CHANGES = ("mkdir", "open", "write", "fsync", "rename", "replace", "unlink", "rmdir", "ftruncate")


def die_at_change(number: int) -> Callable[[], int]:
    """Kills this process when it is about to make its `number`-th change; returns the counter."""
    seen = 0

    def wrap(name: str) -> None:
        original = getattr(os, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            nonlocal seen
            if name != "open" or arguments[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                seen += 1
                if seen == number:
                    if name == "write":
                        original(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        setattr(os, name, wrapped)

    for name in CHANGES:
        wrap(name)
    return lambda: seen


def die_at_call(number: int) -> Callable[[], int]:
    """Kills this process when it is about to call its `number`-th function; returns the counter."""
    seen = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal seen
        if event in ("call", "c_call"):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    return lambda: seen


KILLS = {"kill_at_change": die_at_change, "kill_at_call": die_at_call}


def train_toy(request: dict[str, Any]) -> int:
    """One training, as the request says; returns the exit status that the command line would."""
    from sightline.core.errors import SightlineError, exit_status
    from sightline.training import train
    from tests.training import toy

    logging.getLogger("sightline").addHandler(logging.StreamHandler())
    model = toy.Toy()
    objective, validate, save = toy.objective, toy.validate, toy.save_to(model)
    steps = validations = 0

    def signal_here(where: str) -> None:
        for number in request.get("signals", {}).get(where, ()):
            os.kill(os.getpid(), number)

    def counted_objective(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == request.get("pause_at_step"):
            signal.pause()
        signal_here(f"step {steps}")
        return objective(*arguments)

    def counted_validate(*arguments: Any) -> Any:
        nonlocal validations
        validations += 1
        signal_here(f"validation {validations}")
        if f"validation {validations}" in request.get("signals", {}):
            raise AssertionError("a signal ends a validation at once")
        return validate(*arguments)

    def counted_save(directory: Path) -> None:
        signal_here(f"save {directory.name}")
        save(directory)

    counters = [die_at(request[place]) for place, die_at in KILLS.items() if place in request]
    try:
        train(
            model,
            counted_objective,
            toy.batches(),
            toy.config(request["budget"], **request.get("config", {})),
            request["run"],
            validate=counted_validate,
            save_model=counted_save,
            resume=request.get("resume", False),
        )
    except SightlineError as error:
        print(f"sightline: error: {error}", file=sys.stderr)
        return exit_status(error)
    finally:
        if "count_in" in request:
            Path(request["count_in"]).write_text(str(counters[0]()))
    return 0


def serve() -> None:
    torch.set_num_threads(1)
    train_toy({"budget": "2steps", "run": sys.argv[1], "resume": True})  # imports and first-use set-up, once
    background: list[int] = []
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 2)
            os.close(0)
            status = 1
            try:
                status = train_toy(request)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        if request.get("background"):
            background.append(child)
            print(json.dumps({"pid": child}), flush=True)
            continue
        _, status = os.waitpid(child, 0)
        print(json.dumps({"pid": child, "status": os.waitstatus_to_exitcode(status)}), flush=True)
    for child in background:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    serve()
