"""Set-up of all tests: a compilation cache that outlives the process, and seeded sources of randomness."""

from __future__ import annotations

import functools
import gc
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
import pytest

from jaxrl import algorithms, threads
from jaxrl.types import Algorithm

# Before anything uses JAX, and for the processes that tests start.
threads.set_pool_size(max(threads.FEWEST, threads.available_cores()))

CACHE = Path(__file__).parents[1] / ".cache" / "jax"

# Compilation is what tests spend their time on, and much of it goes into single operations: keep them all.
if not jax.config.jax_compilation_cache_dir:
    jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


# Traces and programs are many objects, of which few are garbage: looking for it took a tenth of the time.
gc.set_threshold(100_000, 50, 100)

# XLA's older code generator for the CPU compiles these small programs in a third of the time.
QUICK_COMPILATION = ("--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1")


def pytest_configure(config: pytest.Config) -> None:
    """Compile quickly in quick tests. Tests that learn run what users run."""
    if "not learning" in config.option.markexpr:
        # Through the environment, so that it holds for processes that tests start.
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1")
        os.environ.setdefault("XLA_FLAGS", " ".join(QUICK_COMPILATION))


LONGEST = (
    "test_policy_gradient_family.py", "test_host_train.py", "test_run.py", "test_train.py", "test_rnd.py",
    "test_snippets.py", "test_notebooks.py", "test_actor_critic.py", "test_entries.py", "test_cli.py", "test_probes.py",
    "test_toys.py",
)  # fmt: skip
"""Files that take longest. They come first, so that no process is left alone with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session")
def compiled_algorithms() -> Iterator[None]:
    """Compile ``init`` and ``update`` as one program each where a test calls them outside of one.

    JAX would compile every primitive of them by itself, which took most of the time of many tests. Within a program
    they are traced as they are (``inline``).
    """
    plain = Algorithm.__init__

    def with_compiled_functions(self: Algorithm, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        for name in ("init", "update"):
            object.__setattr__(self, name, jax.jit(getattr(self, name), inline=True))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Algorithm, "__init__", with_compiled_functions)
        yield


def made_once(make: Callable[..., Algorithm]) -> Callable[..., Algorithm]:
    """``make`` of an algorithm, which returns the same record, and so the same programs, for equal arguments."""
    made: dict[bytes, Algorithm] = {}

    @functools.wraps(make)
    def shared(*args: Any, **kwargs: Any) -> Algorithm:
        try:
            arguments = pickle.dumps((args, kwargs))
        except (pickle.PicklingError, AttributeError, TypeError):  # a function of the test's own
            return make(*args, **kwargs)
        if arguments not in made:
            made[arguments] = make(*args, **kwargs)
        return made[arguments]

    return shared


@pytest.fixture(scope="session")
def shared_make(compiled_algorithms: None) -> dict[Any, tuple[Any, Any]]:
    """Each algorithm's module with its own ``make`` and the one that makes equal algorithms once."""
    modules = [algorithms.get(name) for name in algorithms.NAMES]
    return {module: (module.make, made_once(module.make)) for module in modules}


@pytest.fixture(autouse=True)
def algorithms_made_once(request: pytest.FixtureRequest, shared_make: dict[Any, tuple[Any, Any]]) -> Iterator[None]:
    """Let tests share algorithms of equal configuration, except those that replace parts of the library."""
    replaces = "monkeypatch" in request.fixturenames
    for module, (own, shared) in shared_make.items():
        module.make = own if replaces else shared
    yield
    for module, (own, _) in shared_make.items():
        module.make = own


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
