"""Probing environments: so small that the value of each observation is known exactly.

An algorithm is trained on one for a few hundred steps, and its value compared with the number. Each probe
asks for one more ability than the one before, so that the first that fails tells what is broken.

The idea is from Andy L. Jones, "Debugging Reinforcement Learning Systems Without The Agonizing Pain" (2021).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl.envs.environment import Environment, transition_step
from jaxrl.envs.wrappers import time_limit


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
    """A probing environment and what is true of it.

    Attributes:
        env: its observations are ``[1]`` float32; its actions ``Discrete(2)``, or one number in ``[-1, 1]``.
        observations: ``[N, 1]`` all that can be observed.
        expected_value: ``expected_value(discount) -> [N]`` the optimal value of each observation.
        expected_action_value: ``expected_action_value(discount) -> [N, 2]`` the optimal value of each discrete
            action; None for continuous ones.
        best_action: ``[N]`` (discrete) or ``[N, 1]`` (continuous); None where every action is as good.
    """

    env: Environment
    observations: np.ndarray
    expected_value: Callable[[float], np.ndarray]
    expected_action_value: Callable[[float], np.ndarray] | None
    best_action: np.ndarray | None = None


def constant_reward(continuous: bool = False) -> Probe:
    """One step, observation 0, reward 1: ``V(0) = 1``. Fails if the value's loss or optimiser is broken."""
    step = lambda observation, action: (jnp.ones(()), observation, True)
    return _ignoring_actions("constant_reward", [0.0], step, lambda discount: np.array([1.0]), continuous)


def reward_from_observation(continuous: bool = False) -> Probe:
    """One step, observation -1 or 1 at random, the reward is the observation: ``V(o) = o``.

    Fails if the value does not depend on the observation, or is trained on another one.
    """
    step = lambda observation, action: (observation, observation, True)
    return _ignoring_actions(
        "reward_from_observation", [-1.0, 1.0], step, lambda discount: np.array([-1.0, 1.0]), continuous
    )


def two_steps(continuous: bool = False) -> Probe:
    """Observation 0 and reward 0, then observation 1 and reward 1: ``V(0) = discount``, ``V(1) = 1``.

    Fails if bootstrapping or discounting is broken, or the observation after a reset is bootstrapped from.
    """
    step = lambda observation, action: (observation, jnp.ones(()), observation > 0.5)
    probe = _ignoring_actions("two_steps", [0.0, 1.0], step, lambda discount: np.array([discount, 1.0]), continuous)
    reset = lambda key: (jnp.zeros(()), jnp.zeros((1,)))
    return dataclasses.replace(probe, env=dataclasses.replace(probe.env, reset=reset))


def reward_from_action() -> Probe:
    """One step, observation 0, reward 1 for action 1 and -1 for action 0.

    ``Q(0, .) = (-1, 1)``, and ``V(0) = 1`` for the best policy. Fails if the policy's loss is broken.
    """
    step = lambda observation, action: (2.0 * action - 1.0, observation, True)
    return Probe(
        _environment("reward_from_action", [0.0], step, continuous=False),
        observations=np.zeros((1, 1), np.float32),
        expected_value=lambda discount: np.array([1.0]),
        expected_action_value=lambda discount: np.array([[-1.0, 1.0]]),
        best_action=np.array([1]),
    )


def reward_from_both() -> Probe:
    """One step, observation -1 or 1 at random, reward 1 for action 0 at -1 and action 1 at 1, else -1.

    ``Q(-1, .) = (1, -1)``, ``Q(1, .) = (-1, 1)``, and ``V = 1`` for the best policy. Fails if observations and
    actions are not those of the same step.
    """
    step = lambda observation, action: (observation * (2.0 * action - 1.0), observation, True)
    return Probe(
        _environment("reward_from_both", [-1.0, 1.0], step, continuous=False),
        observations=np.array([[-1.0], [1.0]], np.float32),
        expected_value=lambda discount: np.ones(2),
        expected_action_value=lambda discount: np.array([[1.0, -1.0], [-1.0, 1.0]]),
        best_action=np.array([0, 1]),
    )


def reward_from_continuous_action() -> Probe:
    """One step, observation 0, reward ``-(a - 0.5)^2``: the best action is 0.5, with ``V(0) = 0``."""
    step = lambda observation, action: (-((action[0] - 0.5) ** 2), observation, True)
    return Probe(
        _environment("reward_from_continuous_action", [0.0], step, continuous=True),
        observations=np.zeros((1, 1), np.float32),
        expected_value=lambda discount: np.zeros(1),
        expected_action_value=None,
        best_action=np.array([[0.5]], np.float32),
    )


def reward_from_both_continuous() -> Probe:
    """One step, observation -1 or 1 at random, reward ``-(a - o/2)^2``: the best action is ``o/2``; ``V(o) = 0``."""
    step = lambda observation, action: (-((action[0] - observation / 2) ** 2), observation, True)
    return Probe(
        _environment("reward_from_both_continuous", [-1.0, 1.0], step, continuous=True),
        observations=np.array([[-1.0], [1.0]], np.float32),
        expected_value=lambda discount: np.zeros(2),
        expected_action_value=None,
        best_action=np.array([[-0.5], [0.5]], np.float32),
    )


def truncation(max_episode_steps: int = 5, continuous: bool = False) -> Probe:
    """Observation 0 and reward 1 for ever, cut off every ``max_episode_steps`` steps: ``V(0) = 1 / (1 - discount)``.

    An algorithm that takes the time limit for a termination finds less: at most ``max_episode_steps``.
    """
    step = lambda observation, action: (jnp.ones(()), observation, False)
    value = lambda discount: np.array([1.0 / (1.0 - discount)])
    probe = _ignoring_actions("truncation", [0.0], step, value, continuous)
    return dataclasses.replace(probe, env=time_limit(probe.env, max_episode_steps))


def discrete_probes() -> dict[str, Probe]:
    """The five probes with two actions and the one of truncation, by name."""
    made = (
        constant_reward(),
        reward_from_observation(),
        two_steps(),
        reward_from_action(),
        reward_from_both(),
        truncation(),
    )
    return {probe.env.name: probe for probe in made}


def continuous_probes() -> dict[str, Probe]:
    """The same with one continuous action, by name."""
    made = (
        constant_reward(continuous=True),
        reward_from_observation(continuous=True),
        two_steps(continuous=True),
        reward_from_continuous_action(),
        reward_from_both_continuous(),
        truncation(continuous=True),
    )
    return {probe.env.name: probe for probe in made}


def _ignoring_actions(name, observations, step, value, continuous: bool) -> Probe:
    action_value = lambda discount: np.repeat(value(discount)[:, None], 2, axis=1)
    return Probe(
        _environment(name, observations, step, continuous),
        observations=np.array(observations, np.float32)[:, None],
        expected_value=value,
        expected_action_value=None if continuous else action_value,
    )


def _environment(name: str, observations: list[float], rule: Callable, continuous: bool) -> Environment:
    """The state is the observation, and ``rule(observation, action) -> reward, observation, terminated``."""

    def reset(key):
        state = jax.random.choice(key, jnp.array(observations, jnp.float32))
        return state, state[None]

    def step(state, action, key):
        reward, state, terminated = rule(state, action)
        return state, transition_step(state[None], reward, terminated)

    action_space = spaces.Box(-1, 1, (1,), np.float32) if continuous else spaces.Discrete(2)
    return Environment(name, spaces.Box(-1, 1, (1,), np.float32), action_space, reset, step)
