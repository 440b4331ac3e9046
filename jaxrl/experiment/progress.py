"""How far a run is: a live bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import collections
import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from jaxrl.experiment.console import emit
from jaxrl.training.compile_clock import CompileClock

REFRESHES_PER_SECOND = 2
SECONDS_BETWEEN_LINES = 10.0
WINDOW_SECONDS = 30.0
"""The speed shown is that of the last so many seconds."""
WIDE = 110
"""Columns of a terminal from which everything goes on one line; else on two."""
REST_STYLES = ("yellow", "magenta")


class Progress:
    """Shows steps, steps/s, time left, return and loss; a context manager.

    ``update`` only takes notes: on a terminal a thread draws the bar, twice a second. While something is compiled, it
    shows for how many seconds. Rates and the time left are of the time without compilation.

    Args:
        total_steps: environment steps of each seed.
        initial_steps: steps that were done before, when a run is resumed.
        description: what is running.
        enabled: whether to show anything at all.
        num_seeds: seeds side by side; steps/s counts the steps of all.
        compile_clock: that of the runner.
        console: a ``rich.console.Console``; by default one on standard error.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        total_steps: int,
        initial_steps: int = 0,
        description: str = "",
        enabled: bool = True,
        *,
        num_seeds: int = 1,
        compile_clock: CompileClock | None = None,
        console: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.total_steps = total_steps
        self.description = description
        self.enabled = enabled
        self.num_seeds = num_seeds
        self.steps, self.episode_return, self.loss = initial_steps, math.nan, math.nan
        self._console, self._clock, self._live = console, clock, None
        self._compile_clock = compile_clock or CompileClock()
        self._compiled = 0.0
        self._points: collections.deque[tuple[float, int]] = collections.deque()
        self._start = (self._seconds(), initial_steps)
        self._plain, self._next_line, self._shown_steps = False, -math.inf, -1
        self._closed = threading.Event()

    def __enter__(self) -> Progress:
        if not self.enabled:
            return self
        from rich.console import Console
        from rich.live import Live

        self._console = self._console or Console(stderr=True)
        self._start = (self._seconds(), self.steps)
        if self._console.is_terminal and not self._console.is_dumb_terminal and not self._console.is_jupyter:
            self._live = Live(self, console=self._console, refresh_per_second=REFRESHES_PER_SECOND)
            self._live.start()
        self._plain = self._live is None
        if self._plain:
            threading.Thread(target=self._print_compiling, daemon=True).start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._closed.set()
        if self._live is not None:
            with contextlib.suppress(OSError, ValueError):  # a terminal that is gone
                self._live.stop()
            self._live = None
        if self._plain and self._points and self._shown_steps != self.steps:
            self._print_line()

    def start(self, steps: int) -> None:
        """Begin to count steps and time; what came before, such as an evaluation, belongs to no rate.

        Args:
            steps: environment steps of each seed so far.
        """
        self.steps, self._start = steps, (self._seconds(), steps)

    def update(self, steps: int, episode_return: float = math.nan, loss: float = math.nan) -> None:
        """Take note of the state after an interval.

        Args:
            steps: environment steps of each seed so far.
            episode_return: mean over the seeds; NaN keeps the last known one.
            loss: likewise.
        """
        if not self.enabled:
            return
        now, self._compiled = self._seconds(), self._compile_clock.seconds
        self.steps = steps
        if not math.isnan(episode_return):
            self.episode_return = episode_return
        if not math.isnan(loss):
            self.loss = loss
        points = self._points
        points.append((now, steps))
        while len(points) > 2 and points[1][0] < now - WINDOW_SECONDS:
            points.popleft()
        if self._plain and self._clock() >= self._next_line:
            self._print_line()
            self._next_line = self._clock() + SECONDS_BETWEEN_LINES

    @property
    def speed(self) -> float:
        """Steps per second of each seed, lately; NaN before there are any."""
        if not self._points:
            return math.nan
        # A program's first call is slower than the others: leave it out as soon as there is another interval.
        (start, before), (now, steps) = (self._points[0] if len(self._points) > 1 else self._start), self._points[-1]
        return (steps - before) / (now - start) if now > start else math.nan

    @property
    def seconds_left(self) -> float:
        """Estimate from the speed; NaN if that is unknown."""
        speed = self.speed
        return max(0, self.total_steps - self.steps) / speed if speed > 0 else math.nan

    @property
    def status(self) -> str:
        """The time left; or what is done instead, with seconds, where that is compilation or the first interval."""
        if self._compile_clock.running:
            return f"compiling ... {self._compile_clock.seconds - self._compiled:.0f} s"
        if not self._points:
            return f"running ... {self._seconds() - self._start[0]:.0f} s"
        return f"{_duration(self.seconds_left)} left"

    def _seconds(self) -> float:
        """The time without compilation."""
        return self._clock() - self._compile_clock.seconds

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        bar = ProgressBar(total=max(1, self.total_steps), completed=self.steps)
        percent, steps, speed, left, *rest = self._cells()
        wide = options.max_width >= WIDE
        first = Table.grid(padding=(0, 2, 0, 0), expand=True)
        first.add_column(overflow="ellipsis", no_wrap=True, max_width=30)
        first.add_column(ratio=1, min_width=8)
        for style in ("bold", "cyan", *(("", "green", *REST_STYLES) if wide else ())):
            first.add_column(no_wrap=True, style=style)
        first.add_row(self.description, bar, percent, left, *((steps, speed, *rest) if wide else ()))
        yield first
        if not wide:
            second = Table.grid(padding=(0, 2, 0, 0))
            for style in ("", "green", *REST_STYLES):
                second.add_column(no_wrap=True, style=style)
            second.add_row(steps, speed, *rest)
            yield second

    def _cells(self) -> list[str]:
        return [
            f"{100 * self.steps / max(1, self.total_steps):.0f}%",
            f"{_brief(self.steps)}/{_brief(self.total_steps)} steps",
            f"{_brief(self.speed * self.num_seeds)} steps/s",
            self.status,
            f"return {_number(self.episode_return)}",
            f"loss {_number(self.loss)}",
        ]

    def _print_line(self) -> None:
        percent, _, *rest = self._cells()
        steps = f"{self.steps:,} of {self.total_steps:,} steps ({percent})"
        self._print(", ".join([steps, *rest]))
        self._shown_steps = self.steps

    def _print_compiling(self) -> None:
        """Say now and then that the program is still compiling, until the first interval is done."""
        seconds = 1.0
        while not self._closed.wait(seconds) and not self._points:
            if self._compile_clock.running:
                self._print(self.status)
                seconds = SECONDS_BETWEEN_LINES

    def _print(self, text: str) -> None:
        prefix = f"{self.description}: " if self.description else ""
        emit(f"{prefix}{text}", self._console.file)


def _brief(count: float) -> str:
    """Three digits or so: 950, 12.3k, 225k, 1.00M."""
    if math.isnan(count):
        return "-"
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999,500 would be written as 1000k.
        if count >= 0.9995 * unit:
            scaled = count / unit
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f}{suffix}"
    return f"{count:.0f}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.0f}" if 10_000 <= abs(value) < 1e9 else f"{value:.4g}"


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "-"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
