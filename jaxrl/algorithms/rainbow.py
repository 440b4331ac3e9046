"""Rainbow: C51 with double Q-learning, dueling streams, noisy layers, priorities and several steps.

It is C51 with all of its switches on; each of the six parts can be turned off by itself. Without ``distributional``
it is DQN with the other five.

Source: Hessel et al. 2018, "Rainbow: combining improvements in deep reinforcement learning" (arXiv 1710.02298).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from flax import struct

from jaxrl.algorithms import c51, dqn
from jaxrl.algorithms.q_learning import State
from jaxrl.losses.value import ERROR_LOSSES
from jaxrl.types import Algorithm, Spec
from jaxrl.validation import require_choice


@dataclasses.dataclass(frozen=True)
class Config(c51.Config):
    """What changes the program's shape."""

    distributional: bool = True
    """Whether to learn the distribution of returns instead of their mean."""
    loss: str = "huber"
    """``huber`` or ``mse``, of the temporal-difference error, where the mean is learned."""
    double_q: bool = True
    """Whether the online network chooses the action that the target network values."""
    dueling: bool = True
    """Whether the network has separate streams for value and advantage."""
    noise: str = "factorised"
    """Noisy layers in the head: ``none``, ``factorised`` or ``independent``."""
    n_step: int = 3
    """Steps whose rewards are added up before bootstrapping."""
    prioritized: bool = True
    """Whether to sample in proportion to the last errors instead of uniformly."""
    adam_epsilon: float = 1.5e-4
    """Added to Adam's denominator."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self, "loss", ERROR_LOSSES)


@struct.dataclass
class Hyperparameters(c51.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    priority_exponent: Any = 0.5
    """alpha: how much priorities matter; 0 is uniform."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build Rainbow for an environment with a ``Discrete`` action space.

    Raises:
        ValueError: for another action space.
    """
    member = c51 if config.distributional else dqn
    return member.make_named("rainbow", spec, config, Hyperparameters())
