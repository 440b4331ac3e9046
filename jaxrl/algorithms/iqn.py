"""IQN: the distribution of returns at any quantile, learned by regression at sampled ones.

Source: Dabney et al. 2018, "Implicit quantile networks for distributional reinforcement learning" (arXiv 1806.06923).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.algorithms import q_learning
from jaxrl.algorithms.q_learning import Loss, State, make_head, make_q_learning, make_torso, noise_of, setting
from jaxrl.losses.distributional import midpoint_taus, quantile_huber
from jaxrl.losses.value import select
from jaxrl.networks.heads import QuantileEmbedding
from jaxrl.networks.noisy import Noise
from jaxrl.types import Algorithm, Array, Key, Sample, Spec
from jaxrl.validation import require_positive


@dataclasses.dataclass(frozen=True)
class Config(q_learning.Config):
    """What changes the program's shape. Without ``double_q`` this is the paper's algorithm."""

    double_q: bool = False
    """Whether the online network chooses the action that the target network values."""
    policy_samples: int = 32
    """K of the paper: quantiles whose mean an action is chosen by."""
    online_samples: int = 64
    """N of the paper: quantiles of the online network in the loss."""
    target_samples: int = 64
    """N' of the paper: quantiles of the target network in the loss."""
    num_cosines: int = 64
    """Cosines that a quantile is embedded by."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "policy_samples", "online_samples", "target_samples", "num_cosines")


@struct.dataclass
class Hyperparameters(q_learning.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    kappa: Any = 1.0
    """Where the Huber loss turns from quadratic to linear."""


class ImplicitQuantileNetwork(nn.Module):
    """Inputs ``[B, ...]`` and quantiles ``[B, N]`` to values ``[B, A, N]``; ``allowed`` as of ``QHead``."""

    num_actions: int
    config: Config
    kind: str

    @nn.compact
    def __call__(self, x: Array, taus: Array, noise: Noise | None = None, allowed: Array | None = None) -> Array:
        c = self.config
        x = make_torso(self.kind, c)(x)
        values = make_head(self.num_actions, c)(QuantileEmbedding(c.num_cosines)(x, taus), noise, allowed)
        return jnp.swapaxes(values, 1, 2)


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build IQN for an environment with a ``Discrete`` action space.

    Raises:
        ValueError: for another action space.
    """
    s = setting("iqn", spec, config)
    network = ImplicitQuantileNetwork(s.num_actions, config, s.kind)
    rows = lambda x: jax.tree.leaves(x)[0].shape[0]
    sampled = lambda key, x, n: jax.random.uniform(key, (rows(x), n))

    def q_values(params, observation, key):
        if key is None:
            # Evaluation is deterministic: quantiles at equal distances.
            taus = jnp.broadcast_to(midpoint_taus(config.policy_samples), (rows(observation), config.policy_samples))
            return jnp.mean(s.apply(network, params, observation, taus), axis=-1)
        tau_key, noise_key = jax.random.split(key)
        taus = sampled(tau_key, observation, config.policy_samples)
        return jnp.mean(s.apply(network, params, observation, taus, noise_of(config, noise_key, per_row=True)), axis=-1)

    def loss(params, target_params, batch: Sample, key: Key, hp: Hyperparameters) -> Loss:
        t = batch.transitions
        keys = jax.random.split(key, 6)
        noise = [noise_of(config, k) for k in keys[3:]]
        # Sec. 3.1: the action is greedy for a mean over quantiles of their own.
        chooser = params if config.double_q else target_params
        taus = sampled(keys[0], t.reward, config.policy_samples)
        selector = s.apply(network, chooser, t.next_observation, taus, noise[2])
        next_action = jnp.argmax(s.masked(jnp.mean(selector, axis=-1), t.next_observation), axis=-1)
        taus = sampled(keys[1], t.reward, config.target_samples)
        next_values = s.apply(network, target_params, t.next_observation, taus, noise[1])
        discount = jnp.where(t.terminated, 0.0, hp.discount**batch.steps)
        target = t.reward[:, None] + discount[:, None] * select(next_values, next_action)
        target = jax.lax.stop_gradient(target)
        taus = sampled(keys[2], t.reward, config.online_samples)
        values = select(s.apply(network, params, t.observation, taus, noise[0]), t.action)
        per_sample = quantile_huber(values, target, taus, hp.kappa)
        mean = jnp.mean(values, axis=-1)
        return Loss(per_sample, jnp.abs(mean - jnp.mean(target, axis=-1)), {"q_value": mean})

    def init_params(key: Key):
        return network.init(key, s.example, jnp.zeros((1, 1)))

    return make_q_learning("iqn", spec, s, config, Hyperparameters(), init_params, q_values, loss, draws=True)
