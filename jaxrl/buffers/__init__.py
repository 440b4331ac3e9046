"""Memory: arrays on the device, written in place."""

from jaxrl.buffers import sum_tree
from jaxrl.buffers.buffer import Buffer, batches
from jaxrl.buffers.frames import frames_storage
from jaxrl.buffers.packing import Packing
from jaxrl.buffers.replay import prioritized_replay, uniform_replay
from jaxrl.buffers.storage import Storage, rows_storage

__all__ = [
    "Buffer", "Packing", "Storage", "batches", "frames_storage", "prioritized_replay", "rows_storage", "sum_tree",
    "uniform_replay",
]  # fmt: skip
