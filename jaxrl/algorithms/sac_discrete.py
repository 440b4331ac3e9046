"""Soft actor-critic with finitely many actions, over which its expectations are exact.

Source: Christodoulou 2019, "Soft actor-critic for discrete action settings" (arXiv 1910.07207).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from gymnasium import spaces

from jaxrl.algorithms import actor_critic
from jaxrl.algorithms.actor_critic import ActorKind, Draw, State, make_actor_critic, scalar_critics
from jaxrl.networks.policies import CategoricalHead
from jaxrl.random import uniform_action
from jaxrl.types import Algorithm, Array, Spec


@dataclasses.dataclass(frozen=True)
class Config(actor_critic.Config):
    """What changes the program's shape. ``action_layers`` has no meaning here: critics value all actions."""

    learn_temperature: bool = True
    """Whether to adjust the temperature, so that the entropy stays near ``target_entropy``; or to leave it fixed."""


@struct.dataclass
class Hyperparameters(actor_critic.EntropyHyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    target_entropy: Any = 0.89
    """Entropy that a learnt temperature keeps up, as a share of the greatest: log of the number of actions that the
    state allows."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build discrete SAC for an environment with a ``Discrete`` action space.

    Raises:
        ValueError: for another action space.
    """
    space = spec.action_space
    if not isinstance(space, spaces.Discrete):
        raise ValueError(f"sac_discrete needs a Discrete action space, got {space} of {spec.name}; sac takes a Box")
    num_actions = int(space.n)

    def draw(policy, key, hp):
        log_probs = jax.nn.log_softmax(policy.logits)
        probabilities = jnp.exp(log_probs)
        # What is forbidden has the logarithm of zero.
        finite = jnp.where(jnp.isfinite(log_probs), log_probs, 0.0)
        return Draw(None, jnp.sum(probabilities * finite, axis=-1), probabilities)

    def explore(policy, carry, key, hp):
        sample_key, choice_key, action_key = jax.random.split(key, 3)
        action = policy.sample(seed=sample_key)
        random = uniform_action(action_key, policy.logits.shape, jnp.isfinite(policy.logits))
        return jnp.where(jax.random.uniform(choice_key, action.shape) < hp.epsilon, random, action), carry

    actor = ActorKind(
        head=lambda kernel_init: CategoricalHead(num_actions, kernel_init),
        draw=draw,
        target_draw=draw,
        explore=explore,
        mode=lambda policy: policy.mode().astype(jnp.int32),
    )
    return make_actor_critic(
        "sac_discrete", spec, config, Hyperparameters(), actor, scalar_critics(config, num_actions),
        entropy_unit=lambda allowed: greatest_entropy(num_actions, allowed), learn_temperature=config.learn_temperature,
    )  # fmt: skip


def greatest_entropy(num_actions: int, allowed: Array | None = None) -> Array | float:
    """Entropy of the uniform policy, in nats: a scalar, or ``[B]`` of states that allow the actions ``[B, A]``."""
    return math.log(num_actions) if allowed is None else jnp.log(jnp.sum(allowed, axis=-1, dtype=jnp.float32))
