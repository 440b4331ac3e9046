"""Trust region policy optimisation: a natural step on each rollout, shortened until it keeps what it promises.

Source: Schulman et al. 2015, "Trust region policy optimization" (arXiv 1502.05477), algorithm 1 and appendix C. The
defaults are those of Spinning Up's ``trpo``, but for initial weights and the initial deviation.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from flax import struct

from jaxrl.algorithms import npg, policy_then_value
from jaxrl.algorithms.policy_then_value import Problem, State
from jaxrl.algorithms.policy_value import Networks
from jaxrl.losses.trust_region import backtrack
from jaxrl.types import Algorithm, Spec
from jaxrl.validation import require_positive


@dataclasses.dataclass(frozen=True)
class Config(npg.Config):
    """What changes the program's shape."""

    backtrack_iterations: int = 10
    """Steps that are tried, each shorter, before the old parameters are kept."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "backtrack_iterations")


@struct.dataclass
class Hyperparameters(npg.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    backtrack_factor: Any = 0.8
    """How much of a step the next one is."""


def make(spec: Spec, config: Config = Config(), networks: Networks | None = None) -> Algorithm[State]:
    """Build TRPO for an environment.

    Args:
        spec: the environment's spaces, as for PPO.
        config: static configuration.
        networks: by default those of ``policy_value.make_networks``.

    Raises:
        ValueError: for an action space that the policies do not cover, or a torso that does not suit observations.
    """

    def policy_step(problem: Problem, params, opt_state, hp):
        step = npg.full_step(problem, params, config, hp)
        before = problem.surrogate(params)
        acceptable = lambda new: (problem.kl(new) <= hp.max_kl) & (problem.surrogate(new) <= before)
        search = backtrack(acceptable, params, step, hp.backtrack_factor, config.backtrack_iterations)
        metrics = {"accepted": search.accepted.astype(params.dtype), "step_fraction": search.fraction}
        return search.params, opt_state, metrics

    return policy_then_value.make_policy_then_value(
        "trpo", spec, config, Hyperparameters(), policy_step, networks=networks
    )
