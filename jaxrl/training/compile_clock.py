"""Seconds that a runner spends compiling, so that rates and estimates can leave them out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class CompileClock:
    """Count the time inside of ``with`` blocks; another thread may read it meanwhile.

    Args:
        clock: seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._done, self._started = 0.0, None

    @property
    def seconds(self) -> float:
        """Seconds so far, with those of a compilation that is under way."""
        done, started = self._done, self._started
        return done if started is None else done + self._clock() - started

    @property
    def running(self) -> bool:
        """True while something is compiled."""
        return self._started is not None

    def __enter__(self) -> CompileClock:
        self._started = self._clock()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._done, self._started = self.seconds, None
