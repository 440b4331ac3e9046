"""Vanilla policy gradient: one step along ``A grad log pi(a|s)`` on each rollout, with a fitted value.

Source: Williams 1992 (REINFORCE); Sutton et al. 2000, "Policy gradient methods for reinforcement learning with function
approximation"; Schulman et al. 2016 (arXiv 1506.02438) for the advantages. The defaults are those of Spinning Up's
``vpg``, but for initial weights and the initial deviation.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from flax import struct

from jaxrl.algorithms import policy_then_value, policy_value
from jaxrl.algorithms.policy_then_value import Problem, State
from jaxrl.algorithms.policy_value import Networks
from jaxrl.optimizers import apply_gradients
from jaxrl.types import Algorithm, Spec


@dataclasses.dataclass(frozen=True)
class Config(policy_then_value.Config):
    """What changes the program's shape."""


@struct.dataclass
class Hyperparameters(policy_then_value.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    learning_rate: Any = 3e-4
    """Step size of the policy's optimiser."""
    max_grad_norm: Any = None
    """Bound of its gradient's norm; none by default."""


def make(spec: Spec, config: Config = Config(), networks: Networks | None = None) -> Algorithm[State]:
    """Build VPG for an environment.

    Args:
        spec: the environment's spaces, as for PPO.
        config: static configuration.
        networks: by default those of ``policy_value.make_networks``.

    Raises:
        ValueError: for an action space that the policies do not cover, or a torso that does not suit observations.
    """
    optimizer = policy_value.make_optimizer(config)

    def policy_step(problem: Problem, params, opt_state, hp):
        step = apply_gradients(
            optimizer, params, opt_state, problem.gradient(params),
            learning_rate=hp.learning_rate, max_grad_norm=hp.max_grad_norm,
        )  # fmt: skip
        return step.params, step.opt_state, {"grad_norm": step.grad_norm}

    return policy_then_value.make_policy_then_value(
        "vpg", spec, config, Hyperparameters(), policy_step, optimizer.init, networks=networks
    )
