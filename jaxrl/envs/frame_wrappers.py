"""What is done to the frames of games, for compiled environments: stacks, skips, sticky actions and no-op starts.

The host's Atari has all of these in its simulator (``jaxrl.envs.atari_adapter``). Apply them in the order
``no_op_start``, ``sticky_actions``, ``frame_skip``, ``frame_stack``, and a ``time_limit`` first, if it counts frames.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl.envs.environment import Environment
from jaxrl.envs.gate import bounds
from jaxrl.envs.wrappers import choose, render_inner
from jaxrl.types import Array
from jaxrl.validation import require


class WithFrames(NamedTuple):
    """A state beside the last frames."""

    state: Any
    frames: Array


class WithAction(NamedTuple):
    """A state beside the action that was taken last."""

    state: Any
    action: Any


def frame_stack(env: Environment, count: int) -> Environment:
    """Show the last ``count`` observations side by side along the last axis, the newest last.

    Before an episode's first observation there are zeros. Replay that is told so (``Spec.frame_stack``, which
    ``Environment.frame_stack`` becomes) stores each of them once.

    Source: Mnih et al. 2015, Nature 518, methods.

    Raises:
        ValueError: if observations are not one array, or ``count`` is not positive.
    """
    space = env.observation_space
    require(isinstance(space, spaces.Box) and len(space.shape) > 0, "observation_space", space, "must be one array")
    require(count > 0, "count", count, "must be positive")
    channels = space.shape[-1]

    def reset(key):
        state, observation = env.reset(key)
        before = jnp.zeros_like(observation, shape=(*observation.shape[:-1], (count - 1) * channels))
        frames = jnp.concatenate([before, observation], axis=-1)
        return WithFrames(state, frames), frames

    def step(state, action, key):
        inner, timestep = env.step(state.state, action, key)
        frames = jnp.concatenate([state.frames[..., channels:], timestep.next_observation], axis=-1)
        return WithFrames(inner, frames), timestep._replace(observation=frames, next_observation=frames)

    low, high = (np.concatenate([bound] * count, axis=-1) for bound in (space.low, space.high))
    stacked = spaces.Box(np.minimum(low, 0), np.maximum(high, 0), dtype=space.dtype)
    return dataclasses.replace(
        env, reset=reset, step=step, observation_space=stacked, frame_stack=count, render=render_inner(env)
    )


def frame_skip(env: Environment, count: int, *, maximum: bool = False) -> Environment:
    """Repeat each action ``count`` times, or until the episode ends; the rewards add up.

    Args:
        env: any.
        count: how often.
        maximum: whether to show the greater of the last two observations, number by number, for sprites that flicker.

    Source: Mnih et al. 2015, Nature 518, methods.

    Raises:
        ValueError: if ``count`` is not positive.
    """
    require(count > 0, "count", count, "must be positive")

    def step(state, action, key):
        keys = jax.random.split(key, count)
        state, first = env.step(state, action, keys[0])

        def again(carry, key):
            state, last, before = carry
            ended = last.terminated | last.truncated
            new_state, new = env.step(state, action, key)
            new = new._replace(reward=last.reward + new.reward)
            return choose(ended, carry, (new_state, new, last.next_observation)), None

        (state, last, before), _ = jax.lax.scan(again, (state, first, first.next_observation), keys[1:])
        if maximum:
            seen = jax.tree.map(jnp.maximum, before, last.next_observation)
            last = last._replace(observation=seen, next_observation=seen)
        return state, last

    limit = None if env.max_episode_steps is None else -(-env.max_episode_steps // count)
    return dataclasses.replace(env, step=step, max_episode_steps=limit)


def sticky_actions(env: Environment, probability: float = 0.25) -> Environment:
    """Take the action before once more with a probability, whatever is chosen; at first the action nearest to zeros.

    Source: Machado et al. 2018 (arXiv 1709.06009), section 5.

    Raises:
        ValueError: if ``probability`` is none.
    """
    require(0 <= probability <= 1, "probability", probability, "must be between 0 and 1")
    nothing = _nearest_to_zeros(env.action_space, () if env.num_agents == 1 else (env.num_agents,))

    def reset(key):
        state, observation = env.reset(key)
        return WithAction(state, nothing), observation

    def step(state, action, key):
        key, sticky_key = jax.random.split(key)
        action = jax.tree.map(lambda x, like: jnp.asarray(x, like.dtype), action, nothing)
        action = choose(jax.random.bernoulli(sticky_key, probability), state.action, action)
        inner, timestep = env.step(state.state, action, key)
        return WithAction(inner, action), timestep

    return dataclasses.replace(env, reset=reset, step=step, render=render_inner(env))


def no_op_start(env: Environment, most: int = 30, action: Any = 0) -> Environment:
    """Begin each episode with 1 to ``most`` steps of an action that does nothing; one that ends meanwhile begins anew.

    Source: Mnih et al. 2015, Nature 518, extended data table 1.

    Raises:
        ValueError: if ``most`` is not positive.
    """
    require(most > 0, "most", most, "must be positive")

    def reset(key):
        reset_key, count_key, key = jax.random.split(key, 3)

        def wait(i, carry):
            state, _ = carry
            step_key, again_key = jax.random.split(jax.random.fold_in(key, i))
            state, timestep = env.step(state, jnp.asarray(action), step_key)
            ended = timestep.terminated | timestep.truncated
            return choose(ended, env.reset(again_key), (state, timestep.next_observation))

        count = jax.random.randint(count_key, (), 1, most + 1)
        return jax.lax.fori_loop(0, count, wait, env.reset(reset_key))

    return dataclasses.replace(env, reset=reset)


def _nearest_to_zeros(space: spaces.Space, rows: tuple[int, ...]) -> Any:
    """An element ``[*rows, ...]`` of a space of actions."""
    if isinstance(space, spaces.Dict):
        return {name: _nearest_to_zeros(s, rows) for name, s in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_nearest_to_zeros(s, rows) for s in space.spaces)
    low, high = bounds(space)
    nearest = np.broadcast_to(np.clip(np.zeros(space.shape), low, high), (*rows, *space.shape))
    return jnp.asarray(nearest, jax.dtypes.canonicalize_dtype(space.dtype))
