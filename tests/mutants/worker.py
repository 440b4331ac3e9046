"""Run pytest in forks of one process that has imported the large libraries: the half of a short test's time.

A line of JSON on the standard input is a job ``{"arguments", "limit"}``; the answer is a line ``{"status",
"output"}``, where the status is None beyond the time limit. The library under test is imported by the forks.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time

LIBRARIES = (
    "jax", "scipy.stats", "distrax", "rlax", "hypothesis", "flax.linen", "optax", "gymnasium", "orbax.checkpoint",
    "pytest",
)  # fmt: skip
"""None of them may use a device when it is imported, as gymnax does: XLA's threads are lost in a fork, which then waits
for them for ever. OpenBLAS makes its own anew."""


def main() -> None:
    """Answer jobs until the input ends."""
    sys.path.pop(0)  # this folder, whose modules have common names
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        job = json.loads(line)
        with tempfile.TemporaryFile("w+") as output:
            status = run(job["arguments"], job["limit"], output.fileno())
            output.seek(0)
            print(json.dumps({"status": status, "output": output.read()}), flush=True)


def run(arguments: list[str], limit: float | None, output: int) -> int | None:
    """Run pytest in a fork; kill it and what it started after ``limit`` seconds."""
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            import pytest

            status = int(pytest.main(arguments))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
    end, parent = None if limit is None else time.monotonic() + limit, os.getppid()
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        # Nobody waits for the answer any more if the parent was killed.
        if os.getppid() != parent or (end is not None and time.monotonic() > end):
            os.killpg(pid, 9)
            os.waitpid(pid, 0)
            return None
        time.sleep(0.02)


if __name__ == "__main__":
    main()
