"""Asynchronous PPO: IMPALA with a clipped surrogate, measured from a slower copy of the policy, and with rollouts that
are learned from more than once.

Source: Luo et al. 2020, "IMPACT: Importance weighted asynchronous architectures with clipped target networks" (arXiv
    1912.00167), algorithm 1. Step size, coefficients and bounds are those of RLlib's APPO; networks, rollouts and the
    number of environments are smaller, the period of the target policy is another.
"""

from __future__ import annotations

import dataclasses

from jaxrl.algorithms import impala
from jaxrl.algorithms.impala import Hyperparameters, State
from jaxrl.algorithms.policy_value import Networks
from jaxrl.types import Algorithm, Spec
from jaxrl.validation import require

__all__ = ["Config", "Hyperparameters", "make"]


@dataclasses.dataclass(frozen=True)
class Config(impala.Config):
    """What changes the program's shape."""

    surrogate: bool = True
    """Whether the policy climbs a clipped surrogate, measured from a target policy: what makes it APPO."""
    replay_slots: int = 4
    """The last rollouts that are kept, the newest among them; 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.surrogate, "surrogate", False, "must be true: without it, this is impala")


def make(spec: Spec, config: Config = Config(), networks: Networks | None = None) -> Algorithm[State]:
    """Build APPO for an environment.

    Args:
        spec: the environment's spaces, as for PPO; rewards must be scalars.
        config: static configuration.
        networks: by default those of ``policy_value.make_networks``.

    Raises:
        ValueError: for an action space that the policies do not cover, or a torso that does not suit observations.
    """
    return dataclasses.replace(impala.make(spec, config, networks), name="appo")
