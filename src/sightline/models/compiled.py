"""Steps of a decoder as machine code, for one or a few rows.

A step of few rows costs the calls of a hundred small operations more than their arithmetic. torch's compiler joins them
into a dozen loops. It needs a C++ compiler and some 20 seconds, once: the code is stored on this machine, for every
model of the same form (`models.step_code`).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final
from weakref import WeakKeyDictionary, WeakMethod

import torch
from torch import Tensor, nn

from sightline.core.caches import Growing, Shared
from sightline.core.errors import InputError
from sightline.core.hooks import any_hooked, parts_of
from sightline.core.precision import Precision
from sightline.core.state import Leaf, form, retract, select, unfolded, with_leaves
from sightline.models.step_code import StepCode, step_code
from sightline.models.traced_form import traced_form

DecoderStep: TypeAlias = Callable[[Tensor, Any], tuple[Tensor, Any]]

LEAST_PAST = 2  # items that a cache has at least when code is made for it: sizes of 0 and 1 are cases of their own
MOST_FORMS = 3  # codes for one number of rows and one form of state; further sizes take the plain step
TOLERANCES: dict[Precision, float] = {"float32": 1e-3, "bf16": 0.1, "int8": 0.1}  # of the largest logit

logger = logging.getLogger("sightline")
_kept: WeakKeyDictionary[nn.Module, dict[Precision, _Codes]] = WeakKeyDictionary()


def step_of(model: Any, precision: Precision, rows: Sequence[int] = ()) -> DecoderStep:
    """`model.step`, with machine code for batches of one of these numbers of `rows`.

    `model` is prepared for inference at this precision; what is made for it is kept as long as it. One whose parts have
    hooks keeps its plain step, since code would run none of them.

    Raises:
        InputError: as `check_compiler` does.
    """
    if not rows or any_hooked(parts_of(model)):
        return model.step
    check_model(model, new=precision not in _kept.get(model, {}))
    return CompiledStep(_codes_of(model, precision), tuple(sorted(set(rows))))


def compile_ahead(model: Any, precision: Precision, rows: Sequence[int], state: Any, steps: int) -> tuple[int, ...]:
    """Make the code for these numbers of rows now, by at most so many steps from the state of one row.

    Later calls of `step_of` make no more code for this model: batches whose state has another form take plain steps.
    Returns the numbers of rows that have code.

    Raises:
        InputError: as `check_compiler` does.
    """
    step = step_of(model, precision, rows)
    if not isinstance(step, CompiledStep):
        return ()
    with torch.inference_mode():
        ready = tuple(count for count in sorted(set(rows)) if step.prepare(count, state, steps))
    step.codes.closed = True
    return ready


def _codes_of(model: Any, precision: Precision) -> _Codes:
    codes = _kept.setdefault(model, {})
    if precision not in codes:
        codes[precision] = _Codes(model, precision)
    return codes[precision]


def check_model(model: nn.Module, *, new: bool) -> None:
    """`check_compiler` for a model; one for which there are codes, which is not `new`, is only looked up.

    Raises:
        InputError: as `check_compiler` does.
    """
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    if new or device.type != "cpu":
        check_compiler(device)


def check_compiler(device: torch.device) -> None:
    """Raise `InputError` where steps cannot be compiled.

    Raises:
        InputError: "needs a CPU, found cuda"; "needs a C++ compiler: found neither g++ nor clang++".
    """
    if device.type != "cpu":
        raise InputError(f"needs a CPU, found {device.type}", where="--compiled")
    if not any(map(shutil.which, ("g++", "clang++"))):
        raise InputError("needs a C++ compiler: found neither g++ nor clang++", where="--compiled")


@final
class CompiledStep:
    """A step that is compiled when a batch of one of `rows` rows has come twice with a state of the same sizes.

    The first result of each code is compared with the plain step's in every process. Code that is slower than the plain
    step, or differs, is not used. A model that cannot be compiled keeps its plain step, with a warning.
    """

    def __init__(self, codes: _Codes, rows: tuple[int, ...]) -> None:
        self.codes, self._rows = codes, rows
        self._last: tuple[Any, StepCode] | None = None  # what decided about the code of the last call, and this code

    def __call__(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        rows = tokens.shape[0]
        if rows not in self._rows or torch.is_grad_enabled():
            return self.codes.plain(tokens, state)
        leaves, around = unfolded(state)
        decides = rows, around, _unchanging(leaves)
        code = self._last[1] if self._last is not None and self._last[0] == decides else None
        if code is None or not ((code.lasts(leaves) and code.continues(leaves)) or code.takes(leaves)):
            code = self.codes.find(tokens, state, leaves)
            if code is None:
                return self.codes.plain(tokens, state)
            self._last = decides, code
        logits, after = code.run(tokens, leaves)
        return logits, with_leaves(state, after)

    def prepare(self, rows: int, state: Any, steps: int) -> bool:
        """Whether there is code for so many rows after at most `steps` steps from the state of one row.

        The rows of a beam branch off that one.
        """
        tokens = torch.zeros(rows, dtype=torch.long)
        if rows > 1:
            state = select(state, tokens)
        for _ in range(steps):
            state = self(tokens, state)[1]
            if known := self.codes.of(rows, state):
                return known[0] is not None
        return False


@final
class _Codes:
    """The codes of a model at a precision: by number of rows and form of the state, and then by sizes.

    closed: no more are made
    """

    def __init__(self, model: Any, precision: Precision) -> None:
        self._step = WeakMethod(model.step)  # what is kept for a model must not keep it
        self._traced = traced_form(model, precision)
        self._precision: Precision = precision
        self._codes: dict[Any, list[StepCode | None]] = {}
        self._sizes: Any = None  # of the state before
        self._differ: set[tuple[StepCode, frozenset[str]]] = set()  # codes, and names of sizes that may not be 1
        self.closed = False

    def plain(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The model's own step."""
        step = self._step()
        if step is None:
            raise RuntimeError("the model of this step is gone")
        return step(tokens, state)

    def of(self, rows: int, state: Any) -> list[StepCode | None]:
        """What was made for so many rows and this form of state; None for code that is not used."""
        return self._codes.get((rows, form(state)), [])

    def find(self, tokens: Tensor, state: Any, leaves: list[Leaf]) -> StepCode | None:
        """The code for this state; made now where sizes have come twice, and None where the plain step is right."""
        key = len(tokens), form(state)
        codes = self._codes.setdefault(key, [])
        usable = [code for code in codes if code is not None]
        fitting = next((code for code in usable if code.takes(leaves)), None)
        fitting = fitting or next((code for code in usable if self._takes_ones(code, tokens, state, leaves)), None)
        if fitting is not None or len(codes) >= MOST_FORMS or self.closed:
            return fitting
        sizes, before = [_settled_size(leaf) for leaf in leaves], self._sizes
        self._sizes = key, sizes
        if before != self._sizes or any(size is None for size in sizes):
            return None
        code = self._checked_code(tokens, state, leaves)
        codes += [code] if code is not None else [None] * MOST_FORMS
        return code

    def _takes_ones(self, code: StepCode, tokens: Tensor, state: Any, leaves: list[Leaf]) -> bool:
        """Whether sizes of 1 are all that the code is not for, and its first result for them is right.

        So the first token is read by the code for later ones, whose caches are longer.
        """
        ones = code.ones(leaves)
        if not ones or (code, ones) in self._differ:
            return False
        try:
            right = self._difference(code, tokens, state, leaves) <= TOLERANCES[self._precision]
        except Exception:  # of torch, which promises nothing for a size of 1
            right = False
        if right:
            code.allow(ones)
        else:
            self._differ.add((code, ones))
        return right

    def _checked_code(self, tokens: Tensor, state: Any, leaves: list[Leaf]) -> StepCode | None:
        """Code for these sizes, loaded or compiled, and checked against the plain step.

        Stored code that differs is compiled again: it depends on a function that is not in its key.
        """
        try:
            code = step_code(self._traced, tokens, state, leaves, self._precision)
            worst = self._difference(code, tokens, state, leaves)
            if code.stored and not worst <= TOLERANCES[self._precision]:
                code = step_code(self._traced, tokens, state, leaves, self._precision, again=True)
                worst = self._difference(code, tokens, state, leaves)
        except Exception as error:  # torch raises many classes, and none is about this model alone
            logger.warning("the step cannot be compiled, and runs as it is: %s", first_line(error))
            return None
        if not worst <= TOLERANCES[self._precision]:
            logger.warning("the compiled step differs by %.1g, and is not used", worst)
            return None
        return code if code.is_faster(lambda: self.plain(tokens, state), tokens, state, leaves) else None

    def _difference(self, code: StepCode, tokens: Tensor, state: Any, leaves: list[Leaf]) -> float:
        """The largest difference from the plain step's logits, as a share of their largest."""
        expected, later = self.plain(tokens, state)
        retract(state, later)
        logits, after = code.run(tokens, leaves)
        retract(state, with_leaves(state, after))
        return float((logits - expected).abs().max() / expected.abs().max().clamp(min=1e-3))


def _unchanging(leaves: Sequence[Leaf]) -> list[Any]:
    """What stays the same from step to step: all but the lengths of caches, of which it has the differences.

    It also has a length below `LEAST_PAST`, for which code may be wrong.
    """
    first: int | None = None
    parts: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, Growing):
            first = leaf.length if first is None else first
            parts.append((leaf.unchanging, leaf.length - first, min(leaf.length, LEAST_PAST)))
        elif isinstance(leaf, Shared):
            content = leaf.distinct
            parts.append((leaf.single is not None, content.dtype, content.shape))
        else:
            parts.append((leaf.dtype, leaf.shape))
    return parts


def _settled_size(leaf: Leaf) -> Any:
    """What must stay the same from step to step; None for a cache that is too short."""
    if isinstance(leaf, Growing):
        return leaf.axis if leaf.length >= LEAST_PAST else None
    return (leaf if isinstance(leaf, Tensor) else leaf.distinct).shape


def first_line(error: BaseException) -> str:
    """The first line of what its innermost cause says."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
