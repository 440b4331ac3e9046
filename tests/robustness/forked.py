"""Running the command line many times, each in a process of its own that is forked from one with all imported."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import os
import re
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

WALL_LIMIT = 240.0
"""Seconds after which a command counts as one that never answers, on a busy machine too."""
REFUSAL = re.compile(r"^jaxrl: error: \S", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The end of a command."""

    status: int
    """Exit status; ``-N`` if signal N ended it."""
    out: str
    err: str
    seconds: float
    """Of the processor, so that it is the same on a busy machine."""
    timed_out: bool = False

    def trouble(self, allowed: Sequence[int] = (2,), limit: float | None = None) -> str | None:
        """A word for what is wrong with the end of a command that should have been refused, or None.

        Args:
            allowed: exit statuses that are right.
            limit: seconds of the processor within which it should have answered.
        """
        if self.timed_out:
            return "no answer"
        if "Traceback (most recent call last)" in self.out + self.err:
            return "traceback"
        if self.status < 0:
            return f"ended by signal {-self.status}"
        if self.status not in allowed:
            return f"status {self.status}"
        if self.status == 2 and len(REFUSAL.findall(self.err)) != 1:
            return "not one sentence"
        if self.status == 2 and len(max(self.err.splitlines(), key=len)) > 3000:
            return "an endless sentence"
        if self.status == 2 and limit is not None and self.seconds > limit:
            return "slow answer"
        return None


def prepare() -> None:
    """Import all that commands use, but start nothing: neither a thread nor JAX's devices, which no fork outlives."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("MPLBACKEND", "agg")
    modules = ("cli", "run", "play", "plots", "grid", "listing", "loggers", "videos")
    for module in ("jax.numpy", "orbax.checkpoint", *(f"jaxrl.experiment.{name}" for name in modules)):
        importlib.import_module(module)
    from jax._src import xla_bridge

    if xla_bridge.backends_are_initialized():
        raise RuntimeError("JAX has been started by an import: forked processes would hang")


def run_forked(call: Callable[[], int], folder: Path) -> Outcome:
    """Run a call in a forked process whose current directory is this folder."""
    out, err = folder.with_name(f"{folder.name}.out"), folder.with_name(f"{folder.name}.err")
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.setpgid(0, 0)
            os.chdir(folder)
            for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
            status = call()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return _awaited(pid, out, err)


def _awaited(pid: int, out: Path, err: Path) -> Outcome:
    descriptor = os.pidfd_open(pid)
    timed_out = not select.select([descriptor], [], [], WALL_LIMIT)[0]
    os.close(descriptor)
    if timed_out:
        os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    read = lambda path: path.read_text(errors="replace") if path.exists() else ""
    seconds = usage.ru_utime + usage.ru_stime
    return Outcome(os.waitstatus_to_exitcode(status), read(out), read(err), seconds, timed_out)


def run_fresh(argv: Sequence[str], folder: Path) -> Outcome:
    """Run ``python -m jaxrl`` in a process of its own."""
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "jaxrl", *argv], cwd=folder, capture_output=True, text=True, timeout=WALL_LIMIT
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome(0, "", "", WALL_LIMIT, True)
    return Outcome(done.returncode, done.stdout, done.stderr, time.perf_counter() - start)


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def tiny_run(out: Path, *more: str) -> None:
    """Train a tiny run of PPO on CartPole in a process of its own."""
    words = [
        "train", "ppo", "--env", "gymnax:CartPole-v1", "--preset", "none", "--total-steps", "256", "--num-intervals",
        "4",
        "--num-evaluations", "2", "--num-checkpoints", "4", "--eval-episodes", "2", "--num-seeds", "2", "--no-progress",
        "--config.num_envs", "2", "--config.rollout_length", "8", "--config.num_minibatches", "2",
        "--config.num_epochs", "1", "--config.hidden_sizes", "8", "--out", str(out), *more,
    ]  # fmt: skip
    outcome = run_fresh(words, out.parent)
    if outcome.status != 0:
        raise RuntimeError(f"the run to damage could not be made: {outcome.err}")
