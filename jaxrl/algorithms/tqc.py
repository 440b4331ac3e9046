"""TQC: SAC whose critics learn quantiles of the return, of which the largest are left out of the target.

Source: Kuznetsov et al. 2020, "Controlling overestimation bias with truncated mixture of continuous distributional
quantile critics" (arXiv 2005.04269).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.algorithms import sac
from jaxrl.algorithms.actor_critic import ACTOR_VALUES, CriticKind, State
from jaxrl.losses.actor_critic import truncated_quantiles
from jaxrl.losses.distributional import midpoint_taus, quantile_huber
from jaxrl.types import Algorithm, Array, Spec
from jaxrl.validation import require, require_choice, require_positive


@dataclasses.dataclass(frozen=True)
class Config(sac.Config):
    """What changes the program's shape. ``loss`` has no meaning here: it is that of quantiles."""

    actor_value: str = "mean"
    """What the actor climbs: the ``mean`` of the critics, their ``minimum``, or the ``first``, of quantiles' means."""
    num_quantiles: int = 25
    """Quantiles of each critic."""
    drop_quantiles: int = 2
    """How many of them, the largest of the mixture of all critics, a target leaves out for each critic."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "num_quantiles")
        require(
            isinstance(self.drop_quantiles, int) and 0 <= self.drop_quantiles < self.num_quantiles,
            "drop_quantiles", self.drop_quantiles, f"must be in [0, num_quantiles={self.num_quantiles})",
        )  # fmt: skip
        require_choice(self, "loss", ("mse",))
        require(self.subset_size is None, "subset_size", self.subset_size, "TQC mixes all critics; leave it out")
        require(not self.state_value, "state_value", self.state_value, "quantiles have no network of state values")


@struct.dataclass
class Hyperparameters(sac.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build TQC for an environment with a bounded, one-dimensional ``Box`` of actions.

    Raises:
        ValueError: for another action space.
    """
    taus = midpoint_taus(config.num_quantiles)
    reduce = ACTOR_VALUES[config.actor_value]

    def loss(values: Array, target: Array) -> tuple[Array, Array]:
        per_critic = jax.vmap(quantile_huber, (0, None, None))(values, target, taus)
        error = jnp.mean(values, axis=(0, 2)) - jnp.mean(target, axis=1)
        return jnp.sum(per_critic, axis=0), error

    critics = CriticKind(
        outputs=config.num_quantiles,
        target_value=lambda key, values: truncated_quantiles(values, config.drop_quantiles),
        loss=loss,
        actor_value=lambda values: reduce(jnp.mean(values, axis=-1)),
    )
    return sac.make_named("tqc", spec, config, Hyperparameters(), critics)
