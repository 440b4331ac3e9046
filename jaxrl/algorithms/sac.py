"""Soft actor-critic: the return and the policy's entropy are maximised together.

Source: Haarnoja et al. 2018, "Soft actor-critic algorithms and applications" (arXiv 1812.05905); with ``state_value``
the first version, Haarnoja et al. 2018, "Soft actor-critic: off-policy maximum entropy deep reinforcement learning with
a stochastic actor" (arXiv 1801.01290).
"""

from __future__ import annotations

import dataclasses

import jax
from flax import struct

from jaxrl.algorithms import actor_critic
from jaxrl.algorithms.actor_critic import (
    ACTOR_VALUES,
    ActorKind,
    CriticKind,
    Draw,
    State,
    action_size,
    make_actor_critic,
    scalar_critics,
)
from jaxrl.exploration.continuous import random_action
from jaxrl.networks.policies import LOG_STD_BOUNDS, SquashedGaussianHead
from jaxrl.types import Algorithm, Spec
from jaxrl.validation import require, require_choice


@dataclasses.dataclass(frozen=True)
class Config(actor_critic.Config):
    """What changes the program's shape."""

    learn_temperature: bool = True
    """Whether to adjust the temperature, so that the entropy stays near ``target_entropy``; or to leave it fixed."""
    log_std_bounds: tuple[float, float] = (-20.0, 2.0)
    """Least and greatest logarithm of the policy's standard deviation, before tanh."""
    log_std_bounding: str = "clip"
    """How it is kept there: ``clip``, or ``tanh`` for a smooth map."""
    state_value: bool = False
    """Whether targets come from a network of state values (the algorithm's first version)."""
    state_value_target: str = "minimum"
    """What the network of state values learns, less the entropy's part: the ``minimum`` of the critics' Q-values, their
    ``mean``, or the ``first``; the actor's objective is ``actor_value``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self, "log_std_bounding", LOG_STD_BOUNDS)
        require_choice(self, "state_value_target", ACTOR_VALUES)
        low, high = self.log_std_bounds
        require(low < high, "log_std_bounds", self.log_std_bounds, "the first must be below the second")
        require(
            not self.state_value or self.target_network, "target_network", self.target_network,
            "the network of state values has a target network; use state_value=False",
        )  # fmt: skip


@struct.dataclass
class Hyperparameters(actor_critic.EntropyHyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build SAC for an environment with a bounded, one-dimensional ``Box`` of actions.

    Raises:
        ValueError: for another action space.
    """
    return make_named("sac", spec, config, Hyperparameters())


def make_named(
    name: str, spec: Spec, config: Config, hyperparameters: Hyperparameters, critics: CriticKind | None = None
) -> Algorithm[State]:
    """Build it under another name, with other defaults and other critics."""
    size = action_size(name, spec)

    def draw(policy, key, hp):
        return Draw(*policy.sample_and_log_prob(seed=key))

    def explore(policy, carry, key, hp):
        sample_key, random_key = jax.random.split(key)
        return random_action(random_key, policy.sample(seed=sample_key), hp.epsilon), carry

    actor = ActorKind(
        head=lambda kernel_init: SquashedGaussianHead(
            size, config.log_std_bounds, config.log_std_bounding, kernel_init
        ),
        draw=draw,
        target_draw=draw,
        explore=explore,
        mode=lambda policy: policy.mode(),
    )
    return make_actor_critic(
        name, spec, config, hyperparameters, actor, critics or scalar_critics(config),
        entropy_unit=lambda allowed: float(size), learn_temperature=config.learn_temperature,
        state_value=ACTOR_VALUES[config.state_value_target] if config.state_value else None,
    )  # fmt: skip
