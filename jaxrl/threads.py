"""The size of XLA's thread pool on a CPU, which must be set before JAX is used.

JAX's decompositions of batches of matrices (QR, Cholesky and the like) occupy a thread of the pool while they wait for
others of it. A program with more of them at once than there are threads stops for ever, idle and without an error. None
of ours has any (see ``networks.initializers``), but a user's network under ``vmap`` may: ``import jaxrl`` asks for at
least four threads, which makes that rarer, and ``training.use_cpu_devices`` for the number that suits its devices. A
number that the user has set himself, in the environment variable ``NPROC`` or ``PJRT_NPROC``, is left as it is.
"""

from __future__ import annotations

import os

FEWEST = 4
OURS = "JAXRL_NPROC"
"""A variable that marks a number as chosen here, also for processes that this one starts."""


def set_pool_size(threads: int) -> None:
    """Ask for so many threads, unless the user has chosen a number; no effect once JAX is in use."""
    chosen = os.environ.get("NPROC")
    if "PJRT_NPROC" in os.environ or (chosen is not None and chosen != os.environ.get(OURS)):
        return
    os.environ["NPROC"] = os.environ[OURS] = str(threads)


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
