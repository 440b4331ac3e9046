"""Before JAX starts: the devices of a CPU, and the cache of compiled programs."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path


def prepare_jax(num_lanes: int, env: str = "", large: bool = False) -> None:
    """Before JAX starts: as many CPU devices as the lanes can use, and a compilation cache that outlives the process.

    Args:
        num_lanes: runs side by side.
        env: an environment's id; one of the host is stepped by a single process.
        large: whether matrix products are worth several threads where there is one device.
    """
    import jax

    from jaxrl.training import available_cores, use_cpu_devices

    if not _accelerated():
        cores = 1 if env.startswith(("gymnasium:", "atari:", "ALE/")) else available_cores()
        count = max(n for n in range(1, cores + 1) if num_lanes % n == 0)
        # JAX may have been used before, when this is called from Python.
        with contextlib.suppress(RuntimeError):
            use_cpu_devices(count, large=large)
    cache = compilation_cache()
    if cache is not None and not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def compilation_cache() -> Path | None:
    """Where compiled programs are kept: ``JAXRL_CACHE_DIR``, or a folder in the user's cache; None if that is ``off``.

    Programs for one kind of CPU may not run on another, so each has its own.
    """
    import hashlib

    given = os.environ.get("JAXRL_CACHE_DIR")
    if given is not None and given.lower() in ("", "0", "off", "none"):
        return None
    if given:
        return Path(given)
    kind = platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})
        kind += "-" + hashlib.sha256("\n".join(features).encode()).hexdigest()[:8]
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxrl" / kind


def _accelerated() -> bool:
    """Whether JAX is likely to use something else than the CPU; asking JAX itself would start it."""
    import importlib.metadata
    import importlib.util

    platforms = os.environ.get("JAX_PLATFORMS", "")
    if platforms:
        return not platforms.startswith("cpu")
    return bool(importlib.metadata.entry_points(group="jax_plugins")) or importlib.util.find_spec("libtpu") is not None
