"""Environments of Brax, and of others with its protocol: compiled physics."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl.envs.environment import Environment, transition_step
from jaxrl.envs.gate import checked
from jaxrl.envs.wrappers import time_limit
from jaxrl.observations import PRIVILEGED
from jaxrl.validation import did_you_mean, require

PREFIX = "brax"
EPISODE_LENGTH = 1000
"""Steps of an episode where nothing else is asked for, as in Brax's own training."""
RENAMED = {"privileged_state": PRIVILEGED}
"""MuJoCo Playground's name of what a real robot does not measure, which only the critic may see."""


def names() -> list[str]:
    """Every environment that Brax registers."""
    import brax.envs

    return list(brax.envs._envs)


def make(name: str, *, max_episode_steps: int = EPISODE_LENGTH, **parameters: Any) -> Environment:
    """Make a Brax environment by its name.

    Args:
        name: such as ``ant`` or ``halfcheetah``.
        max_episode_steps: the time limit; reaching it is a truncation.
        **parameters: options of its class, such as ``backend`` (``generalized``, ``positional``, ``spring``).

    Raises:
        ValueError: if there is no such environment, or the limit is not positive.
        ImportError: if Brax is not installed.
    """
    try:
        import brax.envs
    except ImportError as error:
        raise ImportError(f"env={name!r}: it needs a package: pip install 'jaxrl[brax]'") from error
    known = names()
    if name not in known:
        raise ValueError(f"env={name!r}: brax has no such environment{did_you_mean(name, known)}")
    require(max_episode_steps > 0, "max_episode_steps", max_episode_steps, "must be positive")
    return time_limit(from_brax(brax.envs.get_environment(name, **parameters), name=name), max_episode_steps)


def from_brax(env: Any, *, name: str | None = None) -> Environment:
    """Adapt an environment object with Brax's protocol; it imposes no time limit.

    Its ``State`` is the state. ``done`` counts as a termination, so wrappers of Brax's own that impose a limit or reset
    must not be around it. Actions are in ``[-1, 1]``. An observation's part ``privileged_state`` is named
    ``privileged``, so that actors are not shown it.

    Args:
        env: with ``reset(rng) -> State``, ``step(State, action) -> State``, ``observation_size`` (a number, or such of
            each part of an observation) and ``action_size``.
        name: a name for people.
    """
    box = lambda size: spaces.Box(-np.inf, np.inf, tuple(np.atleast_1d(size)), np.float32)
    size = env.observation_size
    parts = isinstance(size, dict)
    renamed = lambda observation: {RENAMED.get(k, k): x for k, x in observation.items()} if parts else observation
    observation_space = spaces.Dict(renamed({k: box(n) for k, n in size.items()})) if parts else box(size)
    action_space = spaces.Box(-1.0, 1.0, (env.action_size,), np.float32)
    observed = lambda state: renamed(state.obs)

    def reset(key):
        # A raw key, as these environments expect when they keep it in their state.
        state = jax.tree.map(_strong, env.reset(jax.random.key_data(key)))
        return state, observed(state)

    def step(state, action, key):
        del key
        # A copy of the containers: some environments write their metrics into the state that they are given.
        new = env.step(jax.tree.map(lambda x: x, state), action)
        new = jax.tree.map(lambda new, old: jnp.asarray(new).astype(old.dtype), new, state)
        return new, transition_step(observed(new), new.reward, new.done > 0.5)

    return checked(Environment(name or type(env).__name__, observation_space, action_space, reset, step))


def _strong(x: Any) -> jax.Array:
    """An array without a weak type, which would make a loop's carry change its type."""
    x = jnp.asarray(x)
    return x.astype(x.dtype)
