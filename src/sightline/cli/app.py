"""The `sightline` command: finds the verb, runs it, and turns what goes wrong into one line and an exit status.

Verbs are named by path and imported when they are used, so that `sightline --help` imports neither them nor torch.
"""

from __future__ import annotations

import errno
import math
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    Token,
    UnknownCommandError,
    UnusedCliTokensError,
    convert,
)

from sightline import __version__
from sightline.core.errors import EnvironmentFault, SightlineError, exit_status
from sightline.core.suggest import unknown

# Verb -> what it does, in one line; the function is `sightline.cli.<verb>:<verb>`.
COMMANDS = {
    "demo": "Compare five architectures on dates as people write them: the whole path, in minutes.",
    "train": "Train one architecture on your data.",
    "eval": "Measure a trained model on its test part, or on another file.",
    "predict": "Translate, label, forecast, transcribe: arguments, or standard input line by line.",
    "generate": "Go on from a prompt with a language model.",
    "compare": "Train several architectures under one budget and report which is best, and how sure that is.",
    "certify": "Check mechanisms, yours too, against the laws that every mechanism obeys.",
    "bench": "Measure the mechanisms beside other libraries: time, memory, and how near the machine's limit.",
    "data": "Show how data would be read and divided, or write built-in data to a file.",
    "doctor": "Show what this machine can do, and what to install or set.",
}

_KINDS = {int: "an integer", float: "a number", bool: "true or false"}

# What the machine, and neither the user's input nor our code, is to blame for.
_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENOMEM}


def build() -> App:
    """The command-line application with all its verbs."""
    app = App(
        name="sightline",
        version=f"sightline {__version__}",
        help="Sequence models from recurrence to attention: train them on your data, compare them under an equal "
        "budget, and see why one wins.",
        help_epilogue="Exit status: 0 done, 1 a bug of ours, 2 wrong input or flags, 3 the machine refuses, 4 training "
        "diverged, 5 a check did not hold, 130 or 143 interrupted with the state saved.",
        help_format="plaintext",  # Markdown would cost a third of the start-up time
        default_parameter=Parameter(
            negative=(), converter=_read, show_default=lambda value: str(value) if value else None
        ),
        result_action="return_value",
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
    )
    for place, (verb, summary) in enumerate(COMMANDS.items()):
        app.command(f"sightline.cli.{verb}:{verb}", name=verb, help=summary, sort_key=place)
    return app


def _read(hint: Any, tokens: Sequence[Token]) -> Any:
    """The value of a flag: as cyclopts reads it, except that it rounds 1.5 to an integer and takes nan for a number."""
    for token in tokens:
        for kind in (int, float):
            if kind in (hint, *get_args(hint)) and str not in get_args(hint) and not _is_number(token.value, kind):
                raise CoercionError(token=token, target_type=kind)
    return convert(hint, tokens)


def _is_number(text: str, kind: type[int] | type[float]) -> bool:
    try:
        return math.isfinite(kind(text))
    except ValueError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status (see `core.errors`); this function raises nothing."""
    try:
        outcome = build()(sys.argv[1:] if arguments is None else list(arguments), verbose=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, `head` for one, has seen enough. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except BaseException as error:
        return _report(error)
    return outcome if isinstance(outcome, int) else 0


def _report(error: BaseException) -> int:
    """Print the one line that stands for `error`, and return the exit status."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if os.environ.get("SIGHTLINE_TRACEBACK"):
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        print("sightline: interrupted", file=sys.stderr)
        return 130
    if isinstance(error, CycloptsError):
        status, message = 2, _misuse(error)
    elif isinstance(error, SightlineError):
        status, message = exit_status(error), str(error)
    elif (refusal := _refusal(error)) is not None:
        status, message = EnvironmentFault.exit_code, refusal
    else:
        status, message = 1, f"{type(error).__name__}: {error} (this is a bug; SIGHTLINE_TRACEBACK=1 shows where)"
    print(f"sightline: error: {_line(message)}", file=sys.stderr)
    return status


def _misuse(error: CycloptsError) -> str:
    """What is wrong with the command line."""
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        word = error.unused_tokens[0]
        if word.startswith("-"):
            return f"unknown flag {word}: flags stand behind the command, as in `sightline compare --seeds 3`"
        known = [name for name in error.app or () if not name.startswith("-")]
        return unknown("command", word, known)
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"unexpected argument {error.unused_tokens[0]!r}"
    if isinstance(error, CoercionError) and error.token is not None and error.target_type in _KINDS:
        where = error.token.keyword or (error.argument and error.argument.name) or "argument"
        return f"{where}: expected {_KINDS[error.target_type]}, found {error.token.value!r}"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.keyword or error.argument.name} needs a value"
    message = str(error)
    return message[:1].lower() + message[1:]


def _refusal(error: BaseException) -> str | None:
    """What the machine refused, where that is what happened."""
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    # torch says it in three ways: OutOfMemoryError, and RuntimeError with the allocator's name.
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "DefaultCPUAllocator" in str(error)
    ):
        return "out of memory: use smaller batches, a smaller model or a smaller beam"
    return None


def _line(message: str) -> str:
    """One printable line; escape sequences and direction marks out of a user's file reach no terminal."""
    one = " ".join(message.split())
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in one)
