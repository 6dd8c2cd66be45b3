"""The errors behind the exit codes.

Every error that a user can cause is a `SightlineError`; the command line prints it as one line,
`sightline: error: pairs.tsv:17: expected 2 columns, found 3`, and exits with its `exit_code`.
Any other exception is an internal error and exits with 1.
"""

from __future__ import annotations

from typing import ClassVar, final


class SightlineError(Exception):
    """Base of all errors that carry an exit code and a one-line message."""

    exit_code: ClassVar[int] = 1

    @property
    def status(self) -> int:
        """The process exit status of the error."""
        return self.exit_code


@final
class InputError(SightlineError, ValueError):
    """The user's input or configuration is wrong (exit 2).

    `where` names the place, such as `pairs.tsv:17` or `--optim.lr`, and comes before the message. Flags have
    dashes: the place of the key `batch_tokens` is `--batch-tokens`.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, where: object = None) -> None:
        self.where = None if where is None else str(where)
        if self.where is not None and self.where.startswith("--"):
            flag, equals, value = self.where.partition("=")
            self.where = flag.replace("_", "-") + equals + value
        super().__init__(message if self.where is None else f"{self.where}: {message}")


@final
class EnvironmentFault(SightlineError):
    """The environment does not allow it: disk, memory, permissions, a run directory in use (exit 3)."""

    exit_code: ClassVar[int] = 3


@final
class Diverged(SightlineError):
    """The training loss became NaN or infinite; the last good state was kept (exit 4)."""

    exit_code: ClassVar[int] = 4


@final
class CheckFailed(SightlineError):
    """A check failed, as in `certify` (exit 5)."""

    exit_code: ClassVar[int] = 5


@final
class Interrupted(SightlineError):
    """A signal ended the run after its state was saved (exit 128 + signal number)."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number

    @property
    def status(self) -> int:
        return 128 + self.signal_number


def exit_status(error: BaseException) -> int:
    """The exit status of the process for `error`."""
    return error.status if isinstance(error, SightlineError) else 1


def one_line(error: BaseException) -> str:
    """What another library says of a fault, short enough for a line; its type where it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__
