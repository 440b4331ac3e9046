"""Measuring contenders side by side: each is a process, and they take turns."""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
THREADS_AND_CACHES = ("JAX_", "XLA_", "NPROC", "PJRT_", "OMP_", "MKL_", "OPENBLAS_", "TF_")
"""Environment variables that begin so are not handed on: a contender has its own, or its library's default."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """A script that speaks the protocol of ``peers/protocol.py``."""

    name: str
    script: str
    parameters: Mapping[str, Any]
    peer: bool = False
    """Whether it runs in the peers' environment."""
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Environment variables, such as ``NPROC``."""


@dataclasses.dataclass(frozen=True)
class Ratio:
    """``numerator / denominator`` of a quantity of two contenders, beside its bar."""

    text: str
    numerator: str
    denominator: str
    at_least: float | None = None
    at_most: float | None = None


@dataclasses.dataclass(frozen=True)
class Bound:
    """A bar for a quantity of one contender itself."""

    contender: str
    quantity: str
    at_most: float


@dataclasses.dataclass(frozen=True)
class Case:
    """Contenders for the same work.

    ``fresh`` names what is measured by starting the process anew each time (``compile_seconds``,
    ``import_seconds``); without it the processes are kept, and steps per second of their runs are measured.
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]
    ratios: tuple[Ratio, ...] = ()
    bounds: tuple[Bound, ...] = ()
    fresh: str | None = None


class ContenderError(Exception):
    """A contender failed, or did not answer in time."""


class Process:
    """A running contender.

    Args:
        contender: which.
        python: the interpreter.
        timeout: seconds that an answer may take.
    """

    def __init__(self, contender: Contender, python: str, timeout: float):
        self.timeout = timeout
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        self._popen = subprocess.Popen(
            [python, str(HERE / contender.script), json.dumps(dict(contender.parameters))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=_environment(contender),
        )  # fmt: skip
        self._replies: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def ready(self) -> dict[str, Any]:
        """Wait for the report that it is ready."""
        try:
            line = self._replies.get(timeout=self.timeout)
        except queue.Empty:
            raise ContenderError(f"no answer within {self.timeout:g} s") from None
        if line is None:
            self._errors.seek(0)
            raise ContenderError(_error_in(self._errors.read()) or f"ended with status {self._popen.wait()}")
        return json.loads(line)

    def go(self) -> dict[str, Any]:
        """Let it do its work once."""
        self._popen.stdin.write("go\n")
        self._popen.stdin.flush()
        return self.ready()

    def close(self) -> None:
        """End it."""
        self._popen.kill()
        self._popen.wait()
        self._errors.close()

    def _read(self) -> None:
        for line in self._popen.stdout:
            self._replies.put(line)
        self._replies.put(None)


def measure(
    case: Case, repeats: int, python: Callable[[Contender], str], timeout: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure a case: ``repeats`` rounds, and in each every contender once, in the same order.

    A contender that fails is reported and left out; the others go on.

    Args:
        case: what to measure.
        repeats: rounds.
        python: the interpreter of a contender.
        timeout: seconds that an answer may take.
        say: tells how far it is.

    Returns:
        What is kept as JSON: the contenders with all that was measured, and the ratios with their bars.
    """
    rows = {c.name: {**_description(c), "failed": None, "measured": []} for c in case.contenders}
    processes: dict[str, Process] = {}

    def attempt(contender: Contender, action: Callable[[], None]) -> None:
        row = rows[contender.name]
        if row["failed"]:
            return
        try:
            action()
        except ContenderError as error:
            row["failed"] = str(error)
            say(f"{case.name}: {contender.name} failed: {error}")

    def start(contender: Contender) -> None:
        processes[contender.name] = Process(contender, python(contender), timeout)
        rows[contender.name].update(processes[contender.name].ready())

    def run(contender: Contender) -> None:
        reply = processes[contender.name].go()
        rows[contender.name]["measured"].append(reply["steps"] / reply["seconds"])
        rows[contender.name]["seconds"] = [*rows[contender.name].get("seconds", ()), reply["seconds"]]

    def start_only(contender: Contender) -> None:
        process = processes[contender.name] = Process(contender, python(contender), timeout)
        reply = process.ready()
        rows[contender.name]["versions"] = reply["versions"]
        rows[contender.name]["measured"].append(reply[case.fresh])
        process.close()

    try:
        if not case.fresh:
            for contender in case.contenders:
                say(f"{case.name}: starting {contender.name}")
                attempt(contender, lambda c=contender: start(c))
        for i in range(repeats):
            say(f"{case.name}: round {i + 1} of {repeats}")
            for contender in case.contenders:
                attempt(contender, lambda c=contender: (start_only if case.fresh else run)(c))
    finally:
        for process in processes.values():
            process.close()

    for row in rows.values():
        row["median"] = median(row["measured"]) if row["measured"] else None
    return {
        "name": case.name,
        "title": case.title,
        "quantity": case.fresh or "steps_per_second",
        "repeats": repeats,
        "contenders": list(rows.values()),
        "ratios": [_ratio(r, rows) for r in case.ratios],
        "bounds": [_bound(b, rows) for b in case.bounds],
    }


def _error_in(output: str) -> str | None:
    """The last line that names an exception, else the last line."""
    lines = [line for line in output.splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b", line)]
    return (named or lines or [None])[-1]


def _description(contender: Contender) -> dict[str, Any]:
    return {
        "name": contender.name,
        "script": contender.script,
        "parameters": dict(contender.parameters),
        "variables": dict(contender.variables),
    }


def _ratio(ratio: Ratio, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    pairs = zip(rows[ratio.numerator]["measured"], rows[ratio.denominator]["measured"], strict=False)
    values = [a / b for a, b in pairs]
    value = median(values) if values else None
    return {**dataclasses.asdict(ratio), **_held(value, ratio.at_least, ratio.at_most), "values": values}


def _bound(bound: Bound, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    row = rows[bound.contender]
    value = row["median"] if bound.quantity == "median" else row.get(bound.quantity)
    return {**dataclasses.asdict(bound), **_held(value, None, bound.at_most)}


def _held(value: float | None, at_least: float | None, at_most: float | None) -> dict[str, Any]:
    if value is None or (at_least is None and at_most is None):
        return {"value": value, "holds": None}
    holds = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    return {"value": value, "holds": holds}


def _environment(contender: Contender) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith((*THREADS_AND_CACHES, "PYTHONPATH"))}
    path = {} if contender.peer else {"PYTHONPATH": str(HERE.parent)}
    return {**kept, "JAX_PLATFORMS": "cpu", **path, **contender.variables}
