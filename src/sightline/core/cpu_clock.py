"""The processor time of parts of a computation."""

from __future__ import annotations

import time
from typing import final


@final
class CpuClock:
    """Counts CPU seconds of this process, all threads together: other work on the machine does not change them."""

    def __init__(self) -> None:
        self._last = time.process_time()

    def lap(self) -> float:
        """The CPU seconds since the clock began, or since the last lap."""
        before, self._last = self._last, time.process_time()
        return self._last - before
