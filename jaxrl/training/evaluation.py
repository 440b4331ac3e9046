"""Evaluation: whole episodes of a policy, in a bounded loop with an alive mask."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.environment import Environment, reset_rows, step_rows
from jaxrl.envs.gate import checked
from jaxrl.envs.wrappers import episode_statistics, rescale_action
from jaxrl.types import Algorithm, Array, Key, PyTree

LONGEST_EPISODE = 10_000
"""Steps after which an episode of an environment without a time limit is cut off."""


class Evaluation(NamedTuple):
    """``[N]`` episodes."""

    episode_return: Array
    episode_length: Array
    finished: Array
    """Whether the episode ended by itself, or was cut off by ``max_steps``."""

    @property
    def mean_return(self) -> Array:
        return jnp.mean(self.episode_return, axis=-1)


def evaluate(
    agent: Algorithm,
    env: Environment,
    policy: PyTree,
    key: Key,
    hp: Any,
    *,
    num_episodes: int = 32,
    deterministic: bool = True,
    max_steps: int | None = None,
) -> Evaluation:
    """Play ``num_episodes`` side by side, each until its end.

    Args:
        agent: whose ``act`` to use.
        env: a compiled environment, without auto-reset.
        policy: ``agent.evaluated(state)``.
        key: consumed.
        hp: resolved hyper-parameters.
        num_episodes: N; of several agents each has a return of its own, and N is rounded up to whole environments.
        deterministic: act without exploration.
        max_steps: bound of the loop; by default the environment's time limit, or ``LONGEST_EPISODE``.

    Returns:
        The raw returns and lengths of the first episode of each environment.
    """
    limit = max_steps or env.max_episode_steps or LONGEST_EPISODE
    env = episode_statistics(rescale_action(checked(env)))
    num_episodes = -(-num_episodes // env.num_agents) * env.num_agents
    reset_key, step_key = jax.random.split(key)
    state, observation = reset_rows(env, jax.random.split(reset_key, num_episodes))
    alive = jnp.ones((num_episodes,), bool)
    results = jnp.zeros((num_episodes,)), jnp.zeros((num_episodes,), jnp.int32)

    def unfinished(loop):
        t, alive, *_ = loop
        return (t < limit) & jnp.any(alive)

    def step(loop):
        t, alive, state, observation, carry, (returns, lengths) = loop
        act_key, env_key = jax.random.split(jax.random.fold_in(step_key, t))
        action, carry, _ = agent.act(policy, observation, carry, act_key, hp, not deterministic)
        state, timestep = step_rows(env, state, action, jax.random.split(env_key, num_episodes))
        returns = jnp.where(alive, timestep.info["episode_return"], returns)
        lengths = jnp.where(alive, timestep.info["episode_length"], lengths)
        alive &= ~(timestep.terminated | timestep.truncated)
        return t + 1, alive, state, timestep.observation, carry, (returns, lengths)

    start = jnp.zeros((), jnp.int32), alive, state, observation, agent.initial_carry(num_episodes), results
    _, alive, *_, (returns, lengths) = jax.lax.while_loop(unfinished, step, start)
    return Evaluation(returns, lengths, ~alive)
