"""QR-DQN: the distribution of returns as fixed quantiles, learned by quantile regression.

Source: Dabney et al. 2018, "Distributional reinforcement learning with quantile regression" (arXiv 1710.10044).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.algorithms import q_learning
from jaxrl.algorithms.q_learning import Loss, QNetwork, State, make_q_learning, noise_of, setting
from jaxrl.losses.distributional import midpoint_taus, quantile_huber
from jaxrl.losses.value import select
from jaxrl.types import Algorithm, Key, Sample, Spec
from jaxrl.validation import require, require_positive


@dataclasses.dataclass(frozen=True)
class Config(q_learning.Config):
    """What changes the program's shape. Without ``double_q`` this is the paper's algorithm."""

    double_q: bool = False
    """Whether the online network chooses the action that the target network values."""
    num_quantiles: int = 200
    """Quantiles of the distribution."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "num_quantiles")
        require(self.num_quantiles > 1, "num_quantiles", self.num_quantiles, "must be at least 2")


@struct.dataclass
class Hyperparameters(q_learning.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    kappa: Any = 1.0
    """Where the Huber loss turns from quadratic to linear."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build QR-DQN for an environment with a ``Discrete`` action space.

    Raises:
        ValueError: for another action space.
    """
    s = setting("qr_dqn", spec, config)
    network = QNetwork(s.num_actions, config, s.kind, config.num_quantiles)
    taus = midpoint_taus(config.num_quantiles)
    mean = lambda quantiles: jnp.mean(quantiles, axis=-1)

    def q_values(params, observation, key):
        return mean(s.apply(network, params, observation, noise_of(config, key, per_row=True)))

    def loss(params, target_params, batch: Sample, key: Key, hp: Hyperparameters) -> Loss:
        t = batch.transitions
        noise = [noise_of(config, jax.random.fold_in(key, i)) for i in range(3)]
        next_quantiles = s.apply(network, target_params, t.next_observation, noise[1])
        selector = s.apply(network, params, t.next_observation, noise[2]) if config.double_q else next_quantiles
        next_action = jnp.argmax(s.masked(mean(selector), t.next_observation), axis=-1)
        next_value = select(next_quantiles, next_action)
        discount = jnp.where(t.terminated, 0.0, hp.discount**batch.steps)
        target = jax.lax.stop_gradient(t.reward[:, None] + discount[:, None] * next_value)
        quantiles = select(s.apply(network, params, t.observation, noise[0]), t.action)
        per_sample = quantile_huber(quantiles, target, taus, hp.kappa)
        return Loss(per_sample, jnp.abs(mean(quantiles) - mean(target)), {"q_value": mean(quantiles)})

    return make_q_learning(
        "qr_dqn", spec, s, config, Hyperparameters(), lambda key: network.init(key, s.example), q_values, loss,
        draws=config.noise != "none",
    )  # fmt: skip
