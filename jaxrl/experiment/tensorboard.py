"""Event files of TensorBoard that hold each value once, whatever happened to the process that wrote them.

An event file is a sequence of records::

    length of the event       uint64, little-endian
    checksum of the length    uint32
    event                     a serialised ``Event``
    checksum of the event     uint32

Source: TensorFlow, ``tensorflow/core/lib/io/record_writer.h``.
"""

from __future__ import annotations

import math
import os
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxrl.experiment.errors import writing

TIMING = ("seconds", "steps_per_second")
SECONDS_BETWEEN_FLUSHES = 10.0
"""How far behind what TensorBoard shows of a run under way may be."""


class TensorBoardLogger:
    """Scalars for TensorBoard over environment steps: ``train/``, ``eval/``, ``losses/`` and ``time/``.

    Args:
        directory: of the event files; with several seeds, of a folder ``seed_N`` for each.

    Raises:
        UserError: if it cannot be written.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = Path(directory)
        self._writers: dict[int, Any] = {}
        self._next_flush = -math.inf

    def write(self, rows: Sequence[dict[str, float | int]]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        with writing(self.directory):
            for row in rows:
                known = {n: v for n, v in row.items() if n not in ("steps", "seed") and not math.isnan(v)}
                # One event for the whole row: one for each value would take ten times as long.
                summary = Summary(value=[Summary.Value(tag=_tag(n), simple_value=v) for n, v in known.items()])
                event = Event(wall_time=time.time(), step=int(row["steps"]), summary=summary)
                self._writer(int(row["seed"]), alone=len(rows) == 1).write_event(event)
        if time.monotonic() >= self._next_flush:
            self.flush()

    def truncate_after(self, steps: int) -> None:
        """Rewrite the event files without the events of later steps."""
        with writing(self.directory):
            for path in sorted(self.directory.rglob("events.out.tfevents.*")):
                _truncate(path, steps)

    def flush(self) -> None:
        with writing(self.directory):
            for writer in self._writers.values():
                writer.flush()
        self._next_flush = time.monotonic() + SECONDS_BETWEEN_FLUSHES

    def close(self) -> None:
        with writing(self.directory):
            for writer in self._writers.values():
                writer.close()
        self._writers = {}

    def _writer(self, seed: int, alone: bool) -> Any:
        if seed not in self._writers:
            # ``SummaryWriter`` would write from a thread behind a queue, which its ``flush`` does not wait for.
            from tensorboardX.event_file_writer import EventsWriter

            folder = self.directory if alone else self.directory / f"seed_{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            # Files are named by the second; a number tells apart those of a run that is resumed within one.
            earlier = len(list(folder.glob("events.out.tfevents.*")))
            self._writers[seed] = EventsWriter(str(folder / "events"), f".{earlier}")
        return self._writers[seed]


def read_events(path: str | os.PathLike) -> Iterator[tuple[Any, bytes]]:
    """The whole events of a file, each with its record's bytes; they end before one that a kill cut off."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    data, start = Path(path).read_bytes(), 0
    while start + 12 <= len(data):
        length, checksum = struct.unpack_from("<QI", data, start)
        end = start + 12 + length + 4
        if checksum != masked_crc32c(data[start : start + 8]) or end > len(data):
            return
        content, (expected,) = data[start + 12 : end - 4], struct.unpack_from("<I", data, end - 4)
        if expected == masked_crc32c(content):
            yield Event.FromString(content), data[start:end]
        start = end


def _truncate(path: Path, steps: int) -> None:
    """Write a file without its events of later steps anew; one that is left without any is removed."""
    records = list(read_events(path))
    kept = [record for event, record in records if event.step <= steps]
    if all(not event.HasField("summary") or event.step > steps for event, _ in records):
        path.unlink()
    elif sum(map(len, kept)) < path.stat().st_size:
        # Not a name that TensorBoard would read.
        partial = path.with_name(f".new-{os.getpid()}")
        partial.write_bytes(b"".join(kept))
        os.replace(partial, path)


def _tag(name: str) -> str:
    if name in TIMING:
        return f"time/{name}"
    if name.startswith("episode"):
        return f"train/{name}"
    if name.startswith("eval_"):
        return f"eval/{name.removeprefix('eval_')}"
    return f"losses/{name}"
