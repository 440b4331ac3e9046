"""The size of XLA's thread pool on a CPU, which must be set before JAX is used.

JAX's decompositions of batches of matrices (QR, Cholesky and the like) occupy a thread of the pool while they wait for
others of it. A program with more of them at once than there are threads stops for ever, idle and without an error. None
of ours has any (see ``networks.initializers``), but a user's network under ``vmap`` may. So where this library is the
first to use JAX, it starts JAX with at least four threads, which makes that rarer. ``training.use_cpu_devices`` asks
for the number that suits its devices.

XLA takes the number from the environment variable ``NPROC`` or ``PJRT_NPROC``, once, when JAX starts. A number that the
user has set there is left as it is. ``import jaxrl`` sets none.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

FEWEST = 4
OURS = "JAXRL_NPROC"
"""A variable that marks a number as chosen here, also for processes that this one starts."""

_chosen = False
"""True if this process has called ``set_pool_size``."""


def set_pool_size(threads: int) -> None:
    """Ask for so many threads, unless the user has chosen a number; no effect once JAX is in use."""
    global _chosen
    if not _users_number():
        os.environ["NPROC"] = os.environ[OURS] = str(threads)
        _chosen = True


@contextlib.contextmanager
def enough_threads() -> Iterator[None]:
    """Ask for at least four threads, and one a core, if JAX is started inside of the block.

    Afterwards the environment is as before, so processes that are started later inherit nothing.
    """
    if _chosen or _users_number() or jax_is_in_use():
        yield
        return
    before = {name: os.environ.get(name) for name in ("NPROC", OURS)}
    os.environ["NPROC"] = os.environ[OURS] = str(max(FEWEST, available_cores()))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def start_jax() -> None:
    """Start JAX with enough threads, unless it is in use already."""
    import jax

    with enough_threads():
        jax.local_devices()


def jax_is_in_use() -> bool:
    """True if JAX has started its devices, after which nothing changes the pool."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bridge is not None and bridge.backends_are_initialized()


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _users_number() -> bool:
    chosen = os.environ.get("NPROC")
    return "PJRT_NPROC" in os.environ or (chosen is not None and chosen != os.environ.get(OURS))
