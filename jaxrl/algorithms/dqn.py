"""Deep Q-learning, with double Q-learning, the dueling network and noisy layers as switches.

Source: Mnih et al. 2015, "Human-level control through deep reinforcement learning"; van Hasselt et al.
2016 (arXiv 1509.06461) for double Q-learning; Wang et al. 2016 (arXiv 1511.06581) for dueling.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.algorithms import q_learning
from jaxrl.algorithms.q_learning import Loss, QNetwork, State, make_q_learning, noise_of, setting
from jaxrl.losses.value import ERROR_LOSSES, q_learning_target, select
from jaxrl.types import Algorithm, Key, Sample, Spec
from jaxrl.validation import require_choice


@dataclasses.dataclass(frozen=True)
class Config(q_learning.Config):
    """What changes the program's shape."""

    loss: str = "huber"
    """``huber`` or ``mse``, of the temporal-difference error."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self, "loss", ERROR_LOSSES)


@struct.dataclass
class Hyperparameters(q_learning.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build DQN for an environment with a ``Discrete`` action space.

    Raises:
        ValueError: for another action space.
    """
    return make_named("dqn", spec, config, Hyperparameters())


def make_named(
    name: str, spec: Spec, config: q_learning.Config, hyperparameters: q_learning.Hyperparameters
) -> Algorithm[State]:
    """Build it under another name, with other defaults; the configuration must have a ``loss``."""
    s = setting(name, spec, config)
    network = QNetwork(s.num_actions, config, s.kind)

    def q_values(params, observation, key):
        return s.apply(network, params, observation, noise_of(config, key, per_row=True))

    def loss(params, target_params, batch: Sample, key: Key, hp: Any) -> Loss:
        t = batch.transitions
        noise = [noise_of(config, jax.random.fold_in(key, i)) for i in range(3)]
        q = s.apply(network, params, t.observation, noise[0])
        target = q_learning_target(
            t.reward,
            t.terminated,
            s.masked(s.apply(network, target_params, t.next_observation, noise[1]), t.next_observation),
            hp.discount**batch.steps,
            next_q_selector=(
                s.masked(s.apply(network, params, t.next_observation, noise[2]), t.next_observation)
                if config.double_q
                else None
            ),
        )
        chosen = select(q, t.action)
        error = chosen - jax.lax.stop_gradient(target)
        return Loss(ERROR_LOSSES[config.loss](error), jnp.abs(error), {"q_value": chosen})

    return make_q_learning(
        name, spec, s, config, hyperparameters, lambda key: network.init(key, s.example), q_values, loss,
        draws=config.noise != "none",
    )  # fmt: skip
