"""Environments of gymnax: compiled classic control, MinAtar, bsuite and others."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl.envs.environment import Environment, transition_step
from jaxrl.envs.frame_wrappers import sticky_actions as with_sticky_actions
from jaxrl.envs.gate import checked
from jaxrl.envs.rendering import gymnax_renderer
from jaxrl.envs.wrappers import time_limit
from jaxrl.validation import did_you_mean, require

PREFIX = "gymnax"

MISDECLARED = ("MemoryChain-bsuite", "MetaMaze-misc", "GaussianBandit-misc")
"""Environments of gymnax 1.0 whose observations leave the bounds of their space; they get infinite ones."""
WHOLE = ("Catch-bsuite",)
"""Environments of gymnax 1.0 that declare int32 and return whole numbers as float32, which are cast."""
PLANES = "-MinAtar"
"""End of the names whose observations are planes of zeros and ones: as booleans a replay of them takes a quarter of the
memory that gymnax's float32 would."""


def names() -> list[str]:
    """Every environment id that gymnax registers."""
    import gymnax

    return list(gymnax.registered_envs)


def make(name: str, *, sticky_actions: float = 0.0, **parameters: Any) -> Environment:
    """Make a gymnax environment by its id.

    Args:
        name: the id.
        sticky_actions: the probability that the action before is taken once more (``envs.sticky_actions``). gymnax has
            none; MinAtar as published has 0.1 (Young & Tian 2019, arXiv 1903.03176).
        **parameters: fields of its parameters (``max_episode_steps`` stands for ``max_steps_in_episode``) and
            options of its class, such as ``use_minimal_action_set``.

    Raises:
        ValueError: if there is no such id or parameter.
    """
    import gymnax

    if name not in gymnax.registered_envs:
        raise ValueError(f"env={name!r}: gymnax has no such environment{did_you_mean(name, gymnax.registered_envs)}")
    number = isinstance(sticky_actions, int | float) and not isinstance(sticky_actions, bool)
    require(number and 0 <= sticky_actions < 1, "sticky_actions", sticky_actions, "must be a probability below 1")
    if "max_episode_steps" in parameters:
        parameters["max_steps_in_episode"] = parameters.pop("max_episode_steps")
    try:
        env, params = gymnax.make(name)
    except OSError as error:
        raise OSError(f"env={name!r}: gymnax downloads a data set for it, and that failed: {error}") from error
    fields = [field.name for field in dataclasses.fields(params)]
    options = {k: v for k, v in parameters.items() if k not in fields}
    if options:
        known = [k for k in inspect.signature(type(env)).parameters if k not in ("args", "kwargs")]
        for option in options:
            if option not in known:
                choices = [*fields, *known, "sticky_actions"]
                raise ValueError(
                    f"{option}={options[option]!r}: {name} has the parameters {', '.join(choices)}"
                    + did_you_mean(option, choices)
                )
        env, params = gymnax.make(name, **options)
    for field in fields:
        if isinstance(getattr(params, field), int | float) and not isinstance(parameters.get(field, 0), int | float):
            raise ValueError(f"{field}={parameters[field]!r}: must be a number")
    made = from_gymnax(env, params.replace(**{k: v for k, v in parameters.items() if k in fields}), name=name)
    return with_sticky_actions(made, sticky_actions) if sticky_actions else made


def from_gymnax(env: Any, params: Any = None, *, name: str | None = None) -> Environment:
    """Adapt a gymnax environment object.

    Its ``step_env`` is used, which does not reset. From gymnax 1.0 on that function reports true
    terminations, and ``is_truncated`` the time limit. Before, ``done`` mixed the two: the limit is then
    taken out of the parameters, imposed here, and counts as a truncation. A ``step_env`` that returns six
    values, with ``truncated`` after ``terminated``, is taken at its word.

    Args:
        env: an environment of gymnax, of any version, or one that is made like them.
        params: its parameters; by default its ``default_params``.
        name: a name for people.
    """
    params = env.default_params if params is None else params
    name = name or getattr(env, "name", type(env).__name__)
    limit = getattr(params, "max_steps_in_episode", None)
    limit = None if limit is None else int(limit)
    separates = hasattr(env, "is_truncated")
    observation_space = convert_space(env.observation_space(params))
    if name in MISDECLARED:
        observation_space = spaces.Box(-np.inf, np.inf, observation_space.shape, observation_space.dtype)
    observed = lambda observation: observation
    if name.endswith(PLANES):
        observation_space = spaces.Box(0, 1, observation_space.shape, bool)
        observed = lambda observation: jnp.asarray(observation) != 0
    elif name in WHOLE:
        observed = lambda observation: jnp.asarray(observation).astype(observation_space.dtype)
    action_space = convert_space(env.action_space(params))
    # Reaching an old environment's own limit must never look like a termination.
    inner_params = params if separates or limit is None else params.replace(max_steps_in_episode=limit + 1)

    def reset(key):
        observation, state = env.reset_env(key, inner_params)
        return jax.tree.map(_strong, state), observed(observation)

    def step(state, action, key):
        result = env.step_env(key, state, action, inner_params)
        observation, new_state, reward, terminated, info = (*result[:4], result[-1])
        new_state = jax.tree.map(lambda new, old: jnp.asarray(new).astype(old.dtype), new_state, state)
        truncated = result[4] if len(result) == 6 else False
        if separates:
            truncated = truncated | env.is_truncated(new_state, params)
        terminated = jnp.asarray(terminated, bool)
        truncated = jnp.asarray(truncated, bool) & ~terminated
        return new_state, transition_step(observed(observation), reward, terminated, truncated, _arrays(info))

    render = gymnax_renderer(env, inner_params, name)
    adapted = checked(Environment(name, observation_space, action_space, reset, step, limit, render))
    return adapted if separates or limit is None else time_limit(adapted, limit)


def convert_space(space: Any) -> spaces.Space:
    """A gymnax space as its ``gymnasium.spaces`` equivalent."""
    match type(space).__name__:
        case "Discrete":
            return spaces.Discrete(int(space.n))
        case "Box":
            dtype = np.dtype(space.dtype)
            low, high = (np.broadcast_to(np.asarray(b, np.float64), space.shape) for b in (space.low, space.high))
            if np.issubdtype(dtype, np.floating):
                # "The largest float" is how gymnax writes "unbounded".
                biggest = np.finfo(np.float32).max * 0.999
                low, high = np.where(low <= -biggest, -np.inf, low), np.where(high >= biggest, np.inf, high)
            elif np.issubdtype(dtype, np.bool_):
                return spaces.MultiBinary(space.shape)
            return spaces.Box(low.astype(dtype), high.astype(dtype), tuple(space.shape), dtype)
        case "Dict":
            return spaces.Dict({k: convert_space(s) for k, s in space.spaces.items()})
        case "Tuple":
            return spaces.Tuple([convert_space(s) for s in space.spaces])
    raise TypeError(f"cannot convert the gymnax space {space!r}")


def _strong(x: Any) -> jax.Array:
    """An array without a weak type, which would make a loop's carry change its type."""
    x = jnp.asarray(x)
    return x if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x.astype(x.dtype)


def _arrays(info: Any) -> dict[str, Any]:
    return {k: v for k, v in info.items() if k != "discount"} if isinstance(info, dict) else {}
