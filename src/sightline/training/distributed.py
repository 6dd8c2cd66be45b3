"""Several processes that train one model: who is who, sums over all of them, and what the first one does for all.

`torchrun --nproc-per-node 2 -m sightline train …` starts the processes and tells each its rank by environment
variables. Control runs over gloo on the processors, gradients and weights over NCCL where there are GPUs. Values that
decide what happens next, such as a loss, a signal or the time, are the same in every process before anything is decided
by them: no process waits for one that went another way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, final

from sightline.core.errors import Diverged, EnvironmentFault, InputError, Interrupted, SightlineError, exit_status
from sightline.training.signals import Stopped

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

PATIENCE = timedelta(hours=6)  # of a process that waits for others, which may read data or validate meanwhile
LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Connection refused", "timed out")


@final
class Elsewhere(SystemExit):
    """Ends this process without a message: the process that the error is of prints it."""


@final
class Team:
    """The processes of a training, as one of them sees them; `ALONE` is the only one.

    rank, size: number of this process, and how many there are
    local_rank, local_size: the same on this node; the first process of a node reads its data
    """

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0, nodes: Sequence[Sequence[int]] = ((0,),)):
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self.node = next(ranks for ranks in nodes if rank in ranks)
        self.nodes = len(nodes)
        self._local: Any = None  # the group of the processes on this node; None: all processes
        if len(nodes) > 1:
            from torch import distributed

            groups = [distributed.new_group(list(ranks), backend="gloo", timeout=PATIENCE) for ranks in nodes]
            self._local = groups[list(nodes).index(self.node)]

    @property
    def first(self) -> bool:
        """Whether this process writes the run, validates and prints."""
        return self.rank == 0

    @property
    def reads(self) -> bool:
        """Whether this process reads the data, for all processes of its node."""
        return self.rank == self.node[0]

    @property
    def alone(self) -> bool:
        return self.size == 1

    def sums(self, values: Sequence[float]) -> list[float]:
        """Each value summed over all processes, in float64: the same bits in every process."""
        return self._reduced(values, "SUM")

    def most(self, values: Sequence[float]) -> list[float]:
        """The largest of each value over all processes."""
        return self._reduced(values, "MAX")

    def _reduced(self, values: Sequence[float], operation: str) -> list[float]:
        if self.alone:
            return list(values)
        import torch
        from torch import distributed

        tensor = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(tensor, getattr(distributed.ReduceOp, operation))
        return tensor.tolist()

    def from_first(self, action: Callable[[], T]) -> T:
        """What `action` returns in the first process; what it raises ends all of them."""
        return self._from(0, None, self.first, action)

    def once_per_node(self, action: Callable[[], T]) -> T:
        """What `action` returns in the first process of this node; the others get a copy of it."""
        return self._from(self.node[0], self._local, self.reads, action)

    def _from(self, source: int, group: Any, here: bool, action: Callable[[], T]) -> T:
        if self.alone:
            return action()
        from torch import distributed

        if not here:
            box: list[Any] = [None]
            distributed.broadcast_object_list(box, src=source, group=group)
            value, status = box[0]
            if status is not None:
                raise Stopped if status < 0 else Elsewhere(status)
            return value
        try:
            value = action()
        except BaseException as error:
            status = -1 if isinstance(error, Stopped) else exit_status(error)
            distributed.broadcast_object_list([(None, status)], src=source, group=group)
            raise
        distributed.broadcast_object_list([(value, None)], src=source, group=group)
        return value

    def deal(self, shares: Callable[[], Sequence[Any]]) -> Any:
        """This process's entry of `shares()`, which is called in the first process of this node, one entry for each of
        its processes.
        """
        if self.alone:
            return shares()[0]
        from torch import distributed

        received: list[Any] = [None]
        entries = list(shares()) if self.reads else None
        distributed.scatter_object_list(received, entries, src=self.node[0], group=self._local)
        return received[0]

    def device(self, device: torch.device) -> torch.device:
        """The device of this process: where it is a GPU, that of its place on the node.

        Raises:
            EnvironmentFault: "process 3 needs a GPU of its own, but this node has 2: …".
        """
        if device.type != "cuda" or self.alone:
            return device
        import torch

        count = torch.cuda.device_count()
        if self.local_rank >= count:
            raise EnvironmentFault(
                f"process {self.rank} needs a GPU of its own, but this node has {count}: start fewer, or use "
                "--device=cpu"
            )
        return torch.device("cuda", self.local_rank)

    def leave(self) -> None:
        """End the connections, when all processes are done."""
        from torch import distributed

        self.most([0.0])
        distributed.destroy_process_group()


ALONE = Team()


@contextmanager
def joined(environ: Mapping[str, str] = os.environ) -> Iterator[Team]:
    """The team that torchrun started this process in; `ALONE` elsewhere.

    Of an error that all processes raise, the first one prints the message; of one that a single process raises, or the
    first of another node, which reads other files, that process does.

    Raises:
        InputError: "RANK: expected a whole number, found 'x': start several processes with torchrun".
    """
    size = _number(environ, "WORLD_SIZE", 1)
    if size <= 1:
        yield ALONE
        return
    rank, local_rank = (_number(environ, name, 0) for name in ("RANK", "LOCAL_RANK"))
    team = None
    try:
        team = _connected(rank, size, local_rank, _number(environ, "GROUP_RANK", 0))
        yield team
    except SightlineError as error:
        everywhere = isinstance(error, Diverged | Interrupted) or (
            isinstance(error, InputError) and not (team is not None and team.reads)
        )
        if rank and everywhere:
            raise Elsewhere(exit_status(error)) from error
        if rank:
            kind = InputError if isinstance(error, InputError) else EnvironmentFault
            raise kind(f"process {rank} of {size}: {error}") from error
        raise
    except RuntimeError as error:
        if not any(words in str(error) for words in LOST):
            raise
        if rank:
            raise Elsewhere(EnvironmentFault.exit_code) from error
        raise EnvironmentFault(
            "another process of this training ended; --resume continues from the newest checkpoint"
        ) from error
    else:
        team.leave()


def end_process(status: int) -> None:
    """End a process that torchrun started, with an exit status: the threads of gloo can block Python's own end."""
    if _number(os.environ, "WORLD_SIZE", 1) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise InputError(f"expected a whole number, found {text!r}: start several processes with torchrun", where=name)
    return int(text)


def _connected(rank: int, size: int, local_rank: int, node: int) -> Team:
    import torch
    from torch import distributed

    gpu = torch.cuda.is_available() and distributed.is_nccl_available()
    if gpu:
        torch.cuda.set_device(local_rank % torch.cuda.device_count())
    distributed.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=PATIENCE)
    everywhere: list[Any] = [None] * size
    distributed.all_gather_object(everywhere, node)
    nodes = [[other for other in range(size) if everywhere[other] == one] for one in dict.fromkeys(everywhere)]
    return Team(rank, size, local_rank, nodes)
