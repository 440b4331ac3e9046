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
    """

    name: str
    observation_space: spaces.Space
    action_space: spaces.Space
    reset: Callable[[Key], tuple[EnvState, PyTree]]
    step: Callable[[EnvState, PyTree, Key], tuple[EnvState, TimeStep]]
    max_episode_steps: int | None = None
    render: Callable[[EnvState], Any] | None = None
    reward_shape: tuple[int, ...] = ()

    @property
    def spec(self) -> Spec:
        """What an algorithm needs to know to be built."""
        return Spec(
            self.name, self.observation_space, self.action_space, self.max_episode_steps, reward_shape=self.reward_shape
        )


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
