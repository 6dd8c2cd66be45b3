"""The `sightline` command: finds the verb, runs it, and turns errors into one line and an exit status.

Verbs are registered by import path and imported on use, so that `sightline --help` imports neither them nor torch.
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
from sightline.cli.flag_groups import joined_lines
from sightline.cli.own_process import before_call, settle
from sightline.cli.plugins import line_of_plugin
from sightline.core.errors import EnvironmentFault, SightlineError, exit_status
from sightline.core.spelling import as_flags
from sightline.core.suggest import unknown

# Verb -> summary; the function is `sightline.cli.<verb>:<verb>`.
COMMANDS = {
    "demo": "Compare five architectures on built-in data, from training to report, in minutes.",
    "train": "Train one architecture on your data.",
    "eval": "Evaluate a trained model on its test data or on other data.",
    "predict": "Run a trained model: translate, classify, forecast or transcribe.",
    "generate": "Continue a prompt with a language model.",
    "serve": "Serve trained models over HTTP, with a page to try them.",
    "export": "Export a trained model to the format of another program.",
    "compare": "Train several architectures under one budget and report which is best, with uncertainty.",
    "ladder": "Climb from RNN to linear attention on your data: does the reason for each step hold here?",
    "inspect": "Show what a trained model's answer to one input depends on, and what its layers look at.",
    "swap": "Replace trained attention layers by windows or recurrences: quality lost, state saved.",
    "report": "Rebuild the report of a comparison, and show what changed since another.",
    "certify": "Verify mechanisms, including your own, against the laws all mechanisms must satisfy.",
    "bench": "Benchmark the mechanisms against other libraries: time, memory, hardware limits.",
    "panel": "Measure bottlenecks: gradient reach, serial work, time and memory by length, saturation.",
    "scale": "Train architectures at several sizes, and fit how fast their loss falls with size.",
    "claims": "Measure common statements about recurrence and attention: holds, does not hold, or depends.",
    "data": "Show how data is read and split, or write built-in data to a file.",
    "doctor": "Show what this machine can do, and what to install or set.",
    "completion": "Print a script for bash, zsh or fish that completes commands and flags.",
}

KEYED = ("train", "compare", "ladder", "scale")  # verbs whose flags are all keys of the configuration
LIGHT = ("report", "certify", "data", "doctor", "completion")  # verbs that run no model in this process

_KINDS = {int: "an integer", float: "a number", bool: "true or false"}

# Errors of the environment rather than of the user's input or of this code.
_ENVIRONMENT = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EIO,
    errno.EMFILE,
    errno.ENOMEM,
}


def build(arguments: Sequence[str] = ()) -> App:
    """The command-line application with all its verbs.

    The verb that the arguments begin with is imported and shows its whole docstring as help, with all keys of the task
    that they name where a task's keys are its flags.
    """
    app = App(
        name="sightline",
        version=f"sightline {__version__}",
        help="Sequence models from recurrence to attention: train them on your data, compare them under an equal "
        "budget, and see why one wins.",
        help_epilogue="Exit status: 0 success, 1 internal error, 2 invalid input or flags, 3 environment error (disk, "
        "memory, permissions), 4 training diverged, 5 a check failed, 130 or 143 interrupted (state saved).",
        help_format="plaintext",  # Markdown would cost a third of the start-up time
        default_parameter=Parameter(
            negative=(), converter=_read, show_default=lambda value: str(value) if value else None
        ),
        result_action="return_value",
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
    )
    for place, (name, summary) in enumerate(COMMANDS.items()):
        app.command(f"sightline.cli.{name}:{name}", name=name, help=summary, sort_key=place)
    verb = next(iter(arguments), None)
    if verb in COMMANDS:
        _document(app[verb])
    if verb in KEYED and ("--help" in arguments or "-h" in arguments):
        from sightline.cli.keys import keys_help

        app[verb].help_epilogue = keys_help(arguments)
    return app


def _document(command: App) -> None:
    """Show the whole docstring of a command in its help, without the line breaks of the source."""
    for nested in (command[name] for name in command if not name.startswith("-")):
        _document(nested)
    if command.default_command is not None:
        command.help = None  # replaces the summary of the list of commands by the docstring
        command.default_command.__doc__ = joined_lines(command.default_command)


def _read(hint: Any, tokens: Sequence[Token]) -> Any:
    """Converts a flag's value. Unlike cyclopts, refuses 1.5 as an integer and nan as a number."""
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
    """Run the command line and return its exit status (see `core.errors`); this function raises nothing.

    Without `arguments` this process is the command's own, and its settings are those of `cli.own_process`.
    """
    own = arguments is None
    status = _status(arguments)
    if own and "WORLD_SIZE" in os.environ:
        from sightline.training.distributed import end_process

        end_process(status)
    return status


def _status(arguments: Sequence[str] | None) -> int:
    """The exit status of the command line, after it ran."""
    try:
        own = arguments is None
        arguments = sys.argv[1:] if arguments is None else list(arguments)
        app = build(arguments)
        if own and arguments and arguments[0] in COMMANDS and arguments[0] not in LIGHT:
            before_call(app[arguments[0]], settle)
        outcome = app(arguments, verbose=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe. Python would report that again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except BaseException as error:
        return _report(error)
    return outcome if isinstance(outcome, int) else 0


def _report(error: BaseException) -> int:
    """Print `error` as one line and return the exit status."""
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
        status, message = exit_status(error), as_flags(str(error))
    elif (fault := _environment_fault(error)) is not None:
        status, message = EnvironmentFault.exit_code, fault
    elif (place := line_of_plugin(error)) is not None:
        hint = "set SIGHTLINE_TRACEBACK=1 for a traceback"
        status, message = 2, f"{place}: {type(error).__name__}: {error} ({hint})"
    else:
        status, message = (
            1,
            f"{type(error).__name__}: {error} (internal error; set SIGHTLINE_TRACEBACK=1 for a traceback)",
        )
    print(f"sightline: error: {_line(message)}", file=sys.stderr)
    return status


def _misuse(error: CycloptsError) -> str:
    """The message for an invalid command line."""
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        word = error.unused_tokens[0]
        if word.startswith("-"):
            return f"unknown flag {word}: flags go after the command, e.g. `sightline compare --seeds 3`"
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


def _environment_fault(error: BaseException) -> str | None:
    """The message for an error of the environment; None for any other error."""
    if isinstance(error, OSError) and error.errno in _ENVIRONMENT:
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    # torch raises OutOfMemoryError, or RuntimeError with the allocator's name.
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "DefaultCPUAllocator" in str(error)
    ):
        return "out of memory: use smaller batches, a smaller model or a smaller beam"
    return None


def _line(message: str) -> str:
    """One printable line: escape sequences and direction marks from a user's file never reach the terminal."""
    one = " ".join(message.split())
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in one)
