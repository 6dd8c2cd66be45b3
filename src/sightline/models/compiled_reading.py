"""The reading of one source as machine code: what an encoder computes of it, and what a decoder keeps of that.

Of a short source the encoder's hundred operations cost more than their arithmetic, as a decoder's step does; see
`models.compiled`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final
from weakref import ReferenceType, WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from sightline.core.hooks import any_hooked, parts_of
from sightline.core.precision import Precision
from sightline.core.state import leaves
from sightline.models.compiled import TOLERANCES, check_model, first_line
from sightline.models.reading_code import LoopsOverPositions, ReadingCode, read_source, reading_code
from sightline.models.traced_form import traced_form

SourceReading: TypeAlias = Callable[[Any, Tensor | None], Any]

LEAST = 2  # tokens of a source that code is made for: sizes of 0 and 1 are cases of their own

logger = logging.getLogger("sightline")
_kept: WeakKeyDictionary[nn.Module, dict[Precision, _ReadingCodes]] = WeakKeyDictionary()


def reading_of(model: Any, precision: Precision, rows: Sequence[int] = ()) -> SourceReading:
    """`read_source` of this model, for a source and its mask; with `rows`, as machine code where one source is read.

    `model` and `rows` are as in `models.compiled.step_of`, and so is what is said there of hooks.

    Raises:
        InputError: as `models.compiled.check_compiler` does.
    """
    if not rows or any_hooked(parts_of(model)):
        return lambda source, mask=None: read_source(model, source, mask)
    check_model(model, new=precision not in _kept.get(model, {}))
    return CompiledReading(_codes_of(model, precision))


def compile_reading_ahead(model: Any, precision: Precision, source: Tensor) -> bool:
    """Make the code for reading one source now, of which `source` (1, M) is an example; whether there is code.

    Later calls of `reading_of` make no more code for this model.

    Raises:
        InputError: as `models.compiled.check_compiler` does.
    """
    reading = reading_of(model, precision, (1,))
    if not isinstance(reading, CompiledReading):
        return False
    with torch.inference_mode():
        return reading.codes.prepare(source)


def _codes_of(model: Any, precision: Precision) -> _ReadingCodes:
    codes = _kept.setdefault(model, {})
    if precision not in codes:
        codes[precision] = _ReadingCodes(model, precision)
    return codes[precision]


@final
class CompiledReading:
    """A reading that is compiled when a source comes alone for the second time.

    Code is for one row of token ids (1, M) without padding; what else there is takes the plain reading. For lengths of
    each magnitude the first result is compared with the plain reading's in every process. Code that is slower there, or
    differs, is not used. A model that cannot be compiled keeps its plain reading, with a warning, and one whose encoder
    is a recurrence without.
    """

    def __init__(self, codes: _ReadingCodes) -> None:
        self.codes = codes

    def __call__(self, source: Any, mask: Tensor | None = None) -> Any:
        alone = mask is None and isinstance(source, Tensor) and source.dim() == 2 and len(source) == 1
        if not alone or source.is_floating_point() or torch.is_grad_enabled():
            return self.codes.plain(source, mask)
        code = self.codes.find(source)
        return self.codes.plain(source) if code is None else code.run(source)


@final
class _ReadingCodes:
    """The code of a model at a precision, and for which lengths it is used."""

    def __init__(self, model: Any, precision: Precision) -> None:
        self._model: ReferenceType[Any] = ref(model)  # what is kept for a model must not keep it
        self._precision: Precision = precision
        self._code: ReadingCode | None = None
        self._sources = 0  # that came alone before there was code
        self._closed = False  # no code is made any more
        self._used: dict[int, bool] = {}  # by the bits of a length

    def plain(self, source: Any, mask: Tensor | None = None) -> Any:
        """The model's own reading."""
        return read_source(self._alive(), source, mask)

    def prepare(self, source: Tensor) -> bool:
        """Make the code now; whether it is used for sources like this one."""
        self._sources += 1
        code = self.find(source)
        self._closed = True
        return code is not None

    def find(self, source: Tensor) -> ReadingCode | None:
        """The code for token ids (1, M); None where the plain reading is right."""
        if self._code is None and not self._closed and source.shape[1] >= LEAST:
            self._sources += 1
            if self._sources > 1:
                self._closed = True
                self._code = self._guarded(source, self._compiled)
        if self._code is None or not self._code.takes(source):
            return None
        magnitude = source.shape[1].bit_length()
        if magnitude not in self._used:
            self._used[magnitude] = bool(self._guarded(source, self._gains))
        return self._code if self._used[magnitude] else None

    def _alive(self) -> Any:
        model = self._model()
        if model is None:
            raise RuntimeError("the model of this reading is gone")
        return model

    def _guarded(self, source: Tensor, function: Callable[[Tensor], Any]) -> Any:
        """`function(source)`; None where it raises, with a warning unless the reading `LoopsOverPositions`."""
        try:
            return function(source)
        except LoopsOverPositions:
            return None
        except Exception as error:  # torch raises many classes, and none is about this model alone
            logger.warning("the reading of a source cannot be compiled, and runs as it is: %s", first_line(error))
            return None

    def _compiled(self, source: Tensor) -> ReadingCode:
        """The code, loaded or compiled; stored code that differs is compiled again: see `models.compiled`."""
        traced, like = traced_form(self._alive(), self._precision), self.plain(source)
        code = reading_code(traced, source, like, self._precision)
        if code.stored and not self._difference(code, source) <= TOLERANCES[self._precision]:
            code = reading_code(traced, source, like, self._precision, again=True)
        return code

    def _gains(self, source: Tensor) -> bool:
        """Whether the code is right and faster for a source like this one."""
        code = self._code
        if code is None:
            return False
        worst = self._difference(code, source)
        if not worst <= TOLERANCES[self._precision]:
            logger.warning("the compiled reading of a source differs by %.1g, and is not used", worst)
            return False
        return code.is_faster(lambda: self.plain(source), source)

    def _difference(self, code: ReadingCode, source: Tensor) -> float:
        """The largest difference from the plain state, of each leaf as a share of its largest number."""
        both = zip(leaves(code.run(source)), leaves(self.plain(source)), strict=True)
        pairs = [(one.double(), other.double()) for one, other in both]
        if any(one.shape != other.shape for one, other in pairs):
            return math.inf
        worst = [(one - other).abs().max() / other.abs().max().clamp(min=1e-3) for one, other in pairs if one.numel()]
        return float(torch.stack(worst).max()) if worst else 0.0
