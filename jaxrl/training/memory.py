"""Estimates of what a run will allocate, before it is allocated."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import jax

from jaxrl import spaces as jax_spaces
from jaxrl.envs.environment import Environment, reset_rows
from jaxrl.types import Algorithm, OffPolicy, OnPolicy, PyTree

CGROUP = Path("/sys/fs/cgroup")


def replay_bytes(agent: Algorithm, num_seeds: int = 1) -> int:
    """The memory of the replay buffers of so many seeds; 0 for an algorithm without."""
    buffer = _buffer(agent)
    return 0 if buffer is None else buffer.nbytes * num_seeds


def require_memory(
    agent: Algorithm, num_seeds: int, num_devices: int = 1, env: Any = None, eval_episodes: int = 0
) -> None:
    """Raise unless a run fits, by an estimate that is never too high; nothing is compiled or allocated for it.

    Args:
        agent: an algorithm.
        num_seeds: runs side by side, each with a state and a buffer of its own.
        num_devices: devices that they are divided between; on a CPU these share one memory.
        env: an ``Environment`` or a ``HostEnvironment``; None to look at the replay buffers alone.
        eval_episodes: episodes of an evaluation, for each seed.

    Raises:
        MemoryError: it says how much is needed and how much there is.
    """
    device = jax.local_devices()[0]
    lanes = num_seeds if device.platform == "cpu" else -(-num_seeds // num_devices)
    available = available_bytes(device)
    if available is None:
        return
    if replay_bytes(agent, lanes) > available:
        buffer, size = _buffer(agent), "buffer_size" if isinstance(agent.feed, OffPolicy) else "replay_slots"
        raise MemoryError(
            f"{size}={buffer.capacity:,}: {num_seeds} replay buffer{'s' if num_seeds > 1 else ''} of "
            f"{in_units(buffer.nbytes)} {'do' if num_seeds > 1 else 'does'} not fit, {in_units(available)} of memory "
            f"are free; use a smaller {size}, fewer seeds"
            + (", or frame_stack if observations are stacks of images" if size == "buffer_size" else "")
        )
    if env is None:
        return
    parts = estimate(agent, env, eval_episodes)
    one = sum(parts.values())
    if lanes * one > available:
        largest = max(parts, key=lambda part: parts[part])
        seeds, remedy = f"{num_seeds:,} seeds need" if num_seeds > 1 else "the run needs", REMEDIES[largest]
        raise MemoryError(
            f"{seeds} at least {in_units(lanes * one)} of memory ({in_units(parts[largest])} for {largest}"
            f"{' of each' if num_seeds > 1 else ''}), {in_units(available)} are free; use "
            + ("fewer seeds" if one <= available else remedy)
        )


REMEDIES = {
    "the replay": "a smaller buffer_size",
    "parameters and optimiser": "smaller layers",
    "environments": "fewer num_envs",
    "the steps and batches of an iteration": "a smaller rollout_length, num_envs or batch_size",
    "evaluations": "fewer eval_episodes",
}
"""Ways to need less, by what ``estimate`` counts."""
HOST_ENVIRONMENT = 2048
"""Bytes of a single environment in Python, at least."""


def estimate(agent: Algorithm, env: Any, eval_episodes: int = 0) -> dict[str, int]:
    """Bytes that one seed needs at least, by what they are for.

    Raises:
        MemoryError: if a size is beyond 2^63.
    """
    feed, spec = agent.feed, agent.spec
    key = jax.eval_shape(lambda: jax.random.key(0))
    observation = _nbytes(jax_spaces.shapes(spec.observation_space, ()))
    try:
        learning = jax.eval_shape(lambda key: agent.init(key, agent.hyperparameters), key)
        row = observation
        if isinstance(env, Environment) and env.num_agents == 1:
            row = _nbytes(jax.eval_shape(lambda key: reset_rows(env, key[None]), key))
    except OverflowError as error:
        raise MemoryError(f"a size is beyond 2^63 ({error}); use smaller layers") from error
    if getattr(env, "make_single", None) is not None and not env.device_arrays:
        row += HOST_ENVIRONMENT
    if isinstance(feed, OnPolicy):
        steps = feed.num_envs * feed.rollout_length * observation
    else:
        # A batch has two observations, and each step and update a key.
        steps = 2 * feed.batch_size * observation + 8 * (feed.steps_per_update + feed.updates_per_iteration)
    return {
        "the replay": replay_bytes(agent),
        "parameters and optimiser": _nbytes(learning) - (replay_bytes(agent) if isinstance(feed, OnPolicy) else 0),
        "environments": feed.num_envs * row,
        "the steps and batches of an iteration": steps,
        "evaluations": eval_episodes * row,
    }


def _nbytes(tree: PyTree) -> int:
    leaves = [x for x in jax.tree.leaves(tree) if isinstance(x, jax.ShapeDtypeStruct)]
    return sum(math.prod(x.shape) * getattr(x.dtype, "itemsize", 8) for x in leaves)


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
    if nbytes >= 1e15:
        return f"{nbytes / 1e12:,.0f} TB"
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
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
