"""Advantage actor-critic, the synchronous form of A3C: PPO with one epoch and one minibatch.

In the only gradient step on a rollout the probability ratio is 1, where PPO's loss has the gradient
``-A grad log pi(a|s)``: no line of the update differs.

Source: Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning" (arXiv 1602.01783); Huang et al. 2022,
"A2C is a special case of PPO" (arXiv 2205.09123).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from flax import struct

from jaxrl.algorithms import policy_value, ppo
from jaxrl.algorithms.policy_value import Networks
from jaxrl.types import Algorithm, Spec


@dataclasses.dataclass(frozen=True)
class Config(policy_value.Config):
    """What changes the program's shape."""

    num_envs: int = 8
    """Environments stepped side by side."""
    rollout_length: int = 5
    """Steps of each environment between two updates."""
    optimizer: str = "rmsprop"
    """``adam``, ``rmsprop``, or ``rmsprop_torch`` with ``adam_epsilon`` beside the root."""
    normalize_advantage: bool = False
    """Whether to give each rollout's advantages mean 0 and deviation 1."""
    separate_optimizers: bool = False
    """Whether the critic has an optimiser, a learning rate and a bound of its gradient of its own."""
    microbatch_size: int | None = None
    """Steps, or sequences, of a rollout whose gradients are computed at a time, for less memory; they add up to the
    same step. By default all; must divide a rollout's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        as_ppo(self)


@struct.dataclass
class Hyperparameters:
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    learning_rate: Any = 7e-4
    """The optimiser's step size."""
    discount: Any = 0.99
    """gamma"""
    gae_lambda: Any = 1.0
    """lambda: how much of an advantage comes from later steps; all of it at 1."""
    entropy_coefficient: Any = 0.01
    """Weight of the policy's entropy, which is rewarded."""
    value_coefficient: Any = 0.5
    """Weight of the value's loss, unless the critic has an optimiser of its own."""
    max_grad_norm: Any = 0.5
    """Bound of the gradient's global norm."""
    critic_learning_rate: Any = 7e-4
    """Step size of a critic with an optimiser of its own."""
    critic_max_grad_norm: Any = 0.5
    """Bound of its gradient's norm."""


def as_ppo(config: Config) -> ppo.Config:
    """The configuration of PPO that is A2C."""
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return ppo.Config(
        **fields, num_epochs=1, num_minibatches=1, critic_epochs=1, critic_minibatches=1, clip_value_loss=False
    )


def hyperparameters_as_ppo(hp: Hyperparameters) -> ppo.Hyperparameters:
    """Those of PPO; its others have no effect in a single step."""
    return ppo.Hyperparameters(**{field.name: getattr(hp, field.name) for field in dataclasses.fields(hp)})


def make(spec: Spec, config: Config = Config(), networks: Networks | None = None) -> Algorithm[ppo.State]:
    """Build A2C for an environment.

    Args:
        spec: the environment's spaces, as for PPO.
        config: static configuration.
        networks: by default those of ``policy_value.make_networks``.

    Raises:
        ValueError: for an action space that the policies do not cover, or a torso that does not suit observations.
    """
    agent = ppo.make(spec, as_ppo(config), networks)
    return dataclasses.replace(
        agent,
        name="a2c",
        config=config,
        hyperparameters=Hyperparameters(),
        init=lambda key, hp: agent.init(key, hyperparameters_as_ppo(hp)),
        update=lambda state, batch, key, hp: agent.update(state, batch, key, hyperparameters_as_ppo(hp)),
    )
