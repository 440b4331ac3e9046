"""Processes in which Gymnasium's ``AsyncVectorEnv`` steps environments, when they do not end as they should."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

SECONDS_TO_END = 5.0

_MARKS = ("ERROR: ", "Calling `close` while waiting")


def close_workers(envs: Any) -> None:
    """Close an ``AsyncVectorEnv``; by force if a worker does not answer, since an error or a signal has ended it."""
    try:
        envs.close()
    except Exception:
        for process in envs.processes:
            process.terminate()
        for process in envs.processes:
            process.join(SECONDS_TO_END)
            if process.is_alive():
                process.kill()
        envs.closed = True


@contextlib.contextmanager
def worker_reports() -> Iterator[list[str]]:
    """Collect what ``AsyncVectorEnv`` prints of a worker's error, the traceback among it, instead of showing it."""
    told: list[str] = []
    show = warnings.showwarning

    def collect(message: Any, *arguments: Any, **options: Any) -> None:
        text = str(message)
        if any(mark in text[:80] for mark in _MARKS):
            told.append(text)
        else:
            show(message, *arguments, **options)

    warnings.showwarning = collect
    try:
        yield told
    finally:
        warnings.showwarning = show
