"""Whether what a run will allocate fits, before it is allocated."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jax

from jaxrl.types import Algorithm, OffPolicy

CGROUP = Path("/sys/fs/cgroup")


def replay_bytes(agent: Algorithm, num_seeds: int = 1) -> int:
    """The memory of the replay buffers of so many seeds; 0 for an algorithm without."""
    buffer = _buffer(agent)
    return 0 if buffer is None else buffer.nbytes * num_seeds


def require_memory(agent: Algorithm, num_seeds: int, num_devices: int = 1) -> None:
    """Raise unless the replay buffers fit.

    Args:
        agent: an algorithm.
        num_seeds: runs side by side, each with a buffer of its own.
        num_devices: devices that they are divided between; on a CPU these share one memory.

    Raises:
        MemoryError: it says how much is needed and how much there is.
    """
    device = jax.local_devices()[0]
    needed = replay_bytes(agent, num_seeds if device.platform == "cpu" else -(-num_seeds // num_devices))
    available = available_bytes(device)
    if available is not None and needed > available:
        buffer, size = _buffer(agent), "buffer_size" if isinstance(agent.feed, OffPolicy) else "replay_slots"
        raise MemoryError(
            f"{size}={buffer.capacity:,}: {num_seeds} replay buffer{'s' if num_seeds > 1 else ''} of "
            f"{in_units(buffer.nbytes)} {'do' if num_seeds > 1 else 'does'} not fit, {in_units(available)} of memory "
            f"are free; use a smaller {size}, fewer seeds"
            + (", or frame_stack if observations are stacks of images" if size == "buffer_size" else "")
        )


def _buffer(agent: Algorithm) -> Any:
    return agent.feed.buffer if isinstance(agent.feed, OffPolicy) else agent.feed.kept


def available_bytes(device: jax.Device) -> int | None:
    """Memory that is free on a device, or None where that cannot be known."""
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        limit = stats.get("bytes_limit")
        return None if limit is None else limit - stats.get("bytes_in_use", 0)
    free = [n for n in (_host_available(), _container_available()) if n is not None]
    return min(free, default=None)


def in_units(nbytes: int) -> str:
    """A number of bytes for people: ``7.1 GB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= size:
            return f"{nbytes / size:.3g} {unit}"
    return f"{nbytes} bytes"


def _host_available() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _container_available() -> int | None:
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        if limit == "max":
            return None
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        # Of what is in use, copies of files are given up as soon as memory is wanted.
        cache = int(stat.get("active_file", 0)) + int(stat.get("inactive_file", 0))
        return int(limit) - int((CGROUP / "memory.current").read_text()) + cache
    except (OSError, ValueError):
        return None
