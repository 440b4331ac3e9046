"""Set-up of all tests: a compilation cache that outlives the process, and seeded sources of randomness."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
import pytest

from jaxrl import threads

# Before anything uses JAX, and for the processes that tests start.
threads.set_pool_size(max(threads.FEWEST, threads.available_cores()))

CACHE = Path(__file__).parents[1] / ".cache" / "jax"

# Compilation is what tests spend their time on, and much of it goes into single operations: keep them all.
if not jax.config.jax_compilation_cache_dir:
    jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


# XLA's older code generator for the CPU compiles these small programs in a third of the time.
QUICK_COMPILATION = ("--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1")


def pytest_configure(config: pytest.Config) -> None:
    """Compile quickly in quick tests. Tests that learn run what users run."""
    if "not learning" in config.option.markexpr:
        # Through the environment, so that it holds for processes that tests start.
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1")
        os.environ.setdefault("XLA_FLAGS", " ".join(QUICK_COMPILATION))


@pytest.fixture(scope="module")
def optimized(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whether LLVM optimises in the tests of a module, whatever the others do: its variable ``OPTIMIZED``."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", not request.module.OPTIMIZED)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def key() -> jax.Array:
    """A typed key, the same in every test."""
    return jax.random.key(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """NumPy's generator, seeded alike in every test."""
    return np.random.default_rng(0)
