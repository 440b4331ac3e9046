"""DroQ: SAC with many updates a step, held in check by dropout and layer normalisation in its critics.

Source: Hiraoka et al. 2022, "Dropout Q-functions for doubly efficient reinforcement learning" (arXiv 2110.02034).
"""

from __future__ import annotations

import dataclasses

from flax import struct

from jaxrl.algorithms import sac
from jaxrl.algorithms.actor_critic import State
from jaxrl.types import Algorithm, Spec


@dataclasses.dataclass(frozen=True)
class Config(sac.Config):
    """What changes the program's shape."""

    prefill: int = 5_000
    """Transitions collected by a random policy before the first update."""
    critic_normalization: str = "layer"
    """Of the critics' dense layers: ``none``; ``layer`` normalisation before activations; or ``batch`` renormalisation
    of each layer's input."""
    dropout: float = 0.01
    """Share of the outputs of the critics' dense layers that is set to zero while learning."""
    actor_value: str = "mean"
    """What the actor climbs: the ``mean`` of the critics, their ``minimum``, or the ``first``."""
    updates_per_iteration: int = 20
    """G of the paper: updates in each round, so for each step of an environment."""
    policy_delay: int = 20
    """Updates of the critics for one of the actor (and of the temperature)."""


@struct.dataclass
class Hyperparameters(sac.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build DroQ for an environment with a bounded, one-dimensional ``Box`` of actions.

    Raises:
        ValueError: for another action space.
    """
    return sac.make_named("droq", spec, config, Hyperparameters())
