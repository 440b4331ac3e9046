"""Stepping compiled environments with a policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from gymnasium import spaces

from jaxrl import observations
from jaxrl import spaces as jax_spaces
from jaxrl.envs.environment import Environment, reset_rows, step_rows
from jaxrl.random import uniform_action
from jaxrl.training.staged_scan import staged_scan
from jaxrl.types import Algorithm, Array, Key, PyTree, Rollout, TimeStep, Transition


class Actors(NamedTuple):
    """A batch of environments between two steps."""

    env: PyTree
    observation: PyTree
    carry: PyTree


def reset_actors(agent: Algorithm, env: Environment, num_envs: int, key: Key) -> Actors:
    """Start episodes with ``num_envs`` rows: one for each environment, or for each agent of it."""
    env_state, observation = reset_rows(env, jax.random.split(key, num_envs))
    return Actors(env_state, observation, agent.initial_carry(num_envs))


def reset_carry(agent: Algorithm, carry: PyTree, done: Array) -> PyTree:
    """The initial carry where an episode has just ended, unless the state goes on; the given one elsewhere."""
    if not agent.reset_carry or not jax.tree.leaves(carry):
        return carry
    start = agent.initial_carry(done.shape[0])
    choose = lambda new, old: jnp.where(done.reshape(done.shape + (1,) * (old.ndim - 1)), new, old)
    return jax.tree.map(choose, start, carry)


def step_actors(
    agent: Algorithm, env: Environment, actors: Actors, key: Key, choose: Callable[[PyTree, PyTree, Key], Any]
) -> tuple[Actors, Transition, dict[str, Array], TimeStep]:
    """One step of each environment.

    Args:
        agent: for its initial carry.
        env: a wrapped environment (``envs.for_training``).
        actors: ``B`` environments.
        key: consumed.
        choose: ``choose(observation, carry, key) -> action, carry, extras``.

    Returns:
        The actors after the step, the transition ``[B, ...]`` to learn from, the extras of acting, and the time step.
    """
    num_envs = jax.tree.leaves(actors.observation)[0].shape[0]
    act_key, env_keys = act_and_env_keys(key, num_envs)
    action, carry, extras = choose(actors.observation, actors.carry, act_key)
    env_state, timestep = step_rows(env, actors.env, action, env_keys)
    transition = Transition(
        actors.observation, action, timestep.reward, timestep.terminated, timestep.truncated, timestep.next_observation
    )
    carry = reset_carry(agent, carry, timestep.terminated | timestep.truncated)
    return Actors(env_state, timestep.observation, carry), transition, extras, timestep


class Collected(NamedTuple):
    """A rollout, and what else is known of it."""

    actors: Actors
    rollout: Rollout
    ended: Array
    """``[T, B]`` where an episode ended."""
    stats: tuple[Array, Array]
    """``[T, B]`` running returns and lengths of the episodes."""


def collect(agent: Algorithm, env: Environment, actors: Actors, policy: PyTree, keys: Key, hp: Any) -> Collected:
    """Step environments with a policy, once for each of ``keys`` ``[T]``."""
    choose = with_policy(agent, policy, hp)

    def step(actors, key):
        actors, transition, extras, timestep = step_actors(agent, env, actors, key, choose)
        ended = timestep.terminated | timestep.truncated
        stats = timestep.info["episode_return"], timestep.info["episode_length"]
        return actors, (transition, extras, ended, stats)

    after, (transitions, extras, ended, stats) = staged_scan(step, actors, keys)
    return Collected(after, Rollout(transitions, extras, actors.carry), ended, stats)


def step_keys(key: Key, n: int) -> Key:
    """``[n]`` keys, one for each step of an iteration."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))


def act_and_env_keys(key: Key, num_envs: int) -> tuple[Key, Key]:
    """A step's keys for acting and for each environment; the host drivers use the first alike."""
    keys = jax.random.split(key, 1 + num_envs)
    return keys[0], keys[1:]


def with_policy(agent: Algorithm, policy: PyTree, hp: Any) -> Callable[[PyTree, PyTree, Key], Any]:
    """Choose actions by exploring with a policy."""
    return lambda observation, carry, key: agent.act(policy, observation, carry, key, hp, True)


def at_random(agent: Algorithm) -> Callable[[PyTree, PyTree, Key], Any]:
    """Choose actions uniformly from the (rescaled) action space, or from those that an action mask allows."""
    space = jax_spaces.canonical(agent.spec.action_space)
    mask = observations.action_mask(agent.spec.observation_space, space)

    def choose(observation, carry, key):
        num_envs = jax.tree.leaves(observation)[0].shape[0]
        if mask is not None and isinstance(space, spaces.Discrete):
            action = uniform_action(key, (num_envs, int(space.n)), mask(observation))
        else:
            action = jax_spaces.sample(space, key, (num_envs,))
        return action, carry, {}

    return choose
