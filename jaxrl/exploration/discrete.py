"""Choosing among finitely many actions by their values ``[B, A]``."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from jaxrl.random import uniform_action
from jaxrl.types import Array, Key
from jaxrl.validation import require


def greedy(q: Array) -> Array:
    """``argmax_a Q(a)``: the best actions ``[B]`` (int32) of values ``[B, A]``; of equals the first."""
    return jnp.argmax(q, axis=-1).astype(jnp.int32)


def epsilon_greedy(key: Key, q: Array, epsilon: Array | float, allowed: Array | None = None) -> Array:
    """A uniformly random action with probability epsilon, else the best one.

    A random action can be the best one too: that one has probability ``1 - epsilon + epsilon / A``.

    Args:
        key: one key for the batch; rows draw independently.
        q: ``[B, A]`` action values.
        epsilon: a scalar, or ``[B]`` for a ladder over environments.
        allowed: ``[B, A]`` booleans, which actions a random one is drawn from; None for all. That the best one is among
            them is for ``q`` to say, by minus infinity elsewhere.

    Returns:
        ``[B]`` int32 actions.

    Source: Sutton & Barto 2018, section 2.2; Mnih et al. 2015, algorithm 1.
    """
    best = greedy(q)
    chex.assert_is_broadcastable(jnp.shape(epsilon), best.shape)
    choice_key, action_key = jax.random.split(key)
    random = uniform_action(action_key, q.shape, allowed)
    return jnp.where(jax.random.uniform(choice_key, best.shape) < epsilon, random, best)


def boltzmann(key: Key, q: Array, temperature: Array | float) -> Array:
    """Draw from ``softmax(Q / temperature)``.

    Args:
        key: one key for the batch; rows draw independently.
        q: ``[B, A]`` action values; minus infinity is never drawn.
        temperature: above 0, in units of ``Q``; a scalar, or ``[B]`` for one of each environment.

    Returns:
        ``[B]`` int32 actions.

    Source: Sutton & Barto 2018, equation 2.11.
    """
    chex.assert_is_broadcastable(jnp.shape(temperature), q.shape[:-1])
    # The highest value is taken off first, so that a small temperature costs no precision.
    preference = (q - jnp.max(q, axis=-1, keepdims=True)) / jnp.expand_dims(temperature, -1)
    return jax.random.categorical(key, preference, axis=-1).astype(jnp.int32)


def epsilon_ladder(num_envs: int, base: Array | float = 0.4, alpha: Array | float = 7.0) -> Array:
    """``epsilon_i = base^(1 + alpha i / (N - 1))``: how much each of N environments explores throughout.

    Args:
        num_envs: N; a single environment has ``base``.
        base: epsilon of the environment that explores most, the first.
        alpha: how steep the ladder is: the last has ``base^(1 + alpha)``.

    Returns:
        ``[num_envs]`` epsilons, decreasing.

    Raises:
        ValueError: if num_envs is not positive.

    Source: Horgan et al. 2018 (arXiv 1803.00933), section 4.1.
    """
    require(num_envs > 0, "num_envs", num_envs, "must be positive")
    place = jnp.arange(num_envs) / max(num_envs - 1, 1)
    return jnp.asarray(base, jnp.float32) ** (1.0 + alpha * place)
