"""The environment protocol: a frozen record of two pure functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from gymnasium import spaces

from jaxrl.types import Key, PyTree, Spec, TimeStep

EnvState = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Environment:
    """One environment, compiled: ``jax.vmap`` its functions for a batch of them.

    Attributes:
        name: a name for people.
        observation_space: a ``gymnasium.spaces`` space; the observation may be a pytree.
        action_space: likewise.
        reset: ``reset(key) -> state, observation``.
        step: ``step(state, action, key) -> state, TimeStep``. It does not reset: that is the wrapper
            ``auto_reset``, which the training loops apply.
        max_episode_steps: the time limit that ``step`` imposes by truncation, for information.
        render: ``render(state) -> [H, W, 3]`` uint8 on the host, or None.
        reward_shape: see ``Spec.reward_shape``.
        num_agents: agents that act together. With N of them, observations, actions and rewards have a leading axis
            ``[N, ...]`` (the spaces are those of one agent, alike for all), and an episode ends for all at once. The
            loops treat each as a row of its own (``reset_rows``, ``step_rows``): one policy is shared by all.
        frame_stack: see ``Spec.frame_stack``.
    """

    name: str
    observation_space: spaces.Space
    action_space: spaces.Space
    reset: Callable[[Key], tuple[EnvState, PyTree]]
    step: Callable[[EnvState, PyTree, Key], tuple[EnvState, TimeStep]]
    max_episode_steps: int | None = None
    render: Callable[[EnvState], Any] | None = None
    reward_shape: tuple[int, ...] = ()
    num_agents: int = 1
    frame_stack: int = 0

    @property
    def spec(self) -> Spec:
        """What an algorithm needs to know to be built."""
        return Spec(
            self.name, self.observation_space, self.action_space, self.max_episode_steps, self.frame_stack,
            self.reward_shape,
        )  # fmt: skip


def transition_step(
    observation: PyTree, reward: Any, terminated: Any, truncated: Any = False, info: dict[str, Any] | None = None
) -> TimeStep:
    """A ``TimeStep`` of an environment that does not reset itself, with the dtypes that jaxrl expects."""
    return TimeStep(
        observation=observation,
        next_observation=observation,
        reward=jax.numpy.asarray(reward, jax.numpy.float32),
        terminated=jax.numpy.asarray(terminated, bool),
        truncated=jax.numpy.asarray(truncated, bool),
        info=info or {},
    )


def reset_rows(env: Environment, keys: Key) -> tuple[EnvState, PyTree]:
    """Start a batch of environments.

    Args:
        env: any.
        keys: ``[B]``, of which each environment takes one.

    Returns:
        The states of the ``B / num_agents`` environments, and observations ``[B, ...]``: a row for each agent, those of
        one environment in a row.

    Raises:
        ValueError: if B is no multiple of the number of agents.
    """
    state, observation = jax.vmap(env.reset)(_of_environments(env, keys))
    return state, _rows(env, observation)


def step_rows(env: Environment, state: EnvState, action: PyTree, keys: Key) -> tuple[EnvState, TimeStep]:
    """Step a batch of environments: actions ``[B, ...]`` to a ``TimeStep`` ``[B, ...]``, a row for each agent.

    Ends, and what ``info`` says, are an environment's and so repeated for its agents, but for ``episode_return``.
    """
    if env.num_agents == 1:
        return jax.vmap(env.step)(state, action, keys)
    together = jax.tree.map(lambda x: x.reshape(-1, env.num_agents, *x.shape[1:]), action)
    state, timestep = jax.vmap(env.step)(state, together, _of_environments(env, keys))
    repeated = lambda tree: jax.tree.map(lambda x: jax.numpy.repeat(x, env.num_agents, axis=0), tree)
    own = {name: x for name, x in timestep.info.items() if name == "episode_return"}
    shared = {name: x for name, x in timestep.info.items() if name not in own}
    return state, TimeStep(
        observation=_rows(env, timestep.observation),
        next_observation=_rows(env, timestep.next_observation),
        reward=_rows(env, timestep.reward),
        terminated=repeated(timestep.terminated),
        truncated=repeated(timestep.truncated),
        info={**repeated(shared), **_rows(env, own)},
    )


def _of_environments(env: Environment, keys: Key) -> Key:
    if env.num_agents == 1:
        return keys
    if keys.shape[0] % env.num_agents:
        raise ValueError(
            f"{keys.shape[0]} rows are no multiple of the {env.num_agents} agents of {env.name}, each of them a row: "
            "choose another num_envs"
        )
    return keys[:: env.num_agents]


def _rows(env: Environment, tree: PyTree) -> PyTree:
    """``[E, N, ...]`` to ``[E * N, ...]``, if there are several agents."""
    if env.num_agents == 1:
        return tree
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)
