"""Munchausen DQN: soft Q-learning whose reward has the scaled log-policy of the action taken added to it.

Source: Vieillard et al. 2020, "Munchausen reinforcement learning" (arXiv 2007.14430).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.algorithms import dqn, q_learning
from jaxrl.algorithms.q_learning import Loss, QNetwork, State, make_q_learning, noise_of, setting
from jaxrl.losses.value import ERROR_LOSSES, munchausen_target, select
from jaxrl.types import Algorithm, Key, Sample, Spec


@dataclasses.dataclass(frozen=True)
class Config(dqn.Config):
    """What changes the program's shape. ``double_q`` has no meaning here: the target is a mean over the policy."""


@struct.dataclass
class Hyperparameters(q_learning.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    munchausen_scale: Any = 0.9
    """alpha of the paper: weight of the log-policy in the reward."""
    entropy_temperature: Any = 0.03
    """tau of the paper: the policy is softmax(Q / tau)."""
    log_policy_clip: Any = -1.0
    """l0 of the paper: the smallest value of tau times the log-policy."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build Munchausen DQN for an environment with a ``Discrete`` action space.

    Raises:
        ValueError: for another action space.
    """
    s = setting("munchausen_dqn", spec, config)
    network = QNetwork(s.num_actions, config, s.kind)

    def q_values(params, observation, key):
        return s.apply(network, params, observation, noise_of(config, key, per_row=True))

    def loss(params, target_params, batch: Sample, key: Key, hp: Hyperparameters) -> Loss:
        t = batch.transitions
        noise = [noise_of(config, jax.random.fold_in(key, i)) for i in range(2)]
        target = munchausen_target(
            t.reward,
            t.terminated,
            s.masked(s.apply(network, target_params, t.observation, noise[1]), t.observation),
            t.action,
            s.masked(s.apply(network, target_params, t.next_observation, noise[1]), t.next_observation),
            hp.discount**batch.steps,
            alpha=hp.munchausen_scale,
            temperature=hp.entropy_temperature,
            clip=hp.log_policy_clip,
        )
        chosen = select(s.apply(network, params, t.observation, noise[0]), t.action)
        error = chosen - jax.lax.stop_gradient(target)
        return Loss(ERROR_LOSSES[config.loss](error), jnp.abs(error), {"q_value": chosen})

    return make_q_learning(
        "munchausen_dqn", spec, s, config, Hyperparameters(), lambda key: network.init(key, s.example), q_values, loss,
        draws=config.noise != "none",
    )  # fmt: skip
