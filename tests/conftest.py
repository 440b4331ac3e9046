"""Set-up of all tests: a compilation cache that outlives the process, and seeded sources of randomness."""

from __future__ import annotations

import dataclasses
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

# Compilation is what tests spend their time on. To read a small program costs as much as to compile it.
if not jax.config.jax_compilation_cache_dir:
    jax.config.update("jax_compilation_cache_dir", str(CACHE))
if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


# Traces and programs are many objects, of which few are garbage: looking for it took a tenth of the time.
gc.set_threshold(100_000, 50, 100)

QUICK_COMPILATION = ["--xla_cpu_parallel_codegen_split_count=1"]
if jax.__version_info__ < (0, 11):
    # The older code generator for the CPU, which JAX 0.11 no longer has, takes a third of the time.
    QUICK_COMPILATION.append("--xla_cpu_use_fusion_emitters=false")


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


MADE: list[dict[bytes, Algorithm]] = []
"""The algorithms that tests share."""


def compiled(make: Callable[..., Algorithm]) -> Callable[..., Algorithm]:
    """``make`` of an algorithm whose ``init`` and ``update`` are one program each where they are called outside of one.

    JAX would compile every primitive of them by itself, which took most of the time of many tests. Within a program
    they are traced as they are (``inline``). Equal arguments give the same record, and so the same programs.
    """
    made: dict[bytes, Algorithm] = {}
    MADE.append(made)

    def new(*args: Any, **kwargs: Any) -> Algorithm:
        agent = make(*args, **kwargs)
        functions = {name: jax.jit(getattr(agent, name), inline=True) for name in ("init", "update")}
        return dataclasses.replace(agent, **functions)

    @functools.wraps(make)
    def shared(*args: Any, **kwargs: Any) -> Algorithm:
        try:
            arguments = pickle.dumps((args, kwargs))
        except (pickle.PicklingError, AttributeError, TypeError):  # a function of the test's own
            return new(*args, **kwargs)
        if arguments not in made:
            made[arguments] = new(*args, **kwargs)
        return made[arguments]

    return shared


@pytest.fixture(scope="session")
def makers() -> dict[Any, tuple[Callable[..., Algorithm], Callable[..., Algorithm]]]:
    """Each algorithm's module with its own ``make`` and the compiled one."""
    modules = [algorithms.get(name) for name in algorithms.NAMES]
    return {module: (module.make, compiled(module.make)) for module in modules}


@pytest.fixture(autouse=True)
def compiled_algorithms(request: pytest.FixtureRequest, makers: dict[Any, Any]) -> Iterator[None]:
    """Let tests share compiled algorithms, except those that replace parts of the library."""
    if "monkeypatch" in request.fixturenames:
        yield
        return
    for module, (_, shared) in makers.items():
        module.make = shared
    yield
    for module, (own, _) in makers.items():
        module.make = own


@pytest.fixture(scope="module", autouse=True)
def freed_programs() -> Iterator[None]:
    """Free the algorithms that the tests of a file share, and their programs, after the last of them."""
    yield
    for made in MADE:
        made.clear()
    gc.collect()
    gc.freeze()  # what is left is there to stay, and need not be searched again


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
