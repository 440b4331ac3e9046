"""Many seeds times many hyper-parameters, as one program."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.threads import start_jax
from jaxrl.training.devices import compiler_options, devices_for, over_lanes
from jaxrl.training.memory import require_memory


def sweep(
    train: Callable[[jax.Array, Any], Any], *, seeds: int | Sequence[int] = 8, hyperparameters: Any = None
) -> Any:
    """Run ``train(key, hp)`` for every seed and every setting, compiled once, on all local devices.

    Another sweep of the same ``train``, as wide and over the same leaves, takes the program of the first.

    Args:
        train: a pure function, such as what ``make_train`` returns.
        seeds: how many (0, 1, ...), or which.
        hyperparameters: a pytree whose swept leaves are ``[G]``, all of the same length, and whose other
            leaves are scalars (those of a ``Schedule`` too). To sweep a grid of two, give both leaves as
            the flattened grid. None for the algorithm's defaults.

    Returns:
        What ``train`` returns, with leaves ``[G, S, ...]``; ``[S, ...]`` if nothing is swept.

    Raises:
        ValueError: if swept leaves differ in length, or a leaf has more than one axis.
        MemoryError: if all runs together do not fit.
    """
    start_jax()
    seeds = jnp.arange(seeds) if isinstance(seeds, int) else jnp.asarray(seeds)
    if hyperparameters is None:
        hyperparameters = train.agent.hyperparameters
    hp = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), hyperparameters)
    lengths = {_swept_length(path, x) for path, x in jax.tree_util.tree_leaves_with_path(hp)} - {None}
    if len(lengths) > 1:
        raise ValueError(f"swept hyper-parameters must have the same length, got {sorted(lengths)}")
    num_settings, num_seeds = (lengths.pop() if lengths else None), seeds.shape[0]

    # Every lane is one (setting, seed); settings vary slowest.
    repeats = num_settings or 1
    axes = jax.tree.map(lambda x: 0 if x.ndim else None, hp)
    lanes_hp = jax.tree.map(lambda x: jnp.repeat(x, num_seeds) if x.ndim else x, hp)
    lane_seeds = jnp.tile(seeds, repeats)
    leaves, structure = jax.tree.flatten(axes, is_leaf=lambda axis: axis is None)
    num_lanes, agent = repeats * num_seeds, getattr(train, "agent", None)
    if agent is not None:
        env = getattr(train, "env", None)
        require_memory(agent, num_lanes, len(devices_for(num_lanes)), env, getattr(train, "eval_episodes", 0))
    program = _program
    if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves((lane_seeds, lanes_hp))):
        program = _lanes  # inside another jit, that one compiles
    out = program(train, num_lanes, tuple(leaves), structure)(lane_seeds, lanes_hp)
    if num_settings is None:
        return out
    return jax.tree.map(lambda x: x.reshape(num_settings, num_seeds, *x.shape[1:]), out)


@functools.lru_cache(maxsize=8)
def _program(*lanes: Any) -> Callable[..., Any]:
    return jax.jit(_lanes(*lanes), compiler_options=compiler_options())


def _lanes(train: Callable[..., Any], num_lanes: int, leaves: tuple[Any, ...], structure: Any) -> Callable[..., Any]:
    axes = jax.tree.unflatten(structure, leaves)
    return over_lanes(lambda seed, hp: train(jax.random.key(seed), hp), num_lanes, (0, axes))


def _swept_length(path: Any, leaf: jax.Array) -> int | None:
    if leaf.ndim > 1:
        raise ValueError(
            f"hyper-parameter {jax.tree_util.keystr(path)} has shape {leaf.shape}; give a scalar or one axis"
        )
    return leaf.shape[0] if leaf.ndim else None
