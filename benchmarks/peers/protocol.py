"""How a contender talks to ``benchmarks/speed.py``.

A contender is a script that gets its parameters as one JSON argument, compiles, does its work once to warm
up, and says so in a line of JSON. Then it does the work once for each line "go" that it reads, and says how
long that took. In between it waits for its input, so that contenders can be kept ready side by side and
measured in turn.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

# Only replies go to the driver: whatever a library prints goes to the standard error.
_replies = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def parameters() -> dict[str, Any]:
    """The parameters that the driver chose."""
    return json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}


def compiled(
    function: Callable[..., Any], *arguments: Any, options: dict[str, Any] | None = None
) -> tuple[Callable[..., Any], float]:
    """Trace, lower and compile a function of JAX, with XLA's compiler options.

    Returns:
        The program, and the seconds that it took; starting JAX's backend is not counted.
    """
    import jax

    jax.block_until_ready(jax.numpy.zeros(()))
    start = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile(options)
    return program, time.perf_counter() - start


def report(*, packages: Sequence[str] = (), **facts: Any) -> None:
    """Say that all is ready, with the facts to keep (such as ``compile_seconds``)."""
    versions = {"python": sys.version.split()[0], **{p: importlib.metadata.version(p) for p in packages}}
    _reply({**facts, "versions": versions})


def serve(
    work: Callable[[], int | tuple[int, float]], *, warm: bool = False, packages: Sequence[str] = (), **facts: Any
) -> None:
    """Warm up, report, and do the work whenever asked, until the input ends.

    Args:
        work: does the whole work, waits until it is done, and returns the number of environment steps; or that and
            the seconds to count, if not all that it took.
        warm: whether it has been done before.
        packages: distributions whose versions to report.
        facts: what else to report, such as ``compile_seconds``.
    """
    if parameters().get("compile_only"):
        report(packages=packages, **facts)
        return
    if not warm:
        facts["warmup_seconds"] = _timed(work)[0]
    report(packages=packages, **facts)
    for line in sys.stdin:
        if line.strip() == "go":
            seconds, steps = _timed(work)
            _reply({"seconds": seconds, "steps": steps})


def _timed(work: Callable[[], int | tuple[int, float]]) -> tuple[float, int]:
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    return (result[1], result[0]) if isinstance(result, tuple) else (seconds, result)


def _reply(message: dict[str, Any]) -> None:
    _replies.write(json.dumps(message) + "\n")
