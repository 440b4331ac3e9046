"""Natural policy gradient: on each rollout, the step of a given divergence in the direction of steepest ascent.

TRPO without its line search: the divergence is what its quadratic approximation says.

Source: Kakade 2001, "A natural policy gradient"; Schulman et al. 2015 (arXiv 1502.05477), appendix C, for the step. The
defaults are those of Spinning Up's ``trpo`` with ``algo='npg'``, but for initial weights and the initial deviation.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
from flax import struct

from jaxrl.algorithms import policy_then_value
from jaxrl.algorithms.policy_then_value import Problem, State
from jaxrl.algorithms.policy_value import Networks
from jaxrl.losses.trust_region import natural_step
from jaxrl.types import Algorithm, Array, Spec
from jaxrl.validation import require_positive


@dataclasses.dataclass(frozen=True)
class Config(policy_then_value.Config):
    """What changes the program's shape."""

    cg_iterations: int = 10
    """Steps of conjugate gradients."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "cg_iterations")


@struct.dataclass
class Hyperparameters(policy_then_value.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    max_kl: Any = 0.01
    """delta: how far an update may move the policy, in nats."""
    damping: Any = 0.1
    """What is added to the Fisher matrix's diagonal."""


def full_step(problem: Problem, params: Array, config: Config, hp: Hyperparameters) -> Array:
    """The natural gradient, scaled to the divergence ``max_kl`` by its quadratic approximation."""
    product = lambda vector: problem.fisher(params, vector, hp.damping)
    return natural_step(product, problem.gradient(params), hp.max_kl, config.cg_iterations)


def make(spec: Spec, config: Config = Config(), networks: Networks | None = None) -> Algorithm[State]:
    """Build NPG for an environment.

    Args:
        spec: the environment's spaces, as for PPO.
        config: static configuration.
        networks: by default those of ``policy_value.make_networks``.

    Raises:
        ValueError: for an action space that the policies do not cover, or a torso that does not suit observations.
    """

    def policy_step(problem: Problem, params, opt_state, hp):
        step = full_step(problem, params, config, hp)
        return params - step, opt_state, {"step_norm": jnp.linalg.norm(step)}

    return policy_then_value.make_policy_then_value(
        "npg", spec, config, Hyperparameters(), policy_step, networks=networks
    )
