"""C51: the distribution of returns on fixed atoms, learned by cross-entropy with the projected target.

Source: Bellemare, Dabney and Munos 2017, "A distributional perspective on reinforcement learning" (arXiv 1707.06887).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.algorithms import q_learning
from jaxrl.algorithms.q_learning import Loss, QNetwork, State, make_q_learning, noise_of, setting
from jaxrl.losses.distributional import (
    categorical_cross_entropy,
    categorical_kl,
    categorical_mean,
    categorical_target,
)
from jaxrl.losses.value import select
from jaxrl.types import Algorithm, Key, Sample, Spec
from jaxrl.validation import require, require_positive


@dataclasses.dataclass(frozen=True)
class Config(q_learning.Config):
    """What changes the program's shape."""

    num_atoms: int = 51
    """Atoms of the distribution."""
    v_min: float = -10.0
    """The lowest atom: no return should be less."""
    v_max: float = 10.0
    """The highest atom: no return should be more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "num_atoms")
        require(self.num_atoms > 1, "num_atoms", self.num_atoms, "must be at least 2")
        require(self.v_min < self.v_max, "v_min", self.v_min, f"must be below v_max={self.v_max}")


@struct.dataclass
class Hyperparameters(q_learning.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build C51 for an environment with a ``Discrete`` action space.

    Raises:
        ValueError: for another action space.
    """
    return make_named("c51", spec, config, Hyperparameters())


def make_named(name: str, spec: Spec, config: Config, hyperparameters: Hyperparameters) -> Algorithm[State]:
    """Build it under another name, with other defaults."""
    s = setting(name, spec, config)
    network = QNetwork(s.num_actions, config, s.kind, config.num_atoms)
    support = jnp.linspace(config.v_min, config.v_max, config.num_atoms)
    mean = lambda logits: categorical_mean(jax.nn.softmax(logits), support)

    def q_values(params, observation, key):
        return mean(s.apply(network, params, observation, noise_of(config, key, per_row=True)))

    def loss(params, target_params, batch: Sample, key: Key, hp: Hyperparameters) -> Loss:
        t = batch.transitions
        noise = [noise_of(config, jax.random.fold_in(key, i)) for i in range(3)]
        next_logits = s.apply(network, target_params, t.next_observation, noise[1])
        selector = s.apply(network, params, t.next_observation, noise[2]) if config.double_q else next_logits
        next_action = jnp.argmax(s.masked(mean(selector), t.next_observation), axis=-1)
        target = categorical_target(
            t.reward, t.terminated, hp.discount**batch.steps,
            jax.nn.softmax(select(next_logits, next_action)), support,
        )  # fmt: skip
        logits = select(s.apply(network, params, t.observation, noise[0]), t.action)
        target = jax.lax.stop_gradient(target)
        return Loss(
            categorical_cross_entropy(logits, target), categorical_kl(logits, target), {"q_value": mean(logits)}
        )

    return make_q_learning(
        name, spec, s, config, hyperparameters, lambda key: network.init(key, s.example), q_values, loss,
        draws=config.noise != "none",
    )  # fmt: skip

