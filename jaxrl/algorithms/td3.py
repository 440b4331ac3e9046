"""TD3: DDPG with twin critics, a delayed actor and a smoothed target policy.

It is DDPG with all three switches on; each can be turned off by itself.

Source: Fujimoto et al. 2018, "Addressing function approximation error in actor-critic methods" (arXiv 1802.09477).
"""

from __future__ import annotations

import dataclasses

from flax import struct

from jaxrl.algorithms import ddpg
from jaxrl.algorithms.actor_critic import State
from jaxrl.types import Algorithm, Spec


@dataclasses.dataclass(frozen=True)
class Config(ddpg.Config):
    """What changes the program's shape."""

    num_critics: int = 2
    """Critics, each with weights of its own; with 2 or more, targets take the smallest value (clipped double Q)."""
    target_smoothing: bool = True
    """Whether the target policy's action gets noise, so that similar actions have similar values."""
    policy_delay: int = 2
    """Updates of the critics for one of the actor."""
    target_update_period: int = 2
    """Updates between two moves of the target networks by ``tau``; in the paper as many as ``policy_delay``."""


@struct.dataclass
class Hyperparameters(ddpg.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build TD3 for an environment with a bounded, one-dimensional ``Box`` of actions.

    Raises:
        ValueError: for another action space.
    """
    return ddpg.make_named("td3", spec, config, Hyperparameters())
