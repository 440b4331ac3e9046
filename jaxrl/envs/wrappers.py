"""Wrappers of compiled environments: functions from an ``Environment`` to an ``Environment``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl import spaces as jax_spaces
from jaxrl.envs.actions import unit_actions, without_bounds
from jaxrl.envs.environment import Environment
from jaxrl.envs.gate import checked
from jaxrl.types import Array
from jaxrl.validation import require


class WithSteps(NamedTuple):
    """A state beside the number of steps of its episode."""

    state: Any
    steps: Array


class EpisodeStatistics(NamedTuple):
    """A state beside the running sums of its episode."""

    state: Any
    episode_return: Array
    episode_length: Array


def time_limit(env: Environment, max_episode_steps: int) -> Environment:
    """Truncate episodes after ``max_episode_steps`` steps, unless they terminate at that very step."""

    def reset(key):
        state, observation = env.reset(key)
        return WithSteps(state, jnp.zeros((), jnp.int32)), observation

    def step(state, action, key):
        inner, timestep = env.step(state.state, action, key)
        steps = state.steps + 1
        truncated = timestep.truncated | ((steps >= max_episode_steps) & ~timestep.terminated)
        return WithSteps(inner, steps), timestep._replace(truncated=truncated)

    limit = min(max_episode_steps, env.max_episode_steps or max_episode_steps)
    return dataclasses.replace(env, reset=reset, step=step, max_episode_steps=limit, render=render_inner(env))


def auto_reset(env: Environment) -> Environment:
    """Reset as soon as an episode ends, with a fresh key each time.

    ``observation`` then belongs to the new episode; ``next_observation`` stays the true final one.
    """

    def step(state, action, key):
        step_key, reset_key = jax.random.split(key)
        state, timestep = env.step(state, action, step_key)
        new_state, new_observation = env.reset(reset_key)
        done = timestep.terminated | timestep.truncated
        observation = choose(done, new_observation, timestep.observation)
        return choose(done, new_state, state), timestep._replace(observation=observation)

    return dataclasses.replace(env, step=step)


def episode_statistics(env: Environment) -> Environment:
    """Sum the raw reward of each episode, of each agent if there are several.

    Adds ``info["episode_return"]`` and ``info["episode_length"]``, running values that are those of the
    whole episode at the step that ends it. Wrap it inside ``auto_reset`` and inside any transform of the
    reward, so that it reports the environment's own reward.
    """

    def reset(key):
        state, observation = env.reset(key)
        nothing = jnp.zeros(() if env.num_agents == 1 else (env.num_agents,))
        return EpisodeStatistics(state, nothing, jnp.zeros((), jnp.int32)), observation

    def step(state, action, key):
        inner, timestep = env.step(state.state, action, key)
        reward = jnp.sum(timestep.reward, axis=-1) if env.reward_shape else timestep.reward
        total = state.episode_return + reward
        length = state.episode_length + 1
        info = {**timestep.info, "episode_return": total, "episode_length": length}
        return EpisodeStatistics(inner, total, length), timestep._replace(info=info)

    return dataclasses.replace(env, reset=reset, step=step, render=render_inner(env))


def flatten_observation(env: Environment) -> Environment:
    """One float vector instead of any observation space (discrete parts one-hot, Dict and Tuple concatenated)."""
    space = env.observation_space
    flatten = lambda observation: jax_spaces.flatten(space, observation)
    if env.num_agents > 1:
        flatten = jax.vmap(flatten)

    def reset(key):
        state, observation = env.reset(key)
        return state, flatten(observation)

    def step(state, action, key):
        state, timestep = env.step(state, action, key)
        return state, timestep._replace(
            observation=flatten(timestep.observation), next_observation=flatten(timestep.next_observation)
        )

    flat = spaces.Box(-np.inf, np.inf, (jax_spaces.flat_size(space),), np.float32)
    return dataclasses.replace(env, reset=reset, step=step, observation_space=flat, frame_stack=0)


def select_observation(env: Environment, indices: Sequence[int]) -> Environment:
    """Show only some numbers of a vector.

    Args:
        env: with a one-dimensional ``Box`` of observations.
        indices: of the numbers, in their new order.
    """
    space, chosen = env.observation_space, np.asarray(indices)
    require(isinstance(space, spaces.Box) and len(space.shape) == 1, "observation_space", space, "must be a vector")

    def reset(key):
        state, observation = env.reset(key)
        return state, observation[..., chosen]

    def step(state, action, key):
        state, timestep = env.step(state, action, key)
        return state, timestep._replace(
            observation=timestep.observation[..., chosen], next_observation=timestep.next_observation[..., chosen]
        )

    part = spaces.Box(space.low[chosen], space.high[chosen], dtype=space.dtype)
    return dataclasses.replace(env, reset=reset, step=step, observation_space=part, frame_stack=0)


def rescale_action(env: Environment) -> Environment:
    """Take canonical actions, such as ``[-1, 1]`` for a ``Box`` with bounds, and map them to the environment's own.

    The map is that of ``unit_actions``.
    """
    unit, to_bounds = unit_actions(env.action_space)
    step = lambda state, action, key: env.step(state, to_bounds(action), key)
    return dataclasses.replace(env, step=step, action_space=unit)


def raw_actions(env: Environment) -> Environment:
    """Take actions of a ``Box`` as they are: neither clipped nor mapped to its bounds by the training loops.

    To algorithms the action space then has no bounds (``without_bounds``), so ``rescale_action`` leaves it alone.

    Source: rl_games, ``clip_actions: False``.
    """
    return dataclasses.replace(env, action_space=without_bounds(env.action_space))


def transform_reward(env: Environment, function: Callable[[Array], Array]) -> Environment:
    """Learn from ``function(reward)``: scaling, clipping, ``jnp.sign``. Statistics keep the raw reward
    if ``episode_statistics`` is applied first, as the training loops do with ``reward_transform``."""

    def step(state, action, key):
        state, timestep = env.step(state, action, key)
        return state, timestep._replace(reward=function(timestep.reward))

    return dataclasses.replace(env, step=step)


def for_training(env: Environment, *, reward_transform: Callable[[Array], Array] | None = None) -> Environment:
    """The stack of wrappers that the training loops use: the gate, unit actions, raw statistics, auto-reset."""
    env = episode_statistics(rescale_action(checked(env)))
    if reward_transform is not None:
        env = transform_reward(env, reward_transform)
    return auto_reset(env)


def choose(condition: Array, x: Any, y: Any) -> Any:
    """The one tree or the other, keys included."""
    return jax.tree.map(lambda x, y: _where(condition, x, y), x, y)


def _where(condition: Array, x: Array, y: Array) -> Array:
    if jax.dtypes.issubdtype(getattr(x, "dtype", None), jax.dtypes.prng_key):
        return jax.random.wrap_key_data(
            jnp.where(condition, jax.random.key_data(x), jax.random.key_data(y)), impl=jax.random.key_impl(x)
        )
    return jnp.where(condition, x, y)


def render_inner(env: Environment) -> Callable[[Any], Any] | None:
    """How to render a state that holds the environment's own as ``state``."""
    return None if env.render is None else lambda state: env.render(state.state)
