"""REDQ: SAC with many critics, targets from a random pair of them, and many updates a step.

Source: Chen et al. 2021, "Randomized ensembled double Q-learning: learning fast without a model" (arXiv 2101.05982).
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
    num_critics: int = 10
    """N of the paper: critics, each with weights of its own."""
    subset_size: int | None = 2
    """M of the paper: critics, drawn at random for each update, of which a target takes the smallest value."""
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
    """Build REDQ for an environment with a bounded, one-dimensional ``Box`` of actions.

    Raises:
        ValueError: for another action space.
    """
    return sac.make_named("redq", spec, config, Hyperparameters())
