"""Ctrl-C and SIGTERM: taken by the process that trains, and kept from its children."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from jaxrl.experiment.console import say

ONE_PRESS = 1.0
"""Seconds in which a second signal is the same one: launchers pass on what a terminal sends to all processes."""


class Interrupted(KeyboardInterrupt):
    """The run was stopped by a signal, after it had saved a checkpoint."""

    def __init__(self, directory: Path, steps: int, signum: int):
        self.directory, self.steps, self.signum = directory, steps, signum
        super().__init__(f"stopped at step {steps}; go on with: jaxrl train --resume {directory}")


class Stopped(KeyboardInterrupt):
    """A signal stopped what has nothing to save, or the user insisted."""

    def __init__(self, signum: int):
        self.signum = signum
        super().__init__(f"stopped by {signal.Signals(signum).name}")


@dataclasses.dataclass
class Stop:
    """The signal that asked for a stop, and what is to be done about it.

    Attributes:
        deferred: True while there is something to save. The first signal is then a wish, which the loop looks for;
            the second one stops at once. Otherwise the first one does.
        signum: the signal, if there was one.
        at_once: True if the block was told to stop at once.
    """

    deferred: bool = False
    signum: int | None = None
    at_once: bool = False
    _since: float = 0.0

    def take(self, signum: int) -> None:
        """Handle a signal."""
        again = self.signum is not None and time.monotonic() - self._since < ONE_PRESS
        if again and self.deferred:
            return
        first, self.signum, self._since = self.signum is None, signum, time.monotonic()
        if self.deferred and first:
            say("stopping after this interval, with a checkpoint (once more to stop at once)")
            return
        self.at_once = True
        raise Stopped(signum)


@contextlib.contextmanager
def watched() -> Iterator[Stop]:
    """Take SIGINT and SIGTERM while the block lasts, and keep them from the children that it starts.

    A terminal sends Ctrl-C to children, too, such as the workers of an ``AsyncVectorEnv``, which would die in the
    midst of a step. So SIGINT is blocked in this thread, and children inherit that, however they are started. A thread
    of its own receives it instead. SIGTERM still ends children: that is how they are stopped.

    In other threads than the main one this does nothing: signals are not theirs.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    owner = os.getpid()

    def handle(signum: int, frame: Any) -> None:
        if os.getpid() == owner:
            stop.take(signum)
        elif signum == signal.SIGTERM:  # a forked child, which is to end as others do
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

    with _receiver(), _mask_left_alone():
        previous = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield stop
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for signum, old in previous.items():
                signal.signal(signum, signal.SIG_DFL if old is None else old)


@contextlib.contextmanager
def _receiver() -> Iterator[None]:
    """Have a thread that receives the SIGINT that this one blocks, and wakes it from a system call.

    Python runs handlers in the main thread, as soon as that is back from whatever it waits for. SIGURG, which does
    nothing else, makes it come back.
    """
    main = threading.get_ident()
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def receive() -> None:
        while numbers := reader.recv(64):
            if signal.SIGINT in numbers:
                signal.pthread_kill(main, signal.SIGURG)

    thread = threading.Thread(target=receive, name="jaxrl-signals", daemon=True)
    thread.start()  # before the mask, which it would inherit
    previous = signal.signal(signal.SIGURG, lambda *_: None)
    descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        writer.close()
        thread.join()
        reader.close()
        signal.signal(signal.SIGURG, signal.SIG_DFL if previous is None else previous)


@contextlib.contextmanager
def _mask_left_alone() -> Iterator[None]:
    """Keep multiprocessing from unblocking SIGINT where it starts its resource tracker, with the first worker.

    Source: CPython, ``Lib/multiprocessing/resource_tracker.py``, ``ensure_running``.
    """
    ignored = getattr(resource_tracker, "_IGNORED_SIGNALS", None)
    if ignored is None:
        yield
        return
    resource_tracker._IGNORED_SIGNALS = tuple(s for s in ignored if s != signal.SIGINT)
    try:
        yield
    finally:
        resource_tracker._IGNORED_SIGNALS = ignored
