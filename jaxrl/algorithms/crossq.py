"""CrossQ: SAC without target networks, with batch renormalisation over both observations of a transition.

Source: Bhatt et al. 2024, "CrossQ: batch normalization in deep reinforcement learning for greater sample efficiency and
simplicity" (arXiv 1902.05605).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from flax import struct

from jaxrl.algorithms import sac
from jaxrl.algorithms.actor_critic import State
from jaxrl.types import Algorithm, Spec


@dataclasses.dataclass(frozen=True)
class Config(sac.Config):
    """What changes the program's shape."""

    prefill: int = 5_000
    """Transitions collected by a random policy before the first update."""
    critic_sizes: tuple[int, ...] | None = (2048, 2048)
    """Widths of the critics' dense layers."""
    actor_normalization: str = "batch"
    """Of the actor's dense layers: ``none``; ``layer`` normalisation before activations; or ``batch`` renormalisation
    of each layer's input."""
    critic_normalization: str = "batch"
    """The same of the critics' dense layers."""
    target_network: bool = False
    """Whether targets come from slower copies; if not, one forward pass of the critics values both observations."""
    policy_delay: int = 3
    """Updates of the critics for one of the actor (and of the temperature)."""
    adam_b1: float = 0.5
    """Decay of Adam's mean of gradients, of actor and critics."""


@struct.dataclass
class Hyperparameters(sac.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``. ``tau`` has no meaning without targets."""

    actor_learning_rate: Any = 1e-3
    """Adam's step size for the actor."""
    critic_learning_rate: Any = 1e-3
    """Adam's step size for the critics."""
    temperature_learning_rate: Any = 1e-3
    """Adam's step size for the logarithm of the temperature."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build CrossQ for an environment with a bounded, one-dimensional ``Box`` of actions.

    Raises:
        ValueError: for another action space.
    """
    return sac.make_named("crossq", spec, config, Hyperparameters())
